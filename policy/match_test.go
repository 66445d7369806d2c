package policy

import (
	"testing"

	"github.com/enfold-run/enfold/aws"
)

// TestStatementMatches is about Action, NotAction, Resource and NotResource.
func TestStatementMatches(t *testing.T) {
	const f = "arn:aws:lambda:us-east-1:111122223333:function:f"
	tests := []struct {
		name, statement, action, resource string
		want                              bool
	}{
		{"exact", `"Action":"lambda:InvokeFunction","Resource":"` + f + `"`, "lambda:InvokeFunction", f, true},
		{"case of the action", `"Action":"LAMBDA:invokeFUNCTION","Resource":"*"`, "lambda:InvokeFunction", f, true},
		{"case of the resource", `"Action":"lambda:*","Resource":"arn:aws:lambda:us-east-1:111122223333:function:F"`, "lambda:InvokeFunction", f, false},
		{"other action", `"Action":"lambda:InvokeFunctionUrl","Resource":"*"`, "lambda:InvokeFunction", f, false},
		{"all of a vendor", `"Action":"lambda:*","Resource":"*"`, "lambda:InvokeFunction", f, true},
		{"all of another vendor", `"Action":"lam:*","Resource":"*"`, "lambda:InvokeFunction", f, false},
		{"some of a vendor", `"Action":["s3:*","lambda:Get*"],"Resource":"*"`, "lambda:GetFunction", f, true},
		{"question mark", `"Action":"lambda:?nvokeFunction","Resource":"*"`, "lambda:InvokeFunction", f, true},
		{"every action", `"Action":"*","Resource":"*"`, "lambda:InvokeFunction", f, true},
		{"vendor wildcard", `"Action":"*:InvokeFunction","Resource":"*"`, "lambda:InvokeFunction", f, true},
		{"not action", `"NotAction":"iam:*","Resource":"*"`, "lambda:InvokeFunction", f, true},
		{"not this action", `"NotAction":["iam:*","lambda:Inv*"],"Resource":"*"`, "lambda:InvokeFunction", f, false},
		{"version of the function", `"Action":"lambda:*","Resource":"` + f + `"`, "lambda:InvokeFunction", f + ":1", false},
		{"versions of the function", `"Action":"lambda:*","Resource":"` + f + `:*"`, "lambda:InvokeFunction", f + ":1", true},
		{"star crosses colons", `"Action":"lambda:*","Resource":"arn:aws:lambda:*:function:f"`, "lambda:InvokeFunction", f, true},
		{"not resource", `"Action":"lambda:*","NotResource":["arn:aws:s3:::b","` + f + `:*"]`, "lambda:InvokeFunction", f, true},
		{"not this resource", `"Action":"lambda:*","NotResource":["arn:aws:s3:::b","` + f + `*"]`, "lambda:InvokeFunction", f, false},
		{"no resource level", `"Action":"lambda:*","Resource":"*"`, "lambda:ListFunctions", "*", true},
		{"no resource level of one", `"Action":"lambda:*","Resource":"` + f + `"`, "lambda:ListFunctions", "*", false},
		{"variable", `"Action":"lambda:*","Resource":"arn:aws:lambda:*:${aws:PrincipalAccount}:function:*"`, "lambda:InvokeFunction", f, true},
		{"variable of another", `"Action":"lambda:*","Resource":"arn:aws:lambda:*:*:function:${aws:username}"`, "lambda:InvokeFunction", f, false},
		{"variable with default", `"Action":"lambda:*","Resource":"arn:aws:lambda:*:*:function:${aws:PrincipalTag/Fn, 'f'}"`, "lambda:InvokeFunction", f, true},
		{"variable without value", `"Action":"lambda:*","Resource":"arn:aws:lambda:*:*:function:${aws:PrincipalTag/Fn}*"`, "lambda:InvokeFunction", f, false},
		{"not variable without value", `"Action":"lambda:*","NotResource":"arn:aws:lambda:*:*:function:${aws:PrincipalTag/Fn}*"`, "lambda:InvokeFunction", f, false},
		{"variable without value beside a match", `"Action":"lambda:*","Resource":["arn:aws:s3:::${aws:PrincipalTag/Fn}","*"]`, "lambda:InvokeFunction", f, true},
	}
	for _, tt := range tests {
		for _, effect := range []Effect{Allow, Deny} {
			t.Run(tt.name+" "+string(effect), func(t *testing.T) {
				p := identity(t, `"Effect":"`+string(effect)+`",`+tt.statement)
				d := Evaluate(&Request{Principal: alice, Action: tt.action, Resource: tt.resource}, &Grants{Identity: []Named{p}}, nil)
				if d.Allowed != (tt.want && effect == Allow) || d.Explicit != (tt.want && effect == Deny) {
					t.Errorf("got %+v", d)
				}
			})
		}
	}
}

