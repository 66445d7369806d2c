package sts

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
)

// webIdentity is a token that was found to be good, and the provider that it is from.
type webIdentity struct {
	provider Provider
	claims   claims
	audience string
}

// Identify says who calls an op that comes without a signature: whom the web identity token in the input speaks of. The
// account is the role's, where the token's issuer must be a provider. It is asked before the call is authorized.
func (s *Service) Identify(ctx context.Context, call *aws.Call) (p *aws.Principal, account string, err error) {
	in, ok := call.Input.(*api.AssumeRoleWithWebIdentityInput)
	if !ok {
		return nil, "", errors.New("sts: " + call.Op.Name + " identifies nobody")
	}
	role, err := aws.ParseARN(*in.RoleArn)
	switch {
	case err != nil || role.Service != "iam" || len(role.Account) != 12 || !strings.HasPrefix(role.Resource, "role/"):
		return nil, "", aws.ErrValidation.New("Request ARN is invalid")
	case in.ProviderID != nil:
		return nil, "", aws.ErrValidation.New("ProviderId is for OAuth 2.0 access tokens, which are not supported here: leave it out and send an OpenID Connect token")
	}
	id, err := s.verifyToken(ctx, role.Account, *in.WebIdentityToken)
	if err != nil {
		return nil, "", err
	}
	session := &aws.Session{
		Op: call.Op.Name, Provider: id.provider.Arn, Subject: id.claims.Subject, Audience: id.audience, SourceIdentity: id.claims.SourceIdentity,
	}
	if err := addTags(session, id.claims.Tags.list(), id.claims.Tags.Transitive); err != nil {
		return nil, "", err
	}
	call.Resolved = id
	return &aws.Principal{Type: aws.Anonymous, Session: session}, role.Account, nil
}

// verifyToken finds the provider of a token in the account and checks all that the token says.
func (s *Service) verifyToken(ctx context.Context, account, text string) (*webIdentity, error) {
	t, err := parseToken(text)
	if err != nil {
		return nil, err
	}
	url, ok := issuerURL(t.claims.Issuer)
	if !ok {
		return nil, api.ErrInvalidIdentityToken.New("Issuer must be a valid URL")
	}
	p, ok, err := s.deps.Roles.Provider(ctx, account, url)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, api.ErrInvalidIdentityToken.Withf("No OpenIDConnect provider found in your account for https://%s", url)
	}
	if err := t.claims.check(s.deps.Now()); err != nil {
		return nil, err
	}
	keys, err := s.issuers.find(ctx, p, t.kid, t.alg)
	if err != nil {
		return nil, err
	}
	if !t.signedBy(keys) {
		return nil, api.ErrInvalidIdentityToken.New("The web identity token that was passed could not be validated. Get a new identity token from the identity provider and then retry the request.")
	}
	audience, ok := t.claims.audienceFor(p.ClientIDs)
	if !ok {
		return nil, api.ErrInvalidIdentityToken.New("Incorrect token audience")
	}
	return &webIdentity{p, t.claims, audience}, nil
}

// issuerURL is an issuer as providers are called: without "https://", and without the slash that some end with.
func issuerURL(iss string) (string, bool) {
	url, ok := strings.CutPrefix(iss, "https://")
	url = strings.TrimSuffix(url, "/")
	return url, ok && url != "" && len(url) <= maxClaim && !strings.ContainsFunc(url, func(r rune) bool { return r <= ' ' || r > '~' })
}

// AssumeRoleWithWebIdentity answers credentials that speak for a role. Who calls was identified before, and whether it may was
// decided from the role's trust policy.
// See https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html.
func (s *Service) AssumeRoleWithWebIdentity(ctx context.Context, in *api.AssumeRoleWithWebIdentityInput) (*api.AssumeRoleWithWebIdentityOutput, error) {
	who := aws.CallFrom(ctx).Principal.Session
	if who == nil || who.Op != api.OpAssumeRoleWithWebIdentity.Name {
		return nil, errors.New("sts: nobody was identified")
	}
	role, err := s.deps.Roles.Role(ctx, *in.RoleArn)
	if err != nil {
		return nil, err
	}
	lasts, err := roleSessionTime(in.DurationSeconds, role, false)
	if err != nil {
		return nil, err
	}
	now := s.deps.Now().UTC().Truncate(time.Second)
	session := &aws.Session{
		Op: who.Op, Issuer: role.Arn, IssuerID: role.ID, Created: now, Expires: now.Add(lasts), Provider: who.Provider, Subject: who.Subject,
		Audience: who.Audience, Tags: maps.Clone(who.Tags), TransitiveTags: slices.Clone(who.TransitiveTags), SourceIdentity: who.SourceIdentity,
	}
	size, err := addPolicies(session, in.Policy, in.PolicyArns)
	if err != nil {
		return nil, err
	}
	creds, user, err := s.issueRole(role, *in.RoleSessionName, session)
	if err != nil {
		return nil, err
	}
	return &api.AssumeRoleWithWebIdentityOutput{
		Credentials: creds, AssumedRoleUser: user, PackedPolicySize: size, Provider: &session.Provider, Audience: &session.Audience,
		SubjectFromWebIdentityToken: &session.Subject, SourceIdentity: some(session.SourceIdentity),
	}, nil
}

// webIdentityValues are the condition keys of AssumeRoleWithWebIdentity, but for the provider's sub and aud, which the session
// keeps and package policy knows.
func (s *Service) webIdentityValues(ctx context.Context, call *aws.Call, arn, key string) ([]string, bool) {
	id, ok := call.Resolved.(*webIdentity)
	if !ok {
		return nil, false
	}
	session := call.Principal.Session
	switch key {
	case "sts:rolesessionname":
		return []string{*call.Input.(*api.AssumeRoleWithWebIdentityInput).RoleSessionName}, true
	case "sts:sourceidentity":
		return []string{session.SourceIdentity}, session.SourceIdentity != ""
	case "sts:transitivetagkeys":
		return session.TransitiveTags, len(session.TransitiveTags) > 0
	case "aws:tagkeys":
		return slices.Sorted(maps.Keys(session.Tags)), len(session.Tags) > 0
	}
	if tag, ok := strings.CutPrefix(key, "aws:requesttag/"); ok {
		return tagValue(session.Tags, tag)
	}
	url := id.provider.URL
	if len(key) <= len(url) || key[len(url)] != ':' || !strings.EqualFold(key[:len(url)], url) {
		return s.roleTag(ctx, arn, key)
	}
	switch strings.ToLower(key[len(url)+1:]) {
	case "amr":
		return id.claims.Methods, len(id.claims.Methods) > 0
	case "oaud":
		return id.claims.Audience, id.claims.Party != "" && len(id.claims.Audience) > 0
	case "email":
		return []string{id.claims.Email}, id.claims.Email != ""
	}
	return nil, false
}

// tagValue is a tag's value; condition keys do not tell upper from lower case.
func tagValue(tags map[string]string, key string) ([]string, bool) {
	for k, v := range tags {
		if strings.EqualFold(k, key) {
			return []string{v}, true
		}
	}
	return nil, false
}
