package cloudtrail

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	api "github.com/enfold-run/enfold/api/cloudtrail"
	lambdaapi "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = "000000000000"
	region  = "eu-west-1"
	hello   = "arn:aws:lambda:eu-west-1:000000000000:function:hello"
	role    = "arn:aws:iam::000000000000:role/app/worker"
)

// noon is when tests begin.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// worker is a session of role.
var worker = &aws.Principal{
	Type: aws.AssumedRole, Account: account, Arn: "arn:aws:sts::000000000000:assumed-role/worker/job-7", ID: "AROAEXAMPLE:job-7",
	AccessKeyID: "ASIAEXAMPLE", Session: &aws.Session{Op: "AssumeRole", Issuer: role, IssuerID: "AROAEXAMPLE", Created: noon.Add(-time.Hour)},
}

var root = aws.RootOf(account, "AKIAROOT")

func testKey() *seal.Key {
	r, err := seal.NewRoot(make([]byte, seal.RootSize))
	if err != nil {
		panic(err)
	}
	return r.Key(SealPurpose)
}

// fixture is a service on a store of its own, with a clock that the test sets.
type fixture struct {
	*Service
	t   testing.TB
	dir string
	db  store.Store
	at  time.Time
	n   int
}

func newFixture(t testing.TB) *fixture {
	f := &fixture{t: t, dir: t.TempDir(), at: noon}
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
	f.Service = New(Deps{Store: db, Seal: testKey(), Now: func() time.Time { return f.at }, Log: slog.New(slog.DiscardHandler)})
}

// crash is a restart of the server that lost what was in memory.
func (f *fixture) crash() {
	f.t.Helper()
	if err := f.db.Close(); err != nil {
		f.t.Fatal(err)
	}
	f.open()
	f.check(f.Service.recover(f.t.Context()), "")
}

// call is a new call, authorized on a resource.
func (f *fixture) call(p *aws.Principal, op *aws.Op, resource string, in any) *aws.Call {
	f.n++
	return &aws.Call{
		Op: op, Principal: p, Account: account, Region: region, RequestID: fmt.Sprintf("00000000-0000-4000-8000-%012d", f.n),
		SourceIP: "192.0.2.1", UserAgent: "aws-cli/2", Input: in,
		Authorized: []aws.Access{{Action: op.Action, Resource: resource}},
	}
}

func (f *fixture) invoke(p *aws.Principal) *aws.Call {
	return f.call(p, lambdaapi.OpInvoke, hello, &lambdaapi.InvokeInput{
		FunctionName: new("hello"), InvocationType: new("RequestResponse"), Payload: []byte(`"payload-secret"`),
	})
}

func (f *fixture) remove(p *aws.Principal) *aws.Call {
	return f.call(p, lambdaapi.OpDeleteFunction, hello, &lambdaapi.DeleteFunctionInput{FunctionName: new("hello")})
}

func (f *fixture) record(call *aws.Call, out any, err *aws.Error) {
	f.Record(f.t.Context(), call, out, err)
}

// written makes n events in chunks of their own.
func (f *fixture) written(n int) {
	f.t.Helper()
	for range n {
		f.record(f.remove(root), &lambdaapi.DeleteFunctionOutput{}, nil)
		f.check(f.flush(f.t.Context()), "")
		f.at = f.at.Add(time.Minute)
	}
}

// check holds an error against "Code: message"; empty for none.
func (f *fixture) check(err error, want string) {
	f.t.Helper()
	if got := fmt.Sprint(err); got != cmp.Or(want, "<nil>") {
		f.t.Fatalf("got  %s\nwant %s", got, cmp.Or(want, "<nil>"))
	}
}

// events are all events of the account.
func (f *fixture) events(q Query) (list []*Event) {
	f.t.Helper()
	q.Account = cmp.Or(q.Account, account)
	for e, err := range f.Events(f.t.Context(), q) {
		f.check(err, "")
		list = append(list, e)
	}
	return list
}

// only is the one event's record.
func (f *fixture) only() map[string]any {
	f.t.Helper()
	list := f.events(Query{})
	if len(list) != 1 {
		f.t.Fatalf("%d events, want one", len(list))
	}
	var r map[string]any
	if err := json.Unmarshal([]byte(list[0].Record), &r); err != nil {
		f.t.Fatal(err)
	}
	return r
}

// verify answers the problems.
func (f *fixture) verify(db Viewer) []string {
	f.t.Helper()
	r, err := Verify(f.t.Context(), db, testKey())
	f.check(err, "")
	return r.Problems
}

// ctx is the context of a call to this service's own API.
func (f *fixture) ctx() context.Context {
	f.n++
	return aws.WithCall(f.t.Context(), &aws.Call{
		Account: account, Region: region, Principal: root, RequestID: fmt.Sprint(f.n),
	})
}

func (f *fixture) lookup(in *api.LookupEventsInput) *api.LookupEventsOutput {
	f.t.Helper()
	out, err := f.LookupEvents(f.ctx(), in)
	f.check(err, "")
	return out
}
