package policy

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/aws"
	"pgregory.net/rapid"
)

// situation is a request and what there is to decide on it, as texts, so that it can be changed and compiled again.
type situation struct {
	Req      Request
	Decisive bool
	Sides    [6][]string // statements: identity, boundary, session, two levels of control, resource
	Has      [6]bool     // a side that is not there limits nothing
}

// The sides.
const (
	identitySide = iota
	boundarySide
	sessionSide
	controlSide
	control2Side
	resourceSide
)

// drawStatement draws from few words, so that statements often match.
func drawStatement(t *rapid.T, effect Effect, side int) string {
	one := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	parts := []string{
		`"Effect":"` + string(effect) + `"`,
		one("action", `"Action":"*"`, `"Action":"sqs:*"`, `"Action":["s3:*","sqs:Send*"]`, `"Action":"sqs:SendMessage"`, `"NotAction":"s3:*"`, `"NotAction":"sqs:*"`),
		one("resource", `"Resource":"*"`, `"Resource":"`+queue+`"`, `"Resource":"arn:aws:sqs:*:*:or*"`, `"NotResource":"`+queue+`"`,
			`"NotResource":"arn:aws:sqs:*:*:x"`, `"Resource":"arn:aws:sqs:*:*:${s3:k}"`, `"Resource":"arn:aws:sqs:*:*:${s3:l, 'orders'}"`),
		one("condition", `"Condition":{}`, `"Condition":{}`, `"Condition":{"StringEquals":{"s3:k":"orders"}}`, `"Condition":{"StringNotEquals":{"s3:k":"orders"}}`,
			`"Condition":{"ForAllValues:StringLike":{"s3:k":["o*","x"]}}`, `"Condition":{"ForAnyValue:StringNotLike":{"s3:k":"o*"}}`,
			`"Condition":{"Null":{"s3:l":"true"}}`, `"Condition":{"BoolIfExists":{"s3:l":"true"}}`, `"Condition":{"StringEquals":{"s3:k":"${s3:l}"}}`),
	}
	if side == resourceSide {
		to := one("principal", `"*"`, `{"AWS":"`+ours+`"}`, `{"AWS":"`+theirs+`"}`, `{"AWS":"`+alice.Arn+`"}`, `{"AWS":"`+role.Session.Issuer+`"}`,
			`{"AWS":"`+role.Arn+`"}`, `{"Service":"s3.amazonaws.com"}`, `{"AWS":["`+ours+`","`+alice.Arn+`"]}`)
		name := `"Principal":`
		if effect == Deny && rapid.Bool().Draw(t, "not principal") {
			name = `"NotPrincipal":`
		}
		parts = append(parts, name+to)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func drawSituation(t *rapid.T) situation {
	s := situation{
		Req: Request{
			Principal: rapid.SampledFrom([]*aws.Principal{alice, role, root, other, federatedUser, s3svc, anon}).Draw(t, "who"),
			Action:    rapid.SampledFrom([]string{"sqs:SendMessage", "s3:GetObject"}).Draw(t, "action"),
			Resource:  rapid.SampledFrom([]string{queue, "*"}).Draw(t, "resource"), ResourceAccount: ours,
		},
		Decisive: rapid.Bool().Draw(t, "decisive"),
	}
	k := keys{}
	for _, name := range []string{"s3:k", "s3:l"} {
		if rapid.Bool().Draw(t, name) {
			k[name] = rapid.SliceOfN(rapid.SampledFrom([]string{"orders", "x", "true"}), 0, 2).Draw(t, "values")
		}
	}
	s.Req.Keys = k
	for side := range s.Sides {
		s.Has[side] = side == identitySide || side == resourceSide || rapid.IntRange(0, 3).Draw(t, "has") == 0
		for range rapid.IntRange(0, 3).Draw(t, "statements") {
			effect := rapid.SampledFrom([]Effect{Allow, Allow, Allow, Allow, Allow, Deny}).Draw(t, "effect")
			s.Sides[side] = append(s.Sides[side], drawStatement(t, effect, side))
		}
	}
	return s
}

// decide compiles each statement into a policy of its own, or all of a side into one.
func (s situation) decide(t testingT, together bool) Decision {
	var compiled [6][]Named
	for side, statements := range s.Sides {
		if together && len(statements) > 0 {
			statements = []string{strings.Join(statements, ",")}
		}
		kind := KindIdentity
		if side == resourceSide {
			kind = KindResource
		}
		for i, text := range statements {
			p, err := Parse([]byte(`{"Version":"2012-10-17","Statement":[`+text+`]}`), kind)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			compiled[side] = append(compiled[side], Named{Name: fmt.Sprint(i), Policy: p})
		}
	}
	g := &Grants{Identity: compiled[identitySide]}
	if s.Has[boundarySide] {
		g.Boundary = &Named{Name: "boundary"}
		if p := compiled[boundarySide]; len(p) > 0 {
			g.Boundary = &p[0]
		}
	}
	if s.Has[sessionSide] {
		g.Session, g.Limited = compiled[sessionSide], true
	}
	for _, side := range []int{controlSide, control2Side} {
		if s.Has[side] {
			g.Control = append(g.Control, compiled[side])
		}
	}
	return Evaluate(&s.Req, g, &ResourceGrants{Policies: compiled[resourceSide], Decisive: s.Decisive})
}

type testingT interface{ Fatalf(string, ...any) }

// with is the situation with one statement more.
func (s situation) with(side int, statement string) situation {
	s.Sides[side] = append(append([]string(nil), s.Sides[side]...), statement)
	return s
}

func TestDenyNeverAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t)
		side := rapid.IntRange(0, len(s.Sides)-1).Draw(t, "side")
		more := s.with(side, drawStatement(t, Deny, side))
		if before, after := s.decide(t, true), more.decide(t, true); after.Allowed && !before.Allowed {
			t.Fatalf("%+v became %+v by a Deny", before, after)
		}
	})
}

