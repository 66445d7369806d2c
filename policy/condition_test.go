package policy

import (
	"slices"
	"testing"

	"github.com/enfold-run/enfold/aws"
)

// TestConditions decides for alice, whose request has the keys of the row.
func TestConditions(t *testing.T) {
	const yes, no = true, false
	none := keys{}
	k := func(values ...string) keys { return keys{"s3:k": values} }
	tests := []struct {
		name      string
		condition string // of the key s3:K if it starts with an operator
		keys      keys
		want      bool
	}{
		{"StringEquals", `{"StringEquals":{"s3:K":"a"}}`, k("a"), yes},
		{"StringEquals other", `{"StringEquals":{"s3:K":"a"}}`, k("A"), no},
		{"StringEquals of many", `{"StringEquals":{"s3:K":["b","a"]}}`, k("a"), yes},
		{"StringEquals star is a star", `{"StringEquals":{"s3:K":"*"}}`, k("a"), no},
		{"StringEquals absent", `{"StringEquals":{"s3:K":"a"}}`, none, no},
		{"StringEquals no values", `{"StringEquals":{"s3:K":[]}}`, k("a"), no},
		{"StringNotEquals", `{"StringNotEquals":{"s3:K":["a","b"]}}`, k("c"), yes},
		{"StringNotEquals one of", `{"StringNotEquals":{"s3:K":["a","b"]}}`, k("b"), no},
		{"StringNotEquals absent", `{"StringNotEquals":{"s3:K":"a"}}`, none, yes},
		{"StringEqualsIgnoreCase", `{"StringEqualsIgnoreCase":{"s3:K":"AbC"}}`, k("aBc"), yes},
		{"StringEqualsIgnoreCase star", `{"StringEqualsIgnoreCase":{"s3:K":"*"}}`, k("x"), no},
		{"StringNotEqualsIgnoreCase", `{"StringNotEqualsIgnoreCase":{"s3:K":"AbC"}}`, k("aBc"), no},
		{"StringLike", `{"StringLike":{"s3:K":"a*c?"}}`, k("abbcd"), yes},
		{"StringLike case", `{"StringLike":{"s3:K":"a*"}}`, k("Ab"), no},
		{"StringLike empty", `{"StringLike":{"s3:K":["","home/"]}}`, k(""), yes},
		{"StringNotLike", `{"StringNotLike":{"s3:K":"a*"}}`, k("ab"), no},
		{"StringNotLike absent", `{"StringNotLike":{"s3:K":"a*"}}`, none, yes},

		{"NumericEquals", `{"NumericEquals":{"s3:K":"10"}}`, k("10.0"), yes},
		{"NumericEquals exact", `{"NumericEquals":{"s3:K":"9007199254740993"}}`, k("9007199254740992"), no},
		{"NumericEquals of no number", `{"NumericEquals":{"s3:K":"10"}}`, k("ten"), no},
		{"NumericEquals hexadecimal", `{"NumericEquals":{"s3:K":"16"}}`, k("0x10"), no},
		{"NumericNotEquals", `{"NumericNotEquals":{"s3:K":"10"}}`, k("11"), yes},
		{"NumericLessThan", `{"NumericLessThan":{"s3:K":10}}`, k("9.99"), yes},
		{"NumericLessThan same", `{"NumericLessThan":{"s3:K":10}}`, k("10"), no},
		{"NumericLessThan infinity", `{"NumericLessThan":{"s3:K":10}}`, k("-inf"), no},
		{"NumericLessThanEquals", `{"NumericLessThanEquals":{"s3:K":"10"}}`, k("10"), yes},
		{"NumericGreaterThan", `{"NumericGreaterThan":{"s3:K":"-1"}}`, k("0"), yes},
		{"NumericGreaterThanEquals", `{"NumericGreaterThanEquals":{"s3:K":"1e1"}}`, k("9"), no},
		{"Numeric of no number", `{"NumericLessThan":{"s3:K":"many"}}`, k("1"), no},

		{"DateEquals", `{"DateEquals":{"s3:K":"2026-01-02T03:04:05Z"}}`, k("2026-01-02T04:04:05+01:00"), yes},
		{"DateEquals seconds", `{"DateEquals":{"s3:K":"1767323045"}}`, k("2026-01-02T03:04:05Z"), yes},
		{"DateNotEquals", `{"DateNotEquals":{"s3:K":"2026-01-02"}}`, k("2026-01-02T00:00:00Z"), no},
		{"DateLessThan", `{"DateLessThan":{"s3:K":"2026-01-02T03:04:05.5Z"}}`, k("2026-01-02T03:04:05Z"), yes},
		{"DateLessThanEquals", `{"DateLessThanEquals":{"s3:K":"2026"}}`, k("2025-12-31T23:59:59Z"), no}, // 2,026 seconds after 1970
		{"DateGreaterThan", `{"DateGreaterThan":{"s3:K":"2026-01"}}`, k("2026-01-01T00:00:01Z"), yes},
		{"DateGreaterThanEquals", `{"DateGreaterThanEquals":{"s3:K":"2026-01-02T03:04Z"}}`, k("2026-01-02T03:03:59Z"), no},
		{"Date of no date", `{"DateGreaterThan":{"s3:K":"2026-01-02"}}`, k("now"), no},

		{"Bool", `{"Bool":{"s3:K":"true"}}`, k("true"), yes},
		{"Bool JSON", `{"Bool":{"s3:K":false}}`, k("False"), yes},
		{"Bool other", `{"Bool":{"s3:K":"true"}}`, k("false"), no},
		{"Bool absent", `{"Bool":{"s3:K":"false"}}`, none, no},
		{"BoolIfExists absent", `{"BoolIfExists":{"s3:K":"false"}}`, none, yes},
		{"BinaryEquals", `{"BinaryEquals":{"s3:K":"QmluYXJ5"}}`, k("QmluYXJ5"), yes},
		{"BinaryEquals other", `{"BinaryEquals":{"s3:K":"QmluYXJ5"}}`, k("Qmlu"), no},
		{"BinaryEquals of no base64", `{"BinaryEquals":{"s3:K":"*"}}`, k("*"), no},

		{"IpAddress", `{"IpAddress":{"s3:K":"203.0.113.0/24"}}`, k("203.0.113.77"), yes},
		{"IpAddress single", `{"IpAddress":{"s3:K":"203.0.113.7"}}`, k("203.0.113.8"), no},
		{"IpAddress host bits", `{"IpAddress":{"s3:K":"203.0.113.9/24"}}`, k("203.0.113.77"), yes},
		{"IpAddress 6", `{"IpAddress":{"s3:K":"2001:db8::/32"}}`, k("2001:DB8:1::1"), yes},
		{"IpAddress 4 in 6", `{"IpAddress":{"s3:K":"203.0.113.0/24"}}`, k("::ffff:203.0.113.7"), yes},
		{"IpAddress zone", `{"IpAddress":{"s3:K":"fe80::/10"}}`, k("fe80::1%eth0"), yes},
		{"IpAddress of no address", `{"IpAddress":{"s3:K":"0.0.0.0/0"}}`, k("lambda.amazonaws.com"), no},
		{"IpAddress of no range", `{"IpAddress":{"s3:K":"10.0.0.0/33"}}`, k("10.0.0.1"), no},
		{"NotIpAddress", `{"NotIpAddress":{"s3:K":["10.0.0.0/8","192.168.0.0/16"]}}`, k("192.168.1.1"), no},
		{"NotIpAddress outside", `{"NotIpAddress":{"s3:K":["10.0.0.0/8","192.168.0.0/16"]}}`, k("203.0.113.7"), yes},

		{"ArnLike", `{"ArnLike":{"s3:K":"arn:aws:sns:*:111122223333:t*"}}`, k("arn:aws:sns:eu-west-1:111122223333:topic"), yes},
		{"ArnEquals has wildcards too", `{"ArnEquals":{"s3:K":"arn:aws:sns:*:*:topic"}}`, k("arn:aws:sns:eu-west-1:111122223333:topic"), yes},
		{"ArnLike star does not cross colons", `{"ArnLike":{"s3:K":"arn:aws:sns:*:topic"}}`, k("arn:aws:sns:eu-west-1:111122223333:topic"), no},
		{"ArnLike star of a segment", `{"ArnLike":{"s3:K":"arn:aws:sns:*:444455556666:t"}}`, k("arn:aws:sns:eu:444455556666:444455556666:t"), no},
		{"ArnLike star of the last", `{"ArnLike":{"s3:K":"arn:aws:lambda:us-east-1:111122223333:function:*"}}`, k("arn:aws:lambda:us-east-1:111122223333:function:f:7"), yes},
		{"ArnLike question marks", `{"ArnLike":{"s3:K":"arn:aws:s3:::b?"}}`, k("arn:aws:s3:::b1"), yes},
		{"ArnLike short", `{"ArnLike":{"s3:K":"arn:aws:sns:*"}}`, k("arn:aws:sns:eu-west-1:111122223333:topic"), yes},
		{"ArnLike short of another vendor", `{"ArnLike":{"s3:K":"arn:aws:sns:*"}}`, k("arn:aws:sqs:eu-west-1:111122223333:sns:"), no},
		{"ArnLike anything", `{"ArnLike":{"s3:K":"*"}}`, k("arn:aws:s3:::b"), yes},
		{"ArnLike of no ARN", `{"ArnLike":{"s3:K":"arn:aws:s3:::*"}}`, k("b"), no},
		{"ArnNotLike", `{"ArnNotLike":{"s3:K":"arn:aws:s3:::*"}}`, k("arn:aws:s3:::b"), no},
		{"ArnNotEquals", `{"ArnNotEquals":{"s3:K":"arn:aws:s3:::c"}}`, k("arn:aws:s3:::b"), yes},
		{"ArnNotEquals absent", `{"ArnNotEquals":{"s3:K":"arn:aws:s3:::c"}}`, none, yes},

		{"Null", `{"Null":{"s3:K":"true"}}`, none, yes},
		{"Null false", `{"Null":{"s3:K":"false"}}`, none, no},
		{"Null of a value", `{"Null":{"s3:K":"true"}}`, k("a"), no},
		{"Null false of a value", `{"Null":{"s3:K":false}}`, k("a"), yes},
		{"Null of no values", `{"Null":{"s3:K":"true"}}`, k(), yes},

		{"IfExists absent", `{"StringEqualsIfExists":{"s3:K":"a"}}`, none, yes},
		{"IfExists other", `{"StringEqualsIfExists":{"s3:K":"a"}}`, k("b"), no},
		{"IfExists not", `{"StringNotLikeIfExists":{"s3:K":"a*"}}`, k("ab"), no},
		{"NumericIfExists", `{"NumericLessThanIfExists":{"s3:K":"5"}}`, k("9"), no},
		{"ArnIfExists", `{"ArnLikeIfExists":{"s3:K":"arn:aws:s3:::*"}}`, none, yes},
		{"IpAddressIfExists", `{"IpAddressIfExists":{"s3:K":"10.0.0.0/8"}}`, none, yes},

		{"ForAllValues", `{"ForAllValues:StringEquals":{"s3:K":["a","b"]}}`, k("a", "b", "a"), yes},
		{"ForAllValues but one", `{"ForAllValues:StringEquals":{"s3:K":["a","b"]}}`, k("a", "c"), no},
		{"ForAllValues absent", `{"ForAllValues:StringEquals":{"s3:K":"a"}}`, none, yes},
		{"ForAllValues of none", `{"ForAllValues:StringEquals":{"s3:K":"a"}}`, k(), yes},
		{"ForAllValues of nothing", `{"ForAllValues:StringEquals":{"s3:K":"a"}}`, k(""), yes},
		{"ForAllValues not", `{"ForAllValues:StringNotEquals":{"s3:K":["a","b"]}}`, k("c", "d"), yes},
		{"ForAllValues not but one", `{"ForAllValues:StringNotEquals":{"s3:K":["a","b"]}}`, k("c", "a"), no},
		{"ForAllValues like", `{"ForAllValues:StringLike":{"s3:K":"a*"}}`, k("ab", "ac"), yes},
		{"ForAnyValue", `{"ForAnyValue:StringEquals":{"s3:K":["a","b"]}}`, k("c", "b"), yes},
		{"ForAnyValue none", `{"ForAnyValue:StringEquals":{"s3:K":["a","b"]}}`, k("c", "d"), no},
		{"ForAnyValue absent", `{"ForAnyValue:StringEquals":{"s3:K":"a"}}`, none, no},
		{"ForAnyValue of none", `{"ForAnyValue:StringEquals":{"s3:K":"a"}}`, k(), no},
		{"ForAnyValue not", `{"ForAnyValue:StringNotEquals":{"s3:K":["a","b"]}}`, k("a", "c"), yes},
		{"ForAnyValue not none", `{"ForAnyValue:StringNotEquals":{"s3:K":["a","b"]}}`, k("a", "b"), no},
		{"ForAnyValue not absent", `{"ForAnyValue:StringNotEquals":{"s3:K":"a"}}`, none, no},
		{"ForAnyValue if exists absent", `{"ForAnyValue:StringEqualsIfExists":{"s3:K":"a"}}`, none, yes},

		{"several values and no set", `{"StringEquals":{"s3:K":"a"}}`, k("b", "a"), yes},
		{"several values, none of them", `{"StringNotEquals":{"s3:K":"a"}}`, k("b", "a"), no},
		{"both operators", `{"StringEquals":{"s3:K":"a"},"Bool":{"s3:L":"true"}}`, keys{"s3:k": {"a"}, "s3:l": {"true"}}, yes},
		{"one operator of two", `{"StringEquals":{"s3:K":"a"},"Bool":{"s3:L":"true"}}`, keys{"s3:k": {"a"}, "s3:l": {"false"}}, no},
		{"one key of two", `{"StringEquals":{"s3:K":"a","s3:L":"b"}}`, keys{"s3:k": {"a"}, "s3:l": {"c"}}, no},
		{"tags keep their case", `{"StringEquals":{"AWS:RequestTag/CostCenter":"7"}}`, keys{"aws:requesttag/CostCenter": {"7"}}, yes},
		{"encryption context keeps its case", `{"StringEquals":{"KMS:EncryptionContext:aws:lambda:FunctionArn":"7"}}`, keys{"kms:encryptioncontext:aws:lambda:FunctionArn": {"7"}}, yes},

		{"variable", `{"StringEquals":{"s3:K":"${aws:username}"}}`, k("alice"), yes},
		{"variable in a text", `{"StringLike":{"s3:K":"home/${aws:UserName}/*"}}`, k("home/alice/x"), yes},
		{"variable of the request", `{"StringEquals":{"s3:K":"${s3:L}"}}`, keys{"s3:k": {"v"}, "s3:l": {"v"}}, yes},
		{"variable's star is a star", `{"StringLike":{"s3:K":"${s3:L}"}}`, keys{"s3:k": {"abc"}, "s3:l": {"*"}}, no},
		{"variable's marker is no star", `{"StringLike":{"s3:K":"${s3:L}"}}`, keys{"s3:k": {"abc"}, "s3:l": {"\xff"}}, no},
		{"variable absent", `{"StringEquals":{"s3:K":"${s3:L}"}}`, k("v"), no},
		{"variable absent and not", `{"StringNotEquals":{"s3:K":"${s3:L}"}}`, k("v"), no},
		{"variable absent beside a match", `{"StringEquals":{"s3:K":["${s3:L}","v"]}}`, k("v"), yes},
		{"variable of many values", `{"StringEquals":{"s3:K":"${s3:L}"}}`, keys{"s3:k": {"v"}, "s3:l": {"v", "w"}}, no},
		{"default", `{"StringEquals":{"s3:K":"${s3:L, 'all'}"}}`, k("all"), yes},
		{"default not needed", `{"StringEquals":{"s3:K":"${s3:L, 'all'}"}}`, keys{"s3:k": {"all"}, "s3:l": {"x"}}, no},
		{"default's star is a star", `{"StringLike":{"s3:K":"${s3:L, '*'}"}}`, k("x"), no},
		{"literal star", `{"StringLike":{"s3:K":"a${*}b"}}`, k("axb"), no},
		{"literal star itself", `{"StringLike":{"s3:K":"a${*}b${?}${$}"}}`, k("a*b?$"), yes},
		{"unclosed", `{"StringEquals":{"s3:K":"${aws:username"}}`, k("${aws:username"), yes},
		{"variable in an ARN", `{"ArnLike":{"s3:K":"arn:aws:s3:::${aws:username}*"}}`, k("arn:aws:s3:::alice1"), yes},
		{"variable is the ARN", `{"ArnEquals":{"s3:K":"${aws:PrincipalArn}"}}`, k(alice.Arn), yes},
		{"variable adds no segment", `{"ArnLike":{"s3:K":"arn:aws:sns:us-east-1:${s3:L}:t"}}`, keys{"s3:k": {"arn:aws:sns:us-east-1:1:x:t"}, "s3:l": {"1:x"}}, no},
		{"variable and case", `{"StringEqualsIgnoreCase":{"s3:K":"${aws:username}"}}`, k("ALICE"), yes},
		{"no variable in a number", `{"NumericEquals":{"s3:K":"${s3:L}"}}`, keys{"s3:k": {"1"}, "s3:l": {"1"}}, no},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := identity(t, `"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":`+tt.condition)
			req := &Request{Principal: alice, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Keys: tt.keys}
			d := Evaluate(req, &Grants{Identity: []Named{p}}, nil)
			if d.Allowed != tt.want {
				t.Errorf("allowed is %v with %v", d.Allowed, tt.keys)
			}
		})
	}
}

