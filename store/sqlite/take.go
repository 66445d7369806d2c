package sqlite

import (
	"errors"
	"runtime/debug"

	"github.com/enfold-run/enfold/store"
)

// guardFor is how many transactions get a savepoint each after one that failed with something written.
const guardFor = 1000

// guard is how what a function wrote can be undone.
type guard int

const (
	first     guard = iota // with its transaction, in which it is the first
	savepoint              // by a savepoint
	none                   // with all that is in its transaction
)

// take runs one call's function in the open transaction. Hardly any function fails after it wrote something, and a savepoint costs
// as much as a small write. So there is none until one has failed so; then the group runs again, and for a while all get one.
func (w *writer) take(c *call) {
	if !c.start() {
		return
	}
	g := none
	if !w.open {
		g = first
	} else if w.guarded > 0 {
		g = savepoint
		w.guarded--
	}
	if err := w.begin(); err != nil {
		c.answer(err)
		return
	}
	if g == savepoint {
		if _, err := w.conn.exec(qSave); err != nil {
			w.fail(c, err)
			return
		}
	}
	w.current = newTxn(w.conn, w)
	returned := false
	var err error
	defer func() { // the function ended the goroutine
		if !returned {
			w.settle(c, errGoexit, g)
		}
	}()
	err = protect(c.fn, w.current)
	returned = true
	w.settle(c, err, g)
}

// protect calls fn and turns a panic into an error.
func protect(fn func(store.Tx) error, tx *txn) (err error) {
	defer func() {
		if v := recover(); v != nil {
			p := &PanicError{Value: v, Stack: debug.Stack()}
			p.fresh.Store(true)
			err = p
		}
	}()
	return fn(tx)
}

// settle keeps or undoes what the function of c did. Its answer waits for the commit in either case: a refusal too may come
// from what a neighbour wrote, and is only true if that is.
func (w *writer) settle(c *call, err error, g guard) {
	tx := w.current
	w.current = nil
	tx.close()
	w.bytes += tx.bytes
	if w.conn.broken != nil {
		w.fail(c, errors.Join(err, w.conn.broken))
		return
	}
	if err == nil && g == savepoint {
		_, rerr := w.conn.exec(qRelease)
		if rerr != nil {
			w.fail(c, rerr)
			return
		}
	}
	if err != nil && tx.wrote && g == none {
		w.again(c)
		return
	}
	if err != nil {
		if uerr := w.undo(g); uerr != nil {
			w.fail(c, errors.Join(err, uerr))
			return
		}
		w.spaces.forget(tx.changed)
		w.dues.forget(tx.promoted)
	} else {
		for queue, n := range tx.tallies {
			w.tallies.add(queue, n)
		}
	}
	if err != nil && g == first && w.last.Load() == nil {
		c.answer(err) // alone in its transaction, which is gone, and what it saw is durable
		return
	}
	w.group, w.errs = append(w.group, c), append(w.errs, err)
}

// undo takes back what the last function wrote, if it wrote anything.
func (w *writer) undo(g guard) error {
	switch g {
	case first:
		w.open = false
		_, err := w.conn.exec(qRollback)
		return err
	case savepoint:
		if _, err := w.conn.exec(qUndo); err != nil {
			return err
		}
		_, err := w.conn.exec(qRelease)
		return err
	}
	return nil
}

// again takes back the whole transaction because c failed in it without a savepoint, and has all of the group run again, with one
// each. c is the last.
func (w *writer) again(c *call) {
	w.rollback()
	w.retry = append(append(w.retry, w.group...), c)
	for _, r := range w.retry {
		r.again = true
	}
	w.guarded = guardFor
	w.reset()
}

// fail takes back the whole transaction because the engine failed in c. The others of the group run again by themselves:
// one that writes more than the disk holds must not fail those that write little.
func (w *writer) fail(c *call, err error) {
	w.rollback()
	c.answer(err)
	for _, g := range w.group {
		g.again = true
	}
	w.redo = append(w.redo, w.group...)
	w.reset()
}
