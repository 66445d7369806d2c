package iam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/iam"
)

func TestSimulateCustomPolicy(t *testing.T) {
	f := newFixture(t)
	const denyPut = "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": {\"Sid\": \"NoPut\", \"Effect\": \"Deny\", \"Action\": \"s3:Put*\", \"Resource\": \"*\"}\n}"
	const mfa = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`
	out, err := f.SimulateCustomPolicy(f.ctx, &api.SimulateCustomPolicyInput{
		PolicyInputList: []string{allowGet, allowPut, denyPut, mfa}, ActionNames: []string{"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "sqs:SendMessage"},
		ResourceArns: []string{"arn:aws:s3:::b/k"},
	})
	f.check(err, "")
	got := ""
	for _, r := range out.EvaluationResults {
		got += *r.EvalActionName + "=" + *r.EvalDecision + " "
		for _, m := range r.MatchedStatements {
			got += fmt.Sprintf("by %s %d:%d-%d:%d ", *m.SourcePolicyID, *m.StartPosition.Line, *m.StartPosition.Column, *m.EndPosition.Line, *m.EndPosition.Column)
		}
	}
	equal(t, "results", got, "s3:GetObject=allowed by PolicyInputList.1 1:38-1:110 s3:PutObject=explicitDeny by PolicyInputList.3 3:16-3:88 "+
		"s3:DeleteObject=implicitDeny sqs:SendMessage=implicitDeny ")
	equal(t, "missing", strings.ToLower(strings.Join(out.EvaluationResults[3].MissingContextValues, " ")), "aws:multifactorauthpresent")

	out, err = f.SimulateCustomPolicy(f.ctx, &api.SimulateCustomPolicyInput{
		PolicyInputList: []string{mfa}, PermissionsBoundaryPolicyInputList: []string{allowGet}, ActionNames: []string{"sqs:SendMessage"},
		ContextEntries: []*api.ContextEntry{{ContextKeyName: new("aws:MultiFactorAuthPresent"), ContextKeyType: new("boolean"), ContextKeyValues: []string{"true"}}},
	})
	f.check(err, "")
	equal(t, "beyond the boundary", *out.EvaluationResults[0].EvalDecision, "implicitDeny")
	equal(t, "allowed by the boundary", *out.EvaluationResults[0].PermissionsBoundaryDecisionDetail.AllowedByPermissionsBoundary, false)

	_, err = f.SimulateCustomPolicy(f.ctx, &api.SimulateCustomPolicyInput{PolicyInputList: []string{allowAll}, ActionNames: []string{"GetObject"}})
	f.check(err, "InvalidInput: Invalid Action: GetObject")
}

// TestSimulationIsBounded: what takes long comes in short pages, never an empty one, and too much text is not read at all.
func TestSimulationIsBounded(t *testing.T) {
	f := newFixture(t)
	clock := noon
	f.now = func() time.Time {
		clock = clock.Add(simulateTime / 3)
		return clock
	}
	in := &api.SimulateCustomPolicyInput{PolicyInputList: []string{allowGet}, MaxItems: new(1000)}
	for i := range 20 {
		in.ActionNames = append(in.ActionNames, fmt.Sprint("s3:A", i))
	}
	seen := 0
	for range 20 {
		out, err := f.SimulateCustomPolicy(f.ctx, in)
		f.check(err, "")
		if n := len(out.EvaluationResults); n == 0 || n > 4 {
			t.Fatalf("a page of %d", n)
		}
		seen += len(out.EvaluationResults)
		if in.Marker = out.Marker; !*out.IsTruncated {
			break
		}
	}
	equal(t, "results", seen, 20)

	large := strings.TrimSuffix(allowGet, "}") + strings.Repeat(" ", 100<<10) + "}"
	in.Marker, in.PolicyInputList = nil, slices.Repeat([]string{large}, 6)
	_, err := f.SimulateCustomPolicy(f.ctx, in)
	f.check(err, "InvalidInput: The policies have more than 524288 characters together.")
	gone, cancel := context.WithCancel(f.ctx)
	cancel()
	in.PolicyInputList = []string{allowGet}
	if _, err := f.SimulateCustomPolicy(gone, in); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that is gone: %v", err)
	}
}

func TestSimulatePages(t *testing.T) {
	f := newFixture(t)
	in := &api.SimulateCustomPolicyInput{PolicyInputList: []string{allowGet}, MaxItems: new(4)}
	for i := range 3 {
		in.ActionNames = append(in.ActionNames, fmt.Sprint("s3:A", i))
		in.ResourceArns = append(in.ResourceArns, fmt.Sprint("arn:aws:s3:::", i))
	}
	seen := map[string]bool{}
	for pages := 1; ; pages++ {
		out, err := f.SimulateCustomPolicy(f.ctx, in)
		f.check(err, "")
		for _, r := range out.EvaluationResults {
			seen[*r.EvalActionName+*r.EvalResourceName] = true
		}
		if in.Marker = out.Marker; !*out.IsTruncated {
			equal(t, "pages", pages, 3)
			break
		}
	}
	equal(t, "results", len(seen), 9)
}

func TestSimulatePrincipalPolicy(t *testing.T) {
	f := newFixture(t)
	r := f.role("r")
	_, err := f.PutRolePolicy(f.ctx, &api.PutRolePolicyInput{RoleName: new("r"), PolicyName: new("p"), PolicyDocument: new(allowGet)})
	f.check(err, "")
	_, err = f.AttachRolePolicy(f.ctx, &api.AttachRolePolicyInput{RoleName: new("r"), PolicyArn: new(lambdaARN)})
	f.check(err, "")
	out, err := f.SimulatePrincipalPolicy(f.ctx, &api.SimulatePrincipalPolicyInput{
		PolicySourceArn: r.Arn, ActionNames: []string{"s3:GetObject", "lambda:CreateFunction", "s3:PutObject"}, ResourceArns: []string{"arn:aws:s3:::b/k"},
	})
	f.check(err, "")
	got := ""
	for _, r := range out.EvaluationResults {
		got += *r.EvalDecision + " "
		for _, m := range r.MatchedStatements {
			got += "by " + *m.SourcePolicyID + " "
			equal(t, "type", *m.SourcePolicyType, "IAM Policy")
		}
	}
	equal(t, "results", got, "allowed by role_r_p allowed by AWSLambda_FullAccess implicitDeny ")
	keys, err := f.GetContextKeysForPrincipalPolicy(f.ctx, &api.GetContextKeysForPrincipalPolicyInput{PolicySourceArn: r.Arn})
	f.check(err, "")
	if !strings.Contains(strings.ToLower(fmt.Sprint(keys.ContextKeyNames)), "iam:passedtoservice") {
		t.Errorf("context keys: %v", keys.ContextKeyNames)
	}
}

func TestPoliciesGrantingServiceAccess(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	f.group("devs")
	for _, err := range []error{
		second(f.AttachUserPolicy(f.ctx, &api.AttachUserPolicyInput{UserName: new("ann"), PolicyArn: new("arn:aws:iam::aws:policy/PowerUserAccess")})),
		second(f.PutGroupPolicy(f.ctx, &api.PutGroupPolicyInput{GroupName: new("devs"), PolicyName: new("get"), PolicyDocument: new(allowGet)})),
		second(f.AddUserToGroup(f.ctx, &api.AddUserToGroupInput{GroupName: new("devs"), UserName: new("ann")})),
	} {
		f.check(err, "")
	}
	arn := new("arn:aws:iam::111111111111:user/ann")
	out, err := f.ListPoliciesGrantingServiceAccess(f.ctx, &api.ListPoliciesGrantingServiceAccessInput{Arn: arn, ServiceNamespaces: []string{"s3", "organizations", "kms"}})
	f.check(err, "")
	got := ""
	for _, e := range out.PoliciesGrantingServiceAccess {
		got += *e.ServiceNamespace + names(e.Policies, func(p *api.PolicyGrantingServiceAccess) *string { return p.PolicyName }) + " "
	}
	equal(t, "policies", got, "kms[PowerUserAccess] organizations[PowerUserAccess] s3[PowerUserAccess get] ")
}

func second[T any](_ T, err error) error { return err }

func TestServiceLastAccessed(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	arn := f.policy("p", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:Get*","s3:*"],"Resource":"*"}]}`)
	f.check(second(f.AttachUserPolicy(f.ctx, &api.AttachUserPolicyInput{UserName: new("ann"), PolicyArn: &arn})), "")
	f.allowed(f.principal(f.key("ann")), "iam:GetUser", "*")
	for _, of := range []string{arn, "arn:aws:iam::111111111111:user/ann"} {
		job, err := f.GenerateServiceLastAccessedDetails(f.ctx, &api.GenerateServiceLastAccessedDetailsInput{Arn: &of})
		f.check(err, "")
		out, err := f.GetServiceLastAccessedDetails(f.ctx, &api.GetServiceLastAccessedDetailsInput{JobID: job.JobID})
		f.check(err, "")
		equal(t, "services", names(out.ServicesLastAccessed, func(s *api.ServiceLastAccessed) *string { return s.ServiceNamespace }), "[iam s3]")
		equal(t, "last", *out.ServicesLastAccessed[0].LastAuthenticated, noon)
		if out.ServicesLastAccessed[1].LastAuthenticated != nil {
			t.Error("S3 was used")
		}
	}
	_, err := f.GetServiceLastAccessedDetails(f.ctx, &api.GetServiceLastAccessedDetailsInput{JobID: new(newJobID())})
	if err == nil {
		t.Error("a job that nobody made is there")
	}
}