func TestOldVersionHasNoVariables(t *testing.T) {
	p := must(t, KindIdentity, `{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username}"}}`)
	for resource, want := range map[string]bool{"arn:aws:s3:::alice": false, "arn:aws:s3:::${aws:username}": true} {
		d := Evaluate(&Request{Principal: alice, Action: "s3:GetObject", Resource: resource}, &Grants{Identity: []Named{p}}, nil)
		if d.Allowed != want {
			t.Errorf("%s: allowed is %v", resource, d.Allowed)
		}
	}
}

// TestPrincipalKeys shows what the engine knows of who asks; "-" is an absent key.
func TestPrincipalKeys(t *testing.T) {
	mfa := *alice
	mfa.Session = &aws.Session{Op: "GetSessionToken", Issuer: alice.Arn, MFA: true, Created: role.Session.Created}
	tests := []struct {
		who  *aws.Principal
		key  string
		want string
	}{
		{alice, "aws:PrincipalArn", alice.Arn},
		{alice, "aws:username", "alice"},
		{alice, "aws:userid", alice.ID},
		{alice, "aws:PrincipalType", "User"},
		{alice, "aws:PrincipalAccount", ours},
		{alice, "aws:PrincipalIsAWSService", "false"},
		{alice, "aws:MultiFactorAuthPresent", "-"},
		{alice, "aws:TokenIssueTime", "-"},
		{alice, "aws:ResourceAccount", theirs},
		{&mfa, "aws:MultiFactorAuthPresent", "true"},
		{&mfa, "aws:MultiFactorAuthAge", "55"},
		{role, "aws:PrincipalArn", role.Session.Issuer},
		{role, "aws:PrincipalType", "AssumedRole"},
		{role, "aws:userid", role.ID},
		{role, "aws:username", "-"},
		{role, "aws:PrincipalTag/Team", "blue"},
		{role, "aws:principaltag/team", "blue"},
		{role, "aws:PrincipalTag/Other", "-"},
		{role, "aws:TokenIssueTime", "2026-01-02T03:04:05Z"},
		{role, "aws:SourceIdentity", "alice"},
		{role, "lambda:SourceFunctionArn", role.Session.FunctionArn},
		{role, "aws:MultiFactorAuthPresent", "false"},
		{role, "aws:MultiFactorAuthAge", "-"},
		{role, "aws:FederatedProvider", "-"},
		{root, "aws:PrincipalType", "Account"},
		{root, "aws:userid", ours},
		{root, "aws:username", "-"},
		{s3svc, "aws:PrincipalIsAWSService", "true"},
		{s3svc, "aws:PrincipalServiceName", "s3.amazonaws.com"},
		{s3svc, "aws:PrincipalArn", "-"},
		{s3svc, "aws:PrincipalType", "-"},
		{token, "id.example.com/x:sub", "repo:a"},
		{token, "id.example.com/x:aud", "sts.amazonaws.com"},
		{token, "id.example.com/x:amr", "-"},
		{token, "other.example.com:sub", "-"},
		{token, "aws:FederatedProvider", token.Session.Provider},
		{anon, "aws:userid", "anonymous"},
		{anon, "aws:PrincipalType", "Anonymous"},
		{anon, "aws:PrincipalArn", "-"},
	}
	for _, tt := range tests {
		t.Run(string(tt.who.Type)+" "+tt.key, func(t *testing.T) {
			e := newEval(&Request{Principal: tt.who, ResourceAccount: theirs, Keys: keys{"aws:epochtime": {"1767323100"}}}, &Grants{})
			values, ok := e.values(canonical(tt.key))
			got := "-"
			if ok {
				got = values[0]
			}
			if got != tt.want || len(values) > 1 {
				t.Errorf("got %q, want %q", values, tt.want)
			}
		})
	}
}

