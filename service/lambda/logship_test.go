package lambda

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	logs "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/worker"
)

// logbook is a CloudWatch Logs that keeps what it is given, and refuses what the real one refuses.
type logbook struct {
	logs.API
	mu      sync.Mutex
	groups  map[string]bool
	streams map[string][]string
	calls   []*aws.Call
}

func (b *logbook) CreateLogGroup(_ context.Context, in *logs.CreateLogGroupInput) (*logs.CreateLogGroupOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.groups[*in.LogGroupName] {
		return nil, logs.ErrResourceAlreadyExists.New("The specified log group already exists")
	}
	b.groups[*in.LogGroupName] = true
	return &logs.CreateLogGroupOutput{}, nil
}

func (b *logbook) CreateLogStream(_ context.Context, in *logs.CreateLogStreamInput) (*logs.CreateLogStreamOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams[*in.LogGroupName+*in.LogStreamName] = []string{}
	return &logs.CreateLogStreamOutput{}, nil
}

func (b *logbook) PutLogEvents(ctx context.Context, in *logs.PutLogEventsInput) (*logs.PutLogEventsOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, aws.CallFrom(ctx))
	stream, ok := b.streams[*in.LogGroupName+*in.LogStreamName]
	if !ok {
		return nil, logs.ErrResourceNotFound.New("The specified log stream does not exist.")
	}
	if !slices.IsSortedFunc(in.LogEvents, func(a, b *logs.InputLogEvent) int { return int(*a.Timestamp - *b.Timestamp) }) {
		return nil, logs.ErrInvalidParameter.New("Log events in a single PutLogEvents request must be in chronological order.")
	}
	size := 0
	for _, e := range in.LogEvents {
		size += len(*e.Message) + 26
		stream = append(stream, strings.Clone(*e.Message))
	}
	if size > 1<<20 || len(in.LogEvents) > 10_000 {
		return nil, logs.ErrInvalidParameter.Withf("a batch of %d events and %d bytes", len(in.LogEvents), size)
	}
	b.streams[*in.LogGroupName+*in.LogStreamName] = stream
	return &logs.PutLogEventsOutput{}, nil
}

func newLogbook() *logbook {
	return &logbook{groups: map[string]bool{}, streams: map[string][]string{}}
}

func TestLogShipper(t *testing.T) {
	stream := &worker.LogStream{Account: "000000000000", Region: "eu-west-1", Group: "/aws/lambda/f", Name: "s"}
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		write func(s *LogShipper)
		want  func(events []string) bool
	}{
		{"in order", func(s *LogShipper) {
			for i := range 5 {
				s.Log(stream, noon, fmt.Appendf(nil, "%d\n", i))
			}
		}, func(e []string) bool { return slices.Equal(e, []string{"0\n", "1\n", "2\n", "3\n", "4\n"}) }},
		{"a clock that was set back", func(s *LogShipper) {
			s.Log(stream, noon, []byte("late\n"))
			s.Log(stream, noon.Add(-time.Hour), []byte("early\n"))
		}, func(e []string) bool { return slices.Equal(e, []string{"early\n", "late\n"}) }},
		{"more than one batch takes", func(s *LogShipper) {
			for range 10 {
				s.Log(stream, noon, make([]byte, 200<<10))
			}
		}, func(e []string) bool { return len(e) == 10 }},
		{"a flood is cut and says so", func(s *LogShipper) {
			for range 100 {
				s.Log(stream, noon, make([]byte, 200<<10))
			}
		}, func(e []string) bool { return len(e) < 30 && strings.Contains(e[len(e)-1], "log events were dropped") }},
		{"a flood of short lines too", func(s *LogShipper) {
			for range 100_000 {
				s.Log(stream, noon, []byte("\n"))
			}
		}, func(e []string) bool {
			return len(e) < 40_000 && strings.Contains(e[len(e)-1], "log events were dropped")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			book := newLogbook()
			s := NewLogShipper(book, plenty, nil, slog.New(slog.DiscardHandler))
			for round := range 2 { // buffers are used again
				c.write(s)
				s.Flush(t.Context())
				got := book.streams["/aws/lambda/fs"]
				if !c.want(got) {
					t.Fatalf("round %d stored %d events, the last %.200q", round, len(got), got[len(got)-1:])
				}
				book.streams["/aws/lambda/fs"] = nil
			}
			call := book.calls[0]
			if call.Principal.Service != "lambda.amazonaws.com" || call.Account != stream.Account || call.Region != stream.Region {
				t.Errorf("called as %+v in %s %s", call.Principal, call.Account, call.Region)
			}
		})
	}
}

// plenty is the room of a disk that is as good as empty.
func plenty() int64 { return 1 << 40 }
