package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
)

const (
	elsewhere = "111111111111"
	userArn   = "arn:aws:iam::" + account + ":user/u"
)

type tagElement struct{ TagKey, TagValue *string }

type thingInput struct {
	Name    *string
	Arn     *string
	Role    *string
	Tags    []*tagElement
	TagKeys []string
}

// thing is a service whose one op acts on a thing, by name or ARN, and passes a role.
type thing struct {
	policies map[string]string   // resource policies by ARN
	decisive bool                // they are
	keys     map[string][]string // condition values, by ARN and key
	ran      []string            // accounts that the op acted in
	fails    error               // of ResourceGrants
}

func (s *thing) ResourceGrants(_ context.Context, _ *aws.Call, arn string) (*policy.ResourceGrants, error) {
	if s.fails != nil || s.policies[arn] == "" {
		return nil, s.fails
	}
	return &policy.ResourceGrants{Policies: []policy.Named{named("on thing", s.policies[arn], policy.KindResource)}, Decisive: s.decisive}, nil
}

func (s *thing) ConditionValues(_ context.Context, _ *aws.Call, arn, key string) ([]string, bool) {
	v, ok := s.keys[arn+" "+key]
	return v, ok
}

func named(name, text string, k policy.Kind) policy.Named {
	p, err := policy.Parse([]byte(text), k)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	return policy.Named{Name: name, Policy: p}
}

// statements are a policy document of these statements.
func statements(s ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(s, ",") + `]}`
}

func allow(action, resource string, more ...string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Action":%q,"Resource":%q%s}`, action, resource, strings.Join(more, ""))
}

func deny(action, resource string, more ...string) string {
	return strings.Replace(allow(action, resource, more...), "Allow", "Deny", 1)
}

func when(operator, key, value string) string {
	return fmt.Sprintf(`,"Condition":{%q:{%q:%q}}`, operator, key, value)
}

func from(kind, who string) string { return fmt.Sprintf(`,"Principal":{%q:%q}`, kind, who) }

// granted is an Identities that answers the same for everybody.
type granted struct {
	grants *policy.Grants
	err    error
}

func (g granted) Grants(context.Context, *aws.Principal) (*policy.Grants, error) {
	return g.grants, g.err
}

func identity(texts ...string) *policy.Grants {
	g := &policy.Grants{}
	if len(texts) > 0 {
		g.Identity = []policy.Named{named("inline", statements(texts...), policy.KindIdentity)}
	}
	return g
}

func user() *aws.Principal {
	return &aws.Principal{Type: aws.User, Account: account, Arn: userArn, ID: "AIDAUUUUUUUUUUUUUUUUU"}
}

func thingOp() *aws.Op {
	return &aws.Op{
		Service: &aws.Service{Name: "thing"}, Name: "Do", Action: "thing:Do",
		Resource: "arn:${Partition}:thing:${Region}:${Account}:thing/${Name}",
		NewInput: func() any { return new(thingInput) },
		Also: []aws.Permission{{
			Action: "iam:PassRole", Keys: map[string]string{"iam:PassedToService": "thing.amazonaws.com"},
			Resources: func(_ context.Context, _, in any) ([]string, error) {
				if r := in.(*thingInput).Role; r != nil {
					return []string{*r}, nil
				}
				return nil, nil
			},
		}},
		Call: func(ctx context.Context, impl, _ any) (any, error) {
			s := impl.(*thing)
			s.ran = append(s.ran, aws.CallFrom(ctx).Account)
			return nil, nil
		},
	}
}

func thingCall(in *thingInput) *aws.Call {
	return &aws.Call{
		Op: thingOp(), Principal: user(), Account: account, Region: "eu-west-1", RequestID: "the-request", Input: in,
		SourceIP: "192.0.2.7", UserAgent: "agent/1",
	}
}

const (
	ownThing   = "arn:aws:thing:eu-west-1:" + account + ":thing/n"
	otherThing = "arn:aws:thing:eu-west-1:" + elsewhere + ":thing/n"
)

// authorize asks about a call and answers "" or the message of the refusal.
func authorize(t *testing.T, a *Policies, call *aws.Call, impl any) string {
	t.Helper()
	err := a.Authorize(t.Context(), call, impl)
	if err == nil {
		return ""
	}
	if !errors.Is(err, aws.ErrAccessDenied) {
		t.Fatalf("the error is no refusal: %v", err)
	}
	d := (*Denial)(nil)
	if !errors.As(err, &d) {
		t.Fatalf("the refusal has no cause: %v", err)
	}
	e := (*aws.Error)(nil)
	errors.As(err, &e)
	return e.Message
}

