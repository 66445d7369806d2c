package sts

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	api "github.com/enfold-run/enfold/api/sts"
)

const (
	keysLast   = time.Hour        // before an issuer is asked for its keys again
	askAgain   = 30 * time.Second // after it was asked, for a key that it did not have
	askFailed  = 5 * time.Second  // after it did not answer
	maxIssuers = 1024             // whose keys are known
	maxAsking  = 8                // issuers at once
	maxKeys    = 200              // of an issuer: AWS takes 100 RSA and 100 EC keys
	maxTries   = 10               // keys that one token is tried with
	minRSA     = 2048             // bits
	maxRSA     = 8192             // bits: verifying takes the longer the more there are
)

// keyring knows the keys of issuers. It asks an issuer only if a token needs a key that is not known, one question at a time,
// and not again before a while, whatever tokens come. Accounts share nothing: each trusts an issuer by its own provider.
type keyring struct {
	now    func() time.Time
	log    *slog.Logger
	web    web
	asking singleflight.Group
	slots  *semaphore.Weighted

	mu  sync.Mutex
	all map[string]*issuer
}

// issuer is what is known of a provider's keys.
type issuer struct {
	keys  []jose.JSONWebKey
	since time.Time // when the keys were had; zero if they never were
	asked time.Time
	err   error // of the last time
}

func newKeyring(d Deps) *keyring {
	return &keyring{
		now: d.Now, log: d.Log, web: newWeb(d.PrivateIssuers), slots: semaphore.NewWeighted(maxAsking), all: map[string]*issuer{},
	}
}

// errNoKey says that an issuer has no key for a token.
func errNoKey() error {
	return api.ErrInvalidIdentityToken.New("Couldn't retrieve verification key from your identity provider, " +
		"please reference AssumeRoleWithWebIdentity documentation for requirements")
}

// find answers the keys that may have signed a token, at least one. The error is an *aws.Error or that of ctx.
func (k *keyring) find(ctx context.Context, p Provider, kid, alg string) ([]jose.JSONWebKey, error) {
	id := p.Arn + " " + strings.Join(p.Thumbprints, " ") // what was had by other certificates is not known
	known, ask := k.look(id, kid, alg)
	if ask {
		done := k.asking.DoChan(id, func() (any, error) {
			k.ask(id, p, kid, alg)
			return nil, nil
		})
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-done:
		}
		known, _ = k.look(id, kid, alg)
	}
	if keys := fitting(known.keys, kid, alg); len(keys) > 0 {
		return keys, nil
	}
	return nil, refusal(known.err)
}

// look answers what is known, without keys that are too old, and whether the issuer should be asked.
func (k *keyring) look(id, kid, alg string) (known issuer, ask bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if i := k.all[id]; i != nil {
		known = *i
	}
	now := k.now()
	if now.Sub(known.since) >= keysLast {
		known.keys = nil
	}
	if len(fitting(known.keys, kid, alg)) > 0 {
		return known, false
	}
	wait := askAgain
	if known.err != nil {
		wait = askFailed
	}
	return known, known.asked.IsZero() || now.Sub(known.asked) >= wait
}

// ask gets an issuer's keys, unless somebody just has. It does not end with the request that wanted them: others wait too.
func (k *keyring) ask(id string, p Provider, kid, alg string) {
	if _, ask := k.look(id, kid, alg); !ask {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), k.web.wait)
	defer cancel()
	keys, err := k.fetch(ctx, p)
	if err != nil {
		k.log.Warn("the keys of an identity provider could not be had", "provider", p.Arn, "error", err)
	}
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	i := k.all[id]
	if i == nil {
		i = &issuer{}
		k.makeRoom()
		k.all[id] = i
	}
	i.asked, i.err = now, err
	if err == nil {
		i.keys, i.since = keys, now
	}
}

func (k *keyring) makeRoom() {
	for id := range k.all { // any: map order is random, and who is forgotten is asked again
		if len(k.all) < maxIssuers {
			return
		}
		delete(k.all, id)
	}
}

// fetch reads where an issuer's keys are, and the keys.
// See https://openid.net/specs/openid-connect-discovery-1_0.html.
func (k *keyring) fetch(ctx context.Context, p Provider) ([]jose.JSONWebKey, error) {
	if err := k.slots.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("%w: too many issuers are being asked", errUnreachable)
	}
	defer k.slots.Release(1)
	client := k.web.client(p.Thumbprints)
	b, err := get(ctx, client, "https://"+p.URL+"/.well-known/openid-configuration")
	if err != nil {
		return nil, fmt.Errorf("read its configuration: %w", err)
	}
	var doc struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("read its configuration: %w", err)
	}
	if is, ok := issuerURL(doc.Issuer); !ok || is != p.URL {
		return nil, fmt.Errorf("its configuration is of another issuer, %.100q", doc.Issuer)
	}
	if u, err := url.Parse(doc.Keys); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("its jwks_uri %.100q is no https URL", doc.Keys)
	}
	if b, err = get(ctx, client, doc.Keys); err != nil {
		return nil, fmt.Errorf("read its keys: %w", err)
	}
	return parseKeys(b)
}

// parseKeys reads a JSON Web Key Set. Keys that cannot verify a token are left out.
func parseKeys(b []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		return nil, fmt.Errorf("read its keys: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("it has %d keys, more than %d", len(set.Keys), maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(raw); err != nil || key.Use != "" && key.Use != "sig" || !canVerify(key) {
			continue // a kind that is new, or not for this
		}
		keys = append(keys, jose.JSONWebKey{Key: key.Key, KeyID: key.KeyID, Algorithm: key.Algorithm})
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no key that verifies tokens")
	}
	return keys, nil
}

// canVerify says that a key is public and of a kind and size for tokens.
func canVerify(key jose.JSONWebKey) bool {
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= minRSA && k.N.BitLen() <= maxRSA
	case *ecdsa.PublicKey:
		return true
	}
	return false
}

// fitting are the keys that may have made a signature with that key id and algorithm.
func fitting(keys []jose.JSONWebKey, kid, alg string) []jose.JSONWebKey {
	fit := slices.DeleteFunc(slices.Clone(keys), func(key jose.JSONWebKey) bool {
		return kid != "" && key.KeyID != kid || key.Algorithm != "" && key.Algorithm != alg || !signs(key.Key, alg)
	})
	return fit[:min(len(fit), maxTries)]
}

// signs says whether an algorithm goes with a kind of key.
func signs(key any, alg string) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return alg == "ES256" && k.Curve == elliptic.P256() || alg == "ES384" && k.Curve == elliptic.P384() ||
			alg == "ES512" && k.Curve == elliptic.P521()
	}
	return false
}

// refusal is what the client hears of why there is no key. The operator's log has more.
func refusal(err error) error {
	switch {
	case errors.Is(err, errThumbprint):
		return api.ErrInvalidIdentityToken.New("OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint")
	case errors.Is(err, errUnreachable):
		return api.ErrIDPCommunicationError.New("The request could not be fulfilled because the identity provider (IDP) that was asked to verify the incoming identity token could not be reached. Retry the request.")
	}
	return errNoKey()
}