// TestTrust is about who may assume a role, whose trust policy is decisive.
func TestTrust(t *testing.T) {
	const arn = "arn:aws:iam::111122223333:role/r"
	may := identity(t, `"Effect":"Allow","Action":"sts:AssumeRole","Resource":"`+arn+`"`)
	trust := func(principal, condition string) []Named {
		return []Named{must(t, KindTrust, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":`+principal+
			`,"Action":["sts:AssumeRole","sts:AssumeRoleWithWebIdentity"],"Condition":`+condition+`}]}`)}
	}
	tests := []struct {
		name      string
		who       *aws.Principal
		principal string
		condition string
		action    string
		identity  []Named
		want      bool
	}{
		{"lambda", aws.ServicePrincipal("lambda.amazonaws.com"), `{"Service":"lambda.amazonaws.com"}`, `{}`, "sts:AssumeRole", nil, true},
		{"events", aws.ServicePrincipal("events.amazonaws.com"), `{"Service":"lambda.amazonaws.com"}`, `{}`, "sts:AssumeRole", nil, false},
		{"user with a policy only", alice, `{"Service":"lambda.amazonaws.com"}`, `{}`, "sts:AssumeRole", []Named{may}, false},
		{"user by the account", alice, `{"AWS":"` + ours + `"}`, `{}`, "sts:AssumeRole", []Named{may}, true},
		{"user by the account without a policy", alice, `{"AWS":"` + ours + `"}`, `{}`, "sts:AssumeRole", nil, false},
		{"user by name", alice, `{"AWS":"` + alice.Arn + `"}`, `{}`, "sts:AssumeRole", nil, true},
		{"across", other, `{"AWS":"` + theirs + `"}`, `{}`, "sts:AssumeRole", []Named{may}, true},
		{"across by name without a policy", other, `{"AWS":"` + other.Arn + `"}`, `{}`, "sts:AssumeRole", nil, false},
		{"external id", other, `{"AWS":"` + theirs + `"}`, `{"StringEquals":{"sts:ExternalId":"x"}}`, "sts:AssumeRole", []Named{may}, true},
		{"other external id", other, `{"AWS":"` + theirs + `"}`, `{"StringEquals":{"sts:ExternalId":"y"}}`, "sts:AssumeRole", []Named{may}, false},
		{"token", token, `{"Federated":"` + token.Session.Provider + `"}`, `{"StringLike":{"id.example.com/x:sub":"repo:*"}}`, "sts:AssumeRoleWithWebIdentity", nil, true},
		{"token of another", token, `{"Federated":"` + token.Session.Provider + `"}`, `{"StringEquals":{"id.example.com/x:sub":"repo:b"}}`, "sts:AssumeRoleWithWebIdentity", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := &Request{Principal: tt.who, Action: tt.action, Resource: arn, ResourceAccount: ours, Keys: keys{"sts:externalid": {"x"}}}
			d := Evaluate(req, &Grants{Identity: tt.identity}, &ResourceGrants{Policies: trust(tt.principal, tt.condition), Decisive: true})
			if d.Allowed != tt.want {
				t.Errorf("got %+v", d)
			}
		})
	}
}

// TestRoleSessionIsNotItsProvider: a role that a token got is not the holder of the token any more.
func TestRoleSessionIsNotItsProvider(t *testing.T) {
	session := *role
	s := *role.Session
	s.Provider = token.Session.Provider
	session.Session = &s
	p := resource(t, `"Effect":"Allow","Action":"sqs:*","Resource":"*","Principal":{"Federated":"`+s.Provider+`"}`)
	d := Evaluate(&Request{Principal: &session, Action: "sqs:SendMessage", Resource: queue}, nil, &ResourceGrants{Policies: []Named{p}})
	if d.Allowed {
		t.Errorf("got %+v", d)
	}
}

// TestPolicyWithoutPrincipalAllowsNobody: an identity policy on the resource's side would name everybody.
func TestPolicyWithoutPrincipalAllowsNobody(t *testing.T) {
	p := identity(t, `"Effect":"Allow","Action":"*","Resource":"*"`)
	d := Evaluate(&Request{Principal: alice, Action: "sqs:SendMessage", Resource: queue}, nil, &ResourceGrants{Policies: []Named{p, {Name: "none"}}})
	if d.Allowed {
		t.Errorf("got %+v", d)
	}
}

// TestLimitedByNothing: a session that has session policies, none of which is there, may do nothing.
func TestLimitedByNothing(t *testing.T) {
	p := identity(t, `"Effect":"Allow","Action":"*","Resource":"*"`)
	d := Evaluate(&Request{Principal: role, Action: "sqs:SendMessage", Resource: queue}, &Grants{Identity: []Named{p}, Limited: true}, nil)
	if d.Allowed || d.Layer != SessionPolicy {
		t.Errorf("got %+v", d)
	}
}

