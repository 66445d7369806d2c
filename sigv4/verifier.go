package sigv4

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/enfold-run/enfold/aws"
)

// The values of x-amz-content-sha256 that are not a hash.
const (
	UnsignedPayload          = "UNSIGNED-PAYLOAD"
	StreamingPayload         = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	StreamingPayloadTrailer  = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	StreamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// Verifier verifies signatures. It is safe for concurrent use.
type Verifier struct {
	keys    Keys
	signing signingKeys
}

// New is a Verifier of requests signed with these keys.
func New(keys Keys) *Verifier { return &Verifier{keys: keys} }

// Identity is who signed a request, and for what.
type Identity struct {
	Principal *aws.Principal
	Region    string // of the credential scope
	Service   string // of the credential scope: "lambda"
	Presigned bool
	SignedAt  time.Time
	Body      []byte // the payload: what was given to Verify, or what was in its chunks
}

// Claim is a signature whose time, headers and access key are in order, but which was not compared yet: that needs the body.
type Claim struct {
	v   *Verifier
	r   *http.Request
	sig *signature
	key Key
}

// Verify says who signed r, whose whole body was read already. The error is an *aws.Error unless Keys failed.
func (v *Verifier) Verify(r *http.Request, body []byte) (*Identity, error) {
	c, err := v.Claim(r)
	if err != nil {
		return nil, err
	}
	return c.Verify(body)
}

// Claim checks all of a signature that can be checked before the body is read.
func (v *Verifier) Claim(r *http.Request) (*Claim, error) {
	s, err := parse(r)
	if err != nil {
		return nil, err
	}
	if err := s.checkTime(time.Now()); err != nil {
		return nil, err
	}
	if err := s.checkHeaders(r.Header); err != nil {
		return nil, err
	}
	key, err := v.keys.Lookup(r.Context(), s.accessKeyID, s.token)
	switch {
	case errors.Is(err, ErrUnknownKey):
		return nil, unknownKey(s.service)
	case errors.Is(err, ErrSessionExpired):
		return nil, expiredToken(s.service)
	case err != nil:
		return nil, fmt.Errorf("look up access key: %w", err)
	}
	return &Claim{v: v, r: r, sig: s, key: key}, nil
}

// Service is the service of the credential scope.
func (c *Claim) Service() string { return c.sig.service }

// Streaming says that the body comes in chunks of its own (Content-Encoding: aws-chunked).
func (c *Claim) Streaming() bool { return isStreaming(c.sig.payload) }

func isStreaming(payload string) bool { return strings.HasPrefix(payload, "STREAMING-") }

// Verify compares the signature for a body in memory. Identity.Body is the payload, out of its chunks where it was in some.
func (c *Claim) Verify(body []byte) (*Identity, error) {
	if c.Streaming() {
		id, stream, err := c.Stream(bytes.NewReader(body), math.MaxInt64)
		if err != nil {
			return nil, err
		}
		id.Body, err = io.ReadAll(stream)
		return id, err
	}
	var buf [2 * sha256.Size]byte
	payload := c.sig.payload
	switch {
	case payload == "" && c.sig.presigned && c.sig.service == s3:
		payload = UnsignedPayload
	case payload != UnsignedPayload:
		h := appendHash(buf[:0], body)
		if payload != "" && subtle.ConstantTimeCompare([]byte(payload), h) != 1 {
			return nil, wrongBody(c.sig.service)
		}
		payload = string(h)
	}
	if _, err := c.compare(payload); err != nil {
		return nil, err
	}
	id := c.identity()
	id.Body = body
	return id, nil
}

// Stream compares the signature without the body, of which the reader then verifies what the signature says about it: each
// chunk's own signature, or the hash of it all. Nothing that was read may be trusted before the reader answered io.EOF;
// any other error means that it was not what the client signed. More than limit bytes are an error.
func (c *Claim) Stream(body io.Reader, limit int64) (*Identity, io.Reader, error) {
	payload := c.sig.payload
	if payload == "" {
		if !c.sig.presigned || c.sig.service != s3 {
			return nil, nil, wrongBody(c.sig.service) // its hash is signed and was not sent: only Verify can check it
		}
		payload = UnsignedPayload
	}
	key, err := c.compare(payload)
	if err != nil {
		return nil, nil, err
	}
	id := c.identity()
	switch payload {
	case UnsignedPayload:
		return id, &limitedReader{src: body, left: limit}, nil
	case StreamingPayload, StreamingPayloadTrailer, StreamingUnsignedTrailer:
		stream, err := newChunkReader(body, c, key, limit)
		return id, stream, err
	}
	if len(payload) != 2*sha256.Size {
		return nil, nil, errUnsupportedStreamValue.New("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, " +
			"STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, " +
			"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.")
	}
	src := &limitedReader{src: body, left: limit}
	return id, &hashedReader{src: src, hash: sha256.New(), want: payload, service: c.sig.service}, nil
}

func (c *Claim) identity() *Identity {
	return &Identity{
		Principal: c.key.Principal, Region: c.sig.region, Service: c.sig.service,
		Presigned: c.sig.presigned, SignedAt: c.sig.at,
	}
}

// compare calculates the signature and compares it with the client's.
func (c *Claim) compare(payload string) (*signingKey, error) {
	key, known := c.v.signing.get(c.key.Secret, c.sig.scope)
	if !c.matches(key, c.sig.query, payload) && !c.matchesWithoutToken(key, payload) {
		return nil, mismatch(c.sig.service)
	}
	if !known {
		c.v.signing.put(c.sig.scope, key)
	}
	return key, nil
}

// matchesWithoutToken is for clients that append the session token to a URL that is signed already, as AWS IoT wants it.
// The token needs no signature: it was looked up together with the access key.
func (c *Claim) matchesWithoutToken(key *signingKey, payload string) bool {
	const token = "X-Amz-Security-Token"
	if !has(c.sig.query, token) || !c.sig.presigned {
		return false
	}
	return c.matches(key, without(c.sig.query, token), payload)
}

// scratch holds a canonical request while it is hashed.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

func (c *Claim) matches(key *signingKey, query []param, payload string) bool {
	buf := scratch.Get().(*[]byte)
	canonical := appendCanonical((*buf)[:0], c.r, c.sig, query, payload)
	all := appendStringToSign(canonical, c.sig, canonical)
	var mac [sha256.Size]byte
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], key.sum(mac[:0], all[len(canonical):]))
	if cap(all) <= 16<<10 {
		*buf = all
		scratch.Put(buf)
	}
	return subtle.ConstantTimeCompare(text[:], []byte(c.sig.hex)) == 1
}

