package server

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/service/sts/ststest"
	"github.com/enfold-run/enfold/sigv4"
)

const webRole = "arn:aws:iam::" + matrixAccount + ":role/web"

// federation is a server whose account trusts an issuer.
type federation struct {
	t      *testing.T
	url    string
	issuer *ststest.Issuer
	root   sigv4.Credentials
}

// newFederation makes the provider, and the role "web" that trusts it as the conditions say.
func newFederation(t *testing.T, conditions string) *federation {
	issuer, cfg := ststest.New(t), config(t)
	cfg.PrivateIssuers = []string{issuer.Host()}
	cfg.RootAccessKeyID, cfg.RootSecretAccessKey = "AKIAENFOLDTESTROOT00", "secret"
	f := &federation{t: t, url: start(t, cfg).URL(), issuer: issuer, root: sigv4.Credentials{AccessKeyID: "AKIAENFOLDTESTROOT00", Secret: []byte("secret")}}
	f.iam("CreateOpenIDConnectProvider", "Url", issuer.URL(), "ClientIDList.member.1", ststest.Audience, "ThumbprintList.member.1", issuer.Thumbprint())
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":%q},"Action":%s,"Condition":%s}]}`,
		f.provider(), `["sts:AssumeRoleWithWebIdentity","sts:TagSession"]`, strings.ReplaceAll(conditions, "ISSUER", issuer.Host()))
	f.iam("CreateRole", "RoleName", "web", "AssumeRolePolicyDocument", trust)
	return f
}

func (f *federation) provider() string {
	return "arn:aws:iam::" + matrixAccount + ":oidc-provider/" + f.issuer.Host()
}

func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// assuming is the form of AssumeRoleWithWebIdentity.
func assuming(token string, more ...string) url.Values {
	return form(append([]string{
		"Action", "AssumeRoleWithWebIdentity", "Version", "2011-06-15", "RoleArn", webRole, "RoleSessionName", "job", "WebIdentityToken", token,
	}, more...)...)
}

// iam calls an op as root; it must not fail.
func (f *federation) iam(op string, members ...string) {
	f.t.Helper()
	v := form(append([]string{"Action", op, "Version", "2010-05-08"}, members...)...)
	if status, body := f.post(v, f.signed("iam", f.root)); status != http.StatusOK {
		f.t.Fatalf("%s: %d %s", op, status, body)
	}
}

// signed signs a request.
func (f *federation) signed(service string, c sigv4.Credentials) func(*http.Request, []byte) {
	c.Region, c.Service = "us-east-1", service
	return func(r *http.Request, body []byte) { sigv4.Sign(r, body, c, time.Now()) }
}

