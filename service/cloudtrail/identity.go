package cloudtrail

import (
	"cmp"
	"strings"
	"time"

	"github.com/enfold-run/enfold/aws"
)

// identity is a principal's userIdentity.
// See https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html.
type identity []byte

// maxIdentities is how many principals' identities are kept at once. A principal is shared between calls, so most are found.
const maxIdentities = 1024

// identity is called with flushing held.
func (s *Service) identity(p *aws.Principal) identity {
	if id, ok := s.identities[p]; ok {
		return id
	}
	if len(s.identities) >= maxIdentities {
		clear(s.identities)
	}
	id := identityOf(p)
	s.identities[p] = id
	return id
}

// identityTypes are the types of userIdentity that are called otherwise than aws:PrincipalType.
var identityTypes = map[aws.PrincipalType]string{
	aws.Root: "Root", aws.User: "IAMUser", aws.AssumedRole: "AssumedRole", aws.Federated: "FederatedUser",
}

func identityOf(p *aws.Principal) identity {
	b := newObject(nil)
	switch p.Type {
	case aws.ServiceType:
		b.text("type", "AWSService")
		b.text("invokedBy", p.Service)
		return b.end()
	case aws.Anonymous, "":
		if p.Session != nil && p.Session.Provider != "" {
			return webIdentity(b, p.Session)
		}
		b.text("type", "AWSAccount")
		b.raw("principalId", []byte(`""`))
		b.text("accountId", "ANONYMOUS_PRINCIPAL")
		return b.end()
	}
	b.text("type", cmp.Or(identityTypes[p.Type], "Unknown"))
	b.text("principalId", p.ID)
	b.text("arn", p.Arn)
	b.text("accountId", p.Account)
	b.text("accessKeyId", p.AccessKeyID)
	if p.Type == aws.User {
		b.text("userName", lastPart(p.Arn))
	}
	if p.Session != nil {
		b.raw("sessionContext", sessionContext(p))
	}
	return b.end()
}

// webIdentity is who showed a token of an identity provider.
func webIdentity(b *object, s *aws.Session) identity {
	b.text("type", "WebIdentityUser")
	b.text("principalId", s.Provider+":"+s.Audience+":"+s.Subject)
	b.text("userName", s.Subject)
	b.text("identityProvider", s.Provider)
	return b.end()
}

func sessionContext(p *aws.Principal) []byte {
	s, b := p.Session, newObject(nil)
	if s.Issuer != "" && p.Type != aws.User && p.Type != aws.Root {
		issuer, account := newObject(nil), p.Account
		if arn, err := aws.ParseARN(s.Issuer); err == nil && arn.Account != "" {
			account = arn.Account
		}
		kind := "Role"
		switch {
		case strings.HasSuffix(s.Issuer, ":root"):
			kind = "Root"
		case strings.Contains(s.Issuer, ":user/"):
			kind = "IAMUser"
		}
		issuer.text("type", kind)
		issuer.text("principalId", s.IssuerID)
		issuer.text("arn", s.Issuer)
		issuer.text("accountId", account)
		if kind != "Root" {
			issuer.text("userName", lastPart(s.Issuer))
		}
		b.raw("sessionIssuer", issuer.end())
	}
	if s.Provider != "" {
		web, attributes := newObject(nil), newObject(nil)
		web.text("federatedProvider", s.Provider)
		attributes.text("sub", s.Subject)
		attributes.text("aud", s.Audience)
		web.raw("attributes", attributes.end())
		b.raw("webIdFederationData", web.end())
	}
	b.text("sourceIdentity", s.SourceIdentity)
	attributes := newObject(nil)
	attributes.text("creationDate", eventTime(s.Created))
	mfa := "false"
	if s.MFA {
		mfa = "true"
	}
	attributes.text("mfaAuthenticated", mfa)
	b.raw("attributes", attributes.end())
	return b.end()
}

// lastPart is a name without its path, of an ARN.
func lastPart(arn string) string { return arn[strings.LastIndexAny(arn, "/:")+1:] }

func eventTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// object writes a JSON object. Empty texts are left out.
type object struct {
	b     []byte
	start int
}

func newObject(b []byte) *object { return &object{append(b, '{'), len(b) + 1} }

func (o *object) key(name string) {
	if len(o.b) > o.start {
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) text(name, value string) {
	if value == "" {
		return
	}
	o.key(name)
	o.b = appendString(o.b, value)
}

// raw adds JSON, null for nil.
func (o *object) raw(name string, value []byte) {
	o.key(name)
	if value == nil {
		value = []byte("null")
	}
	o.b = append(o.b, value...)
}

func (o *object) truth(name string, value bool) {
	o.key(name)
	if value {
		o.b = append(o.b, "true"...)
	} else {
		o.b = append(o.b, "false"...)
	}
}

func (o *object) end() []byte { return append(o.b, '}') }
