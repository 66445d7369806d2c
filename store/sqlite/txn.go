package sqlite

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/enfold-run/enfold/store"
)

// maxTxnBytes is how much one transaction may write: it is in memory until it is committed.
const maxTxnBytes = 256 << 20

var (
	errReadOnly = errors.New("store: a View cannot write")
	errTxnDone  = errors.New("store: the transaction is over: its Tx is of no use after the function returned")
)

// txn is one transaction: in the writer, or in a View if writer is nil.
type txn struct {
	conn     *conn
	writer   *writer
	done     atomic.Bool
	wrote    bool    // or tried to
	bytes    int64   // written
	changed  []space // made or removed: to forget if it is undone
	promoted []int64 // queues, likewise
	seen     map[space]int64
	tallies  tallies
	scans    []*scan // of an Update, not yet at their end
}

func newTxn(c *conn, w *writer) *txn { return &txn{conn: c, writer: w} }

func (t *txn) close() { t.done.Store(true) }

// reads answers an error if the transaction is over or a name is too long.
func (t *txn) reads(names ...string) error {
	if t.done.Load() {
		return errTxnDone
	}
	return checkNames(names...)
}

// writes is reads for what writes n bytes.
func (t *txn) writes(n int, names ...string) error {
	if err := t.reads(names...); err != nil {
		return err
	}
	if t.writer == nil {
		return errReadOnly
	}
	t.wrote = true
	if n > store.MaxValue {
		return fmt.Errorf("%w: %d bytes, %d at most", store.ErrTooLarge, n, store.MaxValue)
	}
	if t.bytes += int64(n); t.bytes > maxTxnBytes {
		return fmt.Errorf("%w: one transaction writes %d bytes, %d at most", store.ErrTooLarge, t.bytes, maxTxnBytes)
	}
	return nil
}
