package logs

import (
	"bytes"
	"container/heap"
	"context"
	"slices"
	"time"

	"github.com/enfold-run/enfold/store"
)

// Limits of one answer with events.
const (
	maxPageEvents = 10_000
	maxPageBytes  = 1 << 20 // eventOverhead for each event counted
)

// event is an event as it is read. Its message may be part of a chunk.
type event struct {
	position
	ingested int64
	message  []byte
}

func (e event) size() int { return len(e.message) + eventOverhead }

// span is what to read of a stream: its events with from ≤ at ≤ to on one side of a gap, in the order of their positions
// or, backward, last first.
type span struct {
	from, to int64
	start    *gap
	backward bool
}

func (r span) admits(p position) bool {
	return p.at >= r.from && p.at <= r.to && (r.start == nil || r.start.admits(p, r.backward))
}

// source reads the events of one stream that were there when it was made.
type source struct {
	logs  store.Logs
	scope store.Scope
	id    uint64
	sum   totals // of the stream then
	span

	// cut says that a stream with late chunks has more events than one page may hold; those are not read.
	cut bool

	last   int64   // sequence of the last chunk fetched
	done   bool    // no more chunks
	chunks []chunk // fetched, not yet read
	events []event // of the chunk being read, in order
	sorted bool    // the late stream's selection is made
}

func (s *Service) source(k groupKey, n named, r span) *source {
	return &source{logs: s.db.Logs(), scope: k.scope, id: n.id, sum: n.sum, span: r}
}

// next is the next event; not ok at the end.
func (r *source) next(ctx context.Context) (event, bool, error) {
	if r.sum.late > 0 && !r.sorted {
		if err := r.selectEvents(ctx); err != nil {
			return event{}, false, err
		}
	}
	for len(r.events) == 0 {
		c, ok, err := r.chunk(ctx)
		if err != nil || !ok {
			return event{}, false, err
		}
		r.events = r.admitted(c)
	}
	e := r.events[0]
	r.events = r.events[1:]
	return e, true, nil
}

// admitted are the events of a chunk that are in the span, in its order.
func (r *source) admitted(c chunk) []event {
	events := make([]event, 0, len(c.events))
	for i, e := range c.events {
		if p := (position{e.at, c.sequence, i}); r.admits(p) {
			events = append(events, event{p, c.ingested, e.message})
		}
	}
	if r.backward {
		slices.Reverse(events)
	}
	return events
}

// How much is fetched at once, so that no read of the store stays open between two events.
const (
	fetchChunks = 64
	fetchBytes  = 1 << 20
)

// chunk is the next chunk that may hold events of the span.
func (r *source) chunk(ctx context.Context) (chunk, bool, error) {
	if len(r.chunks) == 0 && !r.done {
		if err := r.fetch(ctx); err != nil {
			return chunk{}, false, err
		}
	}
	if len(r.chunks) == 0 {
		return chunk{}, false, nil
	}
	c := r.chunks[0]
	r.chunks = r.chunks[1:]
	return c, true, nil
}

// fetch reads the next chunks, none only at the end.
func (r *source) fetch(ctx context.Context) error {
	r.chunks = r.chunks[:0]
	for len(r.chunks) == 0 && !r.done {
		if err := r.fetchSome(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *source) fetchSome(ctx context.Context) error {
	lr := store.LogRange{From: time.UnixMilli(r.from), To: time.UnixMilli(min(r.to, maxAt)), Limit: fetchChunks, Reverse: r.backward}
	if r.start != nil && r.backward {
		lr.To = time.UnixMilli(min(r.to, r.start.at))
	} else if r.start != nil {
		lr.From = time.UnixMilli(max(r.from, r.start.at))
	}
	if lr.From.After(lr.To) {
		r.done = true
		return nil
	}
	lr.After = r.after()
	n, size := 0, 0
	for c, err := range r.logs.Read(ctx, logName(r.id), r.scope, lr) {
		if err != nil {
			return err
		}
		n++
		r.last = c.Sequence
		d, err := decodeChunk(c.Data)
		if err != nil {
			return err
		}
		if d.before.events >= r.sum.events {
			if !r.backward {
				r.done = true // came after the source was made
				return nil
			}
			continue
		}
		d.sequence = c.Sequence
		r.chunks = append(r.chunks, d)
		if size += len(c.Data); size >= fetchBytes {
			return nil
		}
	}
	r.done = n < fetchChunks
	return nil
}

// after is the sequence number to fetch from: where the last fetch ended or, in a stream without late chunks, whose
// sequence is that of time, where the gap is.
func (r *source) after() int64 {
	switch {
	case r.last > 0:
		return r.last
	case r.start == nil || r.start.sequence == 0 || r.sum.late > 0:
		return 0
	case r.backward:
		return r.start.sequence + 1
	}
	return r.start.sequence - 1
}

// selectEvents reads a stream with late chunks: it keeps the first events of the span that fill a page, and stops when no
// chunk to come can hold an earlier one.
func (r *source) selectEvents(ctx context.Context) error {
	r.sorted = true
	h := &selection{backward: r.backward}
	for {
		c, ok, err := r.chunk(ctx)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		for _, e := range r.admitted(c) {
			r.cut = h.add(e) || r.cut
		}
		// Chunks to come begin at most sum.late before the newest event so far; going back, none has an event newer than the
		// newest before this chunk.
		if h.full() && (r.backward && h.events[0].at > c.before.max || !r.backward && h.events[0].at < c.after().max-r.sum.late) {
			r.cut = true
			break
		}
	}
	slices.SortFunc(h.events, func(a, b event) int {
		if r.backward {
			a, b = b, a
		}
		return a.compare(b.position)
	})
	r.events, r.chunks, r.done = h.events, nil, true
	return nil
}

// selection is a heap of the first events seen, the last of them on top, that hold no more than a page needs.
type selection struct {
	events   []event
	size     int
	backward bool
}

func (h *selection) Len() int { return len(h.events) }
func (h *selection) Less(i, j int) bool {
	c := h.events[i].compare(h.events[j].position)
	if h.backward {
		return c < 0
	}
	return c > 0
}
func (h *selection) Swap(i, j int) { h.events[i], h.events[j] = h.events[j], h.events[i] }
func (h *selection) Push(x any)    { h.events = append(h.events, x.(event)) }
func (h *selection) Pop() any {
	n := len(h.events) - 1
	e := h.events[n]
	h.events = h.events[:n]
	return e
}

// full says that the events fill a page.
func (h *selection) full() bool { return len(h.events) > maxPageEvents || h.size > maxPageBytes }

// add keeps a copy of e if it is among the first, and says whether an event was left out.
func (h *selection) add(e event) (left bool) {
	e.message = bytes.Clone(e.message)
	heap.Push(h, e)
	h.size += e.size()
	for len(h.events) > maxPageEvents+1 || h.size-h.events[0].size() > maxPageBytes {
		h.size -= heap.Pop(h).(event).size()
		left = true
	}
	return left
}
