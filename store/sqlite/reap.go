package sqlite

import (
	"context"
	"database/sql/driver"
	"io"
	"time"

	"github.com/enfold-run/enfold/store"
)

// A purge only takes a queue's name from its messages. The reaper deletes them, some at a time, because a transaction that
// deletes a million rows would hold up everybody.
const (
	reapRows  = 500
	reapPause = 5 * time.Millisecond // between two transactions
	reapRetry = 10 * time.Second     // after an error: the disk may be full
)

var (
	qTrash      = &query{"SELECT id FROM spaces WHERE kind = ? LIMIT 1"}
	qReapBodies = &query{"DELETE FROM bodies WHERE seq IN (SELECT seq FROM messages WHERE space = ? ORDER BY state, due, seq LIMIT ?)"}
	qReap       = &query{"DELETE FROM messages WHERE seq IN (SELECT seq FROM messages WHERE space = ? ORDER BY state, due, seq LIMIT ?)"}
	qReapDedups = &query{"DELETE FROM dedups WHERE space = ?1 AND dedup IN (SELECT dedup FROM dedups WHERE space = ?1 LIMIT ?2)"}
)

// reaper deletes the rows of spaces in the trash, in a goroutine that ends when there are none.
type reaper struct {
	wake   chan struct{}
	cancel context.CancelFunc
	done   chan struct{}
}

func newReaper() *reaper { return &reaper{wake: make(chan struct{}, 1), done: make(chan struct{})} }

// rouse says that there may be something in the trash.
func (r *reaper) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reaper) start(w *writer) {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		defer close(r.done)
		for {
			select {
			case <-r.wake:
			case <-ctx.Done():
				return
			}
			for r.again(ctx, w) {
			}
		}
	}()
}

func (r *reaper) stop() {
	r.cancel()
	<-r.done
}

// again deletes a part and says whether to go on, after a pause.
func (r *reaper) again(ctx context.Context, w *writer) bool {
	more := false
	err := w.update(ctx, func(tx store.Tx) (err error) {
		more, err = tx.(*txn).reap()
		return err
	})
	pause := reapPause
	if err != nil {
		more, pause = true, reapRetry
	}
	if !more {
		return false
	}
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

// reap deletes some rows of the trash, and says whether there may be more.
func (t *txn) reap() (bool, error) {
	if err := t.writes(0); err != nil {
		return false, err
	}
	var id int64
	err := t.conn.each(qTrash, func(row []driver.Value) error {
		id = asInt(row[0])
		return io.EOF
	}, int64(trash))
	if err != nil || id == 0 {
		return false, err
	}
	if _, err := t.conn.exec(qReapBodies, id, int64(reapRows)); err != nil {
		return false, err
	}
	messages, err := t.conn.exec(qReap, id, int64(reapRows))
	if err != nil {
		return false, err
	}
	dedups, err := t.conn.exec(qReapDedups, id, int64(reapRows))
	if err != nil {
		return false, err
	}
	if messages == 0 && dedups == 0 {
		if _, err = t.conn.exec(qDropTally, id); err == nil {
			_, err = t.conn.exec(qDropSpace, id)
		}
	}
	return true, err
}