// TestPrincipalKeysCannotBeForged gives the request keys that would make alice somebody else.
func TestPrincipalKeysCannotBeForged(t *testing.T) {
	forged := keys{"aws:principalarn": {"arn:aws:iam::111122223333:role/admin"}, "aws:username": {"admin"}, "aws:principalaccount": {theirs}}
	for _, condition := range []string{
		`{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/admin"}}`,
		`{"StringEquals":{"aws:username":"admin"}}`,
		`{"StringEquals":{"aws:PrincipalAccount":"` + theirs + `"}}`,
	} {
		p := identity(t, `"Effect":"Allow","Action":"*","Resource":"*","Condition":`+condition)
		d := Evaluate(&Request{Principal: alice, Action: "s3:GetObject", Resource: "*", Keys: forged}, &Grants{Identity: []Named{p}}, nil)
		if d.Allowed {
			t.Errorf("%s was forged", condition)
		}
	}
}

func TestMissing(t *testing.T) {
	g := &Grants{Identity: []Named{
		identity(t, `"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"s3:b":"1","s3:A":"1"}}`),
		identity(t, `"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"s3:c":"1","s3:present":"no"}}`), // would not match anyway
		identity(t, `"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${s3:d}"`),
		identity(t, `"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringLike":{"s3:present":"${s3:e}"},"Bool":{"s3:a":"true"}}`),
		identity(t, `"Effect":"Allow","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"s3:f":"true"}}`), // another action
		identity(t, `"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"Bool":{"s3:g":"true"}}`),
	}}
	d := Evaluate(&Request{Principal: alice, Action: "s3:GetObject", Resource: "arn:aws:s3:::b", Keys: keys{"s3:present": {"yes"}}}, g, nil)
	if want := []string{"s3:a", "s3:b", "s3:d", "s3:e", "s3:g"}; d.Allowed || !slices.Equal(d.Missing, want) {
		t.Errorf("got %+v, want missing %v", d, want)
	}
}

func TestContextKeys(t *testing.T) {
	p := identity(t, `"Effect":"Allow","Action":"s3:*","Resource":["*","arn:aws:s3:::${aws:PrincipalTag/Team}/${aws:username, 'x'}"],`+
		`"Condition":{"StringLike":{"S3:Prefix":"${aws:userid}"},"ArnLike":{"aws:SourceArn":"arn:aws:s3:::${s3:x}"},"Bool":{"S3:prefix":"true"}}`)
	want := []string{"aws:principaltag/Team", "aws:sourcearn", "aws:userid", "aws:username", "s3:prefix", "s3:x"}
	if got := p.ContextKeys(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
