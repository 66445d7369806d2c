package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
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
