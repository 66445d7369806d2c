package accessanalyzer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
)

const account = "111122223333"

func arnOf(name string) string { return "arn:aws:lambda:us-east-1:" + account + ":function:" + name }

// did is an allowed call.
func did(source string, pairs ...string) Event {
	e := Event{Source: source, Region: "us-east-1", Allowed: true}
	for i := 0; i < len(pairs); i += 2 {
		e.Access = append(e.Access, aws.Access{Action: pairs[i], Resource: pairs[i+1]})
	}
	return e
}

func seenIn(t testing.TB, events ...Event) *Seen {
	t.Helper()
	var s Seen
	for _, e := range events {
		if err := s.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	return &s
}

func generated(t testing.TB, events ...Event) []string {
	t.Helper()
	docs, err := Generate(seenIn(t, events...))
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

func compact(docs []string) string {
	return strings.Join(strings.Fields(strings.Join(docs, "|")), "")
}

func TestGenerate(t *testing.T) {
	denied := did("lambda.amazonaws.com", "lambda:DeleteFunction", arnOf("f"))
	denied.Allowed = false
	const head = `{"Version":"2012-10-17","Statement":[`
	for name, c := range map[string]struct {
		events []Event
		want   string
	}{
		"nothing":         {nil, ""},
		"denied":          {[]Event{denied}, ""},
		"needs no rights": {[]Event{did("sts.amazonaws.com")}, ""},
		"one": {
			[]Event{did("l", "lambda:GetFunction", arnOf("f")), did("l", "lambda:GetFunction", arnOf("f")), denied},
			head + `{"Effect":"Allow","Action":"lambda:GetFunction","Resource":"` + arnOf("f") + `"}]}`,
		},
		"the same resource": {
			[]Event{did("l", "lambda:Invoke", arnOf("f")), did("l", "lambda:GetFunction", arnOf("f"))},
			head + `{"Effect":"Allow","Action":["lambda:GetFunction","lambda:Invoke"],"Resource":"` + arnOf("f") + `"}]}`,
		},
		"no cross product": {
			[]Event{did("l", "lambda:A", arnOf("f")), did("l", "lambda:B", arnOf("g"))},
			head + `{"Effect":"Allow","Action":"lambda:A","Resource":"` + arnOf("f") + `"},{"Effect":"Allow","Action":"lambda:B","Resource":"` + arnOf("g") + `"}]}`,
		},
		"a wildcard in an ARN is a character": {
			[]Event{did("l", "logs:X", "arn:aws:logs:us-east-1:"+account+":log-group:$a?:*")},
			head + `{"Effect":"Allow","Action":"logs:X","Resource":"arn:aws:logs:us-east-1:` + account + `:log-group:${$}a${?}:${*}"}]}`,
		},
		"a role passed to a service": {
			[]Event{did("lambda.amazonaws.com", "iam:PassRole", "arn:aws:iam::"+account+":role/r")},
			head + `{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::` + account + `:role/r","Condition":{"StringEquals":{"iam:PassedToService":"lambda.amazonaws.com"}}}]}`,
		},
	} {
		if got := compact(generated(t, c.events...)); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
}

func TestGenerateIsBounded(t *testing.T) {
	var s Seen
	var err error
	for i := 0; i <= maxSeen && err == nil; i++ {
		err = s.Add(did("l", "lambda:GetFunction", arnOf(fmt.Sprint("f", i))))
		if err == nil && i == 2000 {
			docs, e := Generate(&s)
			if e != nil || len(docs) < 2 {
				t.Fatalf("2001 resources are %d documents: %v", len(docs), e)
			}
			for _, d := range docs {
				if n := len(strings.Join(strings.Fields(d), "")); n > maxDocument {
					t.Errorf("a document has %d characters, more than a managed policy", n)
				}
			}
		}
	}
	if !errors.Is(err, errTooMuch) {
		t.Errorf("%d different uses are taken: %v", maxSeen+1, err)
	}
}

// passed finds iam:PassedToService.
type passed string

func (p passed) Values(key string) ([]string, bool) {
	if key == "iam:passedtoservice" && p != "" {
		return []string{string(p)}, true
	}
	return nil, false
}

// allows asks the policy engine.
func allows(p []policy.Named, u use) bool {
	role := &aws.Principal{
		Type: aws.AssumedRole, Account: account, Arn: "arn:aws:sts::" + account + ":assumed-role/r/s",
		Session: &aws.Session{Op: "AssumeRole", Issuer: "arn:aws:iam::" + account + ":role/r"},
	}
	req := &policy.Request{Principal: role, Action: u.action, Resource: u.resource, Keys: passed(u.service)}
	return policy.Evaluate(req, &policy.Grants{Identity: p}, nil).Allowed
}

// TestGeneratedAllowsExactly: whatever was seen is allowed by the generated policies, and of all other pairs of the same actions,
// resources and services none is.
func TestGeneratedAllowsExactly(t *testing.T) {
	actions := []string{"lambda:GetFunction", "lambda:GetFunctionConfiguration", "lambda:InvokeFunction", "logs:GetLogEvents", "iam:PassRole", "iam:PassRoles"}
	resources := []string{
		arnOf("f"), arnOf("f:1"), arnOf("ff"), arnOf("*"), arnOf("?"), arnOf("$"), arnOf("${*}"), arnOf("${aws:username}"),
		"arn:aws:logs:us-east-1:" + account + ":log-group:g:*", "arn:aws:logs:us-east-1:" + account + ":log-group:g:log-stream:s",
		"arn:aws:iam::" + account + ":role/r",
	}
	services := []string{"lambda.amazonaws.com", "ec2.amazonaws.com"}
	rng := rand.New(rand.NewPCG(3, 7))
	pick := func(of []string) string { return of[rng.IntN(len(of))] }
	for range 300 {
		var events []Event
		for range rng.IntN(25) {
			e := did(pick(services), pick(actions), pick(resources), pick(actions), pick(resources))
			e.Allowed = rng.IntN(4) > 0
			events = append(events, e)
		}
		var named []policy.Named
		for i, d := range generated(t, events...) {
			p, err := policy.Parse([]byte(d), policy.KindManaged)
			if err != nil {
				t.Fatalf("the generated policy is malformed: %v\n%s", err, d)
			}
			named = append(named, policy.Named{Name: fmt.Sprint(i), Policy: p})
		}
		seen := seenIn(t, events...).uses
		for _, a := range actions {
			for _, r := range resources {
				for _, service := range services {
					u := use{action: a, resource: r}
					if a == passRole {
						u.service = service
					}
					if _, want := seen[u]; allows(named, u) != want {
						t.Fatalf("%+v: allowed is %v\n%s", u, !want, generated(t, events...))
					}
				}
			}
		}
		slices.Reverse(events)
		if again := generated(t, events...); !slices.Equal(again, generated(t, events...)) {
			t.Fatal("the same events give another policy")
		}
	}
}

func TestUnused(t *testing.T) {
	p, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[
		{"Sid":"Wide","Effect":"Allow","Action":["lambda:Get*","Lambda:DeleteFunction"],"Resource":["`+arnOf("f")+`","`+arnOf("g*")+`"]},
		{"Effect":"Allow","NotAction":"iam:*","Resource":"arn:aws:s3:::*"},
		{"Effect":"Deny","Action":"*","Resource":"*"},
		{"Effect":"Allow","Action":"logs:*","Resource":"arn:aws:logs:*:*:log-group:${aws:username}:*"}]}`), policy.KindIdentity)
	if err != nil {
		t.Fatal(err)
	}
	var seen []*policy.Policy
	for _, d := range generated(t, did("l", "lambda:GetFunction", arnOf("f"), "lambda:GetPolicy", arnOf("f"), "lambda:DeleteFunction", arnOf("gg")),
		did("logs", "logs:GetLogEvents", "arn:aws:logs:us-east-1:"+account+":log-group:me:*")) {
		s, err := policy.Parse([]byte(d), policy.KindManaged)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, s)
	}
	var got []string
	for _, g := range Exercised([]policy.Named{{Name: "p", Policy: p}}, Uses(seen)) {
		got = append(got, strings.Join([]string{g.Statement, g.Action, g.Resource[strings.LastIndexByte(g.Resource, ':')+1:], strings.Join(g.Used, ",")}, " "))
	}
	want := []string{
		"Wide lambda:Get* f lambda:GetFunction,lambda:GetPolicy", "Wide lambda:Get* g* ",
		"Wide Lambda:DeleteFunction f ", "Wide Lambda:DeleteFunction g* lambda:DeleteFunction",
		"[1] not iam:* * ", "[3] logs:* * logs:GetLogEvents",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if n := len(Unused([]policy.Named{{Name: "p", Policy: p}}, Uses(seen))); n != 3 {
		t.Errorf("%d grants are unused, want 3", n)
	}
}
