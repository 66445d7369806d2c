package sts

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/seal"
)

const account = "111122223333"

// world is a service over roles that a map holds.
type world struct {
	*Service
	roles     map[string]Role
	providers map[string]Provider // by account and URL
	now       time.Time
}

func (w *world) Role(_ context.Context, arn string) (Role, error) {
	r, ok := w.roles[arn]
	if !ok {
		return Role{}, aws.ErrAccessDenied.New("no such role")
	}
	return r, nil
}

func (w *world) Trust(context.Context, string) (*policy.ResourceGrants, error) {
	return &policy.ResourceGrants{Decisive: true}, nil
}

func (w *world) KeyAccount(_ context.Context, id string) (string, error) {
	if id != "AKIAIOSFODNN7EXAMPLE" {
		return "", errors.New("unknown")
	}
	return account, nil
}

func (w *world) Provider(_ context.Context, account, url string) (Provider, bool, error) {
	p, ok := w.providers[account+" "+url]
	return p, ok, nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root, err := seal.NewRoot([]byte(strings.Repeat("k", seal.RootSize)))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), roles: map[string]Role{}, providers: map[string]Provider{}}
	w.roles["arn:aws:iam::"+account+":role/path/Worker"] = Role{
		Arn: "arn:aws:iam::" + account + ":role/path/Worker", ID: "AROAWORKER", Name: "Worker", MaxSession: 2 * time.Hour,
		Tags: map[string]string{"Team": "blue", "Stage": "dev"},
	}
	w.Service = New(Deps{Roles: w, Seal: root.Key("sts session"), Now: func() time.Time { return w.now }})
	return w
}

func alice() *aws.Principal {
	return &aws.Principal{Type: aws.User, Account: account, Arn: "arn:aws:iam::" + account + ":user/Alice", ID: "AIDAALICE", AccessKeyID: "AKIAALICE"}
}

func as(p *aws.Principal) context.Context {
	return aws.WithCall(context.Background(), &aws.Call{Principal: p, Account: p.Account})
}

func assumeWorker() *api.AssumeRoleInput {
	return &api.AssumeRoleInput{RoleArn: new("arn:aws:iam::" + account + ":role/path/Worker"), RoleSessionName: new("job")}
}

func (w *world) assume(t *testing.T, by *aws.Principal, in *api.AssumeRoleInput) *aws.Principal {
	t.Helper()
	out, err := w.AssumeRole(as(by), in)
	if err != nil {
		t.Fatal(err)
	}
	return w.open(t, out.Credentials)
}

func (w *world) open(t *testing.T, c *api.Credentials) *aws.Principal {
	t.Helper()
	secret, p, err := w.Open(*c.AccessKeyID, *c.SessionToken)
	if err != nil {
		t.Fatal(err)
	}
	if string(secret) != *c.SecretAccessKey || p.AccessKeyID != *c.AccessKeyID {
		t.Errorf("the token opens to another key")
	}
	return p
}

func TestAssumeRole(t *testing.T) {
	w := newWorld(t)
	in := assumeWorker()
	in.Tags = []*api.Tag{{Key: new("stage"), Value: new("prod")}}
	in.SourceIdentity = new("alice")
	in.Policy = new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	p := w.assume(t, alice(), in)
	if p.Type != aws.AssumedRole || p.Arn != "arn:aws:sts::"+account+":assumed-role/Worker/job" || p.ID != "AROAWORKER:job" || p.Account != account {
		t.Errorf("principal = %+v", p)
	}
	if p.Tags["Team"] != "blue" || p.Tags["stage"] != "prod" || len(p.Tags) != 2 {
		t.Errorf("tags = %v", p.Tags)
	}
	s := p.Session
	if s.Issuer != *in.RoleArn || s.IssuerID != "AROAWORKER" || s.SourceIdentity != "alice" || len(s.Policies) != 1 || s.Chained {
		t.Errorf("session = %+v", s)
	}
	if !s.Created.Equal(w.now) || !s.Expires.Equal(w.now.Add(time.Hour)) {
		t.Errorf("from %s to %s", s.Created, s.Expires)
	}
}

func TestAssumeRoleForAFunction(t *testing.T) {
	w := newWorld(t)
	fn := "arn:aws:lambda:us-east-1:" + account + ":function:f"
	for _, c := range []struct {
		by   *aws.Principal
		want string
	}{{aws.ServicePrincipal("lambda.amazonaws.com"), fn}, {aws.ServicePrincipal("states.amazonaws.com"), ""}, {alice(), ""}} {
		out, err := w.AssumeRole(aws.WithCall(t.Context(), &aws.Call{Principal: c.by, Account: account, SourceArn: fn}), assumeWorker())
		if err != nil {
			t.Fatal(err)
		}
		if got := w.open(t, out.Credentials).Session.FunctionArn; got != c.want {
			t.Errorf("%s: function = %q, want %q", c.by.Arn, got, c.want)
		}
	}
}

