package sqlite

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/enfold-run/enfold/store"
)

// logWriter is the goroutine that writes logs.db.
type logWriter struct {
	logs *logs
	conn *conn
	ids  spaces

	pageSize int64 // of the file, in bytes
}

var (
	qLastLogged  = &query{"SELECT max(seq) FROM chunks"}
	qDeleteOf    = &query{"DELETE FROM chunks WHERE seq IN (SELECT seq FROM chunks WHERE space = ? AND last < ? LIMIT ?)"}
	qAnyLogged   = &query{"SELECT 1 FROM chunks WHERE space = ? LIMIT 1"}
	qNextSpaceID = &query{"SELECT max(id) + 1 FROM spaces"}
	qFreePages   = &query{"PRAGMA freelist_count"}
	qPageSize    = &query{"PRAGMA page_size"}
)

func openLogWriter(l *logs) (*logWriter, error) {
	if err := l.file.create(); err != nil {
		return nil, err
	}
	// No caller waits for this connection, so it may make the checkpoints.
	c, err := l.file.connect("wal_autocheckpoint=1000", "journal_size_limit=67108864", "cache_size=-4096")
	if err != nil {
		return nil, err
	}
	if err := c.prepareFile(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	last, err := c.number(qLastLogged)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	size, err := c.number(qPageSize)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	l.last = last
	w := &logWriter{logs: l, conn: c, ids: spaces{ids: make(map[space]int64)}, pageSize: size}
	if err := w.countFree(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return w, nil
}

func (w *logWriter) run() {
	l := w.logs
	for {
		select {
		case <-l.wake:
			if !w.linger() {
				w.end()
				return
			}
			_ = w.flush() // kept for the next try, and for those who ask
		case j := <-l.jobs:
			j.done <- j.do(w)
		case <-l.quit:
			w.end()
			return
		}
	}
}

func (w *logWriter) end() { w.logs.done <- errors.Join(w.flush(), w.conn.close()) }

// linger lets chunks come together. It is false if the store closes.
func (w *logWriter) linger() bool {
	l := w.logs
	t := time.NewTimer(flushAfter)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return true
		case <-l.now:
			return true
		case j := <-l.jobs:
			j.done <- j.do(w)
		case <-l.quit:
			return false
		}
	}
}

// flush writes all chunks in one transaction. If that fails they stay in memory, and the next flush tries again.
func (w *logWriter) flush() error {
	l := w.logs
	l.mu.Lock()
	batch, waiters := l.pending, l.waiters
	l.flushing, l.pending, l.waiters = batch, make(map[space][]store.Chunk), nil
	l.mu.Unlock()

	err := w.write(batch)
	if err != nil {
		w.undo()
		err = fmt.Errorf("write logs: %w", err)
	}

	l.mu.Lock()
	l.failed, l.flushing = err, nil
	for k, cs := range batch {
		if err != nil {
			l.pending[k] = append(cs, l.pending[k]...)
			continue
		}
		l.bytes -= sizeOf(cs)
	}
	close(l.moved)
	l.moved = make(chan struct{})
	l.mu.Unlock()
	for _, c := range waiters {
		c <- err
	}
	if err != nil {
		signal(l.wake) // and linger is how long the next try waits
	}
	return err
}

func sizeOf(cs []store.Chunk) int {
	n := 0
	for _, c := range cs {
		n += len(c.Data) + chunkBytes
	}
	return n
}

// undo ends a transaction that failed. SQLite may have done so before, and then refuses.
func (w *logWriter) undo() {
	_, _ = w.conn.exec(qRollback)
	w.conn.healthy()
	w.ids.forgetAll()
}

// write puts the chunks in, in the order of their numbers, which is how the table is ordered.
func (w *logWriter) write(batch map[space][]store.Chunk) error {
	type row struct {
		space int64
		chunk store.Chunk
	}
	if len(batch) == 0 {
		return nil
	}
	if err := w.room(batch); err != nil {
		return err
	}
	if _, err := w.conn.exec(qBegin); err != nil {
		return err
	}
	var rows []row
	for k, cs := range batch {
		id, err := w.space(k)
		if err != nil {
			return err
		}
		for _, c := range cs {
			rows = append(rows, row{id, c})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.chunk.Sequence, b.chunk.Sequence) })
	for _, r := range rows {
		c := r.chunk
		if _, err := w.conn.exec(qAddChunk, c.Sequence, r.space, millis(c.First), millis(c.Last), int64(c.Count), c.Data); err != nil {
			return err
		}
	}
	if _, err := w.conn.exec(qCommit); err != nil {
		return err
	}
	_ = w.countFree() // what was written is, and the count is right again after the next
	return nil
}

// room answers ErrFull if there is none for logs: the disk has only what is kept for everything else, and what deleted logs
// left in the file, which never shrinks, is not enough either. The write-ahead log may take half of what the disk has left.
func (w *logWriter) room(batch map[space][]store.Chunk) error {
	left, kept := spaceAt(w.logs.file.path)
	if left >= kept {
		return nil
	}
	need := int64(64 << 10) // of the trees' own pages
	for _, cs := range batch {
		n := int64(sizeOf(cs))
		need += n + n/16
	}
	if err := w.countFree(); err != nil {
		return err
	}
	if need > w.logs.free.Load() || need > left/2 {
		return fmt.Errorf("%w: the last of the space is not for logs", store.ErrFull)
	}
	return nil
}

// countFree counts what deleted logs have left in the file.
func (w *logWriter) countFree() error {
	free, err := w.conn.number(qFreePages)
	if err == nil {
		w.logs.free.Store(free * w.pageSize)
	}
	return err
}

// space answers the number of a log, which it makes if there is none.
func (w *logWriter) space(k space) (int64, error) {
	if id, ok := w.ids.ids[k]; ok {
		return id, nil
	}
	id, err := w.conn.find(k)
	if err != nil {
		return 0, err
	}
	if id == 0 {
		if id, err = w.conn.number(qNextSpaceID); err != nil {
			return 0, err
		}
		id = max(id, 100)
		if _, err := w.conn.exec(qAddSpace, id, int64(k.kind), k.name, k.scope.Account, k.scope.Region); err != nil {
			return 0, err
		}
	}
	w.ids.put(k, id)
	return id, nil
}

// delete removes the chunks of a log whose Last is before a time, from memory first: nothing is being flushed, because this
// is the goroutine that would.
func (w *logWriter) delete(k space, before int64) error {
	l := w.logs
	l.mu.Lock()
	was := sizeOf(l.pending[k])
	kept := slices.DeleteFunc(slices.Clone(l.pending[k]), func(c store.Chunk) bool { return millis(c.Last) < before })
	l.bytes -= was - sizeOf(kept)
	l.pending[k] = kept
	if len(kept) == 0 {
		delete(l.pending, k)
	}
	l.mu.Unlock()

	id, err := w.conn.find(k)
	if err != nil || id == 0 {
		return err
	}
	for n := int64(deleteAtOnce); n == deleteAtOnce; {
		if n, err = w.conn.exec(qDeleteOf, id, before, int64(deleteAtOnce)); err != nil {
			w.conn.healthy()
			return fmt.Errorf("delete logs: %w", err)
		}
	}
	if err := w.countFree(); err != nil {
		return err
	}
	_, left, err := w.conn.one(qAnyLogged, id)
	if err != nil || left {
		return err
	}
	w.ids.forget([]space{k})
	_, err = w.conn.exec(qDropSpace, id)
	return err
}
