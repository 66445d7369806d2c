package policy

import (
	"testing"
	"time"

	"github.com/enfold-run/enfold/aws"
)

const (
	ours   = "111122223333"
	theirs = "444455556666"
	queue  = "arn:aws:sqs:us-east-1:111122223333:orders"
)

// The principals of the tables.
var (
	alice = &aws.Principal{Type: aws.User, Account: ours, Arn: "arn:aws:iam::111122223333:user/team/alice", ID: "AIDAALICEALICEALICE1"}
	other = &aws.Principal{Type: aws.User, Account: theirs, Arn: "arn:aws:iam::444455556666:user/eve", ID: "AIDAEVEEVEEVEEVEEVE1"}
	root  = aws.RootOf(ours, "")
	role  = &aws.Principal{
		Type: aws.AssumedRole, Account: ours, Arn: "arn:aws:sts::111122223333:assumed-role/worker/s1", ID: "AROAWORKERWORKERWOR1:s1",
		Tags: map[string]string{"Team": "blue"},
		Session: &aws.Session{
			Op: "AssumeRole", Issuer: "arn:aws:iam::111122223333:role/jobs/worker", IssuerID: "AROAWORKERWORKERWOR1",
			Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), SourceIdentity: "alice",
			FunctionArn: "arn:aws:lambda:us-east-1:111122223333:function:f",
		},
	}
	federatedUser = &aws.Principal{
		Type: aws.Federated, Account: ours, Arn: "arn:aws:sts::111122223333:federated-user/bob", ID: ours + ":bob",
		Session: &aws.Session{Op: "GetFederationToken", Issuer: alice.Arn, IssuerID: alice.ID},
	}
	token = &aws.Principal{
		Type:    aws.Anonymous,
		Session: &aws.Session{Provider: "arn:aws:iam::111122223333:oidc-provider/id.example.com/x", Subject: "repo:a", Audience: "sts.amazonaws.com"},
	}
	s3svc = aws.ServicePrincipal("s3.amazonaws.com")
	anon  = &aws.Principal{Type: aws.Anonymous}
)

// keys are condition keys of a request.
type keys map[string][]string

func (k keys) Values(key string) ([]string, bool) {
	v, ok := k[key]
	return v, ok
}

func must(t testing.TB, k Kind, text string) Named {
	t.Helper()
	p, err := Parse([]byte(text), k)
	if err != nil {
		t.Fatalf("Parse(%s): %v", text, err)
	}
	return Named{Name: "p", Policy: p}
}

// identity is a policy of one statement without its braces.
func identity(t testing.TB, statement string) Named {
	t.Helper()
	return must(t, KindIdentity, `{"Version":"2012-10-17","Statement":[{`+statement+`}]}`)
}

func resource(t testing.TB, statement string) Named {
	t.Helper()
	return must(t, KindResource, `{"Version":"2012-10-17","Statement":[{`+statement+`}]}`)
}

