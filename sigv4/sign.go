package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Credentials sign requests for one region and service.
type Credentials struct {
	AccessKeyID  string
	Secret       []byte
	SessionToken string // empty for long-term keys
	Region       string
	Service      string
}

// String hides the secret from fmt and slog.
func (c Credentials) String() string { return "sigv4.Credentials(" + c.AccessKeyID + ")" }

// GoString hides the secret from %#v.
func (c Credentials) GoString() string { return c.String() }

func (c Credentials) scope(at time.Time) scope {
	return scope{accessKeyID: c.AccessKeyID, date: at.UTC().Format(isoBasic)[:8], region: c.Region, service: c.Service}
}

// Sign adds the headers of a signature to a request that a client is about to send, with this body. Host, Content-Type and
// the x-amz-* headers are signed.
func Sign(r *http.Request, body []byte, c Credentials, at time.Time) {
	r.Header.Set("X-Amz-Date", at.UTC().Format(isoBasic))
	if c.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", c.SessionToken)
	}
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if payload == "" {
		payload = string(appendHash(nil, body))
	}
	if c.Service == s3 {
		r.Header.Set("X-Amz-Content-Sha256", payload)
	}
	names := []string{"host"}
	for name := range r.Header {
		if name == "Content-Type" || strings.HasPrefix(name, "X-Amz-") {
			names = append(names, strings.ToLower(name))
		}
	}
	slices.Sort(names)
	query, _ := parseQuery(r.URL.RawQuery) // a server refuses what is too long
	s := &signature{scope: c.scope(at), iso: at.UTC().Format(isoBasic), headers: strings.Join(names, ";"), query: query}
	r.Header.Set("Authorization", algorithm+" Credential="+c.AccessKeyID+"/"+string(appendScope(nil, s.scope))+
		", SignedHeaders="+s.headers+", Signature="+sign(r, s, c.Secret, payload))
}

// Presign is a GET of u that anybody may make until ttl, 1 second to MaxExpires, is over: a link to hand out. The query of u
// stays and is part of what is signed.
func Presign(u *url.URL, c Credentials, at time.Time, ttl time.Duration) string {
	s := &signature{scope: c.scope(at), iso: at.UTC().Format(isoBasic), headers: "host"}
	q := [][2]string{
		{"X-Amz-Algorithm", algorithm},
		{"X-Amz-Credential", c.AccessKeyID + "/" + string(appendScope(nil, s.scope))},
		{"X-Amz-Date", s.iso},
		{"X-Amz-Expires", strconv.FormatInt(int64(ttl/time.Second), 10)},
		{"X-Amz-SignedHeaders", s.headers},
	}
	if c.SessionToken != "" {
		q = append(q, [2]string{"X-Amz-Security-Token", c.SessionToken})
	}
	raw := []byte(u.RawQuery)
	for _, p := range q {
		if len(raw) > 0 {
			raw = append(raw, '&')
		}
		raw = appendEncoded(append(append(raw, p[0]...), '='), p[1], false)
	}
	out := *u
	out.RawQuery = string(raw)
	s.query, _ = parseQuery(out.RawQuery)
	payload := emptyHash
	if c.Service == s3 {
		payload = UnsignedPayload
	}
	r := &http.Request{Method: http.MethodGet, URL: &out, Host: u.Host, Header: http.Header{}}
	out.RawQuery += "&X-Amz-Signature=" + sign(r, s, c.Secret, payload)
	return out.String()
}

func sign(r *http.Request, s *signature, secret []byte, payload string) string {
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	canonical := appendCanonical(nil, r, s, s.query, payload)
	key := newSigningKey(secret, s.scope)
	return hex.EncodeToString(key.sum(make([]byte, 0, sha256.Size), appendStringToSign(nil, s, canonical)))
}