func TestPolicies(t *testing.T) {
	byName := func() *aws.Call { return thingCall(&thingInput{Name: new("n")}) }
	foreign := func() *aws.Call { return thingCall(&thingInput{Name: new(otherThing)}) }
	refusal := "User: " + userArn + " is not authorized to perform: thing:Do on resource: " + ownThing
	lambdaCall := func(action, sourceAccount string) *aws.Call {
		c := byName()
		op := *c.Op
		op.Action, c.Op = action, &op
		c.Principal, c.SourceAccount = aws.ServicePrincipal("lambda.amazonaws.com"), sourceAccount
		return c
	}
	for _, c := range []struct {
		name   string
		call   *aws.Call
		grants *policy.Grants
		impl   *thing
		want   string // message; empty: allowed
		acts   string // account that the op acts in; empty: the caller's
	}{
		{"allowed", byName(), identity(allow("thing:Do", ownThing)), &thing{}, "", ""},
		{"no grants at all", byName(), nil, &thing{}, refusal + " because no identity-based policy allows the thing:Do action", ""},
		{"another resource", byName(), identity(allow("thing:Do", ownThing+"x")), &thing{}, refusal + " because no identity-based policy allows the thing:Do action", ""},
		{"explicit deny", byName(), identity(allow("*", "*"), deny("thing:*", ownThing)), &thing{}, refusal + " with an explicit deny in an identity-based policy", ""},
		{"resource policy allows", byName(), identity(), &thing{policies: map[string]string{
			ownThing: statements(allow("thing:Do", "*", from("AWS", userArn))),
		}}, "", ""},
		{"resource policy denies", byName(), identity(allow("*", "*")), &thing{policies: map[string]string{
			ownThing: statements(deny("thing:Do", "*", from("AWS", "*"))),
		}}, refusal + " with an explicit deny in a resource-based policy", ""},
		{"decisive resource policy is silent", byName(), identity(allow("*", "*")), &thing{decisive: true, policies: map[string]string{
			ownThing: statements(allow("thing:Other", "*", from("AWS", userArn))),
		}}, refusal + " because no resource-based policy allows the thing:Do action", ""},
		{
			"another partition is no way round a deny", thingCall(&thingInput{Name: new("arn:aws-cn:thing:eu-west-1:" + account + ":thing/n")}),
			identity(allow("*", "*"), deny("*", ownThing)), &thing{}, refusal + " with an explicit deny in an identity-based policy", "",
		},

		{"another account's, allowed by both", foreign(), identity(allow("thing:Do", otherThing)), &thing{policies: map[string]string{
			otherThing: statements(allow("thing:Do", "*", from("AWS", account))),
		}}, "", elsewhere},
		{
			"another account's, not allowed there", foreign(), identity(allow("*", "*")), &thing{},
			"User: " + userArn + " is not authorized to perform: thing:Do on resource: " + otherThing + " because no resource-based policy allows the thing:Do action", "",
		},
		{"another account's, not allowed here", foreign(), identity(), &thing{policies: map[string]string{
			otherThing: statements(allow("thing:Do", "*", from("AWS", account))),
		}}, "User: " + userArn + " is not authorized to perform: thing:Do on resource: " + otherThing, ""},

		{
			"passes a role", thingCall(&thingInput{Name: new("n"), Role: new("arn:aws:iam::" + account + ":role/r")}),
			identity(allow("thing:Do", "*"), allow("iam:PassRole", "arn:aws:iam::*:role/r", when("StringEquals", "iam:PassedToService", "thing.amazonaws.com"))), &thing{}, "", "",
		},
		{
			"passes a role to another service", thingCall(&thingInput{Name: new("n"), Role: new("arn:aws:iam::" + account + ":role/r")}),
			identity(allow("thing:Do", "*"), allow("iam:PassRole", "*", when("StringEquals", "iam:PassedToService", "ec2.amazonaws.com"))), &thing{},
			"User: " + userArn + " is not authorized to perform: iam:PassRole on resource: arn:aws:iam::" + account +
				":role/r because no identity-based policy allows the iam:PassRole action", "",
		},
		{
			"a role passed for one resource only", thingCall(&thingInput{Name: new("n"), Role: new("arn:aws:iam::" + account + ":role/r")}),
			identity(allow("thing:Do", "*"), allow("iam:PassRole", "*", when("ArnLike", "iam:AssociatedResourceArn", ownThing))), &thing{}, "", "",
		},
		{
			"passes another account's role", thingCall(&thingInput{Name: new("n"), Role: new("arn:aws:iam::" + elsewhere + ":role/r")}),
			identity(allow("*", "*")), &thing{}, "Cross-account pass role is not allowed.", "",
		},
		{
			"a role's policy has no say in passing it", thingCall(&thingInput{Name: new("n"), Role: new("arn:aws:iam::" + account + ":role/r")}),
			identity(allow("thing:Do", "*")), &thing{policies: map[string]string{
				"arn:aws:iam::" + account + ":role/r": statements(allow("*", "*", from("AWS", userArn))),
			}}, "User: " + userArn + " is not authorized to perform: iam:PassRole on resource: arn:aws:iam::" + account +
				":role/r because no identity-based policy allows the iam:PassRole action", "",
		},

		{"Lambda's own plumbing", lambdaCall("logs:PutLogEvents", account), nil, &thing{}, "", ""},
		{
			"Lambda, anything else", lambdaCall("logs:DeleteLogGroup", account), nil, &thing{},
			"User: lambda.amazonaws.com is not authorized to perform: logs:DeleteLogGroup on resource: " + ownThing + " because no resource-based policy allows the logs:DeleteLogGroup action", "",
		},
		{
			"Lambda for another account", lambdaCall("logs:PutLogEvents", elsewhere), nil, &thing{},
			"User: lambda.amazonaws.com is not authorized to perform: logs:PutLogEvents on resource: " + ownThing + " because no resource-based policy allows the logs:PutLogEvents action", "",
		},
		{"a service that the resource trusts", lambdaCall("thing:Do", elsewhere), nil, &thing{policies: map[string]string{
			ownThing: statements(allow("thing:Do", "*", from("Service", "lambda.amazonaws.com"), when("StringEquals", "aws:SourceAccount", elsewhere))),
		}}, "", ""},
		{"a service that the resource trusts for another account", lambdaCall("thing:Do", account), nil, &thing{policies: map[string]string{
			ownThing: statements(allow("thing:Do", "*", from("Service", "lambda.amazonaws.com"), when("StringEquals", "aws:SourceAccount", elsewhere))),
		}}, "User: lambda.amazonaws.com is not authorized to perform: thing:Do on resource: " + ownThing + " because no resource-based policy allows the thing:Do action", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := authorize(t, NewPolicies(PolicyDeps{Identities: granted{grants: c.grants}}), c.call, c.impl)
			if got != c.want {
				t.Errorf("answers %q\nwant    %q", got, c.want)
			}
			if acts := c.acts; acts == "" && c.call.Account != account || acts != "" && c.call.Account != acts {
				t.Errorf("the op acts in %s", c.call.Account)
			}
		})
	}
}

