package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/enfold-run/enfold/store"
)

// call is one caller's transaction on its way through the writer.
type call struct {
	fn    func(store.Tx) error
	state atomic.Int32
	done  chan struct{} // holds one value when the call is answered
	err   error
	again bool // it ran in a group that was taken back, and runs again by itself
}

// The states of a call. It leaves waiting once: for running, by the writer, or for gone, by its caller.
const (
	waiting = iota
	running
	gone
)

// newCall makes a call for writer.spare. One that the writer may still look at is not used again: only update, after the answer,
// puts it there. Each writer has its own, because in a test with a clock of its own, channels belong to that.
func newCall() any { return &call{done: make(chan struct{}, 1)} }

// start takes the call for the writer; false if its caller has gone.
func (c *call) start() bool { return c.again || c.state.CompareAndSwap(waiting, running) }

func (c *call) answer(err error) {
	c.err = err
	c.done <- struct{}{}
}

// update runs fn, or hands it to the writer's goroutines if others write, and waits for what became of it. A context that ends first takes the call back if the writer
// has not begun it; afterwards the outcome is waited for, so that the answer is the truth.
func (w *writer) update(ctx context.Context, fn func(store.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.patience.callers.Add(1)
	defer w.patience.callers.Add(-1)
	c := w.spare.Get().(*call)
	c.fn = fn
	if !w.alone(c) {
		select {
		case w.calls <- c:
			w.rouse()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.state.CompareAndSwap(waiting, gone) {
			return ctx.Err()
		}
		<-c.done
	}
	err := c.err
	c.fn, c.err, c.again = nil, nil, false
	c.state.Store(waiting)
	w.spare.Put(c)
	var p *PanicError
	if errors.As(err, &p) && p.fresh.CompareAndSwap(true, false) {
		panic(p)
	}
	return err
}

// PanicError is what a panic of an Update's function becomes: Update undoes the transaction and panics with it.
type PanicError struct {
	Value any    // what the function panicked with
	Stack []byte // where it did

	fresh atomic.Bool // not yet raised in the caller
}

// Error has the stack, because the one of the caller says nothing.
func (p *PanicError) Error() string { return fmt.Sprintf("%v\n\n%s", p.Value, p.Stack) }

// Unwrap is the value if it was an error.
func (p *PanicError) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

var errGoexit = errors.New("store: the function of an Update ended its goroutine")
