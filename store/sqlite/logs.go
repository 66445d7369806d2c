package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/enfold-run/enfold/store"
)

// How the logs that may lag are written.
const (
	flushAfter   = 200 * time.Millisecond // the longest that a chunk waits for the disk
	flushBytes   = 1 << 20                // so much does not wait
	maxBuffered  = 64 << 20               // bytes in memory; beyond, Append waits for the disk
	chunkBytes   = 128                    // what a chunk costs in memory beside its data
	deleteAtOnce = 1_000                  // chunks of one transaction of a Delete
)

// logs is the second file. Append puts chunks into memory and a goroutine writes them, many at a time. Until then Read finds
// them in memory.
//
// The memory is bounded: when 64 MiB are waiting for a disk that is slow, Append waits too. When the disk is full, and so
// nothing can make room, Append answers the error instead.
type logs struct {
	file    file
	gate    *gate
	readers *readers

	opening sync.Mutex // only one opens the file
	open    bool

	mu       sync.Mutex
	last     int64                   // the sequence number given last
	pending  map[space][]store.Chunk // appended
	flushing map[space][]store.Chunk // in the transaction of the moment
	bytes    int                     // of both
	free     atomic.Int64            // bytes in the file that deleted chunks have left
	waiters  []chan error            // Syncs that wait for the next flush
	moved    chan struct{}           // closed and made anew after each flush
	failed   error                   // of the last flush

	wake chan struct{} // there is something to flush
	now  chan struct{} // and it should not wait
	jobs chan logJob
	quit chan struct{}
	done chan error
}

// logJob is work for the goroutine that writes.
type logJob struct {
	do   func(*logWriter) error
	done chan error
}

func newLogs(f file, readers int, g *gate) *logs {
	return &logs{
		file: f, gate: g, readers: newReaders(f, readers),
		pending: make(map[space][]store.Chunk),
		moved:   make(chan struct{}),
		wake:    make(chan struct{}, 1), now: make(chan struct{}, 1),
		jobs: make(chan logJob), quit: make(chan struct{}), done: make(chan error, 1),
	}
}

// enter counts a call in and opens the file if this is the first.
func (l *logs) enter() error {
	if err := l.gate.enter(); err != nil {
		return err
	}
	l.opening.Lock()
	defer l.opening.Unlock()
	if l.open {
		return nil
	}
	w, err := openLogWriter(l)
	if err != nil {
		l.gate.leave()
		return err
	}
	l.open = true
	go w.run()
	return nil
}

// close writes what is in memory. All calls have left.
func (l *logs) close() error {
	if !l.open {
		return nil
	}
	close(l.quit)
	err := <-l.done
	if cerr := l.readers.close(); err == nil {
		err = cerr
	}
	return err
}

// Append is [store.Logs.Append].
func (l *logs) Append(ctx context.Context, log string, s store.Scope, c ...store.Chunk) error {
	if err := checkNames(log, s.Account, s.Region); err != nil {
		return err
	}
	size := 0
	for _, ch := range c {
		if len(ch.Data) > store.MaxValue {
			return fmt.Errorf("%w: %d bytes, %d at most", store.ErrTooLarge, len(ch.Data), store.MaxValue)
		}
		size += len(ch.Data) + chunkBytes
	}
	if err := l.enter(); err != nil {
		return err
	}
	defer l.gate.leave()
	l.mu.Lock()
	if err := l.waitForRoom(ctx); err != nil {
		l.mu.Unlock()
		return err
	}
	k := space{logsOf, log, s}
	for _, ch := range c {
		// A clock makes the numbers grow even if the highest were lost in a crash before they reached the disk.
		l.last = max(l.last+1, time.Now().UnixMicro())
		ch.Sequence, ch.Data = l.last, slices.Clone(ch.Data)
		ch.First, ch.Last = fromMillis(millis(ch.First)), fromMillis(millis(ch.Last))
		l.pending[k] = append(l.pending[k], ch)
	}
	l.bytes += size
	hurry := l.bytes >= flushBytes && l.failed == nil
	l.mu.Unlock()
	signal(l.wake)
	if hurry {
		signal(l.now)
	}
	return nil
}

// waitForRoom is called and returns with mu locked.
func (l *logs) waitForRoom(ctx context.Context) error {
	for l.bytes >= maxBuffered {
		if l.failed != nil {
			return l.failed
		}
		moved := l.moved
		l.mu.Unlock()
		var err error
		select {
		case <-moved:
		case <-ctx.Done():
			err = ctx.Err()
		}
		l.mu.Lock()
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Sync is [store.Logs.Sync].
func (l *logs) Sync(ctx context.Context) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.gate.leave()
	done := make(chan error, 1)
	l.mu.Lock()
	if len(l.pending) == 0 && len(l.flushing) == 0 {
		l.mu.Unlock()
		return nil
	}
	l.waiters = append(l.waiters, done)
	l.mu.Unlock()
	signal(l.wake)
	signal(l.now)
	return wait(ctx, done)
}

// Room is [store.Logs.Room].
func (l *logs) Room() int64 {
	left, kept := spaceAt(filepath.Dir(l.file.path)) // the file comes with the first chunk
	if left < 2*flushBytes {
		return 0 // the write-ahead log finds none, whatever the file has
	}
	return max(0, left-kept) + l.free.Load()
}

// Delete is [store.Logs.Delete].
func (l *logs) Delete(ctx context.Context, log string, s store.Scope) error {
	return l.delete(ctx, space{logsOf, log, s}, 1<<63-1)
}

// DeleteBefore is [store.Logs.DeleteBefore].
func (l *logs) DeleteBefore(ctx context.Context, log string, s store.Scope, t time.Time) error {
	return l.delete(ctx, space{logsOf, log, s}, millis(t))
}

func (l *logs) delete(ctx context.Context, k space, before int64) error {
	if err := checkNames(k.name, k.scope.Account, k.scope.Region); err != nil {
		return err
	}
	if err := l.enter(); err != nil {
		return err
	}
	defer l.gate.leave()
	job := logJob{do: func(w *logWriter) error { return w.delete(k, before) }, done: make(chan error, 1)}
	select {
	case l.jobs <- job:
	case <-ctx.Done():
		return ctx.Err()
	}
	return wait(ctx, job.done)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func wait(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkNames answers ErrTooLarge for a name that is too long.
func checkNames(names ...string) error {
	for _, n := range names {
		if len(n) > store.MaxKey {
			return fmt.Errorf("%w: a name or key of %d bytes, %d at most", store.ErrTooLarge, len(n), store.MaxKey)
		}
	}
	return nil
}