func TestRootAndAnonymous(t *testing.T) {
	scp := &policy.Grants{Control: [][]policy.Named{{named("scp", statements(allow("*", "*"), deny("thing:Do", "*")), policy.KindControl)}}}
	session := &policy.Grants{Limited: true}
	denied := &thing{policies: map[string]string{ownThing: statements(deny("thing:Do", "*", from("AWS", "*")))}}
	public := &thing{policies: map[string]string{ownThing: statements(allow("thing:Do", "*", from("AWS", "*")))}}
	for _, c := range []struct {
		name   string
		who    *aws.Principal
		target string
		grants *policy.Grants
		impl   *thing
		ok     bool
	}{
		{"root", aws.RootOf(account, "AKID"), ownThing, nil, &thing{}, true},
		{"root under a control policy that denies", aws.RootOf(account, "AKID"), ownThing, scp, &thing{}, false},
		{"root of an empty session", aws.RootOf(account, "AKID"), ownThing, session, &thing{}, false},
		{"root against the resource's deny", aws.RootOf(account, "AKID"), ownThing, nil, denied, false},
		{"root of another account", aws.RootOf(elsewhere, "AKID"), ownThing, nil, &thing{}, false},
		{"root on another account's", aws.RootOf(account, "AKID"), otherThing, nil, &thing{}, false},
		{"root of no account", &aws.Principal{Type: aws.Root}, ownThing, nil, &thing{}, false},
		{"nobody", nil, ownThing, identity(allow("*", "*")), &thing{}, false},
		{"nobody, on what is public", nil, ownThing, nil, public, true},
		{"a user who calls himself a service", &aws.Principal{Type: aws.User, Account: account, Service: "lambda.amazonaws.com"}, ownThing, nil, &thing{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			call := thingCall(&thingInput{Name: &c.target})
			call.Principal = c.who
			if got := authorize(t, NewPolicies(PolicyDeps{Identities: granted{grants: c.grants}}), call, c.impl); (got == "") != c.ok {
				t.Errorf("answers %q, want ok = %t", got, c.ok)
			}
		})
	}
}

