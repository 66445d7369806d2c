package test

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sigv4"
)

// iamAnswer is what IAM answers to a signed form: the error's code and message, or nothing.
func (s *server) iamAnswer(t *testing.T, form url.Values) (status int, code, message string) {
	t.Helper()
	form.Set("Version", "2010-05-08")
	body := form.Encode()
	req, err := http.NewRequest(http.MethodPost, s.url+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sigv4.Sign(req, []byte(body), sigv4.Credentials{AccessKeyID: accessKey, Secret: []byte(secretKey), Region: region, Service: "iam"}, time.Now())
	resp, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil || len(text) == 8<<20 {
		t.Fatalf("the answer has %d bytes or more: %v", len(text), err)
	}
	var e struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	if err := xml.Unmarshal(text, &e); err != nil {
		t.Fatalf("%s: %v: %.300s", resp.Status, err, text)
	}
	return resp.StatusCode, e.Code, e.Message
}

// TestHostilePolicies sends policies that are large, deep, or made to be slow, through the front door. Each is refused in AWS's
// words, shortly, and the server goes on.
func TestHostilePolicies(t *testing.T) {
	s := startServer(t)
	policy := func(elements string) string { return `{"Version":"2012-10-17","Statement":` + elements + `}` }
	const one = `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`
	long := "Member must have length less than or equal to 131072"
	for _, c := range []struct {
		name, document string
		status         int
		code, message  string // the message's part
	}{
		{"10 MB", policy(one + strings.Repeat(" ", 10<<20)), 413, "RequestEntityTooLarge", ""},
		{"9 MB", policy(`[` + one + strings.Repeat(`,`+one, 60_000) + `]`), 400, "ValidationError", long},
		{"10,000 statements", policy(`[` + one + strings.Repeat(`,`+one, 9_999) + `]`), 400, "ValidationError", long},
		{"as many as fit", policy(`[` + one + strings.Repeat(`,`+one, 2_000) + `]`), 409, "LimitExceeded", "Cannot exceed quota for PolicySize: 6144"},
		{"deep", policy(strings.Repeat("[", 3_000) + strings.Repeat("]", 3_000)), 400, "MalformedPolicyDocument", "Syntax errors in policy."},
		{"deep and open", strings.Repeat(`{"a":`, 1_200), 400, "MalformedPolicyDocument", "Syntax errors in policy."},
		{"an unknown operator", policy(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringExplodes":{"aws:a":"b"}}}`), 400, "MalformedPolicyDocument", ""},
		{"control characters", policy(one) + "\x01", 400, "ValidationError", "policyDocument"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, code, message := s.iamAnswer(t, url.Values{"Action": {"CreatePolicy"}, "PolicyName": {"p"}, "PolicyDocument": {c.document}})
			if status != c.status || code != c.code || !strings.Contains(message, c.message) || len(message) > 20_000 {
				t.Errorf("answer = %d %s %.500s, want %d %s %s", status, code, message, c.status, c.code, c.message)
			}
		})
	}
	t.Run("wildcards", func(t *testing.T) {
		document := policy(`{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::` + strings.Repeat("*a", 3_000) + `"}`)
		if status, code, message := s.iamAnswer(t, url.Values{"Action": {"CreatePolicy"}, "PolicyName": {"p"}, "PolicyDocument": {document}}); code != "" {
			t.Fatal(status, code, message)
		}
		many := url.Values{
			"Action": {"SimulateCustomPolicy"}, "ResourceArns.member.1": {"arn:aws:s3:::" + strings.Repeat("a", 2_000) + "b"}, "MaxItems": {"1000"},
			"PolicyInputList.member.1": {policy(`{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::` + strings.Repeat("*"+strings.Repeat("a?", 40)+"c", 1_500) + `"}`)},
		}
		for i := range 1000 {
			many.Set(fmt.Sprintf("ActionNames.member.%d", i+1), fmt.Sprint("s3:A", i))
		}
		begun := time.Now()
		if status, code, message := s.iamAnswer(t, many); code != "" {
			t.Fatal(status, code, message)
		}
		if took := time.Since(begun); took > 30*time.Second {
			t.Errorf("a simulation took %s", took)
		}
	})
	if status, code, message := s.iamAnswer(t, url.Values{"Action": {"GetAccountSummary"}}); code != "" {
		t.Error(status, code, message)
	}
}
