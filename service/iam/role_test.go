package iam

import (
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
)

func TestRole(t *testing.T) {
	f := newFixture(t)
	out, err := f.CreateRole(f.ctx, &api.CreateRoleInput{
		RoleName: new("r"), Path: new("/service-role/"), AssumeRolePolicyDocument: new(byLambda), Description: new("d"), MaxSessionDuration: new(7200),
	})
	f.check(err, "")
	equal(t, "arn", *out.Role.Arn, "arn:aws:iam::111111111111:role/service-role/r")
	if strings.ContainsAny(*out.Role.AssumeRolePolicyDocument, " \"{+") {
		t.Errorf("the document is not encoded: %s", *out.Role.AssumeRolePolicyDocument)
	}
	equal(t, "document", decoded(t, out.Role.AssumeRolePolicyDocument), byLambda)
	f.reopen()
	info, err := f.Role(f.ctx, *out.Role.Arn)
	f.check(err, "")
	equal(t, "id", info.ID, *out.Role.RoleID)
	equal(t, "session", info.MaxSessionDuration, 7200)
	_, err = f.Role(f.ctx, "arn:aws:iam::111111111111:role/r")
	f.check(err, "NoSuchEntity: The role with name r cannot be found.")
	_, err = f.UpdateRole(f.ctx, &api.UpdateRoleInput{RoleName: new("r"), MaxSessionDuration: new(3600)})
	f.check(err, "")
	info, err = f.Role(f.ctx, *out.Role.Arn)
	f.check(err, "")
	equal(t, "session after a change", info.MaxSessionDuration, 3600)
	_, err = f.CreateRole(f.ctx, &api.CreateRoleInput{RoleName: new("R"), AssumeRolePolicyDocument: new(byLambda)})
	f.check(err, "EntityAlreadyExists: Role with name R already exists.")
	long := strings.Replace(byLambda, "sts:AssumeRole", strings.Repeat("x", 2048), 1)
	_, err = f.CreateRole(f.ctx, &api.CreateRoleInput{RoleName: new("long"), AssumeRolePolicyDocument: &long})
	f.check(err, "LimitExceeded: Cannot exceed quota for ACLSizePerRole: 2048")
}

