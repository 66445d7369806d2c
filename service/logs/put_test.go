package logs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/logs"
)

func TestPutLogEventsRejects(t *testing.T) {
	const hour = 3600 * 1000
	for _, tt := range []struct {
		name      string
		retention int
		events    []int
		kept      string
		rejected  *api.RejectedLogEventsInfo
	}{
		{"none", 0, []int{-hour, 0, hour}, fmt.Sprintf("%d 0 %d", -hour, hour), nil},
		{"two weeks old is not too old", 0, []int{-14 * 24 * hour}, fmt.Sprint(-14 * 24 * hour), nil},
		{"too old", 0, []int{-14*24*hour - 2, -14*24*hour - 1, -14 * 24 * hour}, fmt.Sprint(-14 * 24 * hour), &api.RejectedLogEventsInfo{TooOldLogEventEndIndex: new(2)}},
		{"too new", 0, []int{0, 2 * hour, 2*hour + 1}, fmt.Sprint("0 ", 2*hour), &api.RejectedLogEventsInfo{TooNewLogEventStartIndex: new(2)}},
		{"expired", 1, []int{-24*hour - 1, -24*hour + 1}, fmt.Sprint(-24*hour + 1), &api.RejectedLogEventsInfo{ExpiredLogEventEndIndex: new(1)}},
		{"all", 0, []int{3 * hour}, "", &api.RejectedLogEventsInfo{TooNewLogEventStartIndex: new(0)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.group("g")
			f.stream("g", "s")
			f.put("g", "s", input(0)) // the group's retention is known before it changes
			if tt.retention > 0 {
				_, err := f.PutRetentionPolicy(f.ctx, &api.PutRetentionPolicyInput{LogGroupName: new("g"), RetentionInDays: &tt.retention})
				f.check(err, "")
			}
			f.stream("g", "other")
			f.put("g", "other", input(1))
			out, err := f.PutLogEvents(f.ctx, &api.PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new("other"), LogEvents: input(tt.events...)})
			f.check(err, "")
			if got, want := fmt.Sprint(rejection(out.RejectedLogEventsInfo)), fmt.Sprint(rejection(tt.rejected)); got != want {
				t.Errorf("rejected %s, want %s", got, want)
			}
			got := messages(f.get(api.GetLogEventsInput{LogStreamName: new("other"), StartFromHead: new(true)}).Events)
			kept := strings.Fields(got)
			kept = slices.DeleteFunc(kept, func(s string) bool { return s == "1" })
			if strings.Join(kept, " ") != tt.kept {
				t.Errorf("kept %s, want %s", kept, tt.kept)
			}
		})
	}
}

func rejection(r *api.RejectedLogEventsInfo) [3]int {
	n := func(p *int) int {
		if p == nil {
			return -1
		}
		return *p
	}
	if r == nil {
		return [3]int{-2, -2, -2}
	}
	return [3]int{n(r.TooOldLogEventEndIndex), n(r.ExpiredLogEventEndIndex), n(r.TooNewLogEventStartIndex)}
}

func BenchmarkPutLogEvents(b *testing.B) {
	f := newFixture(b)
	f.group("g")
	f.stream("g", "s")
	events := make([]*api.InputLogEvent, 10)
	for i := range events {
		events[i] = &api.InputLogEvent{Timestamp: new(ms(i)), Message: new("START RequestId: 8f507cfc-xmpl-4697-b07a-ac58fc914c95 Version: $LATEST\n")}
	}
	in := &api.PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s"), LogEvents: events}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.PutLogEvents(f.ctx, in); err != nil {
			b.Fatal(err)
		}
	}
}
