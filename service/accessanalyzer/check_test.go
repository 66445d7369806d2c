package accessanalyzer

import (
	"slices"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/policy"
)

func doc(statements string) string {
	return `{"Version":"2012-10-17","Statement":[` + statements + `]}`
}

func TestCheck(t *testing.T) {
	const (
		fn    = `"arn:aws:lambda:us-east-1:111122223333:function:f"`
		role  = `"arn:aws:iam::111122223333:role/r"`
		allow = `{"Effect":"Allow",`
	)
	for name, c := range map[string]struct {
		kind policy.Kind
		text string
		want string // codes
	}{
		"narrow":      {policy.KindIdentity, doc(allow + `"Action":"lambda:InvokeFunction","Resource":` + fn + `}`), ""},
		"lists":       {policy.KindIdentity, doc(allow + `"Action":"lambda:ListFunctions","Resource":"*"}`), ""},
		"not JSON":    {policy.KindIdentity, `{"Version"`, "SYNTAX_ERROR"},
		"administers": {policy.KindIdentity, doc(allow + `"Action":"*","Resource":"*"}`), "ALL_ACTIONS PASS_ROLE_WITH_STAR_IN_ACTION_AND_RESOURCE ADMINISTRATOR_ACCESS"},
		"a service":   {policy.KindIdentity, doc(allow + `"Action":"s3:*","Resource":"arn:aws:s3:::b/*"}`), "ALL_ACTIONS_OF_SERVICE"},
		"a prefix":    {policy.KindIdentity, doc(allow + `"Action":"s3:Get*","Resource":"arn:aws:s3:::b/*"}`), "WILDCARD_ACTION"},
		"everywhere":  {policy.KindIdentity, doc(allow + `"Action":"lambda:InvokeFunction","Resource":"*"}`), "ALL_RESOURCES"},
		"conditioned": {policy.KindIdentity, doc(allow + `"Action":"lambda:InvokeFunction","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/a":"b"}}}`), ""},
		"old":         {policy.KindIdentity, `{"Statement":` + allow + `"Action":"lambda:InvokeFunction","Resource":` + fn + `}}`, "MISSING_VERSION"},
		"not action":  {policy.KindIdentity, doc(allow + `"NotAction":"iam:*","Resource":` + fn + `}`), "ALLOW_WITH_NOT_ACTION PRIVILEGE_ESCALATION"},
		"a denial":    {policy.KindIdentity, doc(`{"Effect":"Deny","Action":"*","Resource":"*"}`), ""},
		"any role":    {policy.KindIdentity, doc(allow + `"Action":"iam:PassRole","Resource":"*"}`), "PASS_ROLE_WITH_STAR_IN_RESOURCE"},
		"escalates": {
			policy.KindIdentity, doc(allow + `"Action":"iam:PassRole","Resource":` + role + `},` + allow + `"Action":"Lambda:createfunction","Resource":` + fn + `}`),
			"PRIVILEGE_ESCALATION",
		},
		"passes elsewhere": {policy.KindIdentity, doc(allow + `"Action":"iam:PassRole","Resource":` + role + `,"Condition":{"StringEquals":{"iam:PassedToService":"ec2.amazonaws.com"}}},` +
			allow + `"Action":"lambda:CreateFunction","Resource":` + fn + `}`), ""},
		"escalation denied": {policy.KindIdentity, doc(allow + `"Action":"iam:PutRolePolicy","Resource":` + role + `},{"Effect":"Deny","Action":"iam:Put*","Resource":"*"}`), ""},
		"denied elsewhere":  {policy.KindIdentity, doc(allow + `"Action":"iam:PutRolePolicy","Resource":` + role + `},{"Effect":"Deny","Action":"iam:Put*","Resource":` + role + `}`), "PRIVILEGE_ESCALATION"},
		"many ways":         {policy.KindIdentity, doc(allow + `"Action":["iam:CreatePolicyVersion","iam:AttachRolePolicy","iam:UpdateAssumeRolePolicy","iam:CreateAccessKey"],"Resource":` + role + `}`), strings.TrimSpace(strings.Repeat("PRIVILEGE_ESCALATION ", 4))},

		"public":         {policy.KindResource, doc(allow + `"Principal":"*","Action":"lambda:InvokeFunction","Resource":` + fn + `}`), "PUBLIC_PRINCIPAL"},
		"of one account": {policy.KindResource, doc(allow + `"Principal":"*","Action":"lambda:InvokeFunction","Resource":` + fn + `,"Condition":{"StringEquals":{"AWS:PrincipalAccount":"111122223333"}}}`), ""},
		"if it exists":   {policy.KindResource, doc(allow + `"Principal":"*","Action":"lambda:InvokeFunction","Resource":` + fn + `,"Condition":{"StringEqualsIfExists":{"aws:PrincipalAccount":"111122223333"}}}`), "PUBLIC_PRINCIPAL"},
		"all addresses":  {policy.KindResource, doc(allow + `"Principal":{"AWS":"*"},"Action":"lambda:InvokeFunction","Resource":` + fn + `,"Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","0.0.0.0/0"]}}}`), "PUBLIC_PRINCIPAL"},
		"a service's":    {policy.KindResource, doc(allow + `"Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":` + fn + `}`), "RESTRICT_ACCESS_TO_SERVICE_PRINCIPAL"},
		"for a bucket":   {policy.KindResource, doc(allow + `"Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":` + fn + `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::b"}}}`), ""},
		"for any source": {policy.KindResource, doc(allow + `"Principal":{"Service":"sns.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":` + fn + `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:t"}}}`), "RESTRICT_ACCESS_TO_SERVICE_PRINCIPAL"},
		"all but one":    {policy.KindResource, doc(allow + `"NotPrincipal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"lambda:InvokeFunction","Resource":` + fn + `}`), "SYNTAX_ERROR"},

		"own account":      {policy.KindTrust, doc(allow + `"Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}`), ""},
		"foreign account":  {policy.KindTrust, doc(allow + `"Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"sts:AssumeRole"}`), "TRUST_WITHOUT_EXTERNAL_ID"},
		"with external id": {policy.KindTrust, doc(allow + `"Principal":{"AWS":"444455556666"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x"}}}`), ""},
		"everybody":        {policy.KindTrust, doc(allow + `"Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}`), "PUBLIC_PRINCIPAL"},
		"a service's role": {policy.KindTrust, doc(allow + `"Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}`), "RESTRICT_ACCESS_TO_SERVICE_PRINCIPAL"},
		"a control policy": {policy.KindControl, doc(allow + `"Action":"*","Resource":"*"}`), ""},
	} {
		var codes []string
		for _, f := range Check(Subject{Text: c.text, Kind: c.kind, Account: "111122223333"}) {
			codes = append(codes, f.Code)
			if f.Details == "" || f.Severity == "" {
				t.Errorf("%s: a finding says nothing: %+v", name, f)
			}
		}
		if got := strings.Join(codes, " "); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
}

func TestLocate(t *testing.T) {
	text := "{\"Statement\": [\n  {\"Sid\": \"é\", \"Action\" : [\"a:b\", \"*\"]},\n  {\"Action\":\"x:*\"}]}"
	for _, c := range []struct {
		path []any
		want string
	}{
		{nil, text},
		{[]any{"Statement", 0, "Action", 1}, `"*"`},
		{[]any{"Statement", 1, "Action", 0}, `"x:*"`}, // not a list
		{[]any{"Statement", 0, "Sid"}, `"é"`},
		{[]any{"Statement", 1}, `{"Action":"x:*"}`},
		{[]any{"Statement", 7}, text},
		{[]any{"Version"}, text},
	} {
		if start, end := locate(text, c.path); text[start:end] != c.want {
			t.Errorf("%v is %q, want %q", c.path, text[start:end], c.want)
		}
	}
	start, _ := locate(text, []any{"Statement", 0, "Action", 1})
	if p := position(text, start); *p.Line != 2 || *p.Column != 34 || *p.Offset != 50 {
		t.Errorf("position is line %d, column %d, offset %d", *p.Line, *p.Column, *p.Offset)
	}
}

func FuzzLocate(f *testing.F) {
	f.Add(`{"Statement":[{"Action":"*"}]}`, 0)
	f.Add(`{"Statement":`, 1)
	f.Fuzz(func(t *testing.T, text string, i int) {
		start, end := locate(text, []any{"Statement", i, "Action", i})
		if start < 0 || start > end || end > len(text) {
			t.Fatalf("%d to %d of %d", start, end, len(text))
		}
		position(text, start)
		Check(Subject{Text: text, Kind: policy.KindResource, Account: "111122223333"})
	})
}

func TestGrants(t *testing.T) {
	const b = "arn:aws:s3:::b"
	for name, c := range map[string]struct {
		statements         string
		actions, resources []string
		want               []int
	}{
		"the action":       {`{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}`, []string{"S3:GetObject"}, nil, []int{0}},
		"another action":   {`{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}`, []string{"s3:PutObject"}, nil, nil},
		"two patterns":     {`{"Effect":"Allow","Action":"s3:*Object","Resource":"*"}`, []string{"s3:Put*"}, nil, []int{0}},
		"the resource":     {`{"Effect":"Allow","Action":"s3:*","Resource":"` + b + `/x*"}`, nil, []string{b + "/?y"}, []int{0}},
		"another resource": {`{"Effect":"Allow","Action":"s3:*","Resource":"` + b + `"}`, nil, []string{b + "/*"}, nil},
		"but denied":       {`{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:Put*","Resource":"*"}`, []string{"s3:PutObject"}, nil, nil},
		"denied in part":   {`{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:PutObject","Resource":"*"}`, []string{"s3:Put*"}, nil, []int{0}},
		"denied at times":  {`{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`, []string{"s3:PutObject"}, nil, []int{0}},
		"not action":       {`{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, []string{"iam:PassRole"}, nil, nil},
		"all but action":   {`{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, []string{"s3:PutObject"}, nil, []int{0}},
		"own folder":       {`{"Effect":"Allow","Action":"s3:*","Resource":"` + b + `/${aws:username}/*"}`, nil, []string{b + "/alice/x"}, []int{0}},
	} {
		p, err := policy.Parse([]byte(doc(c.statements)), policy.KindIdentity)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []int
		for _, st := range Grants(p, c.actions, c.resources) {
			got = append(got, st.Index)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: granted by %v, want %v", name, got, c.want)
		}
	}
}
