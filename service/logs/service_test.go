package logs

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	api "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = "000000000000"
	region  = "us-east-1"
)

// noon is when tests begin.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// fixture is a service on a store of its own, with a clock that the test sets.
type fixture struct {
	*Service
	t   testing.TB
	ctx context.Context
	dir string
	db  store.Store
	at  time.Time
}

func newFixture(t testing.TB) *fixture {
	f := &fixture{t: t, dir: t.TempDir(), at: noon}
	f.ctx = aws.WithCall(t.Context(), &aws.Call{Account: account, Region: region, Principal: aws.RootOf(account, "AKIA")})
	f.open()
	t.Cleanup(func() { f.db.Close() })
	return f
}

func (f *fixture) open() {
	f.t.Helper()
	db, err := sqlite.Open(context.Background(), f.dir, sqlite.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	f.db = db
	f.Service = New(Deps{Store: db, Now: func() time.Time { return f.at }, Log: slog.New(slog.DiscardHandler)})
}

// reopen is a restart of the server.
func (f *fixture) reopen() {
	f.t.Helper()
	if err := f.db.Close(); err != nil {
		f.t.Fatal(err)
	}
	f.open()
}

func (f *fixture) group(name string) {
	f.t.Helper()
	_, err := f.CreateLogGroup(f.ctx, &api.CreateLogGroupInput{LogGroupName: &name})
	f.check(err, "")
}

func (f *fixture) stream(group, name string) {
	f.t.Helper()
	_, err := f.CreateLogStream(f.ctx, &api.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &name})
	f.check(err, "")
}

// check holds an error against what AWS answers, "Code: message"; empty for none.
func (f *fixture) check(err error, want string) {
	f.t.Helper()
	if got := fmt.Sprint(err); got != cmp.Or(want, "<nil>") {
		f.t.Fatalf("got  %s\nwant %s", got, cmp.Or(want, "<nil>"))
	}
}

// ms is a time as CloudWatch Logs has it, so many milliseconds after noon.
func ms(after int) int64 { return noon.UnixMilli() + int64(after) }

// input makes events whose messages say when they are.
func input(after ...int) []*api.InputLogEvent {
	var events []*api.InputLogEvent
	for _, a := range after {
		events = append(events, &api.InputLogEvent{Timestamp: new(ms(a)), Message: new(fmt.Sprintf("at %d", a))})
	}
	return events
}

func (f *fixture) put(group, stream string, events []*api.InputLogEvent) *api.PutLogEventsOutput {
	f.t.Helper()
	out, err := f.PutLogEvents(f.ctx, &api.PutLogEventsInput{LogGroupName: &group, LogStreamName: &stream, LogEvents: events})
	f.check(err, "")
	return out
}

func (f *fixture) get(in api.GetLogEventsInput) *api.GetLogEventsOutput {
	f.t.Helper()
	if in.LogGroupName == nil && in.LogGroupIdentifier == nil {
		in.LogGroupName = new("g")
	}
	if in.LogStreamName == nil {
		in.LogStreamName = new("s")
	}
	out, err := f.GetLogEvents(f.ctx, &in)
	f.check(err, "")
	return out
}

func messages(events []*api.OutputLogEvent) string {
	var all []string
	for _, e := range events {
		all = append(all, strings.TrimPrefix(*e.Message, "at "))
	}
	return strings.Join(all, " ")
}

func (f *fixture) filter(in api.FilterLogEventsInput) *api.FilterLogEventsOutput {
	f.t.Helper()
	if in.LogGroupName == nil {
		in.LogGroupName = new("g")
	}
	out, err := f.FilterLogEvents(f.ctx, &in)
	f.check(err, "")
	return out
}

func filtered(events []*api.FilteredLogEvent) string {
	var all []string
	for _, e := range events {
		all = append(all, *e.LogStreamName+strings.TrimPrefix(*e.Message, "at "))
	}
	return strings.Join(all, " ")
}

// Run empties the trash as soon as there is some, and ends with its context.
func TestRun(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	f.group("g")
	f.stream("g", "s")
	f.put("g", "s", input(1))
	if _, err := f.DeleteLogGroup(f.ctx, &api.DeleteLogGroupInput{LogGroupName: new("g")}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); f.rows() != [3]int{}; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("groups, streams, trash: %v", f.rows())
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Many streams are written to at once while they are read, deleted and forgotten; every accepted event is there once.
func TestConcurrently(t *testing.T) {
	f := newFixture(t)
	f.group("g")
	const writers, puts = 8, 60
	for i := range writers {
		f.stream("g", fmt.Sprint("s", i))
	}
	errs := make(chan error)
	for i := range writers {
		go func() {
			errs <- func() error {
				for p := range puts {
					in := &api.PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new(fmt.Sprint("s", i)), LogEvents: input(p, p)}
					if _, err := f.PutLogEvents(f.ctx, in); err != nil {
						return err
					}
					if p%20 == 0 {
						f.streams.forget(groupKey{f.scope(), "g"})
					}
					out, err := f.GetLogEvents(f.ctx, &api.GetLogEventsInput{LogGroupName: new("g"), LogStreamName: in.LogStreamName, Limit: new(2)})
					if err != nil {
						return err
					}
					if got, want := messages(out.Events), fmt.Sprintf("%d %d", p, p); got != want {
						return fmt.Errorf("s%d does not read its own write: %s, want %s", i, got, want)
					}
				}
				return nil
			}()
		}()
	}
	for range writers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	for i := range writers {
		in := &api.GetLogEventsInput{StartFromHead: new(true), Limit: new(17)}
		if got := f.readAll("g", fmt.Sprint("s", i), in, true); len(got) != 2*puts {
			t.Errorf("s%d has %d events, want %d", i, len(got), 2*puts)
		}
	}
}
