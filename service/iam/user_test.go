package iam

import (
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
)

func TestUser(t *testing.T) {
	f := newFixture(t)
	out, err := f.CreateUser(f.ctx, &api.CreateUserInput{
		UserName: new("Ann"), Path: new("/dev/"), Tags: []*api.Tag{{Key: new("team"), Value: new("blue")}},
	})
	f.check(err, "")
	equal(t, "arn", *out.User.Arn, "arn:aws:iam::111111111111:user/dev/Ann")
	if id := *out.User.UserID; len(id) != 21 || !strings.HasPrefix(id, "AIDA") {
		t.Errorf("id is %s", id)
	}
	_, err = f.CreateUser(f.ctx, &api.CreateUserInput{UserName: new("ann")})
	f.check(err, "EntityAlreadyExists: User with name ann already exists.")
	_, err = f.GetUser(f.ctx, &api.GetUserInput{UserName: new("bob")})
	f.check(err, "NoSuchEntity: The user with name bob cannot be found.")

	f.reopen()
	got, err := f.GetUser(f.ctx, &api.GetUserInput{UserName: new("Ann")})
	f.check(err, "")
	equal(t, "id after a restart", *got.User.UserID, *out.User.UserID)
	equal(t, "created", *got.User.CreateDate, noon)
	equal(t, "tag", *got.User.Tags[0].Value, "blue")

	_, err = f.DeleteUser(f.ctx, &api.DeleteUserInput{UserName: new("Ann")})
	f.check(err, "")
	_, err = f.DeleteUser(f.ctx, &api.DeleteUserInput{UserName: new("Ann")})
	f.check(err, "NoSuchEntity: The user with name Ann cannot be found.")
}

func TestListUsersPages(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"e", "B", "a", "D", "c"} {
		f.user(name)
	}
	all, pages := []*api.User{}, 0
	in := &api.ListUsersInput{MaxItems: new(2)}
	for {
		out, err := f.ListUsers(f.ctx, in)
		f.check(err, "")
		all, pages = append(all, out.Users...), pages+1
		equal(t, "truncated", *out.IsTruncated, out.Marker != nil)
		if out.Marker == nil {
			break
		}
		in.Marker = out.Marker
	}
	equal(t, "pages", pages, 3)
	equal(t, "names", names(all, func(u *api.User) *string { return u.UserName }), "[a B c D e]")
	_, err := f.ListUsers(f.ctx, &api.ListUsersInput{Marker: new("!")})
	f.check(err, "ValidationError: Invalid Marker.")
	out, err := f.ListUsers(f.ctx, &api.ListUsersInput{PathPrefix: new("/dev/")})
	f.check(err, "")
	equal(t, "users below a path", len(out.Users), 0)
}

func TestRenamedUserKeepsWhatItHas(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	f.group("devs")
	k := f.key("ann")
	_, err := f.AddUserToGroup(f.ctx, &api.AddUserToGroupInput{GroupName: new("devs"), UserName: new("ann")})
	f.check(err, "")
	_, err = f.PutGroupPolicy(f.ctx, &api.PutGroupPolicyInput{GroupName: new("devs"), PolicyName: new("get"), PolicyDocument: new(allowGet)})
	f.check(err, "")
	_, err = f.AttachUserPolicy(f.ctx, &api.AttachUserPolicyInput{UserName: new("ann"), PolicyArn: new(f.policy("put", allowPut))})
	f.check(err, "")
	_, err = f.UpdateUser(f.ctx, &api.UpdateUserInput{UserName: new("ann"), NewUserName: new("eve"), NewPath: new("/x/")})
	f.check(err, "")
	_, err = f.UpdateGroup(f.ctx, &api.UpdateGroupInput{GroupName: new("devs"), NewGroupName: new("people")})
	f.check(err, "")
	f.reopen()
	p := f.principal(k)
	equal(t, "arn", p.Arn, "arn:aws:iam::111111111111:user/x/eve")
	equal(t, "by the group", f.allowed(p, "s3:GetObject", "arn:aws:s3:::b/k"), true)
	equal(t, "by the policy", f.allowed(p, "s3:PutObject", "arn:aws:s3:::b/k"), true)
	g, err := f.GetGroup(f.ctx, &api.GetGroupInput{GroupName: new("people")})
	f.check(err, "")
	equal(t, "members", names(g.Users, func(u *api.User) *string { return u.UserName }), "[eve]")
	who, err := f.ListEntitiesForPolicy(f.ctx, &api.ListEntitiesForPolicyInput{PolicyArn: new("arn:aws:iam::111111111111:policy/put")})
	f.check(err, "")
	equal(t, "who has it", names(who.PolicyUsers, func(u *api.PolicyUser) *string { return u.UserName }), "[eve]")
}

