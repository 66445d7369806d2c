package logs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	api "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/store"
)

func TestGetLogEvents(t *testing.T) {
	f := newFixture(t)
	f.group("g")
	f.stream("g", "s")
	empty := f.get(api.GetLogEventsInput{})
	if len(empty.Events) != 0 || empty.NextForwardToken == nil || empty.NextBackwardToken == nil {
		t.Fatalf("an empty stream: got %+v", empty)
	}
	f.put("g", "s", input(1, 2, 3))
	f.at = noon.Add(time.Minute)
	f.put("g", "s", input(4, 5))
	f.put("g", "s", input(5, 6, 7, 8))

	out := f.get(api.GetLogEventsInput{Limit: new(3)})
	if got := messages(out.Events); got != "6 7 8" {
		t.Fatalf("the end: got %s", got)
	}
	if e := out.Events[0]; *e.Timestamp != ms(6) || *e.IngestionTime != ms(60000) {
		t.Errorf("got %+v", e)
	}
	end := f.get(api.GetLogEventsInput{NextToken: out.NextForwardToken})
	if len(end.Events) != 0 || *end.NextForwardToken != *out.NextForwardToken {
		t.Errorf("at the end the token changes: %s, %s", *out.NextForwardToken, *end.NextForwardToken)
	}
	out = f.get(api.GetLogEventsInput{NextToken: out.NextBackwardToken, Limit: new(4)})
	if got := messages(out.Events); got != "3 4 5 5" {
		t.Errorf("back: got %s", got)
	}
	if got := messages(f.get(api.GetLogEventsInput{NextToken: out.NextForwardToken, Limit: new(2)}).Events); got != "6 7" {
		t.Errorf("forward again: got %s", got)
	}
	out = f.get(api.GetLogEventsInput{NextToken: out.NextBackwardToken})
	if got := messages(out.Events); got != "1 2" {
		t.Errorf("back to the head: got %s", got)
	}
	head := f.get(api.GetLogEventsInput{NextToken: out.NextBackwardToken})
	if len(head.Events) != 0 || *head.NextBackwardToken != *out.NextBackwardToken {
		t.Errorf("at the head the token changes: %s, %s", *out.NextBackwardToken, *head.NextBackwardToken)
	}
	if got := messages(f.get(api.GetLogEventsInput{StartFromHead: new(true), Limit: new(2)}).Events); got != "1 2" {
		t.Errorf("from the head: got %s", got)
	}
	in := api.GetLogEventsInput{StartFromHead: new(true), StartTime: new(ms(3)), EndTime: new(ms(6))}
	if got := messages(f.get(in).Events); got != "3 4 5 5" {
		t.Errorf("from 3 until before 6: got %s", got)
	}
	in.StartTime, in.EndTime = new(ms(6)), new(ms(3))
	if got := messages(f.get(in).Events); got != "" {
		t.Errorf("from 6 until before 3: got %s", got)
	}
	// What comes later is behind the token, from an empty page too.
	f.put("g", "s", input(9))
	if got := messages(f.get(api.GetLogEventsInput{NextToken: end.NextForwardToken}).Events); got != "9" {
		t.Errorf("new events: got %s", got)
	}
	if got := messages(f.get(api.GetLogEventsInput{NextToken: empty.NextForwardToken, Limit: new(1)}).Events); got != "1" {
		t.Errorf("from when it was empty: got %s", got)
	}
}

func TestGetLogEventsFillsAMegabyte(t *testing.T) {
	f := newFixture(t)
	f.group("g")
	f.stream("g", "s")
	message := strings.Repeat("x", 300_000)
	for i := range 8 {
		f.put("g", "s", []*api.InputLogEvent{{Timestamp: new(ms(i)), Message: &message}})
	}
	in, pages, seen := api.GetLogEventsInput{StartFromHead: new(true)}, 0, 0
	for {
		out := f.get(in)
		if len(out.Events) == 0 {
			break
		}
		if len(out.Events) > 3 {
			t.Fatalf("%d events of 300 KB in one answer", len(out.Events))
		}
		pages, seen, in.NextToken = pages+1, seen+len(out.Events), out.NextForwardToken
	}
	if pages != 3 || seen != 8 {
		t.Errorf("%d events on %d pages", seen, pages)
	}
}

