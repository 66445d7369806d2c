package logs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/logs"
)

func TestDescribeLogStreams(t *testing.T) {
	f := newFixture(t)
	f.group("g")
	f.group("h")
	f.stream("h", "elsewhere")
	for i := range 7 {
		f.stream("g", fmt.Sprintf("s%d", i))
	}
	f.stream("g", "t")
	for i, s := range []string{"s3", "s1", "s5"} { // the rest stays empty
		f.at = noon.Add(time.Duration(i) * time.Second)
		f.put("g", s, input(i*100, i*100+5))
	}
	list := func(in api.DescribeLogStreamsInput) string {
		t.Helper()
		var names []string
		for {
			out, err := f.DescribeLogStreams(f.ctx, &in)
			f.check(err, "")
			for _, s := range out.LogStreams {
				names = append(names, *s.LogStreamName)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return strings.Join(names, " ")
			}
		}
	}
	arn := "arn:aws:logs:us-east-1:000000000000:log-group:g"
	cases := func(t *testing.T) {
		for _, tt := range []struct {
			name string
			in   api.DescribeLogStreamsInput
			want string
		}{
			{"by name", api.DescribeLogStreamsInput{LogGroupName: new("g")}, "s0 s1 s2 s3 s4 s5 s6 t"},
			{"by name in pages", api.DescribeLogStreamsInput{LogGroupName: new("g"), Limit: new(3)}, "s0 s1 s2 s3 s4 s5 s6 t"},
			{"descending", api.DescribeLogStreamsInput{LogGroupName: new("g"), Limit: new(3), Descending: new(true)}, "t s6 s5 s4 s3 s2 s1 s0"},
			{"by prefix", api.DescribeLogStreamsInput{LogGroupIdentifier: &arn, LogStreamNamePrefix: new("s"), Limit: new(2)}, "s0 s1 s2 s3 s4 s5 s6"},
			{"by prefix, descending", api.DescribeLogStreamsInput{LogGroupIdentifier: new("g"), LogStreamNamePrefix: new("s"), Limit: new(2), Descending: new(true)}, "s6 s5 s4 s3 s2 s1 s0"},
			{"by time", api.DescribeLogStreamsInput{LogGroupName: new("g"), OrderBy: new("LastEventTime"), Limit: new(3)}, "s0 s2 s4 s6 t s3 s1 s5"},
			{"latest first", api.DescribeLogStreamsInput{LogGroupName: new("g"), OrderBy: new("LastEventTime"), Limit: new(1), Descending: new(true)}, "s5 s1 s3 t s6 s4 s2 s0"},
		} {
			if got := list(tt.in); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
			}
		}
		out, err := f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{LogGroupName: new("g"), LogStreamNamePrefix: new("s1")})
		f.check(err, "")
		s := out.LogStreams[0]
		if *s.Arn != arn+":log-stream:s1" || *s.CreationTime != ms(0) || *s.FirstEventTimestamp != ms(100) || *s.LastEventTimestamp != ms(105) ||
			*s.LastIngestionTime != ms(1000) || *s.StoredBytes != 0 || len(*s.UploadSequenceToken) != 56 {
			t.Errorf("got %+v", s)
		}
		out, _ = f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{LogGroupName: new("g"), LogStreamNamePrefix: new("s0")})
		if s := out.LogStreams[0]; s.FirstEventTimestamp != nil || s.LastEventTimestamp != nil || s.LastIngestionTime != nil {
			t.Errorf("a stream without events: got %+v", s)
		}
	}
	t.Run("live", cases)
	f.reopen()
	t.Run("after a restart", cases)
}
