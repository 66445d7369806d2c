package logs

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	api "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/store"
)

// groupRow is a log group, by its name.
type groupRow struct {
	ID          string // of the group's streams: a group made anew under an old name has another
	Created     int64
	Retention   int               `json:",omitempty"` // days; 0 for ever
	Class       string            `json:",omitempty"`
	Tags        map[string]string `json:",omitempty"`
	StoredBytes int64             `json:",omitempty"` // as of the last sweep
}

// streamRow is a log stream, by its group's ID and its name.
type streamRow struct {
	ID      uint64
	Created int64
}

// trashRow is what a deleted group or stream leaves behind for the sweeper, by trashGroup and the group's ID, or
// trashStream and the name of the stream's log.
type trashRow struct{}

const (
	trashGroup  = "group"
	trashStream = "stream"
)

var (
	groups  = store.Table[groupRow]{Name: "logs.group"}
	streams = store.Table[streamRow]{Name: "logs.stream"}
	trash   = store.Table[trashRow]{Name: "logs.trash"}
)

// logName is the store's log of a stream.
func logName(id uint64) string { return fmt.Sprintf("logs/%016x", id) }

// newID is random and fits 19 digits.
func newID() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:]) & math.MaxInt64
}

// group answers ResourceNotFoundException if there is none of that name.
func getGroup(tx store.Tx, sc store.Scope, name string) (store.Row[groupRow], error) {
	row, err := groups.Get(tx, sc, name)
	if errors.Is(err, store.ErrNotFound) {
		return row, errNoGroup()
	}
	return row, err
}

// getStream answers ResourceNotFoundException if the group has no stream of that name.
func getStream(tx store.Tx, sc store.Scope, group groupRow, name string) (store.Row[streamRow], error) {
	row, err := streams.Get(tx, sc, store.Key(group.ID, name))
	if errors.Is(err, store.ErrNotFound) {
		return row, errNoStream()
	}
	return row, err
}

func errNoGroup() error {
	return api.ErrResourceNotFound.New("The specified log group does not exist.")
}

func errNoStream() error {
	return api.ErrResourceNotFound.New("The specified log stream does not exist.")
}
