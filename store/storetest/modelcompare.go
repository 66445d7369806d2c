package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/enfold-run/enfold/store"
)

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