// Scope peeks at the region and the service of a request's credential scope and believes them: for routing, before the
// signature is checked. It is quick and takes nothing but the request line and the headers.
func Scope(r *http.Request) (region, service string, ok bool) {
	var s signature
	credential, ok := claimedCredential(r)
	if !ok || s.setCredential(credential) != nil {
		return "", "", false
	}
	return s.region, s.service, true
}

// ClaimedKey peeks at the access key that a request names, "" if it names none: for a log, nobody has vouched for it.
func ClaimedKey(r *http.Request) string {
	var s signature
	credential, ok := claimedCredential(r)
	if !ok || s.setCredential(credential) != nil {
		return ""
	}
	return s.accessKeyID
}

// claimedCredential is keyid/date/region/service/aws4_request of either form.
func claimedCredential(r *http.Request) (credential string, ok bool) {
	if auth := r.Header["Authorization"]; len(auth) > 0 {
		_, credential, ok = strings.Cut(auth[0], "Credential=")
		if i := strings.IndexAny(credential, ", "); i >= 0 {
			credential = credential[:i]
		}
		return credential, ok
	}
	if i := strings.Index(r.URL.RawQuery, "X-Amz-Credential="); i >= 0 {
		credential, _, _ = strings.Cut(r.URL.RawQuery[i+len("X-Amz-Credential="):], "&")
		return decode(credential, true), true
	}
	return "", false
}

// limitedReader fails where a body is larger than it may be.
type limitedReader struct {
	src  io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.src.Read(p)
	if l.left -= int64(n); l.left < 0 {
		l.left = 0
		return 0, tooLarge()
	}
	return n, err
}

func tooLarge() *aws.Error {
	return ErrStreamEntityTooLarge.New("Your proposed upload exceeds the maximum allowed size")
}

// hashedReader answers io.EOF only if what it read has the hash that was signed.
type hashedReader struct {
	src     io.Reader
	hash    hash.Hash
	want    string
	service string
}

func (h *hashedReader) Read(p []byte) (int, error) {
	n, err := h.src.Read(p)
	h.hash.Write(p[:n])
	if errors.Is(err, io.EOF) && subtle.ConstantTimeCompare([]byte(h.want), []byte(hex.EncodeToString(h.hash.Sum(nil)))) != 1 {
		return n, wrongBody(h.service)
	}
	return n, err
}
