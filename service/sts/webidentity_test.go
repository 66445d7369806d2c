package sts

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/service/sts/ststest"
)

const worker = "arn:aws:iam::" + account + ":role/path/Worker"

// newFederation is a world whose account trusts an issuer, at the issuer's time.
func newFederation(t *testing.T) (*world, *ststest.Issuer) {
	t.Helper()
	w, idp := newWorld(t), ststest.New(t)
	w.now = time.Now()
	w.trust(idp)
	d := w.deps
	d.PrivateIssuers = []string{idp.Host()}
	w.Service = New(d)
	return w, idp
}

// trust makes the issuer a provider of the account.
func (w *world) trust(idp *ststest.Issuer) {
	w.providers[account+" "+idp.Host()] = Provider{
		Arn: "arn:aws:iam::" + account + ":oidc-provider/" + idp.Host(), URL: idp.Host(), ClientIDs: []string{ststest.Audience, "other"},
		Thumbprints: []string{idp.Thumbprint()},
	}
}

// identify is the first half of a call: the token is looked at.
func (w *world) identify(in *api.AssumeRoleWithWebIdentityInput) (context.Context, *aws.Call, error) {
	call := &aws.Call{Op: api.OpAssumeRoleWithWebIdentity, Input: in}
	ctx := aws.WithCall(context.Background(), call)
	var err error
	call.Principal, call.Account, err = w.Identify(ctx, call)
	return ctx, call, err
}

func withToken(token string) *api.AssumeRoleWithWebIdentityInput {
	return &api.AssumeRoleWithWebIdentityInput{RoleArn: new(worker), RoleSessionName: new("job"), WebIdentityToken: &token}
}

