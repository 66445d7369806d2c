package sts

import (
	"context"
	"time"

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/seal"
)

// Deps is what the service needs. Every field but Now is required.
type Deps struct {
	Roles Roles
	Seal  *seal.Key // of session tokens
	Now   func() time.Time
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
}

// Service implements [api.API]. It keeps nothing but a cache.
type Service struct {
	deps  Deps
	known known
}

var _ api.API = (*Service)(nil)

// New is a service that is ready.
func New(d Deps) *Service {
	if d.Now == nil {
		d.Now = time.Now
	}
	return &Service{deps: d}
}

// ResourceGrants gives the authorizer a role's trust policy, which alone can let somebody in.
func (s *Service) ResourceGrants(ctx context.Context, call *aws.Call, arn string) (*policy.ResourceGrants, error) {
	if call.Op != api.OpAssumeRole {
		return nil, nil
	}
	return s.deps.Roles.Trust(ctx, arn)
}

// ConditionValues gives the authorizer the sts: keys of a request.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#ck_sts.
func (s *Service) ConditionValues(ctx context.Context, call *aws.Call, arn, key string) ([]string, bool) {
	in, ok := call.Input.(*api.AssumeRoleInput)
	if !ok {
		return nil, false
	}
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
