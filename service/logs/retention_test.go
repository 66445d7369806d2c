package logs

import (
	"fmt"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/logs"
)

func TestRetention(t *testing.T) {
	f := newFixture(t)
	f.group("g")
	f.group("h")
	for _, g := range []string{"g", "h"} {
		f.stream(g, "s")
		f.put(g, "s", input(0, 1))
	}
	_, err := f.PutRetentionPolicy(f.ctx, &api.PutRetentionPolicyInput{LogGroupName: new("g"), RetentionInDays: new(1)})
	f.check(err, "")
	f.at = noon.Add(25 * time.Hour)
	later := int(25 * time.Hour / time.Millisecond)
	for _, g := range []string{"g", "h"} {
		f.put(g, "s", input(later))
	}
	f.sweep()
	bytes := map[string]int64{}
	out, err := f.DescribeLogGroups(f.ctx, &api.DescribeLogGroupsInput{})
	f.check(err, "")
	for _, g := range out.LogGroups {
		bytes[*g.LogGroupName] = *g.StoredBytes
	}
	last := int64(len(fmt.Sprint("at ", later)) + 26)
	if bytes["g"] != last || bytes["h"] != last+2*(4+26) {
		t.Errorf("stored bytes: %v", bytes)
	}
	if got := messages(f.get(api.GetLogEventsInput{}).Events); got != fmt.Sprint(later) {
		t.Errorf("got %s", got)
	}
	if got := messages(f.get(api.GetLogEventsInput{LogGroupName: new("h")}).Events); got != fmt.Sprint("0 1 ", later) {
		t.Errorf("without retention: got %s", got)
	}
	streams, err := f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{LogGroupName: new("g")})
	f.check(err, "")
	if s := streams.LogStreams[0]; *s.FirstEventTimestamp != ms(later) || *s.LastEventTimestamp != ms(later) {
		t.Errorf("got %d to %d", *s.FirstEventTimestamp, *s.LastEventTimestamp)
	}
	f.at = noon.Add(100 * time.Hour)
	f.sweep()
	if n := f.chunks(f.logOf("g", "s")); n != 0 {
		t.Errorf("%d chunks are left", n)
	}
	f.put("g", "s", input(int(100*time.Hour/time.Millisecond)))
	if got := len(f.get(api.GetLogEventsInput{}).Events); got != 1 {
		t.Errorf("%d events after all expired and one came", got)
	}
}
