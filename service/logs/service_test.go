package logs

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

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

// The wordings are recorded from AWS.
func TestErrors(t *testing.T) {
	f := newFixture(t)
	f.group("g")
	f.stream("g", "s")
	one := input(0)
	const (
		noGroup  = "ResourceNotFoundException: The specified log group does not exist."
		noStream = "ResourceNotFoundException: The specified log stream does not exist."
		badToken = "InvalidParameterException: The specified nextToken is invalid."
	)
	put := func(events []*api.InputLogEvent) error {
		_, err := f.PutLogEvents(f.ctx, &api.PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s"), LogEvents: events})
		return err
	}
	for _, tt := range []struct {
		name string
		call func() (any, error)
		want string
	}{
		{"create a group twice", func() (any, error) {
			return f.CreateLogGroup(f.ctx, &api.CreateLogGroupInput{LogGroupName: new("g")})
		}, "ResourceAlreadyExistsException: The specified log group already exists"},
		{"a group's name is too long", func() (any, error) {
			return f.CreateLogGroup(f.ctx, &api.CreateLogGroupInput{LogGroupName: new(strings.Repeat("a", 513))})
		}, "InvalidParameterException: Invalid LogGroup or LogStream, both must have length less than or equal to 512."},
		{"a reserved name", func() (any, error) {
			return f.CreateLogGroup(f.ctx, &api.CreateLogGroupInput{LogGroupName: new("aws/x")})
		}, "InvalidParameterException: Log groups starting with AWS/ are reserved for AWS."},
		{"a key that would not be used", func() (any, error) {
			return f.CreateLogGroup(f.ctx, &api.CreateLogGroupInput{LogGroupName: new("k"), KmsKeyID: new("key")})
		}, "NotImplemented: CreateLogGroup with kmsKeyId is not implemented"},
		{"delete no group", func() (any, error) {
			return f.DeleteLogGroup(f.ctx, &api.DeleteLogGroupInput{LogGroupName: new("x")})
		}, noGroup},
		{"retain no group", func() (any, error) {
			return f.PutRetentionPolicy(f.ctx, &api.PutRetentionPolicyInput{LogGroupName: new("x"), RetentionInDays: new(1)})
		}, noGroup},
		{"retain for two days", func() (any, error) {
			return f.PutRetentionPolicy(f.ctx, &api.PutRetentionPolicyInput{LogGroupName: new("g"), RetentionInDays: new(2)})
		}, "InvalidParameterException: 1 validation error detected: Value '2' at 'retentionInDays' failed to satisfy constraint: " +
			"Member must satisfy enum value set: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]"},
		{"no longer retain no group", func() (any, error) {
			return f.DeleteRetentionPolicy(f.ctx, &api.DeleteRetentionPolicyInput{LogGroupName: new("x")})
		}, noGroup},
		{"prefix and pattern", func() (any, error) {
			return f.DescribeLogGroups(f.ctx, &api.DescribeLogGroupsInput{LogGroupNamePrefix: new("a"), LogGroupNamePattern: new("b")})
		}, "InvalidParameterException: LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."},
		{"groups by a made-up token", func() (any, error) {
			return f.DescribeLogGroups(f.ctx, &api.DescribeLogGroupsInput{NextToken: new("AAAA")})
		}, badToken},
		{"create a stream twice", func() (any, error) {
			return f.CreateLogStream(f.ctx, &api.CreateLogStreamInput{LogGroupName: new("g"), LogStreamName: new("s")})
		}, "ResourceAlreadyExistsException: The specified log stream already exists"},
		{"create a stream in no group", func() (any, error) {
			return f.CreateLogStream(f.ctx, &api.CreateLogStreamInput{LogGroupName: new("x"), LogStreamName: new("s")})
		}, noGroup},
		{"a stream's name is too long", func() (any, error) {
			return f.CreateLogStream(f.ctx, &api.CreateLogStreamInput{LogGroupName: new("g"), LogStreamName: new(strings.Repeat("ü", 513))})
		}, "InvalidParameterException: Invalid LogGroup or LogStream, both must have length less than or equal to 512."},
		{"a stream's name that would end its key", func() (any, error) {
			return f.CreateLogStream(f.ctx, &api.CreateLogStreamInput{LogGroupName: new("g"), LogStreamName: new("a\x00b")})
		}, "InvalidParameterException: 1 validation error detected: Value 'a\x00b' at 'logStreamName' failed to satisfy constraint: " +
			"Member must satisfy regular expression pattern: [^:*]*"},
		{"delete no stream", func() (any, error) {
			return f.DeleteLogStream(f.ctx, &api.DeleteLogStreamInput{LogGroupName: new("g"), LogStreamName: new("x")})
		}, noStream},
		{"delete a stream of no group", func() (any, error) {
			return f.DeleteLogStream(f.ctx, &api.DeleteLogStreamInput{LogGroupName: new("x"), LogStreamName: new("x")})
		}, noGroup},
		{"streams of no group", func() (any, error) {
			return f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{LogGroupName: new("x")})
		}, noGroup},
		{"streams of nothing", func() (any, error) {
			return f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{})
		}, "InvalidParameterException: 1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: Member must not be null"},
		{"streams by name and ARN", func() (any, error) {
			return f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{LogGroupName: new("g"), LogGroupIdentifier: new("g")})
		}, "ValidationException: LogGroup name and LogGroup ARN are mutually exclusive parameters."},
		{"streams by prefix and time", func() (any, error) {
			return f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{
				LogGroupName: new("g"), LogStreamNamePrefix: new("s"), OrderBy: new(api.OrderByLastEventTime),
			})
		}, "InvalidParameterException: Cannot order by LastEventTime with a logStreamNamePrefix."},
		{"streams of a group far away", func() (any, error) {
			return f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{LogGroupIdentifier: new("arn:aws:logs:eu-west-1:000000000000:log-group:g")})
		}, noGroup},
		{"streams of a bucket", func() (any, error) {
			return f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{LogGroupIdentifier: new("arn:aws:s3:::g")})
		}, "InvalidParameterException: arn:aws:s3:::g is not a valid log group identifier"},
		{"put to no group", func() (any, error) {
			return f.PutLogEvents(f.ctx, &api.PutLogEventsInput{LogGroupName: new("x"), LogStreamName: new("s"), LogEvents: one})
		}, noGroup},
		{"put to no stream", func() (any, error) {
			return f.PutLogEvents(f.ctx, &api.PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new("x"), LogEvents: one})
		}, noStream},
		{
			"put in the wrong order", func() (any, error) { return nil, put(input(2, 1)) },
			"InvalidParameterException: Log events in a single PutLogEvents request must be in chronological order.",
		},
		{
			"put too long a span", func() (any, error) { return nil, put(input(-24*3600*1000-1, 0)) },
			"InvalidParameterException: The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
		},
		{"put too large an event", func() (any, error) {
			return nil, put([]*api.InputLogEvent{{Timestamp: new(ms(0)), Message: new(strings.Repeat("x", 1<<20))}})
		}, "InvalidParameterException: Log event too large: 1048602 bytes exceeds limit of 1048576"},
		{"put too much", func() (any, error) {
			half := strings.Repeat("x", 1<<19)
			return nil, put([]*api.InputLogEvent{{Timestamp: new(ms(0)), Message: &half}, {Timestamp: new(ms(0)), Message: &half}})
		}, "InvalidParameterException: Upload too large: 1048628 bytes exceeds limit of 1048576"},
		{"get of no group", func() (any, error) {
			return f.GetLogEvents(f.ctx, &api.GetLogEventsInput{LogGroupName: new("x"), LogStreamName: new("s")})
		}, noGroup},
		{"get of no stream", func() (any, error) {
			return f.GetLogEvents(f.ctx, &api.GetLogEventsInput{LogGroupName: new("g"), LogStreamName: new("x")})
		}, noStream},
		{"get by a made-up token", func() (any, error) {
			return f.GetLogEvents(f.ctx, &api.GetLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s"), NextToken: new("invalid")})
		}, badToken},
		{"get by digits", func() (any, error) {
			token := "f/" + strings.Repeat("0", 56)
			return f.GetLogEvents(f.ctx, &api.GetLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s"), NextToken: &token})
		}, badToken},
		{"filter no group", func() (any, error) {
			return f.FilterLogEvents(f.ctx, &api.FilterLogEventsInput{LogGroupName: new("x")})
		}, noGroup},
		{"filter no stream", func() (any, error) {
			return f.FilterLogEvents(f.ctx, &api.FilterLogEventsInput{LogGroupName: new("g"), LogStreamNames: []string{"s", "x"}})
		}, noStream},
		{"filter by names and prefix", func() (any, error) {
			return f.FilterLogEvents(f.ctx, &api.FilterLogEventsInput{
				LogGroupName: new("g"), LogStreamNames: []string{"s"}, LogStreamNamePrefix: new("s"),
			})
		}, "InvalidParameterException: LogStreamNames and LogStreamNamePrefix are mutually exclusive parameters."},
		{"filter by a bad pattern", func() (any, error) {
			return f.FilterLogEvents(f.ctx, &api.FilterLogEventsInput{LogGroupName: new("g"), FilterPattern: new("{ $.a")})
		}, "InvalidParameterException: If a filter pattern starts with '{' it must end with '}'"},
		{"filter by a made-up token", func() (any, error) {
			return f.FilterLogEvents(f.ctx, &api.FilterLogEventsInput{LogGroupName: new("g"), NextToken: new("???")})
		}, badToken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := tt.call()
			if got := fmt.Sprint(err); got != tt.want {
				t.Errorf("got  %s\nwant %s\n(%v)", got, tt.want, out)
			}
		})
	}
}

