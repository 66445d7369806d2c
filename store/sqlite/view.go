package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/enfold-run/enfold/store"
)

// idleReaders is how many connections are kept while nobody reads: each has a page cache.
const idleReaders = 4

// readers are the connections that read. They are opened when they are needed.
type readers struct {
	file  file
	slots chan struct{} // one per connection in use

	mu   sync.Mutex
	idle []*conn
}

var qBeginRead = &query{"BEGIN"}

func newReaders(f file, n int) *readers { return &readers{file: f, slots: make(chan struct{}, n)} }

// view runs fn on a snapshot: SQLite's WAL shows a transaction the database as it was at its first read.
func (r *readers) view(ctx context.Context, fn func(store.Tx) error) error {
	return r.with(ctx, func(c *conn) error {
		tx := newTxn(c, nil)
		defer tx.close()
		return fn(tx)
	})
}

// with lends a connection to fn, in a transaction.
func (r *readers) with(ctx context.Context, fn func(*conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	c, err := r.get()
	if err != nil {
		<-r.slots
		return err
	}
	defer func() { // also when fn panics or ends the goroutine
		r.put(c)
		<-r.slots
	}()
	if _, err := c.exec(qBeginRead); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	return fn(c)
}

func (r *readers) get() (*conn, error) {
	r.mu.Lock()
	if n := len(r.idle); n > 0 {
		c := r.idle[n-1]
		r.idle = r.idle[:n-1]
		r.mu.Unlock()
		return c, nil
	}
	r.mu.Unlock()
	return r.file.connect("query_only=1", "cache_size=-2048")
}

// put keeps the connection for the next reader unless something was wrong with it or enough are kept.
func (r *readers) put(c *conn) {
	_, err := c.exec(qRollback)
	r.mu.Lock()
	keep := err == nil && c.broken == nil && len(r.idle) < idleReaders
	if keep {
		r.idle = append(r.idle, c)
	}
	r.mu.Unlock()
	if !keep {
		_ = c.close() // it only read: there is nothing to lose
	}
}

func (r *readers) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, c := range r.idle {
		errs = append(errs, c.close())
	}
	r.idle = nil
	return errors.Join(errs...)
}