func TestAssumeRoleWithWebIdentity(t *testing.T) {
	w, idp := newFederation(t)
	in := withToken(idp.Token(map[string]any{
		"https://aws.amazon.com/tags": map[string]any{
			"principal_tags": map[string]any{"Project": []string{"x"}, "stage": []string{"prod"}}, "transitive_tag_keys": []string{"Project"},
		},
		"https://aws.amazon.com/source_identity": "alice",
	}))
	in.DurationSeconds = new(7200)
	in.Policy = new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	ctx, call, err := w.identify(in)
	if err != nil {
		t.Fatal(err)
	}
	provider := "arn:aws:iam::" + account + ":oidc-provider/" + idp.Host()
	p := call.Principal
	if p.Type != aws.Anonymous || p.Account != "" || call.Account != account || p.Session.Provider != provider || p.Session.Subject != ststest.Subject {
		t.Errorf("principal = %+v of account %s, session %+v", p, call.Account, p.Session)
	}
	out, err := w.AssumeRoleWithWebIdentity(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if *out.SubjectFromWebIdentityToken != ststest.Subject || *out.Audience != ststest.Audience || *out.Provider != provider ||
		*out.SourceIdentity != "alice" || *out.PackedPolicySize == 0 {
		t.Errorf("answer = %+v", out)
	}
	if *out.AssumedRoleUser.Arn != "arn:aws:sts::"+account+":assumed-role/Worker/job" || *out.AssumedRoleUser.AssumedRoleID != "AROAWORKER:job" {
		t.Errorf("user = %+v", out.AssumedRoleUser)
	}
	got := w.open(t, out.Credentials)
	s := got.Session
	if got.Type != aws.AssumedRole || s.Issuer != worker || s.IssuerID != "AROAWORKER" || s.Chained || s.Provider != provider || s.Subject != ststest.Subject ||
		s.Op != "AssumeRoleWithWebIdentity" || len(s.Policies) != 1 || !s.Expires.Equal(s.Created.Add(2*time.Hour)) {
		t.Errorf("principal = %+v, session %+v", got, s)
	}
	if want := map[string]string{"Team": "blue", "Project": "x", "stage": "prod"}; !maps.Equal(got.Tags, want) {
		t.Errorf("tags = %v, want %v", got.Tags, want)
	}
	// What follows from it: an hour in the next role, with the transitive tag and the source identity.
	next := w.assume(t, got, assumeWorker())
	if !next.Session.Chained || next.Session.SourceIdentity != "alice" || next.Tags["Project"] != "x" || next.Tags["Stage"] != "dev" || next.Tags["stage"] != "" {
		t.Errorf("the next session = %+v, tags %v", next.Session, next.Tags)
	}
}

func TestAssumeRoleWithWebIdentityNeedsAnIdentity(t *testing.T) {
	w, idp := newFederation(t)
	in := withToken(idp.Token(nil))
	for name, p := range map[string]*aws.Principal{
		"a user": alice(), "a role": w.assume(t, alice(), assumeWorker()), "nobody": {Type: aws.Anonymous},
	} {
		if out, err := w.AssumeRoleWithWebIdentity(as(p), in); err == nil {
			t.Errorf("%s got %+v", name, out.AssumedRoleUser)
		}
	}
	if _, _, err := w.Identify(t.Context(), &aws.Call{Op: api.OpAssumeRole, Input: assumeWorker()}); err == nil {
		t.Error("AssumeRole's input identifies somebody")
	}
}

// TestWebIdentitySessionTime: it is as with roles, an hour, or what is asked for, up to the role's maximum.
func TestWebIdentitySessionTime(t *testing.T) {
	w, idp := newFederation(t)
	for seconds, want := range map[int]time.Duration{0: time.Hour, 900: 15 * time.Minute, 7200: 2 * time.Hour, 7201: 0} {
		in := withToken(idp.Token(nil))
		if seconds > 0 {
			in.DurationSeconds = &seconds
		}
		ctx, _, err := w.identify(in)
		if err != nil {
			t.Fatal(err)
		}
		out, err := w.AssumeRoleWithWebIdentity(ctx, in)
		if want == 0 {
			if !errors.Is(err, aws.ErrValidation) || !strings.Contains(err.Error(), "exceeds the MaxSessionDuration set for this role") {
				t.Errorf("%d seconds: %v", seconds, err)
			}
			continue
		}
		if err != nil || !out.Credentials.Expiration.Equal(w.now.UTC().Truncate(time.Second).Add(want)) {
			t.Errorf("%d seconds: %v, %v", seconds, out, err)
		}
	}
}

// raw is a token put together by hand.
func raw(header, payload, signature string) string {
	e := base64.RawURLEncoding
	return e.EncodeToString([]byte(header)) + "." + e.EncodeToString([]byte(payload)) + "." + e.EncodeToString([]byte(signature))
}

func TestTokens(t *testing.T) {
	w, idp := newFederation(t)
	stranger, unknown := ststest.New(t), ststest.New(t)
	at := w.now.Unix()
	claims := func(more ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	payload := func(more ...any) string {
		m := claims("iss", idp.URL(), "sub", ststest.Subject, "aud", ststest.Audience, "iat", at, "exp", at+60)
		maps.Copy(m, claims(more...))
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	shared := jose.JSONWebKey{Key: []byte(strings.Repeat("s", 64)), KeyID: "first"}
	good := idp.Token(nil)
	parts := strings.Split(good, ".")
	notJWT := "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
	for _, c := range []struct {
		name, token string
		want        *aws.ErrorType // nil: it is good
		says        string
	}{
		{"good", good, nil, ""},
		{"several audiences", idp.Token(claims("aud", []string{"a", "other"})), nil, ""},
		{"made for a client of ours", idp.Token(claims("aud", "else", "azp", "other")), nil, ""},
		{"an issuer with a slash", idp.Token(claims("iss", idp.URL()+"/")), nil, ""},
		{"expired a moment ago", idp.Token(claims("exp", at-299)), nil, ""},
		{"from a clock that is ahead", idp.Token(claims("iat", at+200, "nbf", at+200)), nil, ""},
		{"times with fractions", idp.Token(claims("exp", float64(at)+0.5, "iat", float64(at)-0.5)), nil, ""},
		{"of far in the future", idp.Token(claims("exp", 1e300)), nil, ""},

		{"nothing", "none", api.ErrInvalidIdentityToken, notJWT},
		{"an access token", "eyJhbGciOiJSUzI1NiJ9.opaque", api.ErrInvalidIdentityToken, notJWT},
		{"too long", strings.Repeat("a", maxWebToken+1), api.ErrInvalidIdentityToken, notJWT},
		{"no algorithm", raw(`{"alg":"none"}`, payload(), ""), api.ErrInvalidIdentityToken, notJWT},
		{"an algorithm of capitals", raw(`{"alg":"NONE"}`, payload(), ""), api.ErrInvalidIdentityToken, notJWT},
		{"a shared secret", ststest.Sign(t, jose.HS256, shared, []byte(payload())), api.ErrInvalidIdentityToken, notJWT},
		{"an extension that must be known", raw(`{"alg":"ES256","kid":"first","crit":["x"],"x":1}`, payload(), "s"), api.ErrInvalidIdentityToken, notJWT},
		{"an unencoded payload", raw(`{"alg":"ES256","kid":"first","crit":["b64"],"b64":false}`, payload(), "s"), api.ErrInvalidIdentityToken, notJWT},
		{"a claim twice", raw(`{"alg":"ES256","kid":"first"}`, `{"sub":"a","sub":"b"}`, "s"), api.ErrInvalidIdentityToken, notJWT},
		{"a claim of another type", idp.Token(claims("sub", 7)), api.ErrInvalidIdentityToken, notJWT},
		{"another payload", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(payload("sub", "root"))) + "." + parts[2], api.ErrInvalidIdentityToken, "could not be validated"},
		{"no signature", parts[0] + "." + parts[1] + ".", api.ErrInvalidIdentityToken, ""},
		{"signed by somebody else", stranger.Token(claims("iss", idp.URL())), api.ErrInvalidIdentityToken, "could not be validated"},
		{"another algorithm than the key's", raw(`{"alg":"ES384","kid":"first"}`, payload(), strings.Repeat("s", 96)), api.ErrInvalidIdentityToken, "Couldn't retrieve verification key from your identity provider"},
		{"an unknown key", raw(`{"alg":"ES256","kid":"second"}`, payload(), strings.Repeat("s", 64)), api.ErrInvalidIdentityToken, "Couldn't retrieve verification key from your identity provider"},

		{"no provider", unknown.Token(nil), api.ErrInvalidIdentityToken, "No OpenIDConnect provider found in your account for " + unknown.URL()},
		{"an issuer in plain text", idp.Token(claims("iss", "http://"+idp.Host())), api.ErrInvalidIdentityToken, "Issuer must be a valid URL"},
		{"an issuer with a line break", idp.Token(claims("iss", idp.URL()+"\n")), api.ErrInvalidIdentityToken, "Issuer must be a valid URL"},
		{"a long issuer", idp.Token(claims("iss", "https://"+strings.Repeat("h", 256))), api.ErrInvalidIdentityToken, "Issuer must be a valid URL"},
		{"no issuer", idp.Token(claims("iss", nil)), api.ErrInvalidIdentityToken, "Missing a required claim: iss"},
		{"no subject", idp.Token(claims("sub", nil)), api.ErrInvalidIdentityToken, "Missing a required claim: sub"},
		{"no audience", idp.Token(claims("aud", nil)), api.ErrInvalidIdentityToken, "Missing a required claim: aud"},
		{"no expiration", idp.Token(claims("exp", nil)), api.ErrInvalidIdentityToken, "Missing a required claim: exp"},
		{"no date", idp.Token(claims("iat", nil)), api.ErrInvalidIdentityToken, "Missing a required claim: iat"},
		{"a long subject", idp.Token(claims("sub", strings.Repeat("s", 256))), api.ErrInvalidIdentityToken, "sub"},
		{"another audience", idp.Token(claims("aud", "else")), api.ErrInvalidIdentityToken, "Incorrect token audience"},
		{"made for another client", idp.Token(claims("azp", "else")), api.ErrInvalidIdentityToken, "Incorrect token audience"},
		{"expired", idp.Token(claims("exp", at-301)), api.ErrExpiredToken, "Token expired: current date/time "},
		{"expired before all time", idp.Token(claims("exp", -1e300)), api.ErrExpiredToken, "must be before the expiration date/time 0"},
		{"not yet issued", idp.Token(claims("iat", at+400)), api.ErrInvalidIdentityToken, "Token is not valid yet"},
		{"not yet", idp.Token(claims("nbf", at+400)), api.ErrInvalidIdentityToken, "Token is not valid yet"},
		{"a source identity that is none", idp.Token(claims("https://aws.amazon.com/source_identity", "a b")), api.ErrInvalidIdentityToken, "source_identity"},
		{"a tag with two values", idp.Token(claims("https://aws.amazon.com/tags", claims("principal_tags", claims("a", []string{"1", "2"})))), api.ErrInvalidIdentityToken, "tags"},
		{"a tag of AWS's", idp.Token(claims("https://aws.amazon.com/tags", claims("principal_tags", claims("aws:x", []string{"1"})))), aws.ErrValidation, "aws:"},
		{"a transitive key without tag", idp.Token(claims("https://aws.amazon.com/tags", claims("transitive_tag_keys", []string{"a"}))), aws.ErrValidation, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, call, err := w.identify(withToken(c.token))
			if c.want == nil {
				if err != nil || call.Principal == nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			var e *aws.Error
			if !errors.As(err, &e) || e.Type != c.want || !strings.Contains(e.Message, c.says) {
				t.Errorf("error = %v, want %s %q", err, c.want.Code, c.says)
			}
			if err != nil && strings.Contains(err.Error(), c.token) && len(c.token) > 10 {
				t.Errorf("the token is in the error: %v", err)
			}
		})
	}
}

func TestIdentifyRefusesInputs(t *testing.T) {
	w, idp := newFederation(t)
	for name, change := range map[string]func(*api.AssumeRoleWithWebIdentityInput){
		"no ARN": func(in *api.AssumeRoleWithWebIdentityInput) { in.RoleArn = new("role/path/Worker/and/more") },
		"a user": func(in *api.AssumeRoleWithWebIdentityInput) {
			in.RoleArn = new("arn:aws:iam::" + account + ":user/Alice")
		},
		"a role of no account": func(in *api.AssumeRoleWithWebIdentityInput) { in.RoleArn = new("arn:aws:iam:::role/path/Worker") },
		"an OAuth 2.0 token":   func(in *api.AssumeRoleWithWebIdentityInput) { in.ProviderID = new("www.amazon.com") },
	} {
		in := withToken(idp.Token(nil))
		change(in)
		if _, _, err := w.identify(in); !errors.Is(err, aws.ErrValidation) {
			t.Errorf("%s: %v", name, err)
		}
	}
	in := withToken(idp.Token(nil))
	in.RoleArn = new("arn:aws:iam::999999999999:role/Worker")
	if _, _, err := w.identify(in); !errors.Is(err, api.ErrInvalidIdentityToken) {
		t.Errorf("a provider of another account: %v", err)
	}
}

func TestRSA(t *testing.T) {
	w, idp := newFederation(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	idp.Use("rsa", key)
	if _, _, err := w.identify(withToken(idp.Token(nil))); err != nil {
		t.Error("RS256:", err)
	}
	payload, err := jose.ParseSignedCompact(idp.Token(nil), algorithms)
	if err != nil {
		t.Fatal(err)
	}
	pss := ststest.Sign(t, jose.PS512, jose.JSONWebKey{Key: key}, payload.UnsafePayloadWithoutVerification()) // without a key id
	if _, _, err := w.identify(withToken(pss)); err != nil {
		t.Error("PS512:", err)
	}
}

func TestWebIdentityConditionValues(t *testing.T) {
	w, idp := newFederation(t)
	_, call, err := w.identify(withToken(idp.Token(map[string]any{
		"aud": []string{"wide"}, "azp": "other", "amr": []string{"authenticated", "mfa"}, "email": "a@example.com",
		"https://aws.amazon.com/tags":            map[string]any{"principal_tags": map[string]any{"Project": "x", "Area": "y"}},
		"https://aws.amazon.com/source_identity": "alice",
	})))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string][]string{
		"sts:rolesessionname": {"job"}, "sts:sourceidentity": {"alice"}, "sts:externalid": nil, "sts:transitivetagkeys": nil,
		"aws:requesttag/project": {"x"}, "aws:requesttag/none": nil, "aws:tagkeys": {"Area", "Project"}, "iam:resourcetag/Team": {"blue"},
		idp.Host() + ":amr": {"authenticated", "mfa"}, idp.Host() + ":oaud": {"wide"}, idp.Host() + ":email": {"a@example.com"},
		idp.Host() + ":none": nil, "other.example.com:amr": nil,
	} {
		got, ok := w.ConditionValues(t.Context(), call, worker, key)
		if !slices.Equal(got, want) && (ok || want != nil) || ok != (want != nil) {
			t.Errorf("%s = %q, %t, want %q", key, got, ok, want)
		}
	}
	if call.Principal.Session.Audience != "other" {
		t.Errorf("audience = %s", call.Principal.Session.Audience)
	}
}

// TestIssuerWithAPath: the path is part of the provider's name, of where its configuration is, and of its condition keys.
func TestIssuerWithAPath(t *testing.T) {
	w, idp := newFederation(t)
	p := w.providers[account+" "+idp.Host()]
	p.URL = idp.Host() + "/Realms/one"
	w.providers[account+" "+p.URL] = p
	idp.Answer("/Realms/one"+ststest.Configuration, func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":%q}`, "https://"+p.URL, idp.URL()+ststest.Keys)
	})
	_, call, err := w.identify(withToken(idp.Token(map[string]any{"iss": "https://" + p.URL, "amr": "pwd"})))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := w.ConditionValues(t.Context(), call, worker, p.URL+":AMR"); !slices.Equal(got, []string{"pwd"}) {
		t.Errorf("amr = %q", got)
	}
	if _, _, err := w.identify(withToken(idp.Token(map[string]any{"iss": "https://" + idp.Host() + "/Realms/two"}))); !errors.Is(err, api.ErrInvalidIdentityToken) {
		t.Errorf("another path: %v", err)
	}
}

func TestDecodeAuthorizationMessage(t *testing.T) {
	w := newWorld(t)
	text := `{"allowed":false,"explicitDeny":false}`
	sealed := w.EncodeAuthorizationMessage(account, text)
	if strings.Contains(sealed, "allowed") {
		t.Errorf("the message can be read: %s", sealed)
	}
	decode := func(by *aws.Principal, message string) (string, error) {
		out, err := w.DecodeAuthorizationMessage(as(by), &api.DecodeAuthorizationMessageInput{EncodedMessage: &message})
		if err != nil {
			return "", err
		}
		return *out.DecodedMessage, nil
	}
	if got, err := decode(alice(), sealed); err != nil || got != text {
		t.Errorf("decoded: %s, %v", got, err)
	}
	token := w.deps.Seal.Seal([]byte("a session"), []byte("ASIAIOSFODNN7EXAMPLE"))
	for name, c := range map[string]struct {
		by      *aws.Principal
		message string
	}{
		"another account's": {aws.RootOf("999999999999", ""), sealed}, "foreign": {alice(), "AAAA"}, "cut off": {alice(), sealed[:len(sealed)-4]},
		"no base64": {alice(), "§"}, "a session token": {alice(), base64.RawURLEncoding.EncodeToString(token)},
	} {
		if got, err := decode(c.by, c.message); !errors.Is(err, api.ErrInvalidAuthorizationMessage) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