// post sends a form; edit may sign it.
func (f *federation) post(v url.Values, edit func(*http.Request, []byte)) (int, string) {
	f.t.Helper()
	body := v.Encode()
	req, err := http.NewRequest(http.MethodPost, f.url+"/", strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if edit != nil {
		edit(req, []byte(body))
	}
	return f.send(req)
}

func (f *federation) send(req *http.Request) (int, string) {
	f.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// session is what an answer gives.
func (f *federation) session(body string) sigv4.Credentials {
	f.t.Helper()
	var out struct {
		Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken string } `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	}
	if err := xml.Unmarshal([]byte(body), &out); err != nil || out.Credentials.AccessKeyId == "" {
		f.t.Fatalf("no credentials: %v in %s", err, body)
	}
	c := out.Credentials
	return sigv4.Credentials{AccessKeyID: c.AccessKeyId, Secret: []byte(c.SecretAccessKey), SessionToken: c.SessionToken}
}

func TestWebIdentity(t *testing.T) {
	f := newFederation(t, `{"StringEquals":{"ISSUER:aud":"sts.amazonaws.com"},"StringLike":{"ISSUER:sub":"repo:octo-org/*"}}`)
	status, body := f.post(assuming(f.issuer.Token(nil)), nil)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	for _, want := range []string{
		"<SubjectFromWebIdentityToken>" + ststest.Subject + "</SubjectFromWebIdentityToken>", "<Provider>" + f.provider() + "</Provider>",
		"<Audience>sts.amazonaws.com</Audience>", ":assumed-role/web/job</Arn>",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the answer lacks %s: %s", want, body)
		}
	}
	session := f.session(body)
	status, body = f.post(form("Action", "GetCallerIdentity", "Version", "2011-06-15"), f.signed("sts", session))
	if status != http.StatusOK || !strings.Contains(body, "<Arn>arn:aws:sts::"+matrixAccount+":assumed-role/web/job</Arn>") {
		t.Errorf("the session is %d %s", status, body)
	}
	list := form("Action", "ListRoles", "Version", "2010-05-08")
	if status, body = f.post(list, f.signed("iam", session)); status != http.StatusForbidden {
		t.Errorf("without a policy the session may: %d %s", status, body)
	}
	f.iam("PutRolePolicy", "RoleName", "web", "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*","Condition":{"StringEquals":{"aws:FederatedProvider":"`+f.provider()+`"}}}]}`)
	if status, body = f.post(list, f.signed("iam", session)); status != http.StatusOK {
		t.Errorf("with a policy the session may not: %d %s", status, body)
	}

	const refusal = "<Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message>"
	good := f.issuer.Token(nil)
	for _, c := range []struct {
		name   string
		form   url.Values
		edit   func(*http.Request, []byte)
		status int
		says   string
	}{
		{"another subject", assuming(f.issuer.Token(map[string]any{"sub": "repo:evil/octo-org"})), nil, 403, refusal},
		{"no such role", assuming(good, "RoleArn", webRole+"s"), nil, 403, refusal},
		{"a role of a service", assuming(good, "RoleArn", "arn:aws:iam::"+matrixAccount+":user/web"), nil, 400, "<Code>ValidationError</Code>"},
		{"tags that the role does not want", assuming(f.issuer.Token(map[string]any{"https://aws.amazon.com/source_identity": "alice"})), nil, 403, "Not authorized to perform sts:SetSourceIdentity"},
		{"another account", assuming(good, "RoleArn", "arn:aws:iam::999999999999:role/web"), nil, 400, "<Code>InvalidIdentityToken</Code><Message>No OpenIDConnect provider found in your account for https://"},
		{"expired", assuming(f.issuer.Token(map[string]any{"exp": 1})), nil, 400, "<Code>ExpiredTokenException</Code>"},
		{"no token", assuming("no.to.ken"), nil, 400, "<Code>InvalidIdentityToken</Code>"},
		{"no name", assuming(good, "RoleSessionName", ""), nil, 400, "<Code>ValidationError</Code>"},
		{"a token that is too long", assuming(strings.Repeat("t", 20001)), nil, 400, "<Code>ValidationError</Code>"},
		{"signed by root even so", assuming(good), f.signed("sts", f.root), 200, "<Audience>"},
		{"signed by root, but not for it", assuming(f.issuer.Token(map[string]any{"sub": "repo:evil/x"})), f.signed("sts", f.root), 403, refusal},
		{"signed wrong", assuming(good), f.signed("sts", sigv4.Credentials{AccessKeyID: f.root.AccessKeyID, Secret: []byte("wrong")}), 403, "SignatureDoesNotMatch"},
		{"more than a form may have", assuming(good, "Policy", strings.Repeat(" ", 64<<10)), nil, 403, "MissingAuthenticationToken"},
		{"compressed", assuming(good), func(r *http.Request, _ []byte) { r.Header.Set("Content-Encoding", "gzip") }, 415, ""},
		{"SAML", form("Action", "AssumeRoleWithSAML", "Version", "2011-06-15"), nil, 501, "AssumeRoleWithSAML"},
		{"an op that wants a signature", form("Action", "GetCallerIdentity", "Version", "2011-06-15"), nil, 403, "MissingAuthenticationToken"},
		{"an op that is none", form("Action", "Nothing", "Version", "2011-06-15"), nil, 403, "MissingAuthenticationToken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := f.post(c.form, c.edit)
			if status != c.status || !strings.Contains(strings.ReplaceAll(body, "\n", ""), c.says) {
				t.Errorf("%d %s, want %d %s", status, body, c.status, c.says)
			}
			if token := c.form.Get("WebIdentityToken"); token != "" && strings.Contains(body, token) {
				t.Error("the token is in the answer")
			}
		})
	}
	t.Run("by GET", func(t *testing.T) {
		req, err := http.NewRequest(http.MethodGet, f.url+"/?"+assuming(good).Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if status, body := f.send(req); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
	})
}

// TestWebIdentityTags: a policy sees the tags of a token, and none of another's makes a session.
func TestWebIdentityTags(t *testing.T) {
	f := newFederation(t, `{"StringEquals":{"aws:RequestTag/project":"x"},"ForAllValues:StringEquals":{"aws:TagKeys":["Project"]},"ForAnyValue:StringEquals":{"ISSUER:amr":"mfa"}}`)
	for _, c := range []struct {
		name   string
		tags   map[string]any
		amr    any
		status int
	}{
		{"right", map[string]any{"Project": []string{"x"}}, []string{"pwd", "mfa"}, 200},
		{"another value", map[string]any{"Project": []string{"y"}}, "mfa", 403},
		{"one more", map[string]any{"Project": []string{"x"}, "Admin": []string{"yes"}}, "mfa", 403},
		{"no tags", nil, "mfa", 403},
		{"another method", map[string]any{"Project": []string{"x"}}, "pwd", 403},
	} {
		token := f.issuer.Token(map[string]any{"amr": c.amr, "https://aws.amazon.com/tags": map[string]any{"principal_tags": c.tags}})
		if status, body := f.post(assuming(token), nil); status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, status, body, c.status)
		}
	}
}

