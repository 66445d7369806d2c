package iam

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/policy"
)

func TestPolicyVersions(t *testing.T) {
	f := newFixture(t)
	arn := f.policy("p", allowGet)
	_, err := f.CreatePolicy(f.ctx, &api.CreatePolicyInput{PolicyName: new("P"), PolicyDocument: new(allowGet)})
	f.check(err, "EntityAlreadyExists: A policy called P already exists. Duplicate names are not allowed.")
	for i := 2; i <= 5; i++ {
		out, err := f.CreatePolicyVersion(f.ctx, &api.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: new(allowPut), SetAsDefault: new(i == 3)})
		f.check(err, "")
		equal(t, "version", *out.PolicyVersion.VersionID, fmt.Sprint("v", i))
	}
	_, err = f.CreatePolicyVersion(f.ctx, &api.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: new(allowPut)})
	f.check(err, "LimitExceeded: A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.")
	_, err = f.DeletePolicyVersion(f.ctx, &api.DeletePolicyVersionInput{PolicyArn: &arn, VersionID: new("v3")})
	f.check(err, "DeleteConflict: Cannot delete the default version of a policy.")
	_, err = f.DeletePolicyVersion(f.ctx, &api.DeletePolicyVersionInput{PolicyArn: &arn, VersionID: new("v5")})
	f.check(err, "")
	f.reopen()
	out, err := f.CreatePolicyVersion(f.ctx, &api.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: new(allowPut)})
	f.check(err, "")
	equal(t, "a number is not given twice", *out.PolicyVersion.VersionID, "v6")
	list, err := f.ListPolicyVersions(f.ctx, &api.ListPolicyVersionsInput{PolicyArn: &arn, MaxItems: new(3)})
	f.check(err, "")
	equal(t, "versions", names(list.Versions, func(v *api.PolicyVersion) *string { return v.VersionID }), "[v6 v4 v3]")
	list, err = f.ListPolicyVersions(f.ctx, &api.ListPolicyVersionsInput{PolicyArn: &arn, Marker: list.Marker})
	f.check(err, "")
	equal(t, "versions of the second page", names(list.Versions, func(v *api.PolicyVersion) *string { return v.VersionID }), "[v2 v1]")
	got, err := f.GetPolicyVersion(f.ctx, &api.GetPolicyVersionInput{PolicyArn: &arn, VersionID: new("v1")})
	f.check(err, "")
	equal(t, "document", decoded(t, got.PolicyVersion.Document), allowGet)
	_, err = f.GetPolicyVersion(f.ctx, &api.GetPolicyVersionInput{PolicyArn: &arn, VersionID: new("v9")})
	f.check(err, "NoSuchEntity: Policy "+arn+" version v9 does not exist or is not attachable.")
	_, err = f.DeletePolicy(f.ctx, &api.DeletePolicyInput{PolicyArn: &arn})
	f.check(err, "DeleteConflict: This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
	_, err = f.GetPolicy(f.ctx, &api.GetPolicyInput{PolicyArn: new("arn:aws:iam::111111111111:policy/x/p")})
	f.check(err, "NoSuchEntity: Policy arn:aws:iam::111111111111:policy/x/p was not found.")
	_, err = f.GetPolicy(f.ctx, &api.GetPolicyInput{PolicyArn: new("nonsense, but long enough")})
	f.check(err, "ValidationError: Invalid ARN:  Could not be parsed!")
}

// TestAWSPolicies checks that each of AWS's policies is one, and some facts of the ones that people use most.
func TestAWSPolicies(t *testing.T) {
	f := newFixture(t)
	out, err := f.ListPolicies(f.ctx, &api.ListPoliciesInput{Scope: new("AWS"), MaxItems: new(1000)})
	f.check(err, "")
	if len(out.Policies) < 22 {
		t.Errorf("only %d policies", len(out.Policies))
	}
	for _, p := range out.Policies {
		v, err := f.GetPolicyVersion(f.ctx, &api.GetPolicyVersionInput{PolicyArn: p.Arn, VersionID: p.DefaultVersionID})
		f.check(err, "")
		if _, err := policy.Parse([]byte(decoded(t, v.PolicyVersion.Document)), policy.KindIdentity); err != nil {
			t.Errorf("%s: %v", *p.Arn, err)
		}
		if len(*p.PolicyID) != 21 {
			t.Errorf("%s has id %s", *p.Arn, *p.PolicyID)
		}
	}
	basic := "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
	got, err := f.GetPolicy(f.ctx, &api.GetPolicyInput{PolicyArn: &basic})
	f.check(err, "")
	equal(t, "path", *got.Policy.Path, "/service-role/")
	v, err := f.GetPolicyVersion(f.ctx, &api.GetPolicyVersionInput{PolicyArn: &basic, VersionID: new("v1")})
	f.check(err, "")
	var doc struct{ Statement []struct{ Action []string } }
	if err := json.Unmarshal([]byte(decoded(t, v.PolicyVersion.Document)), &doc); err != nil {
		t.Fatal(err)
	}
	equal(t, "actions", strings.Join(doc.Statement[0].Action, " "), "logs:CreateLogGroup logs:CreateLogStream logs:PutLogEvents")
	r := f.role("r")
	_, err = f.AttachRolePolicy(f.ctx, &api.AttachRolePolicyInput{RoleName: new("r"), PolicyArn: &basic})
	f.check(err, "")
	equal(t, "may log", f.allowed(session(r), "logs:PutLogEvents", "*"), true)
	equal(t, "may call", f.allowed(session(r), "lambda:InvokeFunction", "*"), false)
	_, err = f.DeletePolicy(f.ctx, &api.DeletePolicyInput{PolicyArn: &basic})
	f.check(err, "AccessDenied: Policy "+basic+" is managed by AWS and cannot be changed.")
	_, err = f.AttachRolePolicy(f.ctx, &api.AttachRolePolicyInput{RoleName: new("r"), PolicyArn: new("arn:aws:iam::aws:policy/aws-service-role/AWSLambdaServiceRolePolicy")})
	f.check(err, "PolicyNotAttachable: Cannot attach a Service Role Policy to a Customer Role.")
}