// What decides fails: then nothing is allowed, and the client learns no reason.
func TestAuthorizeFails(t *testing.T) {
	broken := errors.New("disk")
	for _, c := range []struct {
		name string
		ids  granted
		impl *thing
		op   func(*aws.Op)
		want error
	}{
		{"identities", granted{err: broken}, &thing{}, func(*aws.Op) {}, broken},
		{"resource grants", granted{grants: identity(allow("*", "*"))}, &thing{fails: broken}, func(*aws.Op) {}, broken},
		{"resources", granted{grants: identity(allow("*", "*"))}, &thing{}, func(op *aws.Op) {
			op.Resources = func(context.Context, any, any) ([]string, error) { return nil, errModelled.New("no n") }
		}, errModelled},
		{"resources of a further permission", granted{grants: identity(allow("*", "*"))}, &thing{}, func(op *aws.Op) {
			op.Also[0].Resources = func(context.Context, any, any) ([]string, error) { return nil, errModelled.New("no n") }
		}, errModelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			call := thingCall(&thingInput{Name: new("n")})
			c.op(call.Op)
			if err := NewPolicies(PolicyDeps{Identities: c.ids}).Authorize(t.Context(), call, c.impl); !errors.Is(err, c.want) {
				t.Errorf("error = %v, want %v", err, c.want)
			}
		})
	}
}

// Of several resources every one must be allowed, and the call moves to another account only with all of them.
func TestSeveralResources(t *testing.T) {
	const second = "arn:aws:thing:eu-west-1:" + elsewhere + ":thing/second"
	open := func(arns ...string) *thing {
		s := &thing{policies: map[string]string{}}
		for _, arn := range arns {
			s.policies[arn] = statements(allow("thing:Do", "*", from("AWS", account)))
		}
		return s
	}
	for _, c := range []struct {
		name string
		arns []string
		impl *thing
		ok   bool
		acts string
	}{
		{"all of the other account", []string{otherThing, second}, open(otherThing, second), true, elsewhere},
		{"one of them not allowed", []string{otherThing, second}, open(otherThing), false, account},
		{"of both accounts", []string{ownThing, otherThing}, open(otherThing), true, account},
		{"of both accounts, the other way round", []string{otherThing, ownThing}, open(otherThing), true, account},
		{"none", []string{}, open(), true, account},
	} {
		t.Run(c.name, func(t *testing.T) {
			call := thingCall(&thingInput{})
			call.Op.Resources = func(context.Context, any, any) ([]string, error) { return c.arns, nil }
			got := authorize(t, NewPolicies(PolicyDeps{Identities: granted{grants: identity(allow("thing:Do", "*"))}}), call, c.impl)
			if (got == "") != c.ok || call.Account != c.acts {
				t.Errorf("answers %q, acts in %s", got, call.Account)
			}
		})
	}
}

type org struct{}

func (org) Organization(account string) (id string, paths []string) {
	if account == elsewhere {
		return "", nil
	}
	return "o-example", []string{"o-example/r-root/" + account + "/"}
}