func TestCredentialReport(t *testing.T) {
	f := newFixture(t)
	_, err := f.GetCredentialReport(f.ctx, &api.GetCredentialReportInput{})
	f.check(err, "ReportNotPresent: No report present. Use GenerateCredentialReport to create one.")
	f.user("ann")
	k := f.key("ann")
	f.allowed(f.principal(k), "iam:GetUser", "*")
	f.check(second(f.GenerateCredentialReport(f.ctx, &api.GenerateCredentialReportInput{})), "")
	f.reopen()
	out, err := f.GetCredentialReport(f.ctx, &api.GetCredentialReportInput{})
	f.check(err, "")
	lines := strings.Split(strings.TrimSpace(string(out.Content)), "\n")
	equal(t, "lines", len(lines), 3)
	equal(t, "ann's", lines[2], "ann,arn:aws:iam::111111111111:user/ann,2026-11-21T12:00:00Z,false,N/A,N/A,N/A,false,true,"+
		"2026-11-21T12:00:00Z,2026-11-21T12:00:00Z,us-east-1,iam,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A")
	f.at = noon.Add(reportAge + 1)
	_, err = f.GetCredentialReport(f.ctx, &api.GetCredentialReportInput{})
	f.check(err, "ReportExpired: The report is expired. Use GenerateCredentialReport to create a new one.")
}

