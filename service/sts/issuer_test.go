package sts

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/service/sts/ststest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestIssuerIsNotHammered counts the questions to an issuer, whatever tokens come.
func TestIssuerIsNotHammered(t *testing.T) {
	w, idp := newFederation(t)
	old := idp.Token(map[string]any{"exp": w.now.Unix() + 86400})
	asked := func(want int, when string) {
		t.Helper()
		if got := idp.Asked(ststest.Keys); got != want || idp.Asked(ststest.Configuration) != want {
			t.Fatalf("%s: asked %d times, want %d", when, got, want)
		}
	}
	try := func(token string, good bool) {
		t.Helper()
		if _, _, err := w.identify(withToken(token)); (err == nil) != good {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, _, err := w.identify(withToken(old)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	asked(1, "twenty at once")
	for n := range 20 {
		try(strings.Replace(raw(fmt.Sprintf(`{"alg":"ES256","kid":"guess %d"}`, n), "x", "s"), ".eA.", "."+strings.Split(old, ".")[1]+".", 1), false)
	}
	asked(1, "unknown keys, at once")

	idp.Use("second", newKey(t))
	fresh := idp.Token(map[string]any{"exp": w.now.Unix() + 86400})
	try(fresh, false)
	asked(1, "a new key, at once")
	w.now = w.now.Add(askAgain)
	try(fresh, true)
	asked(2, "a new key, later")
	try(old, true)
	w.now = w.now.Add(keysLast)
	try(old, true)
	asked(3, "after an hour")

	// An issuer that does not answer is asked again sooner, and its old keys do not last for ever.
	idp.Answer(ststest.Keys, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	w.now = w.now.Add(keysLast)
	for range 5 {
		_, _, err := w.identify(withToken(old))
		if !errors.Is(err, api.ErrIDPCommunicationError) {
			t.Fatalf("without an answer: %v", err)
		}
	}
	asked(4, "without an answer")
	idp.Answer(ststest.Keys, nil)
	w.now = w.now.Add(askFailed)
	try(old, true)
	asked(5, "after a failure")
}

// TestKeysAreNotShared: accounts, and thumbprints, have their own.
func TestKeysAreNotShared(t *testing.T) {
	w, idp := newFederation(t)
	if _, _, err := w.identify(withToken(idp.Token(nil))); err != nil {
		t.Fatal(err)
	}
	id := account + " " + idp.Host()
	p := w.providers[id]
	p.Thumbprints = []string{strings.Repeat("0", 40)}
	w.providers[id] = p
	_, _, err := w.identify(withToken(idp.Token(nil)))
	if !errors.Is(err, api.ErrInvalidIdentityToken) || !strings.Contains(err.Error(), "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint") {
		t.Errorf("keys that were had by another certificate: %v", err)
	}
}

func TestTheIssuersAreBounded(t *testing.T) {
	w, idp := newFederation(t)
	for n := range maxIssuers {
		w.issuers.all[fmt.Sprint(n)] = &issuer{}
	}
	if _, _, err := w.identify(withToken(idp.Token(nil))); err != nil {
		t.Fatal(err)
	}
	if len(w.issuers.all) != maxIssuers {
		t.Errorf("%d issuers are known", len(w.issuers.all))
	}
}

// TestBadIssuers: whatever an issuer answers is an error for the caller and a line for the operator, and nothing of it reaches
// the caller.
func TestBadIssuers(t *testing.T) {
	configuration := func(issuer, keys string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuer, keys)
		}
	}
	says := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, text)
		}
	}
	to := func(where string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, where, http.StatusFound) }
	}
	symmetric, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: []byte("secret"), KeyID: "first"}}})
	if err != nil {
		t.Fatal(err)
	}
	many := strings.Repeat(`{"kty":"oct"},`, maxKeys) + `{"kty":"oct"}`
	noKey := "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements"
	for _, c := range []struct {
		name, path string
		answer     func(*ststest.Issuer) http.HandlerFunc
		want       *aws.ErrorType
		log        string
	}{
		{"not found", ststest.Configuration, func(*ststest.Issuer) http.HandlerFunc { return http.NotFound }, api.ErrInvalidIdentityToken, "404"},
		{"broken", ststest.Configuration, func(*ststest.Issuer) http.HandlerFunc { return says(500, "oops") }, api.ErrIDPCommunicationError, "500"},
		{"busy", ststest.Keys, func(*ststest.Issuer) http.HandlerFunc { return says(429, "later") }, api.ErrIDPCommunicationError, "429"},
		{"hangs up", ststest.Keys, func(*ststest.Issuer) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100")
				fmt.Fprint(w, "{")
			}
		}, api.ErrIDPCommunicationError, "EOF"},
		{"no JSON", ststest.Configuration, func(*ststest.Issuer) http.HandlerFunc { return says(200, "<html>") }, api.ErrInvalidIdentityToken, "configuration"},
		{"another issuer", ststest.Configuration, func(i *ststest.Issuer) http.HandlerFunc {
			return configuration("https://other.example.com", i.URL()+ststest.Keys)
		}, api.ErrInvalidIdentityToken, "another issuer"},
		{"keys in plain text", ststest.Configuration, func(i *ststest.Issuer) http.HandlerFunc {
			return configuration(i.URL(), "http://"+i.Host()+ststest.Keys)
		}, api.ErrInvalidIdentityToken, "no https URL"},
		{"keys at a private address", ststest.Configuration, func(i *ststest.Issuer) http.HandlerFunc {
			return configuration(i.URL(), "https://169.254.169.254/latest/meta-data")
		}, api.ErrInvalidIdentityToken, "not public"},
		{"keys in a file", ststest.Configuration, func(i *ststest.Issuer) http.HandlerFunc {
			return configuration(i.URL(), "file:///etc/passwd")
		}, api.ErrInvalidIdentityToken, "no https URL"},
		{"redirects to plain text", ststest.Keys, func(i *ststest.Issuer) http.HandlerFunc { return to("http://" + i.Host() + "/x") }, api.ErrInvalidIdentityToken, "redirects"},
		{"redirects to a private address", ststest.Keys, func(*ststest.Issuer) http.HandlerFunc { return to("https://10.0.0.1/") }, api.ErrInvalidIdentityToken, "not public"},
		{"redirects to itself", ststest.Keys, func(*ststest.Issuer) http.HandlerFunc { return to(ststest.Keys) }, api.ErrInvalidIdentityToken, "redirects"},
		{"too large", ststest.Keys, func(*ststest.Issuer) http.HandlerFunc { return says(200, strings.Repeat(" ", maxFetched+1)) }, api.ErrInvalidIdentityToken, "more than"},
		{"no keys", ststest.Keys, func(*ststest.Issuer) http.HandlerFunc { return says(200, `{"keys":[]}`) }, api.ErrInvalidIdentityToken, "no key"},
		{"many keys", ststest.Keys, func(*ststest.Issuer) http.HandlerFunc { return says(200, `{"keys":[`+many+`]}`) }, api.ErrInvalidIdentityToken, "201 keys"},
		{"a shared secret", ststest.Keys, func(*ststest.Issuer) http.HandlerFunc { return says(200, string(symmetric)) }, api.ErrInvalidIdentityToken, "no key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, idp := newFederation(t)
			var log bytes.Buffer
			w.issuers.log = slog.New(slog.NewTextHandler(&log, nil))
			idp.Answer(c.path, c.answer(idp))
			_, _, err := w.identify(withToken(idp.Token(nil)))
			var e *aws.Error
			if !errors.As(err, &e) || e.Type != c.want || e.Cause != nil || c.want == api.ErrInvalidIdentityToken && e.Message != noKey {
				t.Errorf("error = %#v, want %s", err, c.want.Code)
			}
			if !strings.Contains(log.String(), c.log) || !strings.Contains(log.String(), "oidc-provider/"+idp.Host()) {
				t.Errorf("the log says %q, and not %q", &log, c.log)
			}
		})
	}
}

