package logs

import (
	"testing"

	api "github.com/enfold-run/enfold/api/logs"
)

func TestFilterLogEvents(t *testing.T) {
	f := newFixture(t)
	f.group("g")
	for _, s := range []string{"a", "b", "c"} {
		f.stream("g", s)
	}
	f.put("g", "a", input(1, 4, 9))
	f.put("g", "b", input(2, 3, 8))
	for _, tt := range []struct {
		name string
		in   api.FilterLogEventsInput
		want string
	}{
		{"all", api.FilterLogEventsInput{}, "a1 b2 b3 a4 b8 a9"},
		{"interleaved is always", api.FilterLogEventsInput{Interleaved: new(false)}, "a1 b2 b3 a4 b8 a9"},
		{"names", api.FilterLogEventsInput{LogStreamNames: []string{"b", "c", "b"}}, "b2 b3 b8"},
		{"prefix", api.FilterLogEventsInput{LogStreamNamePrefix: new("a")}, "a1 a4 a9"},
		{"no such prefix", api.FilterLogEventsInput{LogStreamNamePrefix: new("x")}, ""},
		{"time, both inclusive", api.FilterLogEventsInput{StartTime: new(ms(2)), EndTime: new(ms(4))}, "b2 b3 a4"},
		{"pattern", api.FilterLogEventsInput{FilterPattern: new(`?"at 4" ?"at 8"`)}, "a4 b8"},
		{"pattern and limit", api.FilterLogEventsInput{FilterPattern: new(`-"at 2"`), Limit: new(2)}, "a1 b3"},
	} {
		if got := filtered(f.filter(tt.in).Events); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	out := f.filter(api.FilterLogEventsInput{Limit: new(1)})
	e := out.Events[0]
	if *e.Timestamp != ms(1) || *e.IngestionTime != ms(0) || len(*e.EventID) != 56 || out.SearchedLogStreams == nil {
		t.Errorf("got %+v", e)
	}
	_, err := f.FilterLogEvents(f.ctx, &api.FilterLogEventsInput{LogGroupName: new("g"), NextToken: out.NextToken, FilterPattern: new("x")})
	f.check(err, "InvalidParameterException: The specified nextToken is invalid.")
}

// One call examines a bounded number of events, found or not, and its token goes on from there.
func TestFilterLogEventsIsBounded(t *testing.T) {
	f := newFixture(t)
	f.group("g")
	f.stream("g", "s")
	noise := make([]*api.InputLogEvent, 10_000)
	for i := range noise {
		noise[i] = &api.InputLogEvent{Timestamp: new(ms(0)), Message: new("noise")}
	}
	for range 21 {
		f.put("g", "s", noise)
	}
	f.put("g", "s", []*api.InputLogEvent{{Timestamp: new(ms(1)), Message: new("needle")}})
	out := f.filter(api.FilterLogEventsInput{FilterPattern: new("needle")})
	if len(out.Events) != 0 || out.NextToken == nil {
		t.Fatalf("found %d after examining %d events at most", len(out.Events), maxExamined)
	}
	out = f.filter(api.FilterLogEventsInput{FilterPattern: new("needle"), NextToken: out.NextToken})
	if len(out.Events) != 1 || out.NextToken != nil {
		t.Fatalf("found %d, %v", len(out.Events), out.NextToken)
	}
}
