package sigv4

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash"
	"strings"
	"sync"

	"github.com/enfold-run/enfold/aws"
)

// ErrUnknownKey is Keys's answer for an access key that does not exist, is inactive, or does not go with the session token.
var ErrUnknownKey = errors.New("sigv4: unknown access key")

// ErrSessionExpired is Keys's answer for temporary credentials whose time is over.
var ErrSessionExpired = errors.New("sigv4: session expired")

// ErrRefused is in the chain of every refusal that says whether a key, a token or a signature was right: what a guesser is
// after. Refusals for the form or the time of a request do not have it.
var ErrRefused = errors.New("sigv4: wrong access key or signature")

// Keys finds access keys. An error other than ErrUnknownKey and ErrSessionExpired is a fault of ours.
type Keys interface {
	// Lookup finds the key that goes with a session token, which is empty for long-term keys. It must be quick: it runs
	// for every request, before the signature is known to be right.
	Lookup(ctx context.Context, accessKeyID, sessionToken string) (Key, error)
}

// Key is an access key's secret and whom it speaks for.
type Key struct {
	Secret    []byte
	Principal *aws.Principal
}

// String hides the secret from fmt and slog.
func (k Key) String() string { return "sigv4.Key(secret)" }

// GoString hides the secret from %#v.
func (k Key) GoString() string { return k.String() }

// maxSigningKeys bounds the cache: one per access key, day, region and service in use.
const maxSigningKeys = 1024

// signingKeys remembers derived keys, which are four HMACs away from the secret.
type signingKeys struct {
	mu   sync.RWMutex
	keys map[scope]*signingKey
}

// scope is what a signing key is good for.
type scope struct{ accessKeyID, date, region, service string }

func (s scope) clone() scope {
	return scope{
		strings.Clone(s.accessKeyID), strings.Clone(s.date), strings.Clone(s.region), strings.Clone(s.service),
	}
}

// signingKey signs strings. It is safe for concurrent use.
type signingKey struct {
	secret []byte    // that it was derived from; a new secret for the same access key makes a new signing key
	macs   sync.Pool // of hash.Hash, keyed
}

func newSigningKey(secret []byte, s scope) *signingKey {
	k := &signingKey{secret: append([]byte(nil), secret...)}
	derived := hmacSHA256(append([]byte("AWS4"), secret...), s.date)
	derived = hmacSHA256(derived, s.region)
	derived = hmacSHA256(derived, s.service)
	derived = hmacSHA256(derived, terminator)
	k.macs.New = func() any { return hmac.New(sha256.New, derived) }
	return k
}

// sum appends the MAC of message to dst.
func (k *signingKey) sum(dst, message []byte) []byte {
	m := k.macs.Get().(hash.Hash)
	m.Reset()
	m.Write(message)
	dst = m.Sum(dst)
	k.macs.Put(m)
	return dst
}

// get is the signing key of a scope, derived if it is not known, and whether it was known.
func (c *signingKeys) get(secret []byte, s scope) (*signingKey, bool) {
	c.mu.RLock()
	k := c.keys[s]
	c.mu.RUnlock()
	if k != nil && subtle.ConstantTimeCompare(k.secret, secret) == 1 {
		return k, true
	}
	return newSigningKey(secret, s), false
}

// put remembers a key that made a right signature. Strangers can make none, so they cannot push others out.
func (c *signingKeys) put(s scope, k *signingKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		c.keys = map[scope]*signingKey{}
	}
	if len(c.keys) >= maxSigningKeys {
		for old := range c.keys { // any: map order is random, and a lost entry costs two microseconds
			delete(c.keys, old)
			break
		}
	}
	c.keys[s.clone()] = k
}

func hmacSHA256(key []byte, message string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(message))
	return m.Sum(nil)
}
