package policy

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/enfold-run/enfold/aws"
)

// canonical is how keys are asked for: in lower case but for what follows the first slash, or the name of an encryption
// context.
func canonical(key string) string {
	const context = "kms:encryptioncontext:"
	if len(key) > len(context) && strings.EqualFold(key[:len(context)], context) {
		return context + key[len(context):]
	}
	name, rest, found := strings.Cut(key, "/")
	if !found {
		return strings.ToLower(key)
	}
	return strings.ToLower(name) + "/" + rest
}

// principalKey finds the values that follow from who asks. These cannot be had from a request, so nobody can forge them.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html.
func (e *eval) principalKey(key string) (values []string, ok bool) {
	who := e.req.Principal
	if who == nil {
		return nil, false
	}
	switch key {
	case "aws:principalarn":
		return one(principalArn(who))
	case "aws:principalaccount":
		return one(who.Account)
	case "aws:principaltype":
		if who.Type == aws.ServiceType {
			return nil, false
		}
		return one(string(who.Type))
	case "aws:userid":
		if who.Type == aws.Anonymous && who.ID == "" {
			return one("anonymous")
		}
		return one(who.ID)
	case "aws:username":
		return one(userName(who))
	case "aws:principalisawsservice":
		return one(strconv.FormatBool(who.Type == aws.ServiceType))
	case "aws:principalservicename", "aws:principalservicenameslist":
		return one(who.Service)
	case "aws:resourceaccount":
		return one(e.owner())
	}
	if tag, is := strings.CutPrefix(key, "aws:principaltag/"); is {
		return foldedTag(who.Tags, tag)
	}
	if who.Session == nil || who.Type == aws.ServiceType {
		return nil, false
	}
	return e.sessionKey(who.Session, key)
}

// sessionKey finds the values that temporary credentials carry.
func (e *eval) sessionKey(s *aws.Session, key string) (values []string, ok bool) {
	switch key {
	case "aws:multifactorauthpresent":
		return one(strconv.FormatBool(s.MFA))
	case "aws:multifactorauthage":
		return e.mfaAge(s)
	case "aws:tokenissuetime":
		if s.Created.IsZero() {
			return nil, false
		}
		return one(s.Created.UTC().Format(time.RFC3339))
	case "aws:sourceidentity":
		return one(s.SourceIdentity)
	case "aws:federatedprovider":
		return one(s.Provider)
	case "lambda:sourcefunctionarn":
		return one(s.FunctionArn)
	}
	host := s.Provider
	if _, name, is := strings.Cut(host, ":oidc-provider/"); is {
		host = name
	}
	if host == "" || len(key) <= len(host) || key[len(host)] != ':' || !strings.EqualFold(key[:len(host)], host) {
		return nil, false
	}
	switch strings.ToLower(key[len(host)+1:]) {
	case "sub":
		return one(s.Subject)
	case "aud":
		return one(s.Audience)
	}
	return nil, false
}

// mfaAge is in seconds, by the request's clock.
func (e *eval) mfaAge(s *aws.Session) (values []string, ok bool) {
	if !s.MFA || s.Created.IsZero() {
		return nil, false
	}
	now, _ := e.values("aws:epochtime")
	if len(now) != 1 {
		return nil, false
	}
	seconds, err := strconv.ParseInt(now[0], 10, 64)
	if err != nil {
		return nil, false
	}
	return one(strconv.FormatInt(max(0, seconds-s.Created.Unix()), 10))
}

// principalArn is the role's for a role session, and nobody's for a service.
func principalArn(who *aws.Principal) string {
	switch {
	case who.Type == aws.ServiceType || who.Type == aws.Anonymous:
		return ""
	case who.Type == aws.AssumedRole && who.Session != nil && who.Session.Issuer != "":
		return who.Session.Issuer
	}
	return who.Arn
}

// userName is the friendly name, without the path; only users have one.
func userName(who *aws.Principal) string {
	if who.Type != aws.User {
		return ""
	}
	return who.Arn[strings.LastIndexByte(who.Arn, '/')+1:]
}

// foldedTag finds a tag; IAM's condition keys do not tell upper from lower case.
func foldedTag(tags map[string]string, name string) (values []string, ok bool) {
	if v, ok := tags[name]; ok {
		return []string{v}, true
	}
	var found []string
	for k := range tags {
		if strings.EqualFold(k, name) {
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		return nil, false
	}
	return []string{tags[slices.Min(found)]}, true
}

// one is a key with a value, or without if it is empty.
func one(v string) (values []string, ok bool) {
	if v == "" {
		return nil, false
	}
	return []string{v}, true
}
