package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// landing is a group on its way to the disk. SQLite's own sync after a commit would keep the writer waiting; so SQLite leaves
// it out, and this is the same: the write-ahead log is synced before anybody hears of what was committed.
type landing struct {
	calls []*call
	errs  []error       // what their functions answered
	done  chan struct{} // closed when err is set
	err   error         // of the sync
}

// answer answers the callers. Their own errors are true only if err is nil.
func (l *landing) answer(err error) {
	for i, c := range l.calls {
		if err != nil {
			c.answer(errors.Join(err, l.errs[i]))
		} else {
			c.answer(l.errs[i])
		}
	}
}

// awaitLanding waits until everything that was committed is durable. It stays so until this goroutine commits.
func (w *writer) awaitLanding() {
	if !w.cleared {
		w.landing <- struct{}{}
		w.cleared = true
	}
}

func (w *writer) leaveLanding() {
	if w.cleared {
		<-w.landing
		w.cleared = false
	}
}

// commit commits the group, which the caller must land. It answers nil if there was nothing to commit, or if it failed: then
// nothing of the group was done, and all learn why.
func (w *writer) commit() *landing {
	if len(w.group) == 0 && !w.open {
		w.leaveLanding()
		return nil
	}
	w.awaitLanding()
	w.crowded.Store(len(w.group) > 1)
	l := &landing{calls: slices.Clone(w.group), errs: slices.Clone(w.errs), done: make(chan struct{})}
	w.reset()
	err := w.broken
	if err == nil && w.open {
		w.last.Store(l) // before any reader sees what it holds
		before := w.check.written(w.conn)
		err = w.flush()
		if err == nil && w.check.written(w.conn) != before {
			w.open, w.cleared = false, false
			return l
		}
		w.last.Store(nil)
		close(l.done)
		if err != nil {
			err = fmt.Errorf("commit: %w", err)
		} else {
			w.open = false // nothing was written: a claim that found nothing, say
		}
	}
	if w.open {
		w.rollback()
	}
	w.leaveLanding()
	l.answer(err)
	return nil
}

// land makes a group durable and answers its callers. Nobody but the caller has the landing, which land leaves.
//
// After a sync that failed nobody knows what the disk has, and another that succeeds says nothing about it. So nothing is
// committed or read any more; who opens the files anew finds what they hold.
func (w *writer) land(l *landing) {
	if err := w.sync(); err != nil {
		w.broken = fmt.Errorf("%s: sync: %w: what was written last may be lost: see to the disk and start Enfold again", w.file.path, err)
		l.err = w.broken
		w.check.broken.Store(true)
	} else {
		w.last.Store(nil)
	}
	w.patience.landed(len(l.calls), time.Now())
	close(l.done)
	<-w.landing
	l.answer(l.err)
}

func (w *writer) sync() error {
	if w.file.noSync {
		return nil
	}
	return w.file.wrap(w.syncFile(w.wal))
}

// seen waits until what a reader may have seen is durable.
func (w *writer) seen(ctx context.Context) error {
	l := w.last.Load()
	if l == nil {
		return nil
	}
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// openWAL opens the file that commits are written to. It is there for as long as a connection is.
func (w *writer) openWAL() error {
	f, err := os.OpenFile(w.file.path+"-wal", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open the write-ahead log: %w", w.file.wrap(err))
	}
	old := w.wal
	w.wal, w.room = f, 0
	if old != nil {
		return old.Close()
	}
	return nil
}