func TestDeleteUserConflicts(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	f.group("devs")
	arn := f.policy("put", allowPut)
	k := f.key("ann")
	do := func(_ any, err error) { t.Helper(); f.check(err, "") }
	refused := func(want string) {
		t.Helper()
		_, err := f.DeleteUser(f.ctx, &api.DeleteUserInput{UserName: new("ann")})
		f.check(err, "DeleteConflict: Cannot delete entity, must "+want)
	}
	do(f.AddUserToGroup(f.ctx, &api.AddUserToGroupInput{GroupName: new("devs"), UserName: new("ann")}))
	do(f.AttachUserPolicy(f.ctx, &api.AttachUserPolicyInput{UserName: new("ann"), PolicyArn: &arn}))
	do(f.PutUserPolicy(f.ctx, &api.PutUserPolicyInput{UserName: new("ann"), PolicyName: new("in"), PolicyDocument: new(allowPut)}))
	refused("delete access keys first.")
	do(f.DeleteAccessKey(f.ctx, &api.DeleteAccessKeyInput{UserName: new("ann"), AccessKeyID: k.AccessKeyID}))
	refused("remove users from group first.")
	_, err := f.DeleteGroup(f.ctx, &api.DeleteGroupInput{GroupName: new("devs")})
	f.check(err, "DeleteConflict: Cannot delete entity, must remove users from group first.")
	do(f.RemoveUserFromGroup(f.ctx, &api.RemoveUserFromGroupInput{GroupName: new("devs"), UserName: new("ann")}))
	do(f.DeleteGroup(f.ctx, &api.DeleteGroupInput{GroupName: new("devs")}))
	refused("detach all policies first.")
	_, err = f.DeletePolicy(f.ctx, &api.DeletePolicyInput{PolicyArn: &arn})
	f.check(err, "DeleteConflict: Cannot delete a policy attached to entities.")
	do(f.DetachUserPolicy(f.ctx, &api.DetachUserPolicyInput{UserName: new("ann"), PolicyArn: &arn}))
	refused("delete policies first.")
	do(f.DeleteUserPolicy(f.ctx, &api.DeleteUserPolicyInput{UserName: new("ann"), PolicyName: new("in")}))
	do(f.DeleteUser(f.ctx, &api.DeleteUserInput{UserName: new("ann")}))
	do(f.DeletePolicy(f.ctx, &api.DeletePolicyInput{PolicyArn: &arn}))
	sum, err := f.GetAccountSummary(f.ctx, &api.GetAccountSummaryInput{})
	f.check(err, "")
	equal(t, "left", sum.SummaryMap["Users"]+sum.SummaryMap["Groups"]+sum.SummaryMap["Policies"], 0)
}

func TestGetUserOfTheCaller(t *testing.T) {
	f := newFixture(t)
	f.check(f.EnsureAccount(f.ctx, accountA), "")
	out, err := f.GetUser(f.ctx, &api.GetUserInput{})
	f.check(err, "")
	equal(t, "root", *out.User.Arn, "arn:aws:iam::111111111111:root")
	f.user("ann")
	out, err = f.GetUser(as(f.ctx, f.principal(f.key("ann"))), &api.GetUserInput{})
	f.check(err, "")
	equal(t, "user", *out.User.UserName, "ann")
	_, err = f.GetUser(as(f.ctx, session(f.role("r"))), &api.GetUserInput{})
	f.check(err, "ValidationError: Must specify userName when calling with non-User credentials")
}

func TestTwoAccountsSeeNothingOfEachOther(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	r := f.role("r")
	arn := f.policy("p", allowAll)
	k := f.key("ann")
	other := as(f.ctx, aws.RootOf(accountB, "AKIAOTHER"))
	users, err := f.ListUsers(other, &api.ListUsersInput{})
	f.check(err, "")
	roles, err := f.ListRoles(other, &api.ListRolesInput{})
	f.check(err, "")
	policies, err := f.ListPolicies(other, &api.ListPoliciesInput{Scope: new("Local")})
	f.check(err, "")
	equal(t, "seen", len(users.Users)+len(roles.Roles)+len(policies.Policies), 0)
	_, err = f.GetPolicy(other, &api.GetPolicyInput{PolicyArn: &arn})
	f.check(err, "NoSuchEntity: Policy "+arn+" was not found.")
	_, err = f.GetAccessKeyLastUsed(other, &api.GetAccessKeyLastUsedInput{AccessKeyID: k.AccessKeyID})
	f.check(err, "NoSuchEntity: The Access Key with id "+*k.AccessKeyID+" cannot be found.")
	_, err = f.SimulatePrincipalPolicy(other, &api.SimulatePrincipalPolicyInput{PolicySourceArn: r.Arn, ActionNames: []string{"s3:GetObject"}})
	f.check(err, "NoSuchEntity: The role with name r cannot be found.")
	_, err = f.CreateUser(other, &api.CreateUserInput{UserName: new("ann")})
	f.check(err, "")
	_, err = f.AttachUserPolicy(other, &api.AttachUserPolicyInput{UserName: new("ann"), PolicyArn: &arn})
	f.check(err, "NoSuchEntity: Policy "+arn+" does not exist or is not attachable.")
}
