package logs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// chunkVersion is the first byte of every chunk.
const chunkVersion = 1

// eventOverhead is what CloudWatch Logs counts for an event beyond the bytes of its message.
const eventOverhead = 26

// maxChunkEvents is the most events of a PutLogEvents, and so of a chunk.
const maxChunkEvents = 10_000

var errChunk = errors.New("damaged chunk")

// totals is the bookkeeping of a stream. Times are milliseconds since 1970.
type totals struct {
	events   int64 // so far
	bytes    int64 // so far, with eventOverhead for each
	min, max int64 // oldest and newest event; only if events > 0
	late     int64 // how far a chunk began before the newest event then; 0 if none did
	ingested int64 // when the last chunk came
}

// entry is an event inside a chunk.
type entry struct {
	at      int64
	message []byte
}

// add is the totals after a chunk of sorted events.
func (t totals) add(ingested int64, events []entry) totals {
	if len(events) == 0 {
		return t
	}
	first, last := events[0].at, events[len(events)-1].at
	if t.events == 0 {
		t.min, t.max = first, last
	} else {
		t.late = max(t.late, t.max-first)
		t.min, t.max = min(t.min, first), max(t.max, last)
	}
	t.events += int64(len(events))
	t.bytes += sizeOf(events)
	t.ingested = ingested
	return t
}

// sizeOf is what CloudWatch Logs counts for events.
func sizeOf(events []entry) int64 {
	n := int64(len(events)) * eventOverhead
	for _, e := range events {
		n += int64(len(e.message))
	}
	return n
}

// encodeChunk writes events, sorted by time, that are ingested into a stream which had the totals before.
//
//	version, then as uvarints: ingested, events, bytes, min, max, late, ingested of the totals before, number of events,
//	and for each the milliseconds since the event before it (the first: since 1970), the length and the bytes of the message
func encodeChunk(before totals, ingested int64, events []entry) []byte {
	size := 1 + 9*binary.MaxVarintLen64
	for _, e := range events {
		size += len(e.message) + 8
	}
	b := append(make([]byte, 0, size), chunkVersion)
	for _, v := range []int64{ingested, before.events, before.bytes, before.min, before.max, before.late, before.ingested, int64(len(events))} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	prev := int64(0)
	for _, e := range events {
		b = binary.AppendUvarint(b, uint64(e.at-prev))
		b = binary.AppendUvarint(b, uint64(len(e.message)))
		b = append(b, e.message...)
		prev = e.at
	}
	return b
}

// chunk is a decoded chunk. Its messages are parts of the data it was decoded from.
type chunk struct {
	sequence int64
	before   totals
	ingested int64
	events   []entry
}

// after is the stream's totals with this chunk.
func (c chunk) after() totals { return c.before.add(c.ingested, c.events) }

// decodeChunk checks all of data before it answers, so that a damaged chunk is an error and never a panic or an
// allocation beyond len(data).
func decodeChunk(data []byte) (chunk, error) {
	if len(data) == 0 || data[0] != chunkVersion {
		return chunk{}, fmt.Errorf("%w: unknown version", errChunk)
	}
	d := decoder{data: data[1:]}
	var c chunk
	c.ingested = d.number()
	c.before = totals{events: d.number(), bytes: d.number(), min: d.number(), max: d.number(), late: d.number(), ingested: d.number()}
	n := d.number()
	// Every event is at least two bytes.
	if d.failed || n > maxChunkEvents || n > int64(len(d.data))/2 {
		return chunk{}, fmt.Errorf("%w: bad header", errChunk)
	}
	c.events = make([]entry, n)
	at := int64(0)
	for i := range c.events {
		delta := d.number()
		if delta > math.MaxInt64-at {
			return chunk{}, fmt.Errorf("%w: time overflows", errChunk)
		}
		at += delta
		c.events[i] = entry{at: at, message: d.bytes(d.number())}
	}
	if d.failed || len(d.data) != 0 {
		return chunk{}, fmt.Errorf("%w: bad event", errChunk)
	}
	return c, nil
}

// decoder reads uvarints and bytes; after the first failure it yields zeroes.
type decoder struct {
	data   []byte
	failed bool
}

// number reads a uvarint that fits an int64.
func (d *decoder) number() int64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 || v > math.MaxInt64 {
		d.data, d.failed = nil, true
		return 0
	}
	d.data = d.data[n:]
	return int64(v)
}

func (d *decoder) bytes(n int64) []byte {
	if n > int64(len(d.data)) {
		d.data, d.failed = nil, true
		return nil
	}
	b := d.data[:n:n]
	d.data = d.data[n:]
	return b
}