func TestMalformedDocuments(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	f.role("r")
	for name, document := range map[string]string{
		"no JSON":       `{`,
		"no effect":     `{"Version":"2012-10-17","Statement":[{"Action":"*","Resource":"*"}]}`,
		"bad effect":    `{"Version":"2012-10-17","Statement":[{"Effect":"Maybe","Action":"*","Resource":"*"}]}`,
		"bad operator":  `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Like":{"a:b":"c"}}}]}`,
		"has principal": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.PutUserPolicy(f.ctx, &api.PutUserPolicyInput{UserName: new("ann"), PolicyName: new("p"), PolicyDocument: &document})
			_, err2 := f.CreatePolicy(f.ctx, &api.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: &document})
			for _, err := range []error{err, err2} {
				if e, ok := err.(*aws.Error); !ok || e.Type != api.ErrMalformedPolicyDocument || e.Message == "" {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	_, err := f.UpdateAssumeRolePolicy(f.ctx, &api.UpdateAssumeRolePolicyInput{RoleName: new("r"), PolicyDocument: new(allowAll)})
	if e, ok := err.(*aws.Error); !ok || e.Type != api.ErrMalformedPolicyDocument {
		t.Errorf("a trust policy without principal: %v", err)
	}
	big := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:` + strings.Repeat("x", 2048) + `","Resource":"*"}]}`
	_, err = f.PutUserPolicy(f.ctx, &api.PutUserPolicyInput{UserName: new("ann"), PolicyName: new("p"), PolicyDocument: &big})
	f.check(err, "LimitExceeded: Maximum policy size of 2048 bytes exceeded for user ann")
	big = strings.ReplaceAll(big, "xx", "xxxxxxxx")
	_, err = f.CreatePolicy(f.ctx, &api.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: &big})
	f.check(err, "LimitExceeded: Cannot exceed quota for PolicySize: 6144")
}

func TestTrustPolicyForSTS(t *testing.T) {
	f := newFixture(t)
	r := f.role("r")
	call := &aws.Call{Op: &aws.Op{Service: &aws.Service{Name: "sts"}}}
	g, err := f.ResourceGrants(f.ctx, call, *r.Arn)
	f.check(err, "")
	lambda := aws.ServicePrincipal("lambda.amazonaws.com")
	req := &policy.Request{Principal: lambda, Action: "sts:AssumeRole", Resource: *r.Arn, ResourceAccount: accountA}
	equal(t, "lambda may assume it", policy.Evaluate(req, nothing(), g).Allowed, true)
	req.Principal = aws.ServicePrincipal("s3.amazonaws.com")
	equal(t, "S3 may assume it", policy.Evaluate(req, nothing(), g).Allowed, false)
	gone, err := f.ResourceGrants(f.ctx, call, "arn:aws:iam::111111111111:role/none")
	f.check(err, "")
	if !gone.Decisive || len(gone.Policies) > 0 {
		t.Errorf("a role that does not exist: %+v", gone)
	}
	own, err := f.ResourceGrants(f.ctx, &aws.Call{Op: api.OpGetRole}, *r.Arn)
	f.check(err, "")
	if own != nil {
		t.Errorf("a trust policy decides about iam:GetRole")
	}
}

func TestServiceLinkedRole(t *testing.T) {
	f := newFixture(t)
	out, err := f.CreateServiceLinkedRole(f.ctx, &api.CreateServiceLinkedRoleInput{AWSServiceName: new("lambda.amazonaws.com")})
	f.check(err, "")
	equal(t, "arn", *out.Role.Arn, "arn:aws:iam::111111111111:role/aws-service-role/lambda.amazonaws.com/AWSServiceRoleForLambda")
	_, err = f.CreateServiceLinkedRole(f.ctx, &api.CreateServiceLinkedRoleInput{AWSServiceName: new("lambda.amazonaws.com")})
	f.check(err, "InvalidInput: Service role name AWSServiceRoleForLambda has been taken in this account, please try a different suffix.")
	_, err = f.DeleteRole(f.ctx, &api.DeleteRoleInput{RoleName: out.Role.RoleName})
	f.check(err, "UnmodifiableEntity: Cannot perform the operation on the protected role 'AWSServiceRoleForLambda' - this role is only modifiable by AWS")
	gone, err := f.DeleteServiceLinkedRole(f.ctx, &api.DeleteServiceLinkedRoleInput{RoleName: out.Role.RoleName})
	f.check(err, "")
	status, err := f.GetServiceLinkedRoleDeletionStatus(f.ctx, &api.GetServiceLinkedRoleDeletionStatusInput{DeletionTaskID: gone.DeletionTaskID})
	f.check(err, "")
	equal(t, "status", *status.Status, "SUCCEEDED")
	_, err = f.GetRole(f.ctx, &api.GetRoleInput{RoleName: out.Role.RoleName})
	f.check(err, "NoSuchEntity: The role with name AWSServiceRoleForLambda cannot be found.")
}

func TestTags(t *testing.T) {
	f := newFixture(t)
	f.role("r")
	tagged := func(keys ...string) error {
		in := &api.TagRoleInput{RoleName: new("r")}
		for _, k := range keys {
			in.Tags = append(in.Tags, &api.Tag{Key: new(k), Value: new("v" + k)})
		}
		_, err := f.TagRole(f.ctx, in)
		return err
	}
	f.check(tagged("b", "a"), "")
	f.check(tagged("A"), "") // the same key, spelled anew
	f.check(tagged("x", "X"), "InvalidInput: Duplicate tag keys found. Please note that Tag keys are case insensitive.")
	out, err := f.ListRoleTags(f.ctx, &api.ListRoleTagsInput{RoleName: new("r")})
	f.check(err, "")
	equal(t, "tags", names(out.Tags, func(t *api.Tag) *string { return t.Key }), "[A b]")
	_, err = f.UntagRole(f.ctx, &api.UntagRoleInput{RoleName: new("r"), TagKeys: []string{"a"}})
	f.check(err, "")
	values, ok := f.ConditionValues(f.ctx, &aws.Call{Op: api.OpGetRole}, "arn:aws:iam::111111111111:role/r", "aws:resourcetag/b")
	if !ok || len(values) != 1 || values[0] != "vb" {
		t.Errorf("aws:ResourceTag/b is %v, %v", values, ok)
	}
	many := []string{}
	for i := range 50 {
		many = append(many, "k"+strings.Repeat("x", i))
	}
	f.check(tagged(many...), "LimitExceeded: The number of tags has reached the maximum limit.")
}

func TestConditionValues(t *testing.T) {
	f := newFixture(t)
	r := f.role("r")
	arn := f.policy("limit", allowGet)
	_, err := f.PutRolePermissionsBoundary(f.ctx, &api.PutRolePermissionsBoundaryInput{RoleName: new("r"), PermissionsBoundary: &arn})
	f.check(err, "")
	for _, c := range []struct {
		op         *aws.Op
		input      any
		key, value string
	}{
		{api.OpAttachRolePolicy, &api.AttachRolePolicyInput{PolicyArn: new(lambdaARN)}, "iam:policyarn", lambdaARN},
		{api.OpAttachRolePolicy, &api.AttachRolePolicyInput{PolicyArn: new(lambdaARN)}, "iam:permissionsboundary", arn},
		{api.OpCreateRole, &api.CreateRoleInput{PermissionsBoundary: new("b")}, "iam:permissionsboundary", "b"},
		{api.OpCreateRole, &api.CreateRoleInput{}, "iam:permissionsboundary", ""},
		{api.OpCreateServiceLinkedRole, &api.CreateServiceLinkedRoleInput{AWSServiceName: new("s")}, "iam:awsservicename", "s"},
		{api.OpGetRole, &api.GetRoleInput{}, "iam:policyarn", ""},
	} {
		call := &aws.Call{Op: c.op, Input: c.input}
		values, ok := f.ConditionValues(aws.WithCall(f.ctx, call), call, *r.Arn, c.key)
		equal(t, c.op.Name+" "+c.key, strings.Join(values, ","), c.value)
		equal(t, c.op.Name+" has "+c.key, ok, c.value != "")
	}
}

// TestResourcesHaveThePath: what a call is authorized on is the ARN as it is stored, however the caller spells the name.
func TestResourcesHaveThePath(t *testing.T) {
	f := newFixture(t)
	_, err := f.CreateUser(f.ctx, &api.CreateUserInput{UserName: new("Ann"), Path: new("/admin/")})
	f.check(err, "")
	for _, c := range []struct {
		op    *aws.Op
		input any
		want  string
	}{
		{api.OpDeleteUser, &api.DeleteUserInput{UserName: new("ann")}, "user/admin/Ann"},
		{api.OpDeleteUser, &api.DeleteUserInput{UserName: new("none")}, "user/none"},
		{api.OpCreateUser, &api.CreateUserInput{UserName: new("x"), Path: new("/p/")}, "user/p/x"},
		{api.OpListUsers, &api.ListUsersInput{}, "user/"},
		{api.OpCreateAccessKey, &api.CreateAccessKeyInput{}, "root"},
		{api.OpCreateServiceLinkedRole, &api.CreateServiceLinkedRoleInput{AWSServiceName: new("lambda.amazonaws.com")}, "role/aws-service-role/lambda.amazonaws.com/AWSServiceRoleForLambda"},
		{api.OpCreateOpenIDConnectProvider, &api.CreateOpenIDConnectProviderInput{URL: new("https://h/x")}, "oidc-provider/h/x"},
	} {
		arns, err := c.op.Resources(f.ctx, f.Service, c.input)
		f.check(err, "")
		equal(t, c.op.Name, strings.Join(arns, ","), "arn:aws:iam::111111111111:"+c.want)
	}
}
