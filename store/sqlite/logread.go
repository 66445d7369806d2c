package sqlite

import (
	"context"
	"iter"
	"math"
	"slices"

	"github.com/enfold-run/enfold/store"
)

var (
	qLogRange     = &query{"SELECT seq, first, last, count, data FROM chunks WHERE space = ? AND seq > ? AND seq < ? AND last >= ? AND first <= ? ORDER BY seq LIMIT ?"}
	qLogRangeBack = &query{"SELECT seq, first, last, count, data FROM chunks WHERE space = ? AND seq > ? AND seq < ? AND last >= ? AND first <= ? ORDER BY seq DESC LIMIT ?"}
)

// logScan is a Read under way: chunks with above < sequence < below, that overlap the milliseconds [from, to].
type logScan struct {
	key          space
	above, below int64
	from, to     int64
	reverse      bool
}

// Read is [store.Logs.Read]. Chunks are read some at a time, each time as the log is then.
func (l *logs) Read(ctx context.Context, log string, s store.Scope, r store.LogRange) iter.Seq2[store.Chunk, error] {
	return func(yield func(store.Chunk, error) bool) {
		if err := l.read(ctx, space{logsOf, log, s}, r, yield); err != nil {
			yield(store.Chunk{}, err)
		}
	}
}

func (l *logs) read(ctx context.Context, k space, r store.LogRange, yield func(store.Chunk, error) bool) error {
	if err := checkNames(k.name, k.scope.Account, k.scope.Region); err != nil {
		return err
	}
	if err := l.enter(); err != nil {
		return err
	}
	defer l.gate.leave()
	// Memory before disk: what is flushed in between is then seen twice, and never missed.
	memory, floor := l.buffered(k)
	left := r.Limit
	give := func(c store.Chunk) bool {
		left--
		return yield(c, nil) && left != 0
	}
	sc := newLogScan(k, r)
	memory = sc.filter(memory)
	if sc.reverse {
		slices.Reverse(memory)
		if !all(memory, give) {
			return nil
		}
	}
	sc.below = min(sc.below, floor)
	if more, err := l.readDisk(ctx, sc, give); err != nil || !more {
		return err
	}
	if !sc.reverse {
		all(memory, give)
	}
	return nil
}

// buffered answers the chunks of a log that are in memory, and the first sequence number there.
func (l *logs) buffered(k space) (cs []store.Chunk, first int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cs = slices.Concat(l.flushing[k], l.pending[k])
	if len(cs) == 0 {
		return nil, math.MaxInt64
	}
	return cs, cs[0].Sequence
}

// readDisk gives the chunks of the file; more is false if give has had enough.
func (l *logs) readDisk(ctx context.Context, sc logScan, give func(store.Chunk) bool) (more bool, err error) {
	for again := true; again; {
		var page []store.Chunk
		err := l.readers.with(ctx, func(c *conn) error {
			id, err := c.find(sc.key)
			if err != nil || id == 0 {
				again = false
				return err
			}
			q := qLogRange
			if sc.reverse {
				q = qLogRangeBack
			}
			page, again, err = c.chunks(q, id, sc.above, sc.below, sc.from, sc.to, int64(pageRows))
			return err
		})
		if err != nil {
			return false, err
		}
		if !all(page, give) {
			return false, nil
		}
		if len(page) > 0 && sc.reverse {
			sc.below = page[len(page)-1].Sequence
		} else if len(page) > 0 {
			sc.above = page[len(page)-1].Sequence
		}
	}
	return true, nil
}

func all(cs []store.Chunk, give func(store.Chunk) bool) bool {
	for _, c := range cs {
		if !give(c) {
			return false
		}
	}
	return true
}

func newLogScan(k space, r store.LogRange) logScan {
	sc := logScan{key: k, above: -1, below: math.MaxInt64, from: millis(r.From), to: millis(r.To), reverse: r.Reverse}
	if r.To.IsZero() {
		sc.to = math.MaxInt64
	}
	switch {
	case r.After > 0 && r.Reverse:
		sc.below = r.After
	case r.After > 0:
		sc.above = r.After
	}
	return sc
}

// filter does in memory what the query does on disk. The data is copied: what Read answers is the caller's.
func (sc logScan) filter(cs []store.Chunk) []store.Chunk {
	var in []store.Chunk
	for _, c := range cs {
		if c.Sequence > sc.above && c.Sequence < sc.below && millis(c.Last) >= sc.from && millis(c.First) <= sc.to {
			c.Data = slices.Clone(c.Data)
			in = append(in, c)
		}
	}
	return in
}
