package sts

import (
	"context"
	"time"

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
)

const (
	defaultUserSession = 12 * time.Hour
	maxRootSession     = time.Hour
)

// sessionTokenPolicy is what the credentials of GetSessionToken may not do without MFA: IAM, and STS but for two ops.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_getsessiontoken.html.
const sessionTokenPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},` +
	`{"Sid":"NoIAM","Effect":"Deny","Action":"iam:*","Resource":"*"},` +
	`{"Sid":"NoSTS","Effect":"Deny","Action":["sts:GetFederationToken","sts:GetSessionToken","sts:GetAccessKeyInfo"],"Resource":"*"}]}`

// federationPolicy is what federated users may not do, whatever else: IAM and STS, but for the ops that need no permission.
// See https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html.
const federationPolicy = `{"Version":"2012-10-17","Statement":[{"Sid":"NoIAMNorSTS","Effect":"Deny","Action":["iam:*","sts:*"],"Resource":"*"}]}`

// GetSessionToken answers temporary credentials of the caller's own.
// See https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html.
func (s *Service) GetSessionToken(ctx context.Context, in *api.GetSessionTokenInput) (*api.GetSessionTokenOutput, error) {
	caller, err := longTerm(ctx, "GetSessionToken")
	if err != nil {
		return nil, err
	}
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, aws.ErrAccessDenied.New("MultiFactorAuthentication failed, there are no MFA devices here: leave out SerialNumber and TokenCode")
	}
	p := *caller
	p.Session = s.userSession("GetSessionToken", caller, in.DurationSeconds)
	p.Session.Policies = []string{sessionTokenPolicy}
	creds, err := s.issue(&p)
	if err != nil {
		return nil, err
	}
	return &api.GetSessionTokenOutput{Credentials: creds}, nil
}

// GetFederationToken answers temporary credentials for somebody that the caller vouches for. They may do what both the
// caller and the session policies may.
// See https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html.
func (s *Service) GetFederationToken(ctx context.Context, in *api.GetFederationTokenInput) (*api.GetFederationTokenOutput, error) {
	caller, err := longTerm(ctx, "GetFederationToken")
	if err != nil {
		return nil, err
	}
	session := s.userSession("GetFederationToken", caller, in.DurationSeconds)
	if err := addTags(session, in.Tags, nil); err != nil {
		return nil, err
	}
	size, err := addPolicies(session, in.Policy, in.PolicyArns)
	if err != nil {
		return nil, err
	}
	session.Policies = append(session.Policies, federationPolicy)
	p := &aws.Principal{
		Type: aws.Federated, Account: caller.Account, ID: caller.Account + ":" + *in.Name, Tags: session.Tags, Session: session,
		Arn: aws.NewARN("sts", "", caller.Account, "federated-user/"+*in.Name).String(),
	}
	creds, err := s.issue(p)
	if err != nil {
		return nil, err
	}
	return &api.GetFederationTokenOutput{
		Credentials: creds, PackedPolicySize: size, FederatedUser: &api.FederatedUser{FederatedUserID: &p.ID, Arn: &p.Arn},
	}, nil
}

// longTerm is the caller, if it signed with the long-term key of a user.
func longTerm(ctx context.Context, op string) (*aws.Principal, error) {
	p := aws.CallFrom(ctx).Principal
	if p == nil || p.Session != nil || p.Type != aws.User && p.Type != aws.Root {
		return nil, aws.ErrAccessDenied.Withf("Cannot call %s with session credentials", op)
	}
	return p, nil
}

// userSession is a session of a user or the root user. A root user's lasts an hour at most.
func (s *Service) userSession(op string, p *aws.Principal, seconds *int) *aws.Session {
	lasts := defaultUserSession
	if seconds != nil {
		lasts = time.Duration(*seconds) * time.Second
	}
	if p.Type == aws.Root {
		lasts = min(lasts, maxRootSession)
	}
	now := s.deps.Now().UTC().Truncate(time.Second)
	return &aws.Session{Op: op, Issuer: p.Arn, IssuerID: p.ID, Created: now, Expires: now.Add(lasts)}
}
