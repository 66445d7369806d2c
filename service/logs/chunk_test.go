package logs

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func drawTotals(t *rapid.T) totals {
	n := rapid.Int64Range(0, 1<<50)
	return totals{
		events: n.Draw(t, "events"), bytes: n.Draw(t, "bytes"), min: n.Draw(t, "min"), max: n.Draw(t, "max"),
		late: n.Draw(t, "late"), ingested: n.Draw(t, "ingested"),
	}
}

func drawEvents(t *rapid.T) []entry {
	events := rapid.SliceOf(rapid.Custom(func(t *rapid.T) entry {
		return entry{rapid.Int64Range(0, maxAt).Draw(t, "at"), rapid.SliceOf(rapid.Byte()).Draw(t, "message")}
	})).Draw(t, "events")
	slices.SortFunc(events, func(a, b entry) int { return int(max(-1, min(1, a.at-b.at))) })
	return events
}

func TestChunkRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, ingested, events := drawTotals(t), rapid.Int64Range(0, maxAt).Draw(t, "now"), drawEvents(t)
		c, err := decodeChunk(encodeChunk(before, ingested, events))
		if err != nil {
			t.Fatal(err)
		}
		if c.before != before || c.ingested != ingested || len(c.events) != len(events) {
			t.Fatalf("got %+v", c)
		}
		for i, e := range c.events {
			if e.at != events[i].at || !bytes.Equal(e.message, events[i].message) {
				t.Fatalf("event %d: got %+v, want %+v", i, e, events[i])
			}
		}
	})
}

func TestTotals(t *testing.T) {
	var sum totals
	sum = sum.add(100, []entry{{at: 50, message: []byte("ab")}, {at: 60}})
	sum = sum.add(200, []entry{{at: 60}, {at: 90}})
	if want := (totals{events: 4, bytes: 4*26 + 2, min: 50, max: 90, ingested: 200}); sum != want {
		t.Errorf("in order: got %+v, want %+v", sum, want)
	}
	sum = sum.add(300, []entry{{at: 40}, {at: 95}})
	if want := (totals{events: 6, bytes: 6*26 + 2, min: 40, max: 95, late: 50, ingested: 300}); sum != want {
		t.Errorf("late: got %+v, want %+v", sum, want)
	}
	if sum.add(400, nil) != sum {
		t.Error("no events change the totals")
	}
}

func FuzzDecodeChunk(f *testing.F) {
	f.Add([]byte{})
	f.Add(encodeChunk(totals{}, 0, nil))
	f.Add(encodeChunk(totals{events: 3, bytes: 99, min: 1, max: 7, late: 2, ingested: 5}, 1_700_000_000_000, []entry{{1, []byte("a")}, {2, nil}}))
	f.Add(append([]byte{chunkVersion}, bytes.Repeat([]byte{0xff}, 200)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decodeChunk(data)
		if err != nil {
			return
		}
		again, err := decodeChunk(encodeChunk(c.before, c.ingested, c.events))
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%v: %+v becomes %+v", err, c, again)
		}
	})
}
