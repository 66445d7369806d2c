package policy

import (
	"testing"
	"time"

	"github.com/enfold-run/enfold/aws"
)

// TestNewcomers: a name in a policy on the resource's side is that of who had it when the policy was set.
func TestNewcomers(t *testing.T) {
	set := time.Date(2026, 1, 2, 3, 4, 5, int(6*time.Millisecond), time.UTC)
	before, after := set.Add(-time.Millisecond), set.Add(time.Millisecond)
	const all = `,"Action":"sqs:*","Resource":"*"`
	allow := func(principal string) string { return `"Effect":"Allow"` + all + `,"Principal":` + principal }
	to := func(arn string) string { return allow(`{"AWS":["arn:aws:iam::111122223333:user/x","` + arn + `"]}`) }
	denyBut := func(arn string) string {
		return `"Effect":"Deny"` + all + `,"NotPrincipal":{"AWS":["` + arn + `","arn:aws:iam::` + ours + `:root"]}`
	}
	identityAllow := `"Effect":"Allow","Action":"*","Resource":"*"`
	for _, c := range []struct {
		name     string
		who      *aws.Principal
		born     time.Time
		set      time.Time
		identity string
		resource string
		want     bool
	}{
		{"user from before", alice, before, set, "", to(alice.Arn), true},
		{"user of the same moment", alice, set, set, "", to(alice.Arn), true},
		{"user from after", alice, after, set, "", to(alice.Arn), false},
		{"user that is gone", alice, time.Time{}, set, "", to(alice.Arn), false},
		{"user from after, policy without a time", alice, after, time.Time{}, "", to(alice.Arn), true},
		{"role from before", role, before, set, "", to(role.Session.Issuer), true},
		{"role from after", role, after, set, "", to(role.Session.Issuer), false},
		{"session of a role from before", role, before, set, "", to(role.Arn), true},
		{"session of a role from after", role, after, set, "", to(role.Arn), false},
		{"federated by a user from before", federatedUser, before, set, identityAllow, to(alice.Arn), false}, // no session policy
		{"federated name is anybody's", federatedUser, after, set, "", to(federatedUser.Arn), true},
		{"id from after", alice, after, set, "", to(alice.ID), true},
		{"everybody", alice, after, set, "", allow(`"*"`), true},
		{"account delegates", alice, after, set, identityAllow, allow(`{"AWS":"` + ours + `"}`), true},
		{"service", s3svc, time.Time{}, set, "", allow(`{"Service":"s3.amazonaws.com"}`), true},
		{"federated", token, time.Time{}, set, "", allow(`{"Federated":"` + token.Session.Provider + `"}`), true},
		{"across accounts, from before", other, before, set, identityAllow, to(other.Arn), true},
		{"across accounts, from after", other, after, set, identityAllow, to(other.Arn), false},
		{"a Deny holds for who comes later", alice, after, set, identityAllow, `"Effect":"Deny"` + all + `,"Principal":{"AWS":"` + alice.Arn + `"}`, false},
		{"a Deny spares who was there", alice, before, set, identityAllow, denyBut(alice.Arn), true},
		{"a Deny does not spare who comes later", alice, after, set, identityAllow, denyBut(alice.Arn), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := resource(t, c.resource)
			p.Set = c.set
			g := &Grants{Born: c.born}
			if c.identity != "" {
				g.Identity = []Named{identity(t, c.identity)}
			}
			if c.who.Type == aws.Federated {
				g.Limited = true
			}
			r := &ResourceGrants{Policies: []Named{p}}
			d := Evaluate(&Request{Principal: c.who, Action: "sqs:SendMessage", Resource: queue, ResourceAccount: ours}, g, r)
			if d.Allowed != c.want {
				t.Errorf("%+v", d)
			}
		})
	}

	// Each policy counts by its own time.
	old, young := resource(t, to(alice.Arn)), resource(t, to(alice.Arn))
	old.Set, young.Set = before, after
	for _, list := range [][]Named{{old, young}, {young, old}} {
		d := Evaluate(&Request{Principal: alice, Action: "sqs:SendMessage", Resource: queue}, &Grants{Born: set}, &ResourceGrants{Policies: list})
		if !d.Allowed {
			t.Errorf("%+v", d)
		}
	}
}