func TestDecisionNamesStatement(t *testing.T) {
	a := must(t, KindIdentity, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Sid":"Queues","Effect":"Allow","Action":"sqs:*","Resource":"*"}]}`)
	a.Name = "arn:aws:iam::111122223333:policy/a"
	b := must(t, KindIdentity, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*"},{"Effect":"Deny","Action":"sqs:Delete*","Resource":"*"}]}`)
	b.Name = "inline policy b of user alice"
	g := &Grants{Identity: []Named{a, b}}
	if d := Evaluate(&Request{Principal: alice, Action: "sqs:SendMessage", Resource: queue}, g, nil); d.Policy != a.Name || d.Statement != "Queues" {
		t.Errorf("got %+v", d)
	}
	if d := Evaluate(&Request{Principal: alice, Action: "sqs:DeleteQueue", Resource: queue}, g, nil); d.Policy != b.Name || d.Statement != "[1]" {
		t.Errorf("got %+v", d)
	}
}

func TestMessage(t *testing.T) {
	const start = "User: arn:aws:iam::111122223333:user/team/alice is not authorized to perform: "
	const lambda = start + "lambda:InvokeFunction on resource: arn:aws:lambda:us-east-1:111122223333:function:f"
	invoke := Request{Principal: alice, Action: "lambda:InvokeFunction", Resource: "arn:aws:lambda:us-east-1:111122223333:function:f"}
	tests := []struct {
		name string
		d    Decision
		req  Request
		want string
	}{
		{"allowed", Decision{Allowed: true}, invoke, ""},
		{"identity", Decision{Layer: IdentityBased}, invoke, lambda + " because no identity-based policy allows the lambda:InvokeFunction action"},
		{"resource", Decision{Layer: ResourceBased}, invoke, lambda + " because no resource-based policy allows the lambda:InvokeFunction action"},
		{"boundary", Decision{Layer: Boundary}, invoke, lambda + " because no permissions boundary allows the lambda:InvokeFunction action"},
		{"session", Decision{Layer: SessionPolicy}, invoke, lambda + " because no session policy allows the lambda:InvokeFunction action"},
		{"control", Decision{Layer: ServiceControl}, invoke, lambda + " because no service control policy allows the lambda:InvokeFunction action"},
		{"deny by identity", Decision{Explicit: true, Layer: IdentityBased}, invoke, lambda + " with an explicit deny in an identity-based policy"},
		{"deny by resource", Decision{Explicit: true, Layer: ResourceBased}, invoke, lambda + " with an explicit deny in a resource-based policy"},
		{"deny by boundary", Decision{Explicit: true, Layer: Boundary}, invoke, lambda + " with an explicit deny in a permissions boundary"},
		{"deny by session", Decision{Explicit: true, Layer: SessionPolicy}, invoke, lambda + " with an explicit deny in a session policy"},
		{"deny by control", Decision{Explicit: true, Layer: ServiceControl}, invoke, lambda + " with an explicit deny in a service control policy"},
		{"across", Decision{CrossAccount: true, Layer: ResourceBased}, invoke, lambda},
		{
			"no resource level",
			Decision{Layer: IdentityBased},
			Request{Principal: alice, Action: "lambda:ListFunctions", Resource: "*"},
			start + "lambda:ListFunctions on resource: * because no identity-based policy allows the lambda:ListFunctions action",
		},
		{
			"no resource",
			Decision{Layer: IdentityBased},
			Request{Principal: alice, Action: "ec2:DescribeVpcs"},
			start + "ec2:DescribeVpcs because no identity-based policy allows the ec2:DescribeVpcs action",
		},
		{
			"assume role",
			Decision{Layer: ResourceBased},
			Request{Principal: alice, Action: "sts:AssumeRole", Resource: "arn:aws:iam::111122223333:role/r"},
			start + "sts:AssumeRole on resource: arn:aws:iam::111122223333:role/r",
		},
		{
			"anonymous",
			Decision{CrossAccount: true},
			Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k"},
			"User: anonymous is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k",
		},
		{
			"web identity",
			Decision{Layer: ResourceBased, Explicit: true},
			Request{
				Principal: &aws.Principal{Type: aws.Anonymous, Session: &aws.Session{Provider: "arn:aws:iam::111122223333:oidc-provider/i"}},
				Action:    "sts:AssumeRoleWithWebIdentity", Resource: "arn:aws:iam::111122223333:role/r",
			},
			"Not authorized to perform sts:AssumeRoleWithWebIdentity",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.d.Message(&tt.req); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestStatementPublic(t *testing.T) {
	const what = `"Action":"sqs:*","Resource":"*",`
	for statement, want := range map[string]bool{
		`"Effect":"Allow",` + what + `"Principal":"*"`:                                        true,
		`"Effect":"Allow",` + what + `"Principal":{"AWS":["111122223333","*"]}`:               true,
		`"Effect":"Allow",` + what + `"Principal":{"Service":"s3.amazonaws.com"}`:             false,
		`"Effect":"Deny",` + what + `"Principal":"*"`:                                         false,
		`"Effect":"Deny",` + what + `"NotPrincipal":{"AWS":"arn:aws:iam::111122223333:root"}`: false,
	} {
		if got := resource(t, statement).Statements()[0].Public(); got != want {
			t.Errorf("%s: public is %v", statement, got)
		}
	}
}
