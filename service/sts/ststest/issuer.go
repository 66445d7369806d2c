// Package ststest is an OpenID Connect identity provider for tests of web identities.
package ststest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The claims that tokens have unless the test says otherwise.
const (
	Audience = "sts.amazonaws.com"
	Subject  = "repo:octo-org/octo-repo:ref:refs/heads/main"
)

// The paths that an issuer answers.
const (
	Configuration = "/.well-known/openid-configuration"
	Keys          = "/keys"
)

// Issuer is an identity provider at a port of the loopback, by TLS with a certificate that nobody signed. It is safe for
// concurrent use and ends with the test.
type Issuer struct {
	t      testing.TB
	server *httptest.Server

	mu    sync.Mutex
	key   jose.JSONWebKey // that signs
	keys  []jose.JSONWebKey
	other map[string]http.HandlerFunc
	asked map[string]int
}

// New is an issuer with one key, ES256, of the id "first".
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{t: t, other: map[string]http.HandlerFunc{}, asked: map[string]int{}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.Use("first", key)
	i.server = httptest.NewUnstartedServer(i)
	i.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	i.server.StartTLS()
	t.Cleanup(i.server.Close)
	return i
}

// Use makes the issuer sign with a key, which it publishes beside those that it has.
func (i *Issuer) Use(kid string, key crypto.Signer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key = jose.JSONWebKey{Key: key, KeyID: kid, Use: "sig"}
	i.keys = append(i.keys, i.key.Public())
}

// Answer makes the issuer answer a path otherwise.
func (i *Issuer) Answer(path string, h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.other[path] = h
}

// Asked is how often a path was asked for.
func (i *Issuer) Asked(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked[path]
}

// URL is the issuer as its tokens call it: "https://127.0.0.1:54321".
func (i *Issuer) URL() string { return i.server.URL }

// Host is the issuer without "https://".
func (i *Issuer) Host() string { return strings.TrimPrefix(i.server.URL, "https://") }

// Thumbprint is that of the issuer's certificate, as IAM wants it.
func (i *Issuer) Thumbprint() string {
	sum := sha1.Sum(i.server.Certificate().Raw)
	return hex.EncodeToString(sum[:])
}

// ServeHTTP implements http.Handler.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.asked[r.URL.Path]++
	other, keys := i.other[r.URL.Path], i.keys
	i.mu.Unlock()
	var answer any
	switch {
	case other != nil:
		other(w, r)
		return
	case r.URL.Path == Configuration:
		answer = map[string]any{"issuer": i.URL(), "jwks_uri": i.URL() + Keys, "response_types_supported": []string{"id_token"}}
	case r.URL.Path == Keys:
		answer = jose.JSONWebKeySet{Keys: keys}
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		i.t.Errorf("answer: %v", err)
	}
}

// Token is a token for five minutes from now on, of Subject for Audience, with further claims, or others; nil leaves one out.
func (i *Issuer) Token(claims map[string]any) string {
	i.t.Helper()
	now := time.Now().Unix()
	all := map[string]any{"iss": i.URL(), "sub": Subject, "aud": Audience, "iat": now, "exp": now + 300}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(all)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	key := i.key
	i.mu.Unlock()
	alg := jose.RS256
	if _, ok := key.Key.(*ecdsa.PrivateKey); ok {
		alg = jose.ES256
	}
	return Sign(i.t, alg, key, payload)
}

// Sign is a token of any payload.
func Sign(t testing.TB, alg jose.SignatureAlgorithm, key jose.JSONWebKey, payload []byte) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
