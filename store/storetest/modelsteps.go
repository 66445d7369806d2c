package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/enfold-run/enfold/store"
)

var keys = []string{"", "a", "a\x00", "ab", "b", "b\xff", "\xff"}

func drawStep(rt *rapid.T) step {
	draws := []func(*rapid.T) step{drawPut, drawPut, drawDelete, drawScan, drawEnqueue, drawEnqueue, drawClaim, drawClaim, drawSettle, drawSettle, drawPurge, drawAppend, drawTrim}
	return draws[rapid.IntRange(0, len(draws)-1).Draw(rt, "kind")](rt)
}

// drawCond is a condition, given the row that is there: none, absent, its version, another.
func drawCond(rt *rapid.T) func(have store.Record) store.Cond {
	kind := rapid.IntRange(0, 3).Draw(rt, "cond")
	return func(have store.Record) store.Cond {
		switch kind {
		case 1:
			return store.IfAbsent()
		case 2:
			return store.IfVersion(have.Version)
		case 3:
			return store.IfVersion(have.Version + 1)
		}
		return store.Cond{}
	}
}

func drawPut(rt *rapid.T) step {
	i, key := rapid.IntRange(0, 3).Draw(rt, "table"), rapid.SampledFrom(keys).Draw(rt, "key")
	value, cond := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "value"), drawCond(rt)
	return func(tx store.Tx, m *model) error {
		p := m.place("t", i)
		have, ok := m.rows[p][key]
		c := cond(have)
		var want error
		switch {
		case c.Absent() && ok:
			want = store.ErrExists
		case c.Version() != 0 && c.Version() != have.Version:
			want = store.ErrConflict
		}
		version, err := tx.Put(p.name, p.scope, key, value, c)
		if !errors.Is(err, want) {
			return fmt.Errorf("put %v %q: %w, want %w", p, key, err, want)
		}
		if err != nil {
			return nil
		}
		if m.rows[p] == nil {
			m.rows[p], m.newest[p] = map[string]store.Record{}, map[string]int64{}
		}
		if version <= m.newest[p][key] {
			return fmt.Errorf("put %v %q: version %d, and it had %d", p, key, version, m.newest[p][key])
		}
		m.newest[p][key] = version
		m.rows[p][key] = store.Record{Key: key, Value: value, Version: version}
		return nil
	}
}

func drawDelete(rt *rapid.T) step {
	i, key, cond := rapid.IntRange(0, 3).Draw(rt, "table"), rapid.SampledFrom(keys).Draw(rt, "key"), drawCond(rt)
	return func(tx store.Tx, m *model) error {
		p := m.place("t", i)
		have, ok := m.rows[p][key]
		c := cond(have)
		var want error
		switch {
		case !ok:
			want = store.ErrNotFound
		case c.Absent(), c.Version() != 0 && c.Version() != have.Version:
			want = store.ErrConflict
		}
		if err := tx.Delete(p.name, p.scope, key, c); !errors.Is(err, want) {
			return fmt.Errorf("delete %v %q: %w, want %w", p, key, err, want)
		}
		if want == nil {
			delete(m.rows[p], key)
		}
		return nil
	}
}

func drawScan(rt *rapid.T) step {
	i := rapid.IntRange(0, 3).Draw(rt, "table")
	r := store.Range{
		Prefix: rapid.SampledFrom([]string{"", "a", "b", "\xff"}).Draw(rt, "prefix"), After: rapid.SampledFrom(keys).Draw(rt, "after"),
		Limit: rapid.IntRange(0, 3).Draw(rt, "limit"), Reverse: rapid.Bool().Draw(rt, "reverse"),
	}
	return func(tx store.Tx, m *model) error {
		p := m.place("t", i)
		want := inRange(slices.Sorted(maps.Keys(m.rows[p])), r)
		var got []string
		for rec, err := range tx.Scan(p.name, p.scope, r) {
			if err != nil {
				return err
			}
			got = append(got, rec.Key)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("scan %v %+v: %q, want %q", p, r, got, want)
		}
		return nil
	}
}

func drawEnqueue(rt *rapid.T) step {
	i := rapid.IntRange(0, 3).Draw(rt, "queue")
	group := rapid.SampledFrom([]string{"", "", "x", "y"}).Draw(rt, "group")
	dedup := rapid.SampledFrom([]string{"", "", "1", "2"}).Draw(rt, "dedup")
	delay := rapid.IntRange(-1, 50).Draw(rt, "delay")
	size := rapid.SampledFrom([]int{0, 10, 5000}).Draw(rt, "size")
	return func(tx store.Tx, m *model) error {
		p := m.place("q", i)
		msg := store.Message{Group: group, Dedup: dedup, DedupFor: time.Hour, Body: []byte(strings.Repeat("b", size))}
		if delay >= 0 {
			msg.Due = m.now.Add(time.Duration(delay) * time.Second)
		}
		done, err := tx.Enqueue(p.name, p.scope, msg)
		if err != nil || len(done) != 1 {
			return fmt.Errorf("enqueue: %+v, %w", done, err)
		}
		if first, ok := m.dedups[p][dedup]; ok && dedup != "" {
			if !done[0].Duplicate || done[0].ID != first.ID || done[0].Sequence != first.Sequence {
				return fmt.Errorf("enqueued %+v, want a duplicate of %+v", done[0], first)
			}
			return nil
		}
		if done[0].Duplicate {
			return fmt.Errorf("enqueued %+v, want no duplicate", done[0])
		}
		for _, other := range m.queues[p] {
			if other.seq >= done[0].Sequence || other.id == done[0].ID {
				return fmt.Errorf("enqueued %+v after %+v", done[0], other)
			}
		}
		if m.dedups[p] == nil {
			m.dedups[p] = map[string]store.Enqueued{}
		}
		m.dedups[p][dedup] = done[0]
		m.queues[p] = append(m.queues[p], &message{id: done[0].ID, body: string(msg.Body), group: group, due: msg.Due, seq: done[0].Sequence})
		return nil
	}
}