// TestPrivateIssuers: the loopback is asked only for what the operator has named.
func TestPrivateIssuers(t *testing.T) {
	for _, named := range [][]string{nil, {"127.0.0.1:1"}, {"127.0.0.1:443"}} {
		w, idp := newFederation(t)
		d := w.deps
		d.PrivateIssuers = named
		w.Service = New(d)
		if _, _, err := w.identify(withToken(idp.Token(nil))); !errors.Is(err, api.ErrInvalidIdentityToken) {
			t.Errorf("with %q: %v", named, err)
		}
		if n := idp.Asked(ststest.Configuration); n != 0 {
			t.Errorf("with %q: asked %d times", named, n)
		}
	}
}

// TestWhoWaitsMayGo: a request that is given up does not wait for the issuer, and others still get its answer.
func TestWhoWaitsMayGo(t *testing.T) {
	w, idp := newFederation(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	idp.Answer(ststest.Configuration, func(rw http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":%q}`, idp.URL(), idp.URL()+ststest.Keys)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	call := &aws.Call{Op: api.OpAssumeRoleWithWebIdentity, Input: withToken(idp.Token(nil))}
	if _, _, err := w.Identify(ctx, call); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	close(answer)
	if _, _, err := w.Identify(t.Context(), call); err != nil {
		t.Errorf("who waited on: %v", err)
	}
}

// TestSlowIssuers: one that keeps us waiting is given up, wherever it does.
func TestSlowIssuers(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	taken := make(chan net.Conn, 1)
	go func() {
		if conn, err := mute.Accept(); err == nil {
			taken <- conn
		}
	}()
	for name, keys := range map[string]http.HandlerFunc{
		"before the answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"in the answer": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "{")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // it does not end its answer well
		},
		"in another's TLS": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+mute.Addr().String(), http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, idp := newFederation(t)
			d := w.deps
			d.PrivateIssuers = []string{idp.Host(), mute.Addr().String()}
			w.Service = New(d)
			w.issuers.web.wait = 200 * time.Millisecond
			idp.Answer(ststest.Keys, keys)
			if _, _, err := w.identify(withToken(idp.Token(nil))); !errors.Is(err, api.ErrIDPCommunicationError) {
				t.Errorf("error = %v", err)
			}
		})
	}
	conn := <-taken
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("nobody hangs up where TLS does not begin")
	}
}

