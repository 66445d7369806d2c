package policy

import (
	"errors"
	"strings"
	"testing"
)

// TestParseIdentity has what CreatePolicy says to documents, in the words that public reports and the tests of other IAM
// implementations ascribe to AWS. We did not record them ourselves.
func TestParseIdentity(t *testing.T) {
	const ok, syntax = "", saySyntax
	const bucket = `"Resource":"arn:aws:s3:::b"`
	st := func(elements string) string { return `{"Version":"2012-10-17","Statement":{` + elements + `}}` }
	get := func(resource string) string {
		return st(`"Effect":"Allow","Action":"s3:GetObject","Resource":"` + resource + `"`)
	}
	when := func(condition string) string {
		return st(`"Effect":"Allow","Action":"s3:GetObject",` + bucket + `,"Condition":` + condition)
	}
	do := func(action string) string { return st(`"Effect":"Allow","Action":"` + action + `",` + bucket) }
	tests := []struct{ name, text, want string }{
		{"not JSON", `This is not JSON`, syntax},
		{"empty", ``, syntax},
		{"list", `[]`, syntax},
		{"two documents", get("*") + get("*"), syntax},
		{"cut off", strings.TrimSuffix(get("*"), "}"), syntax},
		{"not UTF-8", get("arn:aws:s3:::\xff"), syntax},
		{"no version", `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`, sayVersion},
		{"old version", strings.Replace(get("*"), "2012", "2008", 1), sayVersion},
		{"unknown version", strings.Replace(get("*"), "2012", "2013", 1), syntax},
		{"no statement", `{"Version":"2012-10-17"}`, syntax},
		{"no statements", `{"Version":"2012-10-17","Statement":[]}`, syntax},
		{"statement is text", `{"Version":"2012-10-17","Statement":["a"]}`, syntax},
		{"extra element", `{"Version":"2012-10-17","X":1,"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, syntax},
		{"extra element in statement", st(`"Effect":"Allow","Action":"*","Resource":"*","X":"y"`), syntax},
		{"element in lower case", st(`"effect":"Allow","Action":"*","Resource":"*"`), syntax},
		{"id is no text", `{"Version":"2012-10-17","Id":[],"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, syntax},
		{"sid is no text", st(`"Sid":{},"Effect":"Allow","Action":"*","Resource":"*"`), syntax},
		{"element twice", st(`"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"`), syntax},
		{"version twice", `{"Version":"2012-10-17","Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, syntax},
		{"operator twice", when(`{"Bool":{"a:b":"true"},"Bool":{"a:c":"true"}}`), syntax},
		{"key twice", when(`{"Bool":{"a:b":"true","a:b":"false"}}`), syntax},
		{"principal", st(`"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"`), sayPrincipal},
		{"not principal", st(`"Effect":"Deny","Action":"*","Resource":"*","NotPrincipal":{"AWS":"*"}`), sayPrincipal},

		{"effect", st(`"Effect":"Permit","Action":"*","Resource":"*"`), syntax},
		{"no effect", st(`"Action":"*","Resource":"*"`), syntax},
		{"effect in other case", st(`"Effect":"denY","Action":"*","Resource":"*"`), sayLegacy},
		{"no action", st(`"Effect":"Allow","Resource":"*"`), sayNoActions},
		{"no actions", st(`"Effect":"Allow","Action":[],"Resource":"*"`), sayNoActions},
		{"effect alone", st(`"Effect":"Allow"`), sayNoActions},
		{"action without vendor", do("invalid"), sayVendor},
		{"empty action", do(""), sayVendor},
		{"action without vendor and no resource", st(`"Effect":"Allow","Action":"invalid"`), sayVendor},
		{"action with two colons", do("s3:List:Bucket"), sayColons},
		{"vendor with a space", do("a a:ListBucket"), "Vendor a a is not valid"},
		{"empty vendor", do(":ListBucket"), "Vendor  is not valid"},
		{"action is object", st(`"Effect":"Allow","Action":{},"Resource":"*"`), syntax},
		{"action of lists", st(`"Effect":"Allow","Action":[[]],"Resource":"*"`), syntax},
		{"action and not action", st(`"Effect":"Allow","Action":[],"NotAction":"s3:*","Resource":"*"`), syntax},
		{"action with spaces", do("iam: list all "), ok},
		{"vendor with hyphen and dot", do("s3-x.y:List"), ok},
		{"all actions", do("*"), ok},
		{"not action", st(`"Effect":"Allow","NotAction":"s3:*","NotResource":"*"`), ok},

		{"no resource", st(`"Effect":"Allow","Action":"s3:*"`), sayNoResources},
		{"no resources", st(`"Effect":"Allow","Action":"s3:*","Resource":[]`), sayNoResources},
		{"resource and not resource", st(`"Effect":"Allow","Action":"s3:*","Resource":"*","NotResource":[]`), syntax},
		{"resource is object", st(`"Effect":"Allow","Action":"s3:*","Resource":{"a":"b"}`), syntax},
		{"resource text", get("invalid resource"), `Resource invalid resource must be in ARN format or "*".`},
		{"empty resource", get(""), `Resource  must be in ARN format or "*".`},
		{"bad resource goes before bad action", st(`"Effect":"Allow","Action":"s:3:List","Resource":"x"`), `Resource x must be in ARN format or "*".`},
		{"partition", get("a:b"), `Partition "b" is not valid for resource "arn:b:*:*:*:*".`},
		{"partition and vendor", get("a:b:c"), `Partition "b" is not valid for resource "arn:b:c:*:*:*".`},
		{"partition of an ARN", get("arn:error:s3:::b"), `Partition "error" is not valid for resource "arn:error:s3:::b".`},
		{"partition and many colons", get("a:b:c:d:e:f:g:h"), `Partition "b" is not valid for resource "arn:b:c:d:e:f:g:h".`},
		{"ARN without arn", get("aws:s3:::b"), `Partition "s3" is not valid for resource "arn:s3:::b:*".`},
		{"ARN of nothing", get("arn:aws"), sayResourceVendor},
		{"vendor wildcard", get("arn:aws:*:us-east-1::x"), sayResourceVendor},
		{"colon short", get("arn:aws:s3::b"), sayLegacy},
		{"no vendor", get("arn:aws::::b"), sayLegacy},
		{"no vendor, short", get("arn:aws::b"), sayLegacy},
		{"not resource colon short", st(`"Effect":"Allow","Action":"s3:*","NotResource":"arn:aws:s3::b"`), sayLegacy},
		{"region of IAM", get("arn:aws:iam:us-east-1::b"), "IAM resource arn:aws:iam:us-east-1::b cannot contain region information."},
		{"region of S3", get("arn:aws:s3:us-east-1::b"), "Resource arn:aws:s3:us-east-1::b can not contain region information."},
		{"region of an access point", get("arn:aws:s3:us-west-2:111122223333:accesspoint/a/object/*"), ok},
		{"path of IAM", get("arn:aws:iam:::b"), `IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, ` +
			`instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.`},
		{"user of IAM", get("arn:aws:iam::*:user/${aws:username}"), ok},
		{"anything of IAM", get("arn:aws:iam::111122223333:*"), ok},
		{"any kind of IAM", get("arn:aws:iam::111122223333:r*"), ok},
		{"short ARN", get("arn:aws:fdsasf"), ok},
		{"unknown vendor", get("arn:aws:unknown:us-east-1::b"), ok},
		{"any partition", get("arn:*:lambda:us-east-1:111122223333:function:f"), ok},
		{"China", get("arn:aws-cn:s3:::b"), ok},

		{"same sid", `{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"},{"Sid":"a","Effect":"Allow"}]}`, saySids},
		{"empty sids", `{"Version":"2012-10-17","Statement":[{"Sid":"","Effect":"Allow","Action":"s3:*","Resource":"*"},{"Sid":"","Effect":"Allow","Action":"s3:*","Resource":"*"}]}`, ok},

		{"condition is list", when(`[]`), syntax},
		{"condition is text", when(`"a"`), syntax},
		{"operator is text", when(`{"Bool":"b"}`), syntax},
		{"operator is list", when(`{"Bool":[]}`), syntax},
		{"value is object", when(`{"Bool":{"a:b":{}}}`), syntax},
		{"value is null", when(`{"Bool":{"a:b":null}}`), syntax},
		{"unknown operator", when(`{"StringMatches":{"a:b":"1"}}`), syntax},
		{"operator of numbers for text", when(`{"StringLessThan":{"a:b":"1"}}`), syntax},
		{"ARN that ignores case", when(`{"ArnEqualsIgnoreCase":{"a:b":"1"}}`), syntax},
		{"null if exists", when(`{"NullIfExists":{"a:b":"true"}}`), syntax},
		{"two colons", when(`{"ForAnyValue::StringEquals":{"a:b":"x"}}`), syntax},
		{"other case", when(`{"stringequals":{"a:b":"x"}}`), syntax},
		{"no condition", when(`{}`), ok},
		{"unknown operator of nothing", when(`{"x":{},"y":{}}`), ok},
		{"no values", when(`{"DateGreaterThan":{"a:b":[]}}`), ok},
		{"boolean and number", when(`{"Bool":{"aws:SecureTransport":false},"NumericLessThan":{"s3:max-keys":[10,"20"]}}`), ok},
		{"set and if exists", when(`{"ForAnyValue:StringEqualsIfExists":{"a:b":"x"}}`), ok},
		{"date", when(`{"DateGreaterThan":{"aws:CurrentTime":"2017-07-01T00:00:00Z"}}`), ok},
		{"year", when(`{"DateGreaterThan":{"aws:CurrentTime":"01T"}}`), ok},
		{"negative year", when(`{"DateGreaterThan":{"aws:CurrentTime":"-292275054"}}`), ok},
		{"date with zone", when(`{"DateGreaterThan":{"aws:CurrentTime":"2016-12-13t2:00:00.593194+23"}}`), ok},
		{"date with half a zone", when(`{"DateGreaterThan":{"aws:CurrentTime":"2016-12-13t2:00:00.593194+1"}}`), sayLegacy},
		{"month 13", when(`{"DateLessThanEquals":{"aws:CurrentTime":"234-13"}}`), sayLegacy},
		{"ten digits of a second", when(`{"DateLessThanEquals":{"aws:CurrentTime":"2016-12-13t2:00:00.1999999999+10:59"}}`), sayLegacy},
		{"no date", when(`{"DateGreaterThan":{"aws:CurrentTime":"tomorrow"}}`), sayLegacy},
		{"seconds too many", when(`{"DateLessThan":{"aws:CurrentTime":"9223372036854775808"}}`), sayLegacy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkParse(t, KindManaged, tt.text, tt.want) })
	}
	t.Run("inline policies may be old", func(t *testing.T) {
		checkParse(t, KindIdentity, `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`, ok)
	})
	t.Run("session policy with a principal", func(t *testing.T) {
		checkParse(t, KindSession, st(`"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"`), "Has prohibited field Principal")
	})
	t.Run("control policy", func(t *testing.T) {
		checkParse(t, KindControl, st(`"Effect":"Allow","Action":"s3","Resource":"*"`), sayControl)
		checkParse(t, KindControl, st(`"Effect":"Allow","Action":"s3:*","Resource":"*"`), ok)
	})
}

func TestParseTrust(t *testing.T) {
	st := func(elements string) string { return `{"Version":"2012-10-17","Statement":[{` + elements + `}]}` }
	to := func(principal string) string {
		return st(`"Effect":"Allow","Action":"sts:AssumeRole","Principal":` + principal)
	}
	const lambda = `"Principal":{"Service":"lambda.amazonaws.com"}`
	tests := []struct{ name, text, want string }{
		{"lambda", to(`{"Service":"lambda.amazonaws.com"}`), ""},
		{"many", to(`{"Service":["lambda.amazonaws.com","events.amazonaws.com"],"AWS":["111122223333","arn:aws:iam::111122223333:root"]}`), ""},
		{"old version", strings.Replace(to(`{"AWS":"*"}`), "2012", "2008", 1), ""},
		{"star", to(`"*"`), ""},
		{"all of STS", st(`"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],` + lambda), ""},
		{"not JSON", `{"a"`, sayInvalidJSON},
		{"version", strings.Replace(to(`{"AWS":"*"}`), "2012", "2013", 1), sayVersionTrust},
		{"no statements", `{"Version":"2012-10-17","Statement":[]}`, sayNoStatements},
		{"no effect", st(`"Action":"sts:AssumeRole",` + lambda), "Missing required field Effect"},
		{"effect", st(`"Effect":"allow","Action":"sts:AssumeRole",` + lambda), "Invalid effect: allow"},
		{"no principal", st(`"Effect":"Allow","Action":"sts:AssumeRole"`), "Missing required field Principal"},
		{"empty principal", to(`{}`), sayNoPrincipals},
		{"empty list", to(`{"AWS":[]}`), sayNoPrincipals},
		{"principal is a list", to(`["*"]`), saySyntaxTrust},
		{"principal is a name", to(`"lambda.amazonaws.com"`), "Invalid principal in policy."},
		{"kind of principal", to(`{"Bogus":"x"}`), `Invalid principal in policy: "Bogus"`},
		{"canonical user", to(`{"CanonicalUser":"79a59df900b949e55d96a1e698fbaced"}`), `Invalid principal in policy: "CanonicalUser"`},
		{"not a user", to(`{"AWS":"alice"}`), `Invalid principal in policy: "AWS":"alice"`},
		{"group", to(`{"AWS":"arn:aws:iam::111122223333:group/g"}`), `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:group/g"`},
		{"wildcard", to(`{"AWS":"arn:aws:iam::111122223333:role/*"}`), `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:role/*"`},
		{"short account", to(`{"AWS":"12345"}`), `Invalid principal in policy: "AWS":"12345"`},
		{"service", to(`{"Service":"lambda"}`), `Invalid principal in policy: "SERVICE":"lambda"`},
		{"federated", to(`{"Federated":"x y"}`), sayFederated},
		{"provider", st(`"Effect":"Allow","Action":"sts:AssumeRoleWithWebIdentity","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/id.example.com"}`), ""},
		{"cognito", st(`"Effect":"Allow","Action":"sts:AssumeRoleWithWebIdentity","Principal":{"Federated":"cognito-identity.amazonaws.com"}`), sayCognito},
		{"allow with not principal", st(`"Effect":"Allow","Action":"sts:AssumeRole","NotPrincipal":{"AWS":"111122223333"}`), sayAllowNot},
		{"deny with not principal", st(`"Effect":"Deny","Action":"sts:AssumeRole","NotPrincipal":{"AWS":"111122223333"}`), sayTrustNot},
		{"no action", st(`"Effect":"Allow",` + lambda), "Missing required field Action"},
		{"other action", st(`"Effect":"Allow","Action":"lambda:Invoke",` + lambda), sayTrustAction},
		{"every action", st(`"Effect":"Allow","Action":"*",` + lambda), sayTrustAction},
		{"resource", st(`"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*",` + lambda), "Has prohibited field Resource"},
		{"not resource", st(`"Effect":"Allow","Action":"sts:AssumeRole","NotResource":"*",` + lambda), sayTrustNotRes},
		{"operator", st(`"Effect":"Allow","Action":"sts:AssumeRole","Condition":{"Matches":{"a:b":"c"}},` + lambda), saySyntaxTrust},
		{"sids", `{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Action":"sts:AssumeRole",` + lambda +
			`},{"Sid":"a","Effect":"Allow","Action":"sts:AssumeRole",` + lambda + `}]}`, saySidsTrust},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkParse(t, KindTrust, tt.text, tt.want) })
	}
	t.Run("policy of a repository", func(t *testing.T) {
		checkParse(t, KindRepository, st(`"Effect":"Allow","Action":"ecr:*",`+lambda), "")
		checkParse(t, KindRepository, st(`"Effect":"Allow",`+lambda), "Missing required field Action")
		checkParse(t, KindRepository, st(`"Effect":"Allow","Action":"ecr:*","Resource":"*",`+lambda), "Has prohibited field Resource")
		checkParse(t, KindRepository, st(`"Effect":"Allow","Action":"ecr:*","NotResource":"*",`+lambda), "Has prohibited field Resource")
		checkParse(t, KindRepository, st(`"Effect":"Allow","Action":"ecr:*"`), "Missing required field Principal")
	})
	t.Run("policy of a resource", func(t *testing.T) {
		checkParse(t, KindResource, to(`"*"`), "Missing required field Resource")
		checkParse(t, KindResource, st(`"Effect":"Allow","Resource":"*",`+lambda), "Missing required field Action")
		checkParse(t, KindResource, st(`"Effect":"Allow","Action":"invoke","Resource":"*",`+lambda), sayVendor)
		checkParse(t, KindResource, st(`"Effect":"Deny","Action":"lambda:*","Resource":"*","NotPrincipal":{"AWS":"111122223333"}`), "")
	})
}

func checkParse(t *testing.T, k Kind, text, want string) {
	t.Helper()
	p, err := Parse([]byte(text), k)
	if want == "" {
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return
	}
	if e := (*SyntaxError)(nil); p != nil || !errors.As(err, &e) {
		t.Fatalf("%s: got %v, %v, want a SyntaxError", text, p, err)
	}
	if err.Error() != want {
		t.Errorf("%s:\n got %s\nwant %s", text, err, want)
	}
}

// TestParseBounds shows that a text cannot cost more than its bounds.
func TestParseBounds(t *testing.T) {
	const statement = `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`
	many := func(n int) string {
		return `{"Version":"2012-10-17","Statement":[` + strings.TrimSuffix(strings.Repeat(statement+",", n), ",") + `]}`
	}
	nested := func(n int) string {
		return `{"Version":"2012-10-17","Statement":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	long := func(n int) string {
		return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::` + strings.Repeat("a", n) + `"}}`
	}
	tests := []struct{ name, text, want string }{
		{"1,000 statements", many(maxStatements), ""},
		{"1,001 statements", many(maxStatements + 1), saySyntax},
		{"10,000 statements", many(10_000), saySyntax},
		{"nesting", nested(maxDepth + 1), saySyntax},
		{"deep nesting", nested(400_000), saySyntax},
		{"a megabyte nearly", long(maxText - 200), ""},
		{"more than a megabyte", long(maxText), "Policy document is longer than 1048576 bytes."},
		{"ten megabytes", long(10 << 20), "Policy document is longer than 1048576 bytes."},
		{"many values", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":[` + strings.Repeat(`"*",`, maxNodes) + `"*"],"Resource":"*"}}`, saySyntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text), KindIdentity)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || err.Error() != tt.want):
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestErrorQuotesLittle(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	_, err := Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"`+long+`"}}`), KindIdentity)
	if err == nil || len(err.Error()) > 2000 {
		t.Errorf("error of %d bytes", len(err.Error()))
	}
}