func TestAccountAuthorizationDetails(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	f.group("devs")
	f.role("r")
	f.role("q")
	f.policy("p", allowGet)
	f.check(second(f.AttachRolePolicy(f.ctx, &api.AttachRolePolicyInput{RoleName: new("r"), PolicyArn: new(lambdaARN)})), "")
	f.check(second(f.PutRolePolicy(f.ctx, &api.PutRolePolicyInput{RoleName: new("r"), PolicyName: new("in"), PolicyDocument: new(allowGet)})), "")
	got, pages := []string{}, 0
	in := &api.GetAccountAuthorizationDetailsInput{MaxItems: new(2)}
	for {
		out, err := f.GetAccountAuthorizationDetails(f.ctx, in)
		f.check(err, "")
		for _, g := range out.GroupDetailList {
			got = append(got, *g.GroupName)
		}
		for _, r := range out.RoleDetailList {
			got = append(got, fmt.Sprint(*r.RoleName, len(r.AttachedManagedPolicies), len(r.RolePolicyList)))
		}
		for _, u := range out.UserDetailList {
			got = append(got, *u.UserName)
		}
		for _, p := range out.Policies {
			got = append(got, fmt.Sprint(*p.PolicyName, *p.AttachmentCount, len(p.PolicyVersionList)))
		}
		pages++
		if in.Marker = out.Marker; in.Marker == nil {
			break
		}
	}
	equal(t, "details", fmt.Sprint(got), "[devs q0 0 r1 1 ann AWSLambda_FullAccess1 1 p0 1]")
	equal(t, "pages", pages, 3)
	only, err := f.GetAccountAuthorizationDetails(f.ctx, &api.GetAccountAuthorizationDetailsInput{Filter: []string{"User"}})
	f.check(err, "")
	equal(t, "users alone", len(only.UserDetailList)+len(only.RoleDetailList)+len(only.Policies), 1)
}

