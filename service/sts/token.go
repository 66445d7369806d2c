package sts

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // unlike encoding/json it tells Sub from sub, and takes no name twice

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
)

const (
	maxWebToken = 20000           // characters
	maxClaim    = 255             // characters of an issuer or a subject
	clockSkew   = 5 * time.Minute // by which an issuer's clock may differ, in either direction

	maxSessionTags = 50
)

var (
	// algorithms are those that AWS takes, and RSASSA-PSS: none whose key is a shared secret, and never "none".
	algorithms = []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512,
	}
	tagText            = aws.Pattern(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
	sourceIdentityText = aws.Pattern(`^[\w+=,.@-]{2,64}$`)
)

// token is a web identity token that is well formed. Nothing that it says is known to be true.
type token struct {
	jws      *jose.JSONWebSignature
	kid, alg string
	claims   claims
}

// claims are what a token says.
type claims struct {
	Issuer         string      `json:"iss"`
	Subject        string      `json:"sub"`
	Audience       texts       `json:"aud"`
	Party          string      `json:"azp"` // for whom it was made, if that is another than the audience
	Expires        *numericDay `json:"exp"`
	IssuedAt       *numericDay `json:"iat"`
	NotBefore      *numericDay `json:"nbf"`
	Methods        texts       `json:"amr"` // how its subject proved who it is
	Email          string      `json:"email"`
	SourceIdentity string      `json:"https://aws.amazon.com/source_identity"`
	Tags           tokenTags   `json:"https://aws.amazon.com/tags"`
}

// parseToken reads a JSON Web Token. The error is an *aws.Error.
func parseToken(text string) (*token, error) {
	if len(text) > maxWebToken {
		return nil, notJWT()
	}
	jws, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil || len(jws.Signatures) != 1 {
		return nil, notJWT()
	}
	h := jws.Signatures[0].Protected
	if h.ExtraHeaders["crit"] != nil || h.ExtraHeaders["b64"] != nil {
		return nil, notJWT()
	}
	t := &token{jws: jws, kid: h.KeyID, alg: h.Algorithm}
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &t.claims); err != nil {
		return nil, notJWT()
	}
	return t, t.claims.complete()
}

func notJWT() error {
	return api.ErrInvalidIdentityToken.New("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
}

// complete refuses a token that lacks a claim, or has one that is out of bounds.
func (c *claims) complete() error {
	for _, want := range []struct {
		name string
		is   bool
	}{
		{"iss", c.Issuer != ""},
		{"sub", c.Subject != ""},
		{"aud", len(c.Audience) > 0 || c.Party != ""},
		{"iat", c.IssuedAt != nil},
		{"exp", c.Expires != nil},
	} {
		if !want.is {
			return api.ErrInvalidIdentityToken.Withf("Missing a required claim: %s", want.name)
		}
	}
	switch {
	case len(c.Subject) > maxClaim:
		return api.ErrInvalidIdentityToken.Withf("The claim sub has more than %d characters", maxClaim)
	case c.SourceIdentity != "" && !sourceIdentityText().MatchString(c.SourceIdentity):
		return api.ErrInvalidIdentityToken.New("The claim https://aws.amazon.com/source_identity is not a source identity")
	}
	return c.Tags.check()
}

// check compares the token's times with now.
func (c *claims) check(now time.Time) error {
	at := now.Unix()
	skew := int64(clockSkew / time.Second)
	switch {
	case at > int64(*c.Expires)+skew:
		return api.ErrExpiredToken.Withf("Token expired: current date/time %d must be before the expiration date/time %d", at, *c.Expires)
	case int64(*c.IssuedAt) > at+skew:
		return api.ErrInvalidIdentityToken.Withf("Token is not valid yet: current date/time %d must be after the issue date/time %d", at, *c.IssuedAt)
	case c.NotBefore != nil && int64(*c.NotBefore) > at+skew:
		return api.ErrInvalidIdentityToken.Withf("Token is not valid yet: current date/time %d must be after the not before date/time %d", at, *c.NotBefore)
	}
	return nil
}

// audienceFor is which of a provider's clients the token is for. That is who it was made for where it says so.
func (c *claims) audienceFor(clients []string) (string, bool) {
	wanted := c.Audience
	if c.Party != "" {
		wanted = texts{c.Party}
	}
	for _, a := range wanted {
		if slices.Contains(clients, a) {
			return a, true
		}
	}
	return "", false
}

// signedBy says whether one of these keys has made the signature.
func (t *token) signedBy(keys []jose.JSONWebKey) bool {
	return slices.ContainsFunc(keys, func(k jose.JSONWebKey) bool {
		_, err := t.jws.Verify(k.Key)
		return err == nil
	})
}

// texts are one text or a list of them.
type texts []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *texts) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*t = make(texts, 1)
		return json.Unmarshal(b, &(*t)[0])
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// numericDay is a time in seconds since 1970, which may have a fraction.
type numericDay int64

// maxDay is the end of the year 9999.
const maxDay = 253402300799

// UnmarshalJSON implements json.Unmarshaler.
func (d *numericDay) UnmarshalJSON(b []byte) error {
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	*d = numericDay(math.Floor(max(0, min(f, maxDay))))
	return nil
}

// tokenTags is the claim for session tags.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp.
type tokenTags struct {
	Principal  map[string]texts `json:"principal_tags"`
	Transitive []string         `json:"transitive_tag_keys"`
}

// check holds the tags to what tags of AssumeRole may be.
func (t tokenTags) check() error {
	if len(t.Principal) > maxSessionTags {
		return api.ErrInvalidIdentityToken.Withf("A session has %d tags at most", maxSessionTags)
	}
	for k, v := range t.Principal {
		if k == "" || len(k) > 128 || len(v) != 1 || len(v[0]) > 256 || !tagText().MatchString(k) || !tagText().MatchString(v[0]) {
			return api.ErrInvalidIdentityToken.New("The claim https://aws.amazon.com/tags has a key or a value that no tag can have")
		}
	}
	return nil
}

// list are the tags as AssumeRole takes them.
func (t tokenTags) list() (tags []*api.Tag) {
	for _, k := range slices.Sorted(maps.Keys(t.Principal)) {
		tags = append(tags, &api.Tag{Key: &k, Value: &t.Principal[k][0]})
	}
	return tags
}