func TestChaining(t *testing.T) {
	w := newWorld(t)
	in := assumeWorker()
	in.Tags = []*api.Tag{{Key: new("Project"), Value: new("x")}, {Key: new("Left"), Value: new("behind")}}
	in.TransitiveTagKeys = []string{"Project"}
	in.SourceIdentity = new("alice")
	first := w.assume(t, alice(), in)

	second := w.assume(t, first, assumeWorker())
	if !second.Session.Chained || second.Session.SourceIdentity != "alice" || second.Tags["Project"] != "x" || second.Tags["Left"] != "" {
		t.Errorf("second session = %+v, tags %v", second.Session, second.Tags)
	}
	third := w.assume(t, second, assumeWorker())
	if third.Tags["Project"] != "x" {
		t.Errorf("a transitive tag ends at the second session: %v", third.Tags)
	}
	for name, change := range map[string]func(*api.AssumeRoleInput){
		"longer than an hour":        func(in *api.AssumeRoleInput) { in.DurationSeconds = new(3601) },
		"another source identity":    func(in *api.AssumeRoleInput) { in.SourceIdentity = new("bob") },
		"a transitive tag set again": func(in *api.AssumeRoleInput) { in.Tags = []*api.Tag{{Key: new("project"), Value: new("y")}} },
	} {
		in := assumeWorker()
		change(in)
		if _, err := w.AssumeRole(as(first), in); err == nil {
			t.Errorf("%s is allowed in a chain", name)
		}
	}
}

func TestAssumeRoleRefusals(t *testing.T) {
	w := newWorld(t)
	long := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"` + strings.Repeat("a", 2100) + `"}]}`
	for _, c := range []struct {
		name   string
		by     *aws.Principal
		change func(*api.AssumeRoleInput)
		want   *aws.ErrorType
	}{
		{"root", aws.RootOf(account, "AKID"), func(*api.AssumeRoleInput) {}, aws.ErrAccessDenied},
		{"too long for the role", alice(), func(in *api.AssumeRoleInput) { in.DurationSeconds = new(7201) }, aws.ErrValidation},
		{"MFA", alice(), func(in *api.AssumeRoleInput) { in.TokenCode = new("123456") }, aws.ErrAccessDenied},
		{"contexts", alice(), func(in *api.AssumeRoleInput) { in.ProvidedContexts = []*api.ProvidedContext{{}} }, aws.ErrValidation},
		{"a policy that is none", alice(), func(in *api.AssumeRoleInput) { in.Policy = new(`{"Statement":`) }, api.ErrMalformedPolicyDocument},
		{"a policy that is too long", alice(), func(in *api.AssumeRoleInput) { in.Policy = &long }, api.ErrPackedPolicyTooLarge},
		{"a policy ARN that is none", alice(), func(in *api.AssumeRoleInput) {
			in.PolicyArns = []*api.PolicyDescriptorType{{Arn: new("arn:aws:s3:::bucket/xxxxxxxx")}}
		}, aws.ErrValidation},
		{"tag keys twice", alice(), func(in *api.AssumeRoleInput) {
			in.Tags = []*api.Tag{{Key: new("a"), Value: new("1")}, {Key: new("A"), Value: new("2")}}
		}, aws.ErrValidation},
		{"tag of AWS's", alice(), func(in *api.AssumeRoleInput) { in.Tags = []*api.Tag{{Key: new("AWS:x"), Value: new("1")}} }, aws.ErrValidation},
		{"transitive key without tag", alice(), func(in *api.AssumeRoleInput) { in.TransitiveTagKeys = []string{"a"} }, aws.ErrValidation},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := assumeWorker()
			c.change(in)
			if _, err := w.AssumeRole(as(c.by), in); !errors.Is(err, c.want) {
				t.Errorf("error = %v, want %s", err, c.want.Code)
			}
		})
	}
}

func TestConditionValues(t *testing.T) {
	w := newWorld(t)
	in := assumeWorker()
	in.ExternalID = new("ext")
	call := &aws.Call{Op: api.OpAssumeRole, Principal: alice(), Input: in}
	for key, want := range map[string]string{
		"sts:externalid": "ext", "sts:rolesessionname": "job", "sts:sourceidentity": "", "iam:resourcetag/Team": "blue",
		"aws:resourcetag/stage": "dev", "aws:resourcetag/none": "", "sts:transitivetagkeys": "",
	} {
		got, ok := w.ConditionValues(t.Context(), call, *in.RoleArn, key)
		if ok != (want != "") || ok && got[0] != want {
			t.Errorf("%s = %q, %t, want %q", key, got, ok, want)
		}
	}
}