func TestIsPublic(t *testing.T) {
	for ip, want := range map[string]bool{
		"8.8.8.8": true, "140.82.112.3": true, "2606:50c0:8000::153": true, "2a00:1450:4001::1": true, "172.32.0.1": true, "100.128.0.1": true,
		"127.0.0.1": false, "127.9.9.9": false, "10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "224.0.0.1": false, "255.255.255.255": false, "198.18.0.1": false,
		"::1": false, "::": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:8.8.8.8": true, "::127.0.0.1": false,
		"fe80::1": false, "fec0::1": false, "fd00:ec2::254": false, "fc00::1": false, "ff02::1": false, "64:ff9b::a00:1": false,
		"2002:7f00:1::": false, "2001:0:4136:e378::1": false, "2001:db8::1": false,
	} {
		if got := isPublic(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s is public = %t", ip, got)
		}
	}
	if isPublic(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestParseKeys(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: &small.PublicKey, KeyID: "small"},
		{Key: &key.PublicKey, KeyID: "encrypts", Use: "enc"},
		{Key: key, KeyID: "private"},
		{Key: []byte("secret"), KeyID: "shared"},
		{Key: &key.PublicKey, KeyID: "good", Use: "sig", Algorithm: "ES256"},
		{Key: &key.PublicKey, KeyID: "any"},
	}}
	b, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := parseKeys(bytes.Replace(b, []byte(`[`), []byte(`[{"kty":"new"},7,`), 1))
	if err != nil || len(keys) != 2 || keys[0].KeyID != "good" || keys[1].KeyID != "any" {
		t.Fatalf("keys = %v, %v", keys, err)
	}
	for _, c := range []struct {
		kid, alg string
		want     int
	}{{"good", "ES256", 1}, {"good", "ES384", 0}, {"good", "RS256", 0}, {"", "ES256", 2}, {"any", "ES256", 1}, {"none", "ES256", 0}} {
		if got := fitting(keys, c.kid, c.alg); len(got) != c.want {
			t.Errorf("%q %s: %d keys, want %d", c.kid, c.alg, len(got), c.want)
		}
	}
	var many []jose.JSONWebKey
	for range maxTries + 1 {
		many = append(many, jose.JSONWebKey{Key: &key.PublicKey})
	}
	if got := fitting(many, "", "ES256"); len(got) != maxTries {
		t.Errorf("a token without a key's id is tried with %d keys", len(got))
	}
}

func FuzzToken(f *testing.F) {
	key := newKey(f)
	public := []jose.JSONWebKey{{Key: &key.PublicKey}}
	payload := `{"iss":"https://i.example.com","sub":"s","aud":["a"],"iat":1,"exp":2,"amr":"x","https://aws.amazon.com/tags":{"principal_tags":{"a":["b"]}}}`
	good := ststest.Sign(f, jose.ES256, jose.JSONWebKey{Key: key, KeyID: "k"}, []byte(payload))
	f.Add(good)
	f.Add(raw(`{"alg":"none"}`, payload, ""))
	f.Add(raw(`{"alg":"ES256","crit":["exp"],"exp":1}`, `{"exp":1e999,"aud":null,"sub":"\ud800"}`, "s"))
	f.Add(raw(`{"alg":"ES256","jwk":{"kty":"oct","k":"AA"}}`, `[]`, "s"))
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		tok, err := parseToken(text)
		var e *aws.Error
		switch {
		case err != nil && !errors.As(err, &e):
			t.Fatalf("%v is no answer", err)
		case err != nil:
			return
		}
		c := tok.claims
		if c.Issuer == "" || c.Subject == "" || len(c.Subject) > maxClaim || c.Expires == nil || *c.Expires < 0 || *c.Expires > maxDay {
			t.Errorf("claims = %+v", c)
		}
		_, _ = issuerURL(c.Issuer)
		_ = c.check(time.Unix(1, 0))
		_ = c.Tags.list()
		// Whoever has no key makes no other token than the one that was signed.
		if tok.signedBy(public) && string(tok.jws.UnsafePayloadWithoutVerification()) != payload {
			t.Errorf("%q is signed", text)
		}
	})
}

func FuzzKeys(f *testing.F) {
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &newKey(f).PublicKey, KeyID: "k"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"RSA","n":"AQAB","e":"AA"},null]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := parseKeys(b)
		if err == nil && (len(keys) == 0 || len(keys) > maxKeys) {
			t.Errorf("%d keys", len(keys))
		}
		for _, k := range keys {
			if !canVerify(k) || !k.IsPublic() {
				t.Errorf("%T is a key", k.Key)
			}
		}
	})
}