func TestConditionKeys(t *testing.T) {
	now := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	tagged := &thingInput{Name: new("n"), Tags: []*tagElement{{new("Team"), new("blue")}, {new("Empty"), nil}, nil, {nil, new("lost")}}, TagKeys: []string{"Old"}}
	service := &thing{keys: map[string][]string{ownThing + " aws:resourcetag/Team": {"red"}, ownThing + " thing:Size": {"3"}, ownThing + " thing:size": {"3"}}}
	for _, c := range []struct {
		key  string
		edit func(*aws.Call)
		want []string // nil: absent
	}{
		{"aws:sourceip", nil, []string{"192.0.2.7"}},
		{"aws:sourceip", func(c *aws.Call) { c.SourceIP = "lambda.amazonaws.com" }, nil},
		{"aws:sourceip", func(c *aws.Call) { c.Via = []string{"lambda.amazonaws.com"} }, nil},
		{"aws:sourceip", func(c *aws.Call) { c.Principal = aws.ServicePrincipal("lambda.amazonaws.com") }, nil},
		{"aws:useragent", nil, []string{"agent/1"}},
		{"aws:securetransport", nil, []string{"false"}},
		{"aws:securetransport", func(c *aws.Call) { c.Secure = true }, []string{"true"}},
		{"aws:securetransport", func(c *aws.Call) { c.Via = []string{"lambda.amazonaws.com"} }, []string{"true"}},
		{"aws:requestedregion", nil, []string{"eu-west-1"}},
		{"aws:currenttime", nil, []string{"2026-11-21T14:00:00Z"}},
		{"aws:epochtime", nil, []string{fmt.Sprint(now.Unix())}},
		{"aws:viaawsservice", nil, []string{"false"}},
		{"aws:viaawsservice", func(c *aws.Call) { c.Via = []string{"a", "b"} }, []string{"true"}},
		{"aws:calledvia", nil, nil},
		{"aws:calledvia", func(c *aws.Call) { c.Via = []string{"a", "b"} }, []string{"a", "b"}},
		{"aws:calledviafirst", func(c *aws.Call) { c.Via = []string{"a", "b"} }, []string{"a"}},
		{"aws:calledvialast", func(c *aws.Call) { c.Via = []string{"a", "b"} }, []string{"b"}},
		{"aws:calledvialast", nil, nil},
		{"aws:sourcearn", nil, nil},
		{"aws:sourcearn", func(c *aws.Call) { c.SourceArn = "arn:aws:s3:::b" }, []string{"arn:aws:s3:::b"}},
		{"aws:sourceaccount", func(c *aws.Call) { c.SourceAccount = elsewhere }, []string{elsewhere}},
		{"aws:sourceorgid", func(c *aws.Call) { c.SourceAccount = account }, []string{"o-example"}},
		{"aws:sourceorgpaths", func(c *aws.Call) { c.SourceAccount = elsewhere }, nil},
		{"aws:resourceaccount", nil, []string{account}},
		{"aws:resourceorgid", nil, []string{"o-example"}},
		{"aws:resourceorgpaths", nil, []string{"o-example/r-root/" + account + "/"}},
		{"aws:principalorgid", nil, []string{"o-example"}},
		{"aws:principalorgid", func(c *aws.Call) { c.Principal = aws.RootOf(elsewhere, "") }, nil},
		{"aws:principalorgpaths", nil, []string{"o-example/r-root/" + account + "/"}},
		{"aws:tagkeys", nil, []string{"Empty", "Old", "Team"}},
		{"aws:tagkeys", func(c *aws.Call) { c.Input = &thingInput{} }, nil},
		{"aws:requesttag/Team", nil, []string{"blue"}},
		{"aws:requesttag/team", nil, []string{"blue"}},
		{"aws:requesttag/Empty", nil, []string{""}},
		{"aws:requesttag/Old", nil, nil},
		{"aws:resourcetag/Team", nil, []string{"red"}},
		{"aws:resourcetag/Other", nil, nil},
		{"thing:size", nil, []string{"3"}},
		{"iam:passedtoservice", nil, nil},
	} {
		t.Run(c.key, func(t *testing.T) {
			call := thingCall(tagged)
			if c.edit != nil {
				c.edit(call)
			}
			a := NewPolicies(PolicyDeps{Organization: org{}, Now: func() time.Time { return now }})
			q := question{a: a, call: call, impl: service, principal: principalOf(call), target: ownThing}
			k := &requestKeys{ctx: t.Context(), q: q, arn: ownThing, owner: account, asksService: true}
			got, ok := k.Values(c.key)
			if !slices.Equal(got, c.want) || ok != (c.want != nil) {
				t.Errorf("%s is %q, %t, want %q", c.key, got, ok, c.want)
			}
		})
	}
}