// TestWebIdentityTrail: who is known is in the account's trail, by the token and without it; who is not is in none.
func TestWebIdentityTrail(t *testing.T) {
	f := newFederation(t, `{"StringEquals":{"ISSUER:sub":"me"}}`)
	mine := f.issuer.Token(map[string]any{"sub": "me"})
	for _, token := range []string{mine, f.issuer.Token(map[string]any{"sub": "you"}), f.issuer.Token(map[string]any{"exp": 1})} {
		f.post(assuming(token), nil)
	}
	body := `{"LookupAttributes":[{"AttributeKey":"EventName","AttributeValue":"AssumeRoleWithWebIdentity"}]}`
	req, err := http.NewRequest(http.MethodPost, f.url+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents")
	f.signed("cloudtrail", f.root)(req, []byte(body))
	status, answer := f.send(req)
	var out struct {
		Events []struct{ CloudTrailEvent string }
	}
	if err := json.Unmarshal([]byte(answer), &out); err != nil || status != http.StatusOK || len(out.Events) != 2 {
		t.Fatalf("%d %v %s", status, err, answer)
	}
	for i, want := range [][]string{
		{`"userName":"you"`, `"errorCode":"AccessDenied"`, `"errorMessage":"Not authorized to perform sts:AssumeRoleWithWebIdentity"`},
		{
			`"userIdentity":{"type":"WebIdentityUser","principalId":"` + f.provider() + `:sts.amazonaws.com:me","userName":"me","identityProvider":"` + f.provider() + `"}`,
			`"subjectFromWebIdentityToken":"me"`, `"recipientAccountId":"` + matrixAccount + `"`, `"roleSessionName":"job"`, `"sourceIPAddress":"127.0.0.1"`,
			`"resources":[{"accountId":"` + matrixAccount + `","type":"AWS::IAM::Role","ARN":"` + webRole + `"}]`,
		},
	} {
		event := out.Events[i].CloudTrailEvent
		for _, w := range want {
			if !strings.Contains(event, w) {
				t.Errorf("the record lacks %s: %s", w, event)
			}
		}
	}
	if strings.Contains(answer, mine) || strings.Contains(answer, strings.Split(mine, ".")[2]) {
		t.Errorf("the token is in the trail: %s", answer)
	}
}

// TestWebIdentityGuessing: who tries many tokens is throttled, and what is right still passes.
func TestWebIdentityGuessing(t *testing.T) {
	f := newFederation(t, `{"StringEquals":{"ISSUER:sub":"me"}}`)
	throttled := false
	for n := 0; n < 100_000 && !throttled; n++ { // faster than it is forgiven; sooner or later
		_, body := f.post(assuming("no.to.ken"), nil)
		throttled = strings.Contains(body, "<Code>Throttling</Code>")
	}
	if !throttled {
		t.Error("nobody is throttled")
	}
	if status, body := f.post(assuming(f.issuer.Token(map[string]any{"sub": "me"})), nil); status != http.StatusOK {
		t.Errorf("a good token from the same address: %d %s", status, body)
	}
}