// heads are the messages that no other of their group is before.
func (m *model) heads(p place) []*message {
	var heads []*message
	seen := map[string]bool{"": false}
	for _, msg := range m.queues[p] {
		if !seen[msg.group] {
			heads = append(heads, msg)
		}
		seen[msg.group] = msg.group != ""
	}
	return heads
}

func drawClaim(rt *rapid.T) step {
	i, limit, lease := rapid.IntRange(0, 3).Draw(rt, "queue"), rapid.IntRange(0, 12).Draw(rt, "limit"), rapid.IntRange(0, 60).Draw(rt, "lease")
	return func(tx store.Tx, m *model) error {
		p := m.place("q", i)
		var want []*message
		for _, msg := range m.heads(p) {
			if len(want) < limit && !msg.due.After(m.now) {
				want = append(want, msg)
			}
		}
		d := time.Duration(lease) * time.Second
		got, err := tx.Claim(p.name, p.scope, limit, m.now, d)
		if err != nil || len(got) != len(want) {
			return fmt.Errorf("claimed %d messages, %w, want %d", len(got), err, len(want))
		}
		for n, msg := range want {
			msg.tries, msg.due, msg.receipt = msg.tries+1, m.now.Add(d), got[n].Receipt
			if slices.Contains(m.claims[p], msg.receipt) || msg.receipt == "" {
				return fmt.Errorf("receipt %q again", msg.receipt)
			}
			m.claims[p] = append(m.claims[p], msg.receipt)
			c := got[n]
			if c.ID != msg.id || string(c.Body) != msg.body || c.Group != msg.group || c.Tries != msg.tries || c.Sequence != msg.seq {
				return fmt.Errorf("claimed %s of %q, try %d, want %+v", c.ID, c.Group, c.Tries, msg)
			}
		}
		return nil
	}
}

// drawSettle acks or extends a claim, one that holds or not.
func drawSettle(rt *rapid.T) step {
	i, which := rapid.IntRange(0, 3).Draw(rt, "queue"), rapid.IntRange(0, 20).Draw(rt, "receipt")
	later, remove := rapid.IntRange(0, 60).Draw(rt, "due"), rapid.Bool().Draw(rt, "ack")
	return func(tx store.Tx, m *model) error {
		p := m.place("q", i)
		if len(m.claims[p]) == 0 {
			return nil
		}
		receipt := m.claims[p][len(m.claims[p])-1-which%len(m.claims[p])]
		at := slices.IndexFunc(m.queues[p], func(msg *message) bool { return msg.receipt == receipt })
		var want, err error
		if at < 0 {
			want = store.ErrLease
		}
		due := m.now.Add(time.Duration(later) * time.Second)
		if remove {
			err = tx.Ack(p.name, p.scope, receipt)
		} else {
			err = tx.Extend(p.name, p.scope, receipt, due)
		}
		if !errors.Is(err, want) {
			return fmt.Errorf("settle (ack %v): %w, want %w", remove, err, want)
		}
		switch {
		case at < 0:
		case remove:
			m.queues[p] = slices.Delete(m.queues[p], at, at+1)
		default:
			m.queues[p][at].due = due
		}
		return nil
	}
}

func drawPurge(rt *rapid.T) step {
	i, really := rapid.IntRange(0, 3).Draw(rt, "queue"), rapid.IntRange(0, 3).Draw(rt, "really") == 0
	return func(tx store.Tx, m *model) error {
		if !really {
			return nil
		}
		p := m.place("q", i)
		delete(m.queues, p)
		delete(m.dedups, p)
		return tx.Purge(p.name, p.scope)
	}
}

func drawAppend(rt *rapid.T) step {
	i, text := rapid.IntRange(0, 3).Draw(rt, "log"), rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(rt, "data")
	return func(tx store.Tx, m *model) error {
		p := m.place("l", i)
		c := store.Chunk{First: m.now, Last: m.now.Add(time.Second), Count: len(text), Data: text}
		seq, err := tx.Append(p.name, p.scope, c)
		if err != nil {
			return err
		}
		c.Sequence = seq
		m.logs[p] = append(m.logs[p], c)
		return nil
	}
}

func drawTrim(rt *rapid.T) step {
	i, upTo := rapid.IntRange(0, 3).Draw(rt, "log"), rapid.IntRange(0, 4).Draw(rt, "chunks")
	return func(tx store.Tx, m *model) error {
		p := m.place("l", i)
		n := min(upTo, len(m.logs[p]))
		if n == 0 {
			return nil
		}
		last := m.logs[p][n-1].Sequence
		m.logs[p] = m.logs[p][n:]
		return tx.TrimLog(p.name, p.scope, last)
	}
}
