package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
	"pgregory.net/rapid"
)

// model is what the store should hold, in memory. Its names belong to one sequence of steps, so that many sequences share a
// store.
type model struct {
	run    int
	now    time.Time
	rows   map[place]map[string]store.Record
	queues map[place][]*message
	dedups map[place]map[string]store.Enqueued
	claims map[place][]string // every receipt there ever was
	logs   map[place][]store.Chunk
	newest map[place]map[string]int64 // versions that a row had, also before it was deleted
}

// place is a name in a scope.
type place struct {
	name  string
	scope store.Scope
}

type message struct {
	id, body, group string
	due             time.Time
	seq             int64
	tries           int
	receipt         string
}

func (m *model) clone() *model {
	c := *m
	c.rows, c.queues, c.dedups = maps.Clone(m.rows), maps.Clone(m.queues), maps.Clone(m.dedups)
	c.claims, c.logs, c.newest = maps.Clone(m.claims), maps.Clone(m.logs), maps.Clone(m.newest)
	for k, v := range c.newest {
		c.newest[k] = maps.Clone(v)
	}
	for k, v := range c.rows {
		c.rows[k] = maps.Clone(v)
	}
	for k, v := range c.dedups {
		c.dedups[k] = maps.Clone(v)
	}
	for k, v := range c.queues {
		c.queues[k] = nil
		for _, msg := range v {
			one := *msg
			c.queues[k] = append(c.queues[k], &one)
		}
	}
	for k, v := range c.claims {
		c.claims[k] = slices.Clone(v)
	}
	for k, v := range c.logs {
		c.logs[k] = slices.Clone(v)
	}
	return &c
}

// step does one thing to the store and to the model, and answers how they differ. What it does was drawn before, because a
// transaction may run again.
type step func(tx store.Tx, m *model) error

var errUndo = errors.New("undo")

// testModel runs random transactions against the store and a model of it. A third of them is undone.
func testModel(t *testing.T, open Open) {
	dir := t.TempDir()
	s := open(t, dir)
	defer func() { shut(t, s) }()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		m := &model{
			run: run, now: noon,
			rows: map[place]map[string]store.Record{}, queues: map[place][]*message{}, dedups: map[place]map[string]store.Enqueued{},
			claims: map[place][]string{}, logs: map[place][]store.Chunk{}, newest: map[place]map[string]int64{},
		}
		rt.Repeat(map[string]func(*rapid.T){
			"update": func(rt *rapid.T) {
				steps := rapid.SliceOfN(rapid.Custom(drawStep), 1, 6).Draw(rt, "steps")
				undo := rapid.IntRange(0, 2).Draw(rt, "undo") == 0
				m = transact(rt, s, m, steps, undo)
			},
			"view": func(rt *rapid.T) {
				err := s.View(t.Context(), func(tx store.Tx) error { return m.compare(tx) })
				if err != nil {
					rt.Fatal(err)
				}
			},
			"later": func(rt *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(0, 100).Draw(rt, "seconds")) * time.Second)
			},
			"restart": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "really") != 0 {
					return
				}
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				s = open(t, dir)
			},
		})
	})
}

func transact(rt *rapid.T, s store.Store, m *model, steps []step, undo bool) *model {
	var after *model
	var differs error
	err := s.Update(rt.Context(), func(tx store.Tx) error {
		after, differs = m.clone(), nil
		for _, do := range steps {
			if differs = do(tx, after); differs != nil {
				return nil
			}
		}
		if differs = after.compare(tx); differs == nil && undo {
			return errUndo
		}
		return nil
	})
	switch {
	case differs != nil:
		rt.Fatal(differs)
	case undo && errors.Is(err, errUndo):
		return m
	case undo || err != nil:
		rt.Fatalf("update: %v", err)
	}
	return after
}

