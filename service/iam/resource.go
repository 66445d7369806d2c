package iam

import (
	"context"
	"errors"
	"strings"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

// entityARN is the ARN of what exists, or the one that the name would have without a path.
func (s *Service) entityARN(ctx context.Context, k kind, name string) (string, error) {
	e, err := s.read(ctx, k, name)
	switch {
	case err == nil:
		return e.arn(account(ctx)), nil
	case errors.Is(err, api.ErrNoSuchEntity):
		return aws.NewARN("iam", "", account(ctx), string(k)+"/"+name).String(), nil
	}
	return "", err
}

// UserARN implements [api.Finder].
func (s *Service) UserARN(ctx context.Context, name string) (string, error) {
	if name != "" {
		return s.entityARN(ctx, user, name)
	}
	own, err := callerName(ctx, nil)
	switch {
	case err != nil: // a role's session, which the operation will refuse: there is no user
		return aws.NewARN("iam", "", account(ctx), "user/").String(), nil
	case own == "":
		return aws.RootOf(account(ctx), "").Arn, nil
	}
	return s.entityARN(ctx, user, own)
}

// GroupARN implements [api.Finder].
func (s *Service) GroupARN(ctx context.Context, name string) (string, error) {
	return s.entityARN(ctx, group, name)
}

// RoleARN implements [api.Finder].
func (s *Service) RoleARN(ctx context.Context, name string) (string, error) {
	return s.entityARN(ctx, role, name)
}

// KeyOwnerARN implements [api.Finder]. A key that is not of the caller's account is nobody's.
func (s *Service) KeyOwnerARN(ctx context.Context, accessKeyID string) (string, error) {
	row, err := s.keyRow(ctx, accessKeyID)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && row.Account != account(ctx):
		return aws.NewARN("iam", "", account(ctx), "user/").String(), nil
	case err != nil:
		return "", err
	case row.User == "":
		return aws.RootOf(row.Account, "").Arn, nil
	}
	return s.entityARN(ctx, user, row.User)
}

// byARN finds the user, group or role of an ARN, spelled as it is stored.
func byARN(tx store.Tx, arn string) (*entity, string, error) {
	a, err := aws.ParseARN(arn)
	if err != nil || a.Service != "iam" {
		return nil, "", aws.ErrValidation.Withf("ARN %s is not valid.", arn)
	}
	k, _, _ := strings.Cut(a.Resource, "/")
	if kind(k) != user && kind(k) != group && kind(k) != role {
		return nil, "", aws.ErrValidation.Withf("ARN %s is not valid.", arn)
	}
	e, err := find(tx, a.Account, kind(k), lastSegment(arn))
	if err != nil {
		return nil, "", err
	}
	if e.arn(a.Account) != arn {
		return nil, "", errNoEntity(kind(k), lastSegment(arn))
	}
	return e, a.Account, nil
}

// ResourceGrants is a role's trust policy for calls of STS, without whose allow nobody assumes the role. For a role that
// does not exist it has no policy. Other calls have no resource policy here: the answer is nil.
func (s *Service) ResourceGrants(ctx context.Context, call *aws.Call, arn string) (*policy.ResourceGrants, error) {
	if call.Op == nil || call.Op.Service == nil || call.Op.Service.Name != "sts" || !strings.Contains(arn, ":role/") {
		return nil, nil
	}
	r, err := s.Role(ctx, arn)
	if errors.Is(err, api.ErrNoSuchEntity) || errors.Is(err, aws.ErrValidation) {
		return &policy.ResourceGrants{Decisive: true}, nil
	}
	if err != nil {
		return nil, err
	}
	return &policy.ResourceGrants{Policies: []policy.Named{named(arn, r.Trust)}, Decisive: true}, nil
}

// ConditionValues are iam:PolicyARN and iam:PermissionsBoundary, as the call gives them or else as the entity has them, and
// the tags of users, roles, policies and providers.
func (s *Service) ConditionValues(ctx context.Context, call *aws.Call, arn, key string) ([]string, bool) {
	name, tagKey, _ := strings.Cut(key, "/")
	switch name {
	case "iam:policyarn":
		return given(policyARN(call.Input))
	case "iam:permissionsboundary":
		if b := givenBoundary(call.Input); b != nil {
			return given(b)
		}
		return s.storedBoundary(ctx, arn)
	case "iam:awsservicename":
		if in, ok := call.Input.(*api.CreateServiceLinkedRoleInput); ok {
			return given(in.AWSServiceName)
		}
	case "aws:resourcetag", "iam:resourcetag":
		for _, t := range s.tagsOf(ctx, arn) {
			if strings.EqualFold(t.Key, tagKey) {
				return []string{t.Value}, true
			}
		}
	}
	return nil, false
}

func given(v *string) ([]string, bool) {
	if v == nil {
		return nil, false
	}
	return []string{*v}, true
}

// policyARN is the policy that a call attaches or detaches.
func policyARN(input any) *string {
	switch in := input.(type) {
	case *api.AttachUserPolicyInput:
		return in.PolicyArn
	case *api.AttachGroupPolicyInput:
		return in.PolicyArn
	case *api.AttachRolePolicyInput:
		return in.PolicyArn
	case *api.DetachUserPolicyInput:
		return in.PolicyArn
	case *api.DetachGroupPolicyInput:
		return in.PolicyArn
	case *api.DetachRolePolicyInput:
		return in.PolicyArn
	}
	return nil
}

// givenBoundary is the boundary that a call sets.
func givenBoundary(input any) *string {
	switch in := input.(type) {
	case *api.CreateUserInput:
		return in.PermissionsBoundary
	case *api.CreateRoleInput:
		return in.PermissionsBoundary
	case *api.PutUserPermissionsBoundaryInput:
		return in.PermissionsBoundary
	case *api.PutRolePermissionsBoundaryInput:
		return in.PermissionsBoundary
	}
	return nil
}

// storedBoundary is what the entity has, but for calls that make it: what they would replace does not count.
func (s *Service) storedBoundary(ctx context.Context, arn string) (values []string, ok bool) {
	if op := aws.CallFrom(ctx).Op; op != nil && strings.HasPrefix(op.Name, "Create") {
		return nil, false
	}
	_ = s.db.View(ctx, func(tx store.Tx) error {
		if e, _, err := byARN(tx, arn); err == nil && e.Boundary != "" {
			values, ok = []string{e.Boundary}, true
		}
		return nil
	})
	return values, ok
}

// tagsOf are the tags of what an ARN names; none if there is no such thing.
func (s *Service) tagsOf(ctx context.Context, arn string) (tags []tag) {
	_ = s.db.View(ctx, func(tx store.Tx) error {
		a, err := aws.ParseARN(arn)
		if err != nil {
			return err
		}
		switch resource, _, _ := strings.Cut(a.Resource, "/"); resource {
		case "policy":
			p, _, err := s.findPolicy(tx, a.Account, arn)
			if err != nil {
				return err
			}
			tags = p.Tags
		case "oidc-provider":
			row, err := providers.Get(tx, scope(a.Account), arn)
			if err != nil {
				return err
			}
			tags = row.Value.Tags
		default:
			e, _, err := byARN(tx, arn)
			if err != nil {
				return err
			}
			tags = e.Tags
		}
		return nil
	})
	return tags
}