// Whatever is put, in whatever order: every way of reading answers each event once, in the order of time.
func TestReading(t *testing.T) {
	f := newFixture(t)
	number := 0
	rapid.Check(t, func(t *rapid.T) {
		number++
		group := fmt.Sprint("g", number)
		f.group(group)
		type logged struct {
			at      int64
			message string
		}
		written := map[string][]logged{}
		late := rapid.Bool().Draw(t, "late")
		names := []string{"a", "b", "c"}[:rapid.IntRange(1, 3).Draw(t, "streams")]
		for _, s := range names {
			f.stream(group, s)
		}
		clock := 0
		for i := range rapid.IntRange(0, 12).Draw(t, "puts") {
			s := rapid.SampledFrom(names).Draw(t, "stream")
			at := clock
			if late {
				at = rapid.IntRange(0, 40).Draw(t, "from")
			}
			var events []*api.InputLogEvent
			for j := range rapid.IntRange(1, 5).Draw(t, "events") {
				at += rapid.IntRange(0, 3).Draw(t, "step")
				m := fmt.Sprintf("%s-%d-%d", s, i, j)
				events = append(events, &api.InputLogEvent{Timestamp: new(ms(at)), Message: &m})
				written[s] = append(written[s], logged{ms(at), m})
			}
			clock = max(clock, at)
			f.put(group, s, events)
			if rapid.IntRange(0, 5).Draw(t, "forget") == 0 {
				f.streams.forget(groupKey{store.Scope{Account: account, Region: region}, group})
			}
		}
		from, to := ms(rapid.IntRange(0, 60).Draw(t, "start")), ms(rapid.IntRange(0, 60).Draw(t, "end"))
		want := func(s string, last int64) (list []string) {
			events := slices.Clone(written[s])
			slices.SortStableFunc(events, func(a, b logged) int { return cmp.Compare(a.at, b.at) })
			for _, e := range events {
				if e.at >= from && e.at <= last {
					list = append(list, e.message)
				}
			}
			return list
		}
		limit := rapid.IntRange(1, 7).Draw(t, "limit")
		for _, s := range names {
			for _, forward := range []bool{true, false} {
				got := f.readAll(group, s, &api.GetLogEventsInput{
					StartTime: &from, EndTime: &to, Limit: &limit, StartFromHead: &forward,
				}, forward)
				if !slices.Equal(got, want(s, to-1)) {
					t.Fatalf("stream %s, forward %v: got %q, want %q", s, forward, got, want(s, to-1))
				}
			}
		}
		in := api.FilterLogEventsInput{LogGroupName: &group, StartTime: &from, EndTime: &to, Limit: &limit}
		got, ids, last := map[string][]string{}, map[string]bool{}, int64(0)
		for {
			out := f.filter(in)
			for _, e := range out.Events {
				if *e.Timestamp < last || ids[*e.EventID] {
					t.Fatalf("%s comes out of order or twice", *e.Message)
				}
				last, ids[*e.EventID] = *e.Timestamp, true
				got[*e.LogStreamName] = append(got[*e.LogStreamName], *e.Message)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		for _, s := range names {
			if !slices.Equal(got[s], want(s, to)) {
				t.Fatalf("filtered %s: got %q, want %q", s, got[s], want(s, to))
			}
		}
	})
}

// readAll follows the tokens from one end to the other and answers the messages in the order of time.
func (f *fixture) readAll(group, stream string, in *api.GetLogEventsInput, forward bool) (all []string) {
	f.t.Helper()
	in.LogGroupName, in.LogStreamName = &group, &stream
	for {
		out, err := f.GetLogEvents(f.ctx, in)
		f.check(err, "")
		var page []string
		for _, e := range out.Events {
			page = append(page, *e.Message)
		}
		if len(page) == 0 {
			return all
		}
		if forward {
			all, in.NextToken = append(all, page...), out.NextForwardToken
		} else {
			all, in.NextToken = append(page, all...), out.NextBackwardToken
		}
	}
}

// A stream with late events and more of them than a page holds is read in bounded selections.
func TestReadingManyLateEvents(t *testing.T) {
	f := newFixture(t)
	f.group("g")
	f.stream("g", "s")
	const chunks, each = 30, 1000
	for c := range chunks {
		var events []*api.InputLogEvent
		for i := range each {
			events = append(events, &api.InputLogEvent{Timestamp: new(ms((chunks-c)*500 + i)), Message: new("x")})
		}
		f.put("g", "s", events)
	}
	for _, forward := range []bool{true, false} {
		seen, pages := 0, 0
		in := api.GetLogEventsInput{StartFromHead: &forward}
		last := int64(0)
		for {
			out := f.get(in)
			if len(out.Events) == 0 {
				break
			}
			for _, e := range out.Events {
				if forward && *e.Timestamp < last {
					t.Fatal("out of order")
				}
				last = *e.Timestamp
			}
			seen, pages = seen+len(out.Events), pages+1
			if in.NextToken = out.NextForwardToken; !forward {
				in.NextToken = out.NextBackwardToken
			}
		}
		if seen != chunks*each || pages != 3 {
			t.Errorf("forward %v: %d events on %d pages", forward, seen, pages)
		}
	}
	f.put("g", "s", []*api.InputLogEvent{{Timestamp: new(ms(chunks * 1000)), Message: new("needle")}})
	for pattern, want := range map[string]int{"": chunks*each + 1, "needle": 1} {
		in, seen := api.FilterLogEventsInput{FilterPattern: &pattern}, 0
		for {
			out := f.filter(in)
			seen += len(out.Events)
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		if seen != want {
			t.Errorf("%q: filtered %d events, want %d", pattern, seen, want)
		}
	}
}