func (m *model) place(kind string, i int) place {
	sc := here
	if i%2 == 1 {
		sc = there
	}
	return place{fmt.Sprintf("%s%d-%d", kind, m.run, i/2), sc}
}

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
			return fmt.Errorf("put %v %q: %w, want %v", p, key, err, want)
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
			return fmt.Errorf("delete %v %q: %w, want %v", p, key, err, want)
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
			return fmt.Errorf("settle (ack %v): %w, want %v", remove, err, want)
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

// compare answers how the whole of the store differs from the model.
func (m *model) compare(tx store.Tx) error {
	for i := range 4 {
		if err := errors.Join(m.compareRows(tx, m.place("t", i)), m.compareQueue(tx, m.place("q", i)), m.compareLog(tx, m.place("l", i))); err != nil {
			return err
		}
	}
	return nil
}

func (m *model) compareRows(tx store.Tx, p place) error {
	want := slices.SortedFunc(maps.Values(m.rows[p]), func(a, b store.Record) int { return cmp.Compare(a.Key, b.Key) })
	n := 0
	for r, err := range tx.Scan(p.name, p.scope, store.Range{}) {
		if err != nil {
			return err
		}
		if n >= len(want) || !sameRecord(r, want[n]) {
			return fmt.Errorf("row %d of %v is %+v, want %+v", n, p, r, want)
		}
		n++
	}
	if n != len(want) {
		return fmt.Errorf("%d rows in %v, want %d", n, p, len(want))
	}
	for _, key := range keys {
		r, err := tx.Get(p.name, p.scope, key)
		w, ok := m.rows[p][key]
		if ok != (err == nil) || ok && !sameRecord(r, w) || !ok && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("get %q of %v: %+v, %w, want %+v", key, p, r, err, w)
		}
	}
	scopes, err := tx.Scopes(p.name)
	if slices.Contains(scopes, p.scope) != (len(want) > 0) {
		return fmt.Errorf("scopes of %s: %v, with %d rows in %v", p.name, scopes, len(want), p.scope)
	}
	return err
}

func sameRecord(a, b store.Record) bool {
	return a.Key == b.Key && string(a.Value) == string(b.Value) && a.Version == b.Version
}

func (m *model) compareQueue(tx store.Tx, p place) error {
	var want store.Depth
	for _, msg := range m.queues[p] {
		switch {
		case !msg.due.After(m.now):
			want.Due++
		case msg.tries > 0:
			want.Claimed++
		default:
			want.Delayed++
		}
	}
	got, err := tx.Depth(p.name, p.scope, m.now)
	if err != nil || got != want {
		return fmt.Errorf("depth of %v: %+v, %w, want %+v", p, got, err, want)
	}
	next, err := tx.NextDue(p.name, p.scope)
	if err != nil {
		return err
	}
	heads := m.heads(p)
	if len(heads) == 0 {
		if !next.IsZero() {
			return fmt.Errorf("next due of %v, which is empty: %v", p, next)
		}
		return nil
	}
	first := slices.MinFunc(heads, func(a, b *message) int { return a.due.Compare(b.due) }).due
	switch {
	case next.IsZero():
		return fmt.Errorf("next due of %v: none, want %v", p, first)
	case !first.After(m.now) && next.After(m.now), first.After(m.now) && !next.Equal(first):
		return fmt.Errorf("next due of %v: %v, want %v (it is %v)", p, next, first, m.now)
	}
	return nil
}

func (m *model) compareLog(tx store.Tx, p place) error {
	n := 0
	for c, err := range tx.ReadLog(p.name, p.scope, 0, 0) {
		if err != nil {
			return err
		}
		if n >= len(m.logs[p]) {
			return fmt.Errorf("log %v has more than %d chunks", p, n)
		}
		w := m.logs[p][n]
		if c.Sequence != w.Sequence || string(c.Data) != string(w.Data) || c.Count != w.Count || !c.First.Equal(w.First) || !c.Last.Equal(w.Last) {
			return fmt.Errorf("chunk %d of %v is %+v, want %+v", n, p, c, w)
		}
		n++
	}
	if n != len(m.logs[p]) {
		return fmt.Errorf("log %v has %d chunks, want %d", p, n, len(m.logs[p]))
	}
	return nil
}