// Tags come as a map too.
func TestTagsOfMap(t *testing.T) {
	var m tagMembers
	in := &struct{ Tags map[string]string }{map[string]string{"b": "1", "B": "2"}}
	for name, want := range map[string]string{"b": "1", "B": "2"} {
		if got, ok := m.tag(in, name); !ok || got[0] != want {
			t.Errorf("%s = %q", name, got)
		}
	}
	if got, ok := m.tagKeys(in); !ok || !slices.Equal(got, []string{"B", "b"}) {
		t.Errorf("keys %q", got)
	}
	if got, ok := m.tagKeys(&struct{ Tags []string }{[]string{"b", "a"}}); !ok || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("keys of a list of them %q", got)
	}
	if got, ok := m.tagKeys(nil); ok {
		t.Errorf("keys of nothing %q", got)
	}
	if got, ok := m.tagKeys(&struct{ Tags, TagKeys *string }{new("x"), new("x")}); ok {
		t.Errorf("keys of what is no tag %q", got)
	}
}

func TestAccountOf(t *testing.T) {
	for arn, want := range map[string]string{
		ownThing: account, "*": "", "arn:aws:s3:::b": "", "arn:aws:iam::aws:policy/P": "", "arn:aws:iam::" + account: "", "arn:": "", "": "",
		"arn:aws:lambda:eu-west-1:" + elsewhere + ":function:f:1": elsewhere, "xarn:aws:a:b:" + account + ":c": "",
	} {
		if got := accountOf(arn); got != want {
			t.Errorf("%q is of %q, want %q", arn, got, want)
		}
	}
}

func FuzzCanonicalARN(f *testing.F) {
	f.Add("arn:aws-cn:thing:::x")
	f.Add("arn::::")
	f.Add("arn:aws")
	f.Fuzz(func(t *testing.T, s string) {
		c := canonicalARN(s)
		if canonicalARN(c) != c || accountOf(c) != accountOf(s) {
			t.Errorf("%q: %q", s, c)
		}
	})
}

// The dispatcher hands the op the account that it was authorized in.
func TestDoInAnotherAccount(t *testing.T) {
	impl := &thing{policies: map[string]string{otherThing: statements(allow("thing:Do", "*", from("AWS", account)))}}
	d := New(Deps{Authorizer: NewPolicies(PolicyDeps{Identities: granted{grants: identity(allow("*", "*"))}})})
	call := thingCall(&thingInput{Name: new(otherThing)})
	call.Op.Service.Ops = []*aws.Op{call.Op}
	d.Register(call.Op.Service, impl)
	call.Resolved, call.Authorized = "of the call around it", []aws.Access{{Action: "other:Do", Resource: "*"}}
	if _, err := d.Do(t.Context(), call); err != nil || !slices.Equal(impl.ran, []string{elsewhere}) {
		t.Errorf("ran in %v, %v", impl.ran, err)
	}
	if call.Resolved != nil || !slices.Equal(call.Authorized, []aws.Access{{Action: "thing:Do", Resource: otherThing}}) {
		t.Errorf("the call carries %v, %v", call.Resolved, call.Authorized)
	}
}

func BenchmarkAuthorize(b *testing.B) {
	twenty := &policy.Grants{}
	for i := range 20 {
		twenty.Identity = append(twenty.Identity, named(fmt.Sprint("p", i), statements(
			allow(fmt.Sprintf("service%d:Get*", i), fmt.Sprintf("arn:aws:service%d:*:*:x/*", i)),
			allow("thing:Do", fmt.Sprintf("arn:aws:thing:*:*:thing/%d*", i), when("IpAddress", "aws:SourceIp", "192.0.2.0/24")),
		), policy.KindManaged))
	}
	twenty.Identity = append(twenty.Identity, named("last", statements(allow("thing:Do", ownThing)), policy.KindManaged))
	for _, c := range []struct {
		name string
		who  *aws.Principal
		g    *policy.Grants
		impl any
	}{
		{"root", aws.RootOf(account, ""), nil, &thing{}},
		{"root, no resource policies", aws.RootOf(account, ""), nil, struct{}{}},
		{"user", user(), identity(allow("thing:Do", ownThing)), &thing{}},
		{"user with 20 policies", user(), twenty, &thing{}},
		{"denied", user(), identity(), &thing{}},
	} {
		b.Run(c.name, func(b *testing.B) {
			a := NewPolicies(PolicyDeps{Identities: granted{grants: c.g}})
			call := thingCall(&thingInput{Name: new("n")})
			call.Principal = c.who
			b.ReportAllocs()
			for b.Loop() {
				call.Authorized = nil
				if err := a.Authorize(b.Context(), call, c.impl); (err != nil) != (c.name == "denied") {
					b.Fatal(err)
				}
			}
		})
	}
}