func TestAllowNeverDenies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t)
		side := rapid.IntRange(0, len(s.Sides)-1).Draw(t, "side")
		more := s.with(side, drawStatement(t, Allow, side))
		if before, after := s.decide(t, true), more.decide(t, true); before.Allowed && !after.Allowed {
			t.Fatalf("%+v became %+v by an Allow", before, after)
		}
	})
}

func TestOrderNeverMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t)
		shuffled := s
		r := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		for side := range s.Sides {
			list := append([]string(nil), s.Sides[side]...)
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			shuffled.Sides[side] = list
		}
		shuffled.Has[controlSide], shuffled.Has[control2Side] = s.Has[control2Side], s.Has[controlSide]
		shuffled.Sides[controlSide], shuffled.Sides[control2Side] = shuffled.Sides[control2Side], shuffled.Sides[controlSide]
		a, b := s.decide(t, true), shuffled.decide(t, true)
		if a.Allowed != b.Allowed || a.Explicit != b.Explicit || a.Layer != b.Layer && !a.Explicit {
			t.Fatalf("%+v, and in another order %+v", a, b)
		}
	})
}

// TestSplittingNeverMatters: a policy of many statements is as good as many policies of one.
func TestSplittingNeverMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t)
		s.Has[boundarySide] = false // which is one policy
		if a, b := s.decide(t, true), s.decide(t, false); a.Allowed != b.Allowed || a.Explicit != b.Explicit || a.Layer != b.Layer {
			t.Fatalf("%+v, and in policies of their own %+v", a, b)
		}
	})
}

// TestExplicitDenyIsFinal: a Deny that applies for certain beats whatever else there is, on every side that the principal has.
func TestExplicitDenyIsFinal(t *testing.T) {
	deny := map[bool]string{
		false: `{"Effect":"Deny","Action":"*","Resource":"*"}`, true: `{"Effect":"Deny","Action":"*","Resource":"*","Principal":"*"}`,
	}
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t)
		side := rapid.IntRange(0, len(s.Sides)-1).Draw(t, "side")
		s.Has[side] = true
		if d := s.with(side, deny[side == resourceSide]).decide(t, true); d.Allowed || !d.Explicit {
			t.Fatalf("%+v with a Deny of everything on side %d", d, side)
		}
	})
}

