package iam

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/iam"
)

// hostile are documents as large as a request may have them, made to be expensive; and what is answered where any size would do.
var hostile = []struct{ name, document, syntax string }{
	{"10,000 brackets", `{"Version":"2012-10-17","Statement":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, "Syntax errors in policy."},
	{"10,000 braces", strings.Repeat(`{"Statement":`, 9_000) + "1" + strings.Repeat("}", 9_000), "Syntax errors in policy."},
	{"brackets that never close", strings.Repeat("[", 131_072), "Syntax errors in policy."},
	{"braces in a condition", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":` +
		strings.Repeat(`{"a":`, 5_000) + "1" + strings.Repeat("}", 5_000) + `}}`, "Syntax errors in policy."},
	{"many statements", `{"Version":"2012-10-17","Statement":[` + strings.Repeat(`{"Effect":"Deny","Action":"*","Resource":"*"},`, 2_800) +
		`{"Effect":"Deny","Action":"*","Resource":"*"}]}`, "Syntax errors in policy."},
	{"many actions", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Resource":"*","Action":["a:b"` + strings.Repeat(`,"a:b"`, 18_000) + `]}}`, ""},
	{"many names", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{` + operators(7_000) + `}}}`, "Syntax errors in policy."},
	{"wildcards", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::` + strings.Repeat("*a", 65_000) + `"}}`, ""},
	{"variables", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::` + strings.Repeat("${", 32_000) + strings.Repeat("}", 32_000) + `"}}`, ""},
	{"numbers", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NumericLessThan":{"a:b":"1e` + strings.Repeat("9", 130_000) + `"}}}}`, ""},
}

func operators(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"x%d":{"a":1}`, i)
	}
	return b.String()[1:]
}

// TestHostileDocuments stores none of them: what AWS's quotas let through is far less.
func TestHostileDocuments(t *testing.T) {
	f := newFixture(t)
	f.user("u")
	f.role("r")
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			if len(c.document) > 131_072+1024 || len(c.document) < 10_000 {
				t.Fatalf("%d bytes", len(c.document))
			}
			_, err := f.CreatePolicy(f.ctx, &api.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: &c.document})
			f.check(err, "LimitExceeded: Cannot exceed quota for PolicySize: 6144")
			_, err = f.UpdateAssumeRolePolicy(f.ctx, &api.UpdateAssumeRolePolicyInput{RoleName: new("r"), PolicyDocument: &c.document})
			f.check(err, "LimitExceeded: Cannot exceed quota for ACLSizePerRole: 2048")
			if _, err = f.PutUserPolicy(f.ctx, &api.PutUserPolicyInput{UserName: new("u"), PolicyName: new("p"), PolicyDocument: &c.document}); err == nil {
				t.Error("an inline policy is taken")
			}
			_, err = f.SimulateCustomPolicy(f.ctx, &api.SimulateCustomPolicyInput{
				PolicyInputList: []string{c.document}, ActionNames: []string{"s3:GetObject"}, ResourceArns: []string{"arn:aws:s3:::" + strings.Repeat("a", 2_000)},
			})
			want := ""
			if c.syntax != "" {
				want = "MalformedPolicyDocument: " + c.syntax
			}
			if err != nil && want == "" && !strings.HasPrefix(err.Error(), "MalformedPolicyDocumentException: ") {
				t.Errorf("simulated: %v", err)
			}
			if want != "" {
				f.check(err, want)
			}
		})
	}
}

// TestWhiteSpaceIsBounded: white space does not count, as on AWS, but nobody gets to store megabytes of it in one role.
func TestWhiteSpaceIsBounded(t *testing.T) {
	f := newFixture(t)
	f.role("r")
	document := strings.TrimSuffix(allowGet, "}") + strings.Repeat(" ", 100<<10) + "}"
	for i := range 3 {
		_, err := f.PutRolePolicy(f.ctx, &api.PutRolePolicyInput{RoleName: new("r"), PolicyName: new(fmt.Sprint("p", i)), PolicyDocument: &document})
		want := ""
		if i == 2 {
			want = "LimitExceeded: Maximum policy size of 10240 bytes exceeded for role r"
		}
		f.check(err, want)
	}
}