func TestOpenIDConnectProvider(t *testing.T) {
	f := newFixture(t)
	out, err := f.CreateOpenIDConnectProvider(f.ctx, &api.CreateOpenIDConnectProviderInput{URL: new("https://id.example.com/t"), ClientIDList: []string{"a"}})
	f.check(err, "")
	arn := out.OpenIDConnectProviderArn
	equal(t, "arn", *arn, "arn:aws:iam::111111111111:oidc-provider/id.example.com/t")
	_, err = f.CreateOpenIDConnectProvider(f.ctx, &api.CreateOpenIDConnectProviderInput{URL: new("https://id.example.com/t")})
	f.check(err, "EntityAlreadyExists: Provider with url https://id.example.com/t already exists.")
	_, err = f.CreateOpenIDConnectProvider(f.ctx, &api.CreateOpenIDConnectProviderInput{URL: new("http://id.example.com")})
	f.check(err, "ValidationError: Invalid Open ID Connect Provider URL")
	f.check(second(f.AddClientIDToOpenIDConnectProvider(f.ctx, &api.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: new("b")})), "")
	f.check(second(f.RemoveClientIDFromOpenIDConnectProvider(f.ctx, &api.RemoveClientIDFromOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: new("a")})), "")
	f.check(second(f.UpdateOpenIDConnectProviderThumbprint(f.ctx, &api.UpdateOpenIDConnectProviderThumbprintInput{OpenIDConnectProviderArn: arn, ThumbprintList: []string{strings.Repeat("a", 40)}})), "")
	f.reopen()
	got, err := f.GetOpenIDConnectProvider(f.ctx, &api.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})
	f.check(err, "")
	equal(t, "provider", fmt.Sprint(*got.URL, got.ClientIDList, len(got.ThumbprintList)), "id.example.com/t[b] 1")
	p, err := f.Provider(f.ctx, accountA, "id.example.com/t")
	f.check(err, "")
	equal(t, "clients for STS", fmt.Sprint(p.ClientIDs), "[b]")
	_, err = f.Provider(f.ctx, accountB, "id.example.com/t")
	f.check(err, "NoSuchEntity: OpenIDConnect Provider not found for arn arn:aws:iam::222222222222:oidc-provider/id.example.com/t")
	f.check(second(f.DeleteOpenIDConnectProvider(f.ctx, &api.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})), "")
	list, err := f.ListOpenIDConnectProviders(f.ctx, &api.ListOpenIDConnectProvidersInput{})
	f.check(err, "")
	equal(t, "left", len(list.OpenIDConnectProviderList), 0)
}