func TestDescribeLogGroups(t *testing.T) {
	f := newFixture(t)
	for i := range 120 {
		f.group(fmt.Sprintf("/aws/lambda/f%03d", i))
	}
	f.group("other")
	if _, err := f.PutRetentionPolicy(f.ctx, &api.PutRetentionPolicyInput{LogGroupName: new("other"), RetentionInDays: new(7)}); err != nil {
		t.Fatal(err)
	}

	all := func(in api.DescribeLogGroupsInput) (names []string, pages int) {
		for pages = 1; ; pages++ {
			out, err := f.DescribeLogGroups(f.ctx, &in)
			f.check(err, "")
			for _, g := range out.LogGroups {
				names = append(names, *g.LogGroupName)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return names, pages
			}
		}
	}
	for _, tt := range []struct {
		name         string
		in           api.DescribeLogGroupsInput
		names, pages int
	}{
		{"all", api.DescribeLogGroupsInput{}, 121, 3},
		{"by prefix", api.DescribeLogGroupsInput{LogGroupNamePrefix: new("/aws/lambda/f00")}, 10, 1},
		{"a full last page", api.DescribeLogGroupsInput{LogGroupNamePrefix: new("/aws/lambda/f0"), Limit: new(20)}, 100, 5},
		{"by pattern", api.DescribeLogGroupsInput{LogGroupNamePattern: new("f01"), Limit: new(3)}, 10, 4},
		{"by pattern, case counts", api.DescribeLogGroupsInput{LogGroupNamePattern: new("F01")}, 0, 1},
		{"by class", api.DescribeLogGroupsInput{LogGroupClass: new(api.LogGroupClassInfrequentAccess)}, 0, 1},
		{"by identifier", api.DescribeLogGroupsInput{LogGroupIdentifiers: []string{"other", "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f001:*"}}, 2, 1},
		{"of another account", api.DescribeLogGroupsInput{AccountIdentifiers: []string{"111111111111"}}, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			names, pages := all(tt.in)
			if len(names) != tt.names || pages != tt.pages || !slices.IsSorted(names) || len(slices.Compact(names)) != tt.names {
				t.Errorf("%d names on %d pages, want %d on %d", len(names), pages, tt.names, tt.pages)
			}
		})
	}

	out, err := f.DescribeLogGroups(f.ctx, &api.DescribeLogGroupsInput{LogGroupNamePrefix: new("other")})
	f.check(err, "")
	g := out.LogGroups[0]
	if *g.Arn != "arn:aws:logs:us-east-1:000000000000:log-group:other:*" || *g.LogGroupArn != "arn:aws:logs:us-east-1:000000000000:log-group:other" ||
		*g.CreationTime != ms(0) || *g.RetentionInDays != 7 || *g.StoredBytes != 0 || *g.MetricFilterCount != 0 || *g.LogGroupClass != "STANDARD" {
		t.Errorf("got %+v", g)
	}
	if _, err := f.DeleteRetentionPolicy(f.ctx, &api.DeleteRetentionPolicyInput{LogGroupName: new("other")}); err != nil {
		t.Fatal(err)
	}
	out, _ = f.DescribeLogGroups(f.ctx, &api.DescribeLogGroupsInput{LogGroupNamePrefix: new("other")})
	if out.LogGroups[0].RetentionInDays != nil {
		t.Error("the retention is still there")
	}
	foreign := aws.WithCall(f.ctx, &aws.Call{Account: account, Region: "eu-west-1"})
	if out, err := f.DescribeLogGroups(foreign, &api.DescribeLogGroupsInput{}); err != nil || len(out.LogGroups) != 0 {
		t.Errorf("another region has %d groups, %v", len(out.LogGroups), err)
	}
}

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

