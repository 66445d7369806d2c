package sts

import (
	"context"
	"log/slog"
	"time"

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/seal"
)

// Deps is what the service needs. Roles and Seal are required.
type Deps struct {
	Roles Roles
	Seal  *seal.Key // of session tokens and authorization messages
	Now   func() time.Time
	Log   *slog.Logger // says why the keys of an issuer were not had; nil: nobody is told
	// PrivateIssuers are the hosts, "HOST:PORT", that may have a private address and be asked for an issuer's keys even so.
	PrivateIssuers []string
}

// Role is what a session takes over from its role.
type Role struct {
	Arn, ID, Name string
	MaxSession    time.Duration
	Tags          map[string]string
}

// Roles knows the roles and long-term access keys: IAM.
type Roles interface {
	// Role finds a role by its ARN, in any account.
	Role(ctx context.Context, arn string) (Role, error)
	// Trust is the role's trust policy, for authorization.
	Trust(ctx context.Context, arn string) (*policy.ResourceGrants, error)
	// KeyAccount is the account of a long-term access key.
	KeyAccount(ctx context.Context, accessKeyID string) (string, error)
	// Provider finds an account's OpenID Connect provider by its URL without "https://"; false if it has none.
	Provider(ctx context.Context, account, url string) (Provider, bool, error)
}

// Provider is an issuer of web identity tokens that an account trusts.
type Provider struct {
	Arn, URL    string // the URL without "https://"
	ClientIDs   []string
	Thumbprints []string // of certificates, hexadecimal SHA-1
}

// Service implements [api.API]. It keeps nothing but caches.
type Service struct {
	deps    Deps
	known   known
	issuers *keyring
}

var _ api.API = (*Service)(nil)

// New is a service that is ready.
func New(d Deps) *Service {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{deps: d, issuers: newKeyring(d)}
}

// ResourceGrants gives the authorizer a role's trust policy, which alone can let somebody in.
func (s *Service) ResourceGrants(ctx context.Context, call *aws.Call, arn string) (*policy.ResourceGrants, error) {
	if call.Op != api.OpAssumeRole && call.Op != api.OpAssumeRoleWithWebIdentity {
		return nil, nil
	}
	return s.deps.Roles.Trust(ctx, arn)
}

// ConditionValues gives the authorizer the sts: keys of a request.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#ck_sts.
func (s *Service) ConditionValues(ctx context.Context, call *aws.Call, arn, key string) ([]string, bool) {
	switch in := call.Input.(type) {
	case *api.AssumeRoleInput:
		return s.assumeRoleValues(ctx, in, arn, key)
	case *api.AssumeRoleWithWebIdentityInput:
		return s.webIdentityValues(ctx, call, arn, key)
	}
	return nil, false
}

func (s *Service) assumeRoleValues(ctx context.Context, in *api.AssumeRoleInput, arn, key string) ([]string, bool) {
	var v *string
	switch key {
	case "sts:externalid":
		v = in.ExternalID
	case "sts:rolesessionname":
		v = in.RoleSessionName
	case "sts:sourceidentity":
		v = in.SourceIdentity
	case "sts:transitivetagkeys":
		return in.TransitiveTagKeys, len(in.TransitiveTagKeys) > 0
	default:
		return s.roleTag(ctx, arn, key)
	}
	if v == nil {
		return nil, false
	}
	return []string{*v}, true
}