func TestEvaluateSides(t *testing.T) {
	allow := `"Effect":"Allow","Action":"sqs:SendMessage","Resource":"` + queue + `"`
	deny := `"Effect":"Deny","Action":"sqs:*","Resource":"*"`
	to := func(principal string) string { return allow + `,"Principal":` + principal }
	const no, yes = false, true
	tests := []struct {
		name     string
		who      *aws.Principal
		identity string
		boundary string // "" for none, "-" for one that allows nothing of use
		session  string // likewise
		control  string // likewise
		resource string
		decisive bool
		want     bool
		layer    Layer
		explicit bool
	}{
		{name: "nothing", who: alice, want: no, layer: IdentityBased},
		{name: "identity", who: alice, identity: allow, want: yes, layer: IdentityBased},
		{name: "identity deny", who: alice, identity: deny, resource: to(`"*"`), want: no, layer: IdentityBased, explicit: true},
		{name: "resource deny", who: alice, identity: allow, resource: deny + `,"Principal":"*"`, want: no, layer: ResourceBased, explicit: true},
		{name: "boundary", who: alice, identity: allow, boundary: allow, want: yes, layer: IdentityBased},
		{name: "boundary lacks", who: alice, identity: allow, boundary: "-", want: no, layer: Boundary},
		{name: "boundary alone", who: alice, boundary: allow, want: no, layer: IdentityBased},
		{name: "boundary deny", who: alice, identity: allow, boundary: deny, want: no, layer: Boundary, explicit: true},
		{name: "session lacks", who: role, identity: allow, session: "-", want: no, layer: SessionPolicy},
		{name: "session", who: role, identity: allow, session: allow, want: yes, layer: IdentityBased},
		{name: "session alone", who: role, session: allow, want: no, layer: IdentityBased},
		{name: "session deny", who: role, identity: allow, session: deny, want: no, layer: SessionPolicy, explicit: true},
		{name: "control lacks", who: alice, identity: allow, control: "-", want: no, layer: ServiceControl},
		{name: "control", who: alice, identity: allow, control: allow, want: yes, layer: IdentityBased},
		{name: "control deny", who: root, control: deny, want: no, layer: ServiceControl, explicit: true},

		{name: "user ARN", who: alice, resource: to(`{"AWS":"` + alice.Arn + `"}`), boundary: "-", want: yes, layer: ResourceBased},
		{name: "user ARN and control lacks", who: alice, resource: to(`{"AWS":"` + alice.Arn + `"}`), control: "-", want: no, layer: ServiceControl},
		{name: "user id", who: alice, resource: to(`{"AWS":"` + alice.ID + `"}`), want: yes, layer: ResourceBased},
		{name: "other user ARN", who: alice, resource: to(`{"AWS":"arn:aws:iam::111122223333:user/alice"}`), want: no, layer: IdentityBased},
		{name: "role ARN", who: role, resource: to(`{"AWS":"` + role.Session.Issuer + `"}`), want: yes, layer: ResourceBased},
		{name: "role ARN and boundary lacks", who: role, resource: to(`{"AWS":"` + role.Session.Issuer + `"}`), boundary: "-", want: no, layer: Boundary},
		{name: "role ARN and session lacks", who: role, resource: to(`{"AWS":"` + role.Session.Issuer + `"}`), session: "-", want: no, layer: SessionPolicy},
		{name: "role id", who: role, resource: to(`{"AWS":"` + role.Session.IssuerID + `"}`), want: yes, layer: ResourceBased},
		{name: "id of a deleted role", who: role, resource: to(`{"AWS":"AROAOLDOLDOLDOLDOLD1"}`), want: no, layer: IdentityBased},
		{name: "session ARN", who: role, resource: to(`{"AWS":"` + role.Arn + `"}`), boundary: "-", session: "-", want: yes, layer: ResourceBased},
		{name: "other session ARN", who: role, resource: to(`{"AWS":"arn:aws:sts::111122223333:assumed-role/worker/s2"}`), want: no, layer: IdentityBased},
		{name: "federated user ARN", who: federatedUser, resource: to(`{"AWS":"` + federatedUser.Arn + `"}`), session: "-", want: yes, layer: ResourceBased},
		{name: "federating user ARN", who: federatedUser, resource: to(`{"AWS":"` + alice.Arn + `"}`), session: "-", want: no, layer: SessionPolicy},
		{name: "own account", who: alice, resource: to(`{"AWS":"` + ours + `"}`), want: no, layer: IdentityBased},
		{name: "own root ARN", who: role, resource: to(`{"AWS":"arn:aws:iam::` + ours + `:root"}`), want: no, layer: IdentityBased},
		{name: "star", who: alice, resource: to(`"*"`), boundary: "-", want: yes, layer: ResourceBased},
		{name: "AWS star", who: role, resource: to(`{"AWS":"*"}`), want: yes, layer: ResourceBased},
		{name: "star and anonymous", who: anon, resource: to(`"*"`), want: yes, layer: ResourceBased},
		{name: "nobody", who: nil, resource: to(`"*"`), want: yes, layer: ResourceBased},
		{name: "anonymous", who: anon, resource: to(`{"AWS":"` + ours + `"}`), want: no, layer: ResourceBased},
		{name: "service", who: s3svc, resource: to(`{"Service":"s3.amazonaws.com"}`), want: yes, layer: ResourceBased},
		{name: "other service", who: s3svc, resource: to(`{"Service":"sns.amazonaws.com"}`), want: no, layer: ResourceBased},
		{name: "service without policy", who: s3svc, identity: allow, want: no, layer: ResourceBased},
		{name: "role as service", who: role, resource: to(`{"Service":"s3.amazonaws.com"}`), want: no, layer: IdentityBased},
		{name: "web identity", who: token, resource: to(`{"Federated":"` + token.Session.Provider + `"}`), want: yes, layer: ResourceBased},
		{name: "other provider", who: token, resource: to(`{"Federated":"accounts.google.com"}`), want: no, layer: ResourceBased},
		{name: "canonical user", who: alice, resource: to(`{"CanonicalUser":"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}`), want: no, layer: IdentityBased},

		{name: "root", who: root, want: yes},
		{name: "root and resource deny", who: root, resource: deny + `,"Principal":"*"`, want: no, layer: ResourceBased, explicit: true},
		{name: "root and control lacks", who: root, control: "-", want: no, layer: ServiceControl},
		{name: "root and decisive", who: root, decisive: true, want: no, layer: ResourceBased},
		{name: "root in decisive", who: root, decisive: true, resource: to(`{"AWS":"` + ours + `"}`), want: yes, layer: ResourceBased},

		{name: "decisive without allow", who: alice, identity: allow, decisive: true, want: no, layer: ResourceBased},
		{name: "decisive delegates", who: alice, identity: allow, decisive: true, resource: to(`{"AWS":"` + ours + `"}`), want: yes, layer: ResourceBased},
		{name: "decisive delegates to nobody", who: alice, decisive: true, resource: to(`{"AWS":"` + ours + `"}`), want: no, layer: IdentityBased},
		{name: "decisive names", who: alice, decisive: true, resource: to(`{"AWS":"` + alice.Arn + `"}`), want: yes, layer: ResourceBased},

		{name: "across without resource", who: other, identity: allow, want: no, layer: ResourceBased},
		{name: "across without identity", who: other, resource: to(`{"AWS":"` + other.Arn + `"}`), want: no, layer: IdentityBased},
		{name: "across", who: other, identity: allow, resource: to(`{"AWS":"` + other.Arn + `"}`), want: yes, layer: ResourceBased},
		{name: "across to account", who: other, identity: allow, resource: to(`{"AWS":"` + theirs + `"}`), want: yes, layer: ResourceBased},
		{name: "across to star", who: other, identity: allow, resource: to(`"*"`), want: yes, layer: ResourceBased},
		{name: "across to star without identity", who: other, resource: to(`"*"`), want: no, layer: IdentityBased},
		{name: "across and boundary lacks", who: other, identity: allow, boundary: "-", resource: to(`"*"`), want: no, layer: Boundary},
		{name: "across by root", who: aws.RootOf(theirs, ""), want: no, layer: ResourceBased},
		{name: "across to root", who: aws.RootOf(theirs, ""), resource: to(`{"AWS":"` + theirs + `"}`), want: yes, layer: ResourceBased},

		{name: "allow but for alice", who: alice, resource: allow + `,"Principal":{"AWS":"` + theirs + `"}`, want: no, layer: IdentityBased},
		{
			name: "deny but for alice", who: alice, identity: allow,
			resource: deny + `,"NotPrincipal":{"AWS":["` + alice.Arn + `","arn:aws:iam::` + ours + `:root"]}`, want: yes, layer: IdentityBased,
		},
		{
			name: "deny but for alice, account forgotten", who: alice, identity: allow,
			resource: deny + `,"NotPrincipal":{"AWS":"` + alice.Arn + `"}`, want: no, layer: ResourceBased, explicit: true,
		},
		{
			name: "deny but for the account", who: alice, identity: allow,
			resource: deny + `,"NotPrincipal":{"AWS":"` + ours + `"}`, want: no, layer: ResourceBased, explicit: true,
		},
		{
			name: "deny but for the session", who: role, identity: allow,
			resource: deny + `,"NotPrincipal":{"AWS":["` + role.Arn + `","` + role.Session.Issuer + `","` + ours + `"]}`, want: yes, layer: IdentityBased,
		},
		{
			name: "deny but for the role", who: role, identity: allow,
			resource: deny + `,"NotPrincipal":{"AWS":["` + role.Session.Issuer + `","` + ours + `"]}`, want: no, layer: ResourceBased, explicit: true,
		},
		{
			name: "deny but for the service", who: s3svc, want: no, layer: ResourceBased, explicit: true,
			resource: deny + `,"NotPrincipal":{"Service":"sns.amazonaws.com"}`,
		},
	}
	useless := `"Effect":"Allow","Action":"s3:GetObject","Resource":"*"`
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, r := &Grants{}, &ResourceGrants{Decisive: tt.decisive}
			list := func(statement string) []Named {
				if statement == "-" {
					statement = useless
				}
				if statement == "" {
					return nil
				}
				return []Named{identity(t, statement)}
			}
			g.Identity, g.Session, g.Limited = list(tt.identity), list(tt.session), tt.session != ""
			if b := list(tt.boundary); b != nil {
				g.Boundary = &b[0]
			}
			if c := list(tt.control); c != nil {
				full := identity(t, `"Effect":"Allow","Action":"*","Resource":"*"`)
				g.Control = [][]Named{{full}, c, {full}}
			}
			if tt.resource != "" {
				r.Policies = []Named{resource(t, tt.resource)}
			}
			req := &Request{Principal: tt.who, Action: "sqs:SendMessage", Resource: queue, ResourceAccount: ours}
			d := Evaluate(req, g, r)
			if d.Allowed != tt.want || d.Layer != tt.layer || d.Explicit != tt.explicit {
				t.Errorf("got %+v, want allowed %v by %q, explicit %v", d, tt.want, tt.layer, tt.explicit)
			}
			if named := d.Policy != "" && d.Statement == "[0]"; named != (d.Allowed && d.Layer != "" || d.Explicit) {
				t.Errorf("decision names %q %q", d.Policy, d.Statement)
			}
			if (d.Message(req) == "") != d.Allowed {
				t.Errorf("message is %q", d.Message(req))
			}
			if across := tt.who != nil && tt.who.Account == theirs; d.CrossAccount != across {
				t.Errorf("CrossAccount is %v", d.CrossAccount)
			}
		})
	}
}