// What was read from the store before something left the cache may be stale, and does not get in.
func TestCacheRefusesWhatMayBeStale(t *testing.T) {
	c, k := newStreamCache(), groupKey{name: "g"}
	_, epoch := c.get(k, "s")
	old := &stream{}
	if c.put(k, "s", old, epoch) != old || c.put(k, "s", &stream{}, epoch) != old {
		t.Fatal("the first does not stay")
	}
	c.forget(k, "s")
	if !old.gone {
		t.Error("who holds a forgotten stream does not see it")
	}
	if c.put(k, "s", &stream{}, epoch) != nil {
		t.Error("a stale stream is in the cache")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newStreamCache()
	for i := range maxCached + 10 {
		_, epoch := c.get(groupKey{}, "")
		if c.put(groupKey{name: fmt.Sprint("g", i%10)}, fmt.Sprint(i), &stream{}, epoch) == nil {
			t.Fatal("not put")
		}
	}
	n := 0
	for _, g := range c.groups {
		n += len(g)
	}
	if n != c.size || n > maxCached {
		t.Errorf("%d streams cached, counted %d, at most %d", n, c.size, maxCached)
	}
}

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

func TestDeleted(t *testing.T) {
	f := newFixture(t)
	f.group("g")
	f.stream("g", "s")
	f.stream("g", "t")
	f.put("g", "s", input(1))
	f.put("g", "t", input(2))
	old := f.logOf("g", "s")
	if _, err := f.DeleteLogStream(f.ctx, &api.DeleteLogStreamInput{LogGroupName: new("g"), LogStreamName: new("s")}); err != nil {
		t.Fatal(err)
	}
	_, err := f.PutLogEvents(f.ctx, &api.PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s"), LogEvents: input(3)})
	f.check(err, "ResourceNotFoundException: The specified log stream does not exist.")
	f.stream("g", "s")
	if got := messages(f.get(api.GetLogEventsInput{}).Events); got != "" {
		t.Errorf("a stream made anew has the old one's events: %s", got)
	}
	group := f.logOf("g", "t")
	if _, err := f.DeleteLogGroup(f.ctx, &api.DeleteLogGroupInput{LogGroupName: new("g")}); err != nil {
		t.Fatal(err)
	}
	_, err = f.PutLogEvents(f.ctx, &api.PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new("t"), LogEvents: input(3)})
	f.check(err, "ResourceNotFoundException: The specified log group does not exist.")
	f.group("g")
	if out, err := f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{LogGroupName: new("g")}); err != nil || len(out.LogStreams) != 0 {
		t.Errorf("a group made anew has %d of the old one's streams, %v", len(out.LogStreams), err)
	}
	f.stream("g", "kept")
	f.put("g", "kept", input(4))
	f.reopen() // the trash outlives the server
	f.sweep()
	for _, log := range []string{old, group} {
		if n := f.chunks(log); n != 0 {
			t.Errorf("%d chunks of a deleted stream are left", n)
		}
	}
	if n := f.rows(); n != [3]int{1, 1, 0} {
		t.Errorf("groups, streams, trash: %v", n)
	}
	if got := messages(f.get(api.GetLogEventsInput{LogStreamName: new("kept")}).Events); got != "4" {
		t.Errorf("swept too much: %q is left", got)
	}
}

func (f *fixture) sweep() {
	f.t.Helper()
	if err := f.emptyTrash(f.ctx); err != nil {
		f.t.Fatal(err)
	}
	if err := f.sweepGroups(f.ctx); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) scope() store.Scope { return store.Scope{Account: account, Region: region} }

// logOf is the store's log of a stream.
func (f *fixture) logOf(group, name string) string {
	f.t.Helper()
	st, err := f.find(f.ctx, groupKey{f.scope(), group}, name)
	if err != nil {
		f.t.Fatal(err)
	}
	defer st.mu.Unlock()
	return logName(st.id)
}

func (f *fixture) chunks(log string) (n int) {
	for _, err := range f.db.Logs().Read(f.ctx, log, f.scope(), store.LogRange{}) {
		if err != nil {
			f.t.Fatal(err)
		}
		n++
	}
	return n
}

// rows counts the rows of groups, streams and trash.
func (f *fixture) rows() (n [3]int) {
	f.t.Helper()
	err := f.db.View(f.ctx, func(tx store.Tx) error {
		for i, table := range []string{groups.Name, streams.Name, trash.Name} {
			for _, err := range tx.Scan(table, f.scope(), store.Range{}) {
				if err != nil {
					return err
				}
				n[i]++
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

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
