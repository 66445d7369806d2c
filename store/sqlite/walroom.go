package sqlite

import "io"

// The write-ahead log, in bytes.
const (
	maxLog    = 64 << 20  // more is cut off when it begins anew
	roomFrom  = 128 << 10 // shorter logs get no room: most servers are never asked for much
	minRoom   = 256 << 10
	maxRoom   = 2 << 20
	roomShare = 8 // of the log: with it the room grows
)

var zeros [maxRoom]byte

// makeRoom writes zeros behind the write-ahead log once it has grown: to sync what lies over them takes 0.6 of the time of what makes a
// file longer, because the file system has nothing of its own to note. SQLite ends reading its log at the first page without this
// log's mark. The caller has the pen and no transaction, so that nobody else writes to the file. That there is no room, as on a full
// disk, is no failure: the next to make the log longer tries again.
func (w *writer) makeRoom() {
	size, err := w.wal.Seek(0, io.SeekEnd) // to ask for the time of its last change, too, would have Linux note every one precisely
	if err != nil || size <= w.room {
		return
	}
	n := min(max(size/roomShare, minRoom), maxRoom, maxLog-size)
	if size < roomFrom || n <= 0 {
		return
	}
	done, _ := w.wal.WriteAt(zeros[:n], size)
	w.room = size + int64(done)
}
