package sqlite

import (
	"sync"
	"sync/atomic"
	"time"

	modernc "modernc.org/sqlite"
)

// Pages of 4 KiB in the write-ahead log.
const (
	checkpointPages = 1_000  // written since the last checkpoint: time for the next
	restartPages    = 16_000 // in the file: time to begin it anew, which needs the writer for a moment
)

// checkpointer moves what was committed from the write-ahead log into the database, on a connection of its own while the
// writer goes on. A checkpoint never has all of a log that keeps growing, so once the log is large the last step is done
// between two groups of the writer.
type checkpointer struct {
	file  file
	pause *sync.Mutex // the writer's
	wake  chan struct{}
	ended chan struct{}

	broken atomic.Bool // the log is not on the disk as it is read: nothing of it may go into the database

	// The writer's: pages written when it last called.
	pages   int
	unknown int
}

var (
	qPassive = &query{"PRAGMA wal_checkpoint(PASSIVE)"}
	qRestart = &query{"PRAGMA wal_checkpoint(RESTART)"}
)

func newCheckpointer(f file) *checkpointer {
	return &checkpointer{file: f, wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// wrote is called by the writer after each group.
func (k *checkpointer) wrote(c *conn) {
	n := k.written(c)
	if n >= k.pages && n-k.pages < checkpointPages {
		return
	}
	k.pages = n
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// written is how many pages the connection has written.
func (k *checkpointer) written(c *conn) int {
	n, _, err := c.raw.(modernc.DBStatus).Status(modernc.DBStatusCacheWrite, false)
	if err != nil { // only for a status that does not exist: then whoever asks must think that something was written
		k.unknown--
		return k.unknown
	}
	return n
}

func (k *checkpointer) start() { go k.run() }

// stop waits for a checkpoint under way. The writer has ended and wakes no more.
func (k *checkpointer) stop() {
	close(k.wake)
	<-k.ended
}

func (k *checkpointer) run() {
	defer close(k.ended)
	var c *conn
	defer func() {
		if c != nil {
			_ = c.close() // it has no transaction
		}
	}()
	quiet := 0 // frames of the log below which no restart is tried, after one that failed
	for range k.wake {
		if k.broken.Load() {
			continue
		}
		if c == nil {
			// A reader may hold the log for long: give up soon, there will be another time.
			nc, err := k.file.connect("busy_timeout=50")
			if err != nil {
				continue // such as no descriptors: the log grows until there are
			}
			c = nc
		}
		frames, all := k.checkpoint(c, qPassive)
		if frames < restartPages || frames < quiet {
			continue
		}
		if !all {
			frames, _ = k.checkpoint(c, qPassive)
		}
		quiet = k.restart(c, frames)
	}
}

// restart has the writer begin the log anew, and answers below which size not to try again.
func (k *checkpointer) restart(c *conn, frames int) int {
	k.pause.Lock()
	defer k.pause.Unlock()
	began := time.Now()
	if _, all := k.checkpoint(c, qRestart); all && time.Since(began) < time.Second {
		return 0
	}
	return frames + restartPages
}

// checkpoint answers how many frames the log has and whether all of them are in the database. An error, as on a full disk,
// leaves the log as it was: nothing is lost, and the next one tries again.
func (k *checkpointer) checkpoint(c *conn, q *query) (frames int, all bool) {
	row, ok, err := c.one(q)
	if err != nil || !ok {
		c.healthy()
		return 0, false
	}
	busy, inLog, done := asInt(row[0]), asInt(row[1]), asInt(row[2])
	return int(inLog), busy == 0 && inLog == done
}
