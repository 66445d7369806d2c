package iam

import (
	"fmt"
	"sync"
	"testing"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
)

func TestGrantsFollowEveryChange(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	f.group("devs")
	p := f.principal(f.key("ann"))
	arn := f.policy("p", allowGet)
	const object = "arn:aws:s3:::b/k"
	do := func(_ any, err error) { t.Helper(); f.check(err, "") }
	may := func(get, put bool) {
		t.Helper()
		equal(t, "GetObject", f.allowed(p, "s3:GetObject", object), get)
		equal(t, "PutObject", f.allowed(p, "s3:PutObject", object), put)
	}
	may(false, false)
	do(f.AttachUserPolicy(f.ctx, &api.AttachUserPolicyInput{UserName: new("ann"), PolicyArn: &arn}))
	may(true, false)
	do(f.CreatePolicyVersion(f.ctx, &api.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: new(allowPut)}))
	may(true, false)
	do(f.SetDefaultPolicyVersion(f.ctx, &api.SetDefaultPolicyVersionInput{PolicyArn: &arn, VersionID: new("v2")}))
	may(false, true)
	do(f.DetachUserPolicy(f.ctx, &api.DetachUserPolicyInput{UserName: new("ann"), PolicyArn: &arn}))
	may(false, false)
	do(f.PutGroupPolicy(f.ctx, &api.PutGroupPolicyInput{GroupName: new("devs"), PolicyName: new("all"), PolicyDocument: new(allowAll)}))
	do(f.AddUserToGroup(f.ctx, &api.AddUserToGroupInput{GroupName: new("devs"), UserName: new("ann")}))
	may(true, true)
	limit := f.policy("limit", allowGet)
	do(f.PutUserPermissionsBoundary(f.ctx, &api.PutUserPermissionsBoundaryInput{UserName: new("ann"), PermissionsBoundary: &limit}))
	may(true, false)
	f.reopen()
	may(true, false)
	_, err := f.DeletePolicy(f.ctx, &api.DeletePolicyInput{PolicyArn: &limit})
	f.check(err, "DeleteConflict: Cannot delete a policy attached to entities.")
	do(f.DeleteUserPermissionsBoundary(f.ctx, &api.DeleteUserPermissionsBoundaryInput{UserName: new("ann")}))
	may(true, true)
	do(f.RemoveUserFromGroup(f.ctx, &api.RemoveUserFromGroupInput{GroupName: new("devs"), UserName: new("ann")}))
	may(false, false)
}

// TestSessionOfARoleMadeAnew: another role of the same name is another role.
func TestSessionOfARoleMadeAnew(t *testing.T) {
	f := newFixture(t)
	grant := func() *api.Role {
		r := f.role("r")
		_, err := f.PutRolePolicy(f.ctx, &api.PutRolePolicyInput{RoleName: new("r"), PolicyName: new("p"), PolicyDocument: new(allowAll)})
		f.check(err, "")
		return r
	}
	old := session(grant())
	equal(t, "allowed", f.allowed(old, "s3:GetObject", "*"), true)
	_, err := f.DeleteRolePolicy(f.ctx, &api.DeleteRolePolicyInput{RoleName: new("r"), PolicyName: new("p")})
	f.check(err, "")
	_, err = f.DeleteRole(f.ctx, &api.DeleteRoleInput{RoleName: new("r")})
	f.check(err, "")
	equal(t, "allowed when it is gone", f.allowed(old, "s3:GetObject", "*"), false)
	made := session(grant())
	equal(t, "allowed to the old one", f.allowed(old, "s3:GetObject", "*"), false)
	equal(t, "allowed to the new one", f.allowed(made, "s3:GetObject", "*"), true)
}

func TestSessionPoliciesLimit(t *testing.T) {
	f := newFixture(t)
	r := f.role("r")
	_, err := f.PutRolePolicy(f.ctx, &api.PutRolePolicyInput{RoleName: new("r"), PolicyName: new("p"), PolicyDocument: new(allowAll)})
	f.check(err, "")
	arn := f.policy("put", allowPut)
	for _, c := range []struct {
		name     string
		policies []string
		arns     []string
		get, put bool
	}{
		{"none", nil, nil, true, true},
		{"text", []string{allowGet}, nil, true, false},
		{"managed", nil, []string{arn}, false, true},
		{"both", []string{allowGet}, []string{arn}, true, true},
		{"gone", []string{allowGet}, []string{arn + "x"}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := session(r)
			p.Session.Policies, p.Session.PolicyArns = c.policies, c.arns
			equal(t, "GetObject", f.allowed(p, "s3:GetObject", "arn:aws:s3:::b/k"), c.get)
			equal(t, "PutObject", f.allowed(p, "s3:PutObject", "arn:aws:s3:::b/k"), c.put)
		})
	}
	fed := &aws.Principal{
		Type: aws.Federated, Account: accountA, Arn: "arn:aws:sts::111111111111:federated-user/x", ID: accountA + ":x",
		Session: &aws.Session{Op: "GetFederationToken", Issuer: "arn:aws:iam::111111111111:root", IssuerID: accountA},
	}
	equal(t, "federated without policies", f.allowed(fed, "s3:GetObject", "arn:aws:s3:::b/k"), false)
	fed.Session.Policies = []string{allowGet}
	equal(t, "federated", f.allowed(fed, "s3:GetObject", "arn:aws:s3:::b/k"), true)
	equal(t, "federated, another action", f.allowed(fed, "s3:PutObject", "arn:aws:s3:::b/k"), false)
}

// TestConcurrentChange: once a change has returned, no cached answer from before it is given.
func TestConcurrentChange(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	k := f.key("ann")
	p := f.principal(k)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = f.Grants(f.ctx, p)
					_, _, _ = f.LookupKey(f.ctx, *k.AccessKeyID)
				}
			}
		})
	}
	for i := range 30 {
		status := []string{"Inactive", "Active"}[i%2]
		_, err := f.UpdateAccessKey(f.ctx, &api.UpdateAccessKeyInput{UserName: new("ann"), AccessKeyID: k.AccessKeyID, Status: &status})
		f.check(err, "")
		_, _, err = f.LookupKey(f.ctx, *k.AccessKeyID)
		equal(t, fmt.Sprintf("%s, works", status), err == nil, status == "Active")
		if i%2 == 0 {
			_, err = f.PutUserPolicy(f.ctx, &api.PutUserPolicyInput{UserName: new("ann"), PolicyName: new("p"), PolicyDocument: new(allowAll)})
		} else {
			_, err = f.DeleteUserPolicy(f.ctx, &api.DeleteUserPolicyInput{UserName: new("ann"), PolicyName: new("p")})
		}
		f.check(err, "")
		equal(t, "allowed", f.allowed(p, "s3:GetObject", "*"), i%2 == 0)
	}
	close(stop)
	wg.Wait()
}

// BenchmarkGrants is what a warm call of a user with ten policies costs.
func BenchmarkGrants(b *testing.B) {
	f := newFixture(b)
	f.user("ann")
	for i := range 10 {
		arn := f.policy(fmt.Sprint("p", i), allowGet)
		if _, err := f.AttachUserPolicy(f.ctx, &api.AttachUserPolicyInput{UserName: new("ann"), PolicyArn: &arn}); err != nil {
			b.Fatal(err)
		}
	}
	p := f.principal(f.key("ann"))
	ctx := as(f.ctx, p)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Grants(ctx, p); err != nil {
			b.Fatal(err)
		}
	}
}
