package iam

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"go.uber.org/goleak"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	accountA = "111111111111"
	accountB = "222222222222"

	allowAll  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	allowGet  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}`
	allowPut  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}]}`
	byLambda  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	lambdaARN = "arn:aws:iam::aws:policy/AWSLambda_FullAccess"
)

// noon is when tests begin.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// fixture is a service on a store of its own, with a clock that the test sets.
type fixture struct {
	*Service
	t   testing.TB
	ctx context.Context // of account A's root user
	dir string
	db  store.Store
	at  time.Time
}

func newFixture(t testing.TB) *fixture {
	f := &fixture{t: t, dir: t.TempDir(), at: noon}
	f.ctx = as(t.Context(), aws.RootOf(accountA, "AKIAROOT"))
	f.open()
	t.Cleanup(func() { f.db.Close() })
	return f
}

// as is a context of a call by p in its own account.
func as(ctx context.Context, p *aws.Principal) context.Context {
	return aws.WithCall(ctx, &aws.Call{
		Op: api.OpGetUser, Account: p.Account, Region: "us-east-1", Principal: p,
	})
}

func (f *fixture) open() {
	f.t.Helper()
	db, err := sqlite.Open(context.Background(), f.dir, sqlite.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	root, err := seal.NewRoot(make([]byte, seal.RootSize))
	if err != nil {
		f.t.Fatal(err)
	}
	f.db = db
	f.Service = New(Deps{Store: db, Seal: root.Key("iam access key"), Now: func() time.Time { return f.at }, Log: slog.New(slog.DiscardHandler)})
}

// reopen is a restart of the server.
func (f *fixture) reopen() {
	f.t.Helper()
	if err := f.db.Close(); err != nil {
		f.t.Fatal(err)
	}
	f.open()
}

// check holds an error against what AWS answers, "Code: message"; empty for none.
func (f *fixture) check(err error, want string) {
	f.t.Helper()
	got := "<nil>"
	var e *aws.Error
	if errors.As(err, &e) {
		got = cmp.Or(e.Type.QueryCode, e.Type.Code) + ": " + e.Message
	} else if err != nil {
		got = err.Error()
	}
	if got != cmp.Or(want, "<nil>") {
		f.t.Fatalf("got  %s\nwant %s", got, cmp.Or(want, "<nil>"))
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, not %v", what, got, want)
	}
}

func (f *fixture) user(name string) *api.User {
	f.t.Helper()
	out, err := f.CreateUser(f.ctx, &api.CreateUserInput{UserName: &name})
	f.check(err, "")
	return out.User
}

func (f *fixture) role(name string) *api.Role {
	f.t.Helper()
	out, err := f.CreateRole(f.ctx, &api.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: new(byLambda)})
	f.check(err, "")
	return out.Role
}

func (f *fixture) group(name string) {
	f.t.Helper()
	_, err := f.CreateGroup(f.ctx, &api.CreateGroupInput{GroupName: &name})
	f.check(err, "")
}

func (f *fixture) policy(name, document string) string {
	f.t.Helper()
	out, err := f.CreatePolicy(f.ctx, &api.CreatePolicyInput{PolicyName: &name, PolicyDocument: &document})
	f.check(err, "")
	return *out.Policy.Arn
}

func (f *fixture) key(user string) *api.AccessKey {
	f.t.Helper()
	out, err := f.CreateAccessKey(f.ctx, &api.CreateAccessKeyInput{UserName: &user})
	f.check(err, "")
	return out.AccessKey
}

// principal is whom a key speaks for.
func (f *fixture) principal(k *api.AccessKey) *aws.Principal {
	f.t.Helper()
	secret, p, err := f.LookupKey(f.ctx, *k.AccessKeyID)
	f.check(err, "")
	equal(f.t, "secret", string(secret), *k.SecretAccessKey)
	return p
}

// allowed says whether p may do something, by its own policies.
func (f *fixture) allowed(p *aws.Principal, action, resource string) bool {
	f.t.Helper()
	g, err := f.Grants(as(f.ctx, p), p)
	f.check(err, "")
	return policy.Evaluate(&policy.Request{Principal: p, Action: action, Resource: resource}, g, nil).Allowed
}

// session is a session of a role.
func session(r *api.Role) *aws.Principal {
	return &aws.Principal{
		Type: aws.AssumedRole, Account: accountA, Arn: "arn:aws:sts::" + accountA + ":assumed-role/" + *r.RoleName + "/s",
		ID: *r.RoleID + ":s", Session: &aws.Session{Op: "AssumeRole", Issuer: *r.Arn, IssuerID: *r.RoleID},
	}
}

func decoded(t testing.TB, document *string) string {
	t.Helper()
	s, err := url.PathUnescape(*document)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func names[T any](list []T, name func(T) *string) string {
	s := []string{}
	for _, v := range list {
		s = append(s, *name(v))
	}
	return fmt.Sprint(s)
}