// TestSituationsAreBothKinds: the properties would hold of an engine that denies everything.
func TestSituationsAreBothKinds(t *testing.T) {
	allowed, denied := 0, 0
	for seed := range 500 {
		d := rapid.Custom(drawSituation).Example(seed).decide(t, true)
		if d.Allowed {
			allowed++
		} else {
			denied++
		}
	}
	if allowed < 50 || denied < 50 {
		t.Errorf("%d allowed, %d denied: the situations show little", allowed, denied)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Action":["s3:*"],"Resource":"arn:aws:s3:::${aws:username, 'x'}/*"}]}`,
		`{"Version":"2012-10-17","Statement":{"Effect":"Deny","NotAction":"iam:*","NotResource":"*","Condition":{"ForAllValues:DateLessThanIfExists":{"a:b":["2020-01-01T00:00:00Z",1]}}}}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com","AWS":["111122223333","*"]},"Action":"sts:AssumeRole"}]}`,
		`{"Statement":[{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"},"ArnLike":{"a:c":"arn:*"}}}]}`,
		`[[[[`, `{"Version":1}`, "\xff",
	} {
		for k := KindIdentity; k <= KindManaged; k++ {
			f.Add([]byte(text), uint8(k))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, kind uint8) {
		k := Kind(kind) % (KindManaged + 1)
		p, err := Parse(text, k)
		if err != nil {
			if p != nil || err.Error() == "" || len(err.Error()) > 4096 {
				t.Fatalf("error %q with policy %v", err, p)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatal("parsed what is not JSON")
		}
		if len(p.Statements()) == 0 {
			t.Fatal("parsed a policy without statements")
		}
		p.ContextKeys()
		for _, s := range p.Statements() {
			if (len(s.Principals)+len(s.NotPrincipals) > 0) != k.namesPrincipals() {
				t.Fatalf("principals of a statement of kind %d: %v", k, s)
			}
		}
	})
}

func FuzzEvaluate(f *testing.F) {
	f.Add(`"Action":"s3:*","Resource":"arn:aws:s3:::${aws:username}/*"`, "s3:GetObject", "arn:aws:s3:::alice/x", "s3:prefix", "a")
	f.Add(`"Action":"*","Resource":"*","Condition":{"NumericLessThan":{"s3:max-keys":"1e3"},"ArnLike":{"s3:max-keys":"arn:*:${s3:max-keys}"}}`, "s3:List", "*", "s3:max-keys", "10")
	f.Add(`"NotAction":"*?*a*","NotResource":"*?*a*","Condition":{"ForAnyValue:StringNotLike":{"a:b":"${a:b, '*'}"}}`, "*a", "\xff\xfe", "a:b", "\xff")
	f.Add(`"Action":"*","Resource":"*","Condition":{"IpAddress":{"a:b":"::/0"},"DateEquals":{"a:b":"2020"},"Bool":{"a:b":true},"BinaryEquals":{"a:b":"QQ=="},"Null":{"a:b":"false"}}`, "a:b", "x", "a:b", "::1")
	f.Fuzz(func(t *testing.T, statement, action, arn, key, value string) {
		allow, err := Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow",`+statement+`}]}`), KindIdentity)
		if err != nil {
			return
		}
		deny, err := Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny",`+statement+`}]}`), KindIdentity)
		if err != nil || len(allow.Statements()) != 1 || len(deny.Statements()) != 1 {
			return // the text ends the statement and begins others
		}
		req := &Request{Principal: role, Action: action, Resource: arn, Keys: keys{canonical(key): {value}}}
		full := Named{Name: "full", Policy: everythingAllowed}
		d := Evaluate(req, &Grants{Identity: []Named{{Name: "p", Policy: allow}}}, nil)
		not := Evaluate(req, &Grants{Identity: []Named{full, {Name: "p", Policy: deny}}}, nil)
		if d.Allowed == not.Allowed {
			t.Fatalf("as an Allow %+v, as a Deny %+v", d, not)
		}
		if both := Evaluate(req, &Grants{Identity: []Named{{Name: "p", Policy: allow}, {Name: "q", Policy: deny}}}, nil); both.Allowed {
			t.Fatalf("both %+v", both)
		}
	})
}

// everythingAllowed is AdministratorAccess.
var everythingAllowed = func() *Policy {
	p, err := Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`), KindIdentity)
	if err != nil {
		panic(err)
	}
	return p
}()