func TestAttach(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	f.group("devs")
	for i := range 11 {
		arn := f.policy(fmt.Sprintf("p%02d", i), allowGet)
		_, err := f.AttachUserPolicy(f.ctx, &api.AttachUserPolicyInput{UserName: new("ann"), PolicyArn: &arn})
		if i < 10 {
			f.check(err, "")
			_, err = f.AttachUserPolicy(f.ctx, &api.AttachUserPolicyInput{UserName: new("ann"), PolicyArn: &arn})
			f.check(err, "") // again is no error
		} else {
			f.check(err, "LimitExceeded: Cannot exceed quota for PoliciesPerUser: 10")
		}
	}
	arn := "arn:aws:iam::111111111111:policy/p00"
	_, err := f.AttachGroupPolicy(f.ctx, &api.AttachGroupPolicyInput{GroupName: new("devs"), PolicyArn: &arn})
	f.check(err, "")
	got, err := f.GetPolicy(f.ctx, &api.GetPolicyInput{PolicyArn: &arn})
	f.check(err, "")
	equal(t, "attachments", *got.Policy.AttachmentCount, 2)
	who, err := f.ListEntitiesForPolicy(f.ctx, &api.ListEntitiesForPolicyInput{PolicyArn: &arn, MaxItems: new(1)})
	f.check(err, "")
	equal(t, "on the first page", len(who.PolicyGroups)+len(who.PolicyUsers), 1)
	who, err = f.ListEntitiesForPolicy(f.ctx, &api.ListEntitiesForPolicyInput{PolicyArn: &arn, Marker: who.Marker})
	f.check(err, "")
	equal(t, "users on the second", len(who.PolicyUsers), 1)
	out, err := f.ListAttachedUserPolicies(f.ctx, &api.ListAttachedUserPoliciesInput{UserName: new("ann"), MaxItems: new(7)})
	f.check(err, "")
	equal(t, "page", len(out.AttachedPolicies), 7)
	equal(t, "name", *out.AttachedPolicies[0].PolicyName, "p00")
	attached, err := f.ListPolicies(f.ctx, &api.ListPoliciesInput{OnlyAttached: new(true), MaxItems: new(4)})
	f.check(err, "")
	rest, err := f.ListPolicies(f.ctx, &api.ListPoliciesInput{OnlyAttached: new(true), Marker: attached.Marker})
	f.check(err, "")
	equal(t, "attached policies", len(attached.Policies)+len(rest.Policies), 10)
	_, err = f.DetachUserPolicy(f.ctx, &api.DetachUserPolicyInput{UserName: new("ann"), PolicyArn: new(lambdaARN)})
	f.check(err, "NoSuchEntity: Policy "+lambdaARN+" was not found.")
}

func TestInlinePolicies(t *testing.T) {
	f := newFixture(t)
	f.role("r")
	_, err := f.PutRolePolicy(f.ctx, &api.PutRolePolicyInput{RoleName: new("r"), PolicyName: new("p"), PolicyDocument: new(allowGet)})
	f.check(err, "")
	f.reopen()
	got, err := f.GetRolePolicy(f.ctx, &api.GetRolePolicyInput{RoleName: new("r"), PolicyName: new("p")})
	f.check(err, "")
	equal(t, "document", decoded(t, got.PolicyDocument), allowGet)
	_, err = f.GetRolePolicy(f.ctx, &api.GetRolePolicyInput{RoleName: new("r"), PolicyName: new("q")})
	f.check(err, "NoSuchEntity: The role policy with name q cannot be found.")
	list, err := f.ListRolePolicies(f.ctx, &api.ListRolePoliciesInput{RoleName: new("r")})
	f.check(err, "")
	equal(t, "names", fmt.Sprint(list.PolicyNames), "[p]")
	_, err = f.DeleteRole(f.ctx, &api.DeleteRoleInput{RoleName: new("r")})
	f.check(err, "DeleteConflict: Cannot delete entity, must delete policies first.")
}
