package iam

import (
	"testing"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
)

// TestIssuerExists: a session stands as long as the very user or role that it speaks for.
func TestIssuerExists(t *testing.T) {
	f := newFixture(t)
	exists := func(p *aws.Principal, want bool) {
		t.Helper()
		for range 2 { // the second time from memory
			got, err := f.IssuerExists(f.ctx, p)
			f.check(err, "")
			equal(t, "the issuer of "+p.Arn+" exists", got, want)
		}
	}
	of := func(typ aws.PrincipalType, arn, id string) *aws.Principal {
		return &aws.Principal{Type: typ, Account: accountA, Arn: arn, Session: &aws.Session{Issuer: arn, IssuerID: id}}
	}
	do := func(_ any, err error) { t.Helper(); f.check(err, "") }

	old := session(f.role("r"))
	exists(old, true)
	elsewhere := *old
	elsewhere.Account = accountB
	exists(&elsewhere, false)
	do(f.DeleteRole(f.ctx, &api.DeleteRoleInput{RoleName: new("r")}))
	exists(old, false)
	anew := session(f.role("r"))
	exists(old, false)
	exists(anew, true)
	f.reopen()
	exists(old, false)
	exists(anew, true)

	u := f.user("ann")
	k := f.key("ann")
	own, federated := of(aws.User, *u.Arn, *u.UserID), of(aws.Federated, *u.Arn, *u.UserID)
	exists(own, true)
	do(f.DeleteAccessKey(f.ctx, &api.DeleteAccessKeyInput{UserName: new("ann"), AccessKeyID: k.AccessKeyID}))
	exists(own, true) // sessions die with the user, not with the key
	exists(federated, true)
	do(f.DeleteUser(f.ctx, &api.DeleteUserInput{UserName: new("ann")}))
	exists(own, false)
	f.user("ann")
	exists(own, false)
	exists(federated, false)

	root := aws.RootOf(accountA, "")
	exists(of(aws.Root, root.Arn, root.ID), true)
	exists(of(aws.Federated, root.Arn, root.ID), true)
	exists(of(aws.Root, aws.RootOf(accountB, "").Arn, accountB), false) // not the principal's own account
	exists(of(aws.User, "", ""), false)
	exists(of(aws.User, "arn:aws:iam::"+accountA+":nothing/x", "x"), false)
	exists(aws.ServicePrincipal("lambda.amazonaws.com"), true)
	exists(root, true)
}

// BenchmarkIssuerExists is what every request of a session costs for it.
func BenchmarkIssuerExists(b *testing.B) {
	f := newFixture(b)
	p := session(f.role("r"))
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := f.IssuerExists(f.ctx, p); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
