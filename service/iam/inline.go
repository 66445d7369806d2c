package iam

import (
	"context"
	"maps"
	"slices"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

// putInline adds or replaces an inline policy.
func (s *Service) putInline(ctx context.Context, k kind, owner, name, document string) error {
	if _, err := parse(document, policy.KindIdentity); err != nil {
		return err
	}
	return s.edit(ctx, k, owner, func(_ store.Tx, e *entity) error {
		if err := protected(e); err != nil {
			return err
		}
		all := maps.Clone(e.Inline)
		if all == nil {
			all = map[string]string{}
		}
		all[name] = document
		total, raw := 0, 0
		for _, d := range all {
			total += size(d)
			raw += len(d)
		}
		if total > maxInline[k] || raw > maxRawInline {
			return api.ErrLimitExceeded.Withf("Maximum policy size of %d bytes exceeded for %s %s", maxInline[k], k, e.Name)
		}
		e.Inline = all
		return nil
	})
}

func errNoInline(k kind, name string) error {
	return api.ErrNoSuchEntity.Withf("The %s policy with name %s cannot be found.", k, name)
}

// getInline is the owner's name as it is spelled, and the document.
func (s *Service) getInline(ctx context.Context, k kind, owner, name string) (*string, *string, error) {
	e, err := s.read(ctx, k, owner)
	if err != nil {
		return nil, nil, err
	}
	document, ok := e.Inline[name]
	if !ok {
		return nil, nil, errNoInline(k, name)
	}
	return &e.Name, encoded(document), nil
}

func (s *Service) deleteInline(ctx context.Context, k kind, owner, name string) error {
	return s.edit(ctx, k, owner, func(_ store.Tx, e *entity) error {
		if err := protected(e); err != nil {
			return err
		}
		if _, ok := e.Inline[name]; !ok {
			return errNoInline(k, name)
		}
		delete(e.Inline, name)
		return nil
	})
}

func (s *Service) listInline(ctx context.Context, k kind, owner string, marker *string, maxItems *int) ([]string, *string, error) {
	p, err := pageOf(marker, maxItems)
	if err != nil {
		return nil, nil, err
	}
	e, err := s.read(ctx, k, owner)
	if err != nil {
		return nil, nil, err
	}
	names, next := slicePage(slices.Collect(maps.Keys(e.Inline)), p, func(n string) string { return n })
	return names, next, nil
}

// PutUserPolicy adds or replaces an inline policy of a user.
func (s *Service) PutUserPolicy(ctx context.Context, in *api.PutUserPolicyInput) (*api.PutUserPolicyOutput, error) {
	return answer(&api.PutUserPolicyOutput{}, s.putInline(ctx, user, *in.UserName, *in.PolicyName, *in.PolicyDocument))
}

// GetUserPolicy shows an inline policy of a user.
func (s *Service) GetUserPolicy(ctx context.Context, in *api.GetUserPolicyInput) (*api.GetUserPolicyOutput, error) {
	owner, document, err := s.getInline(ctx, user, *in.UserName, *in.PolicyName)
	return answer(&api.GetUserPolicyOutput{UserName: owner, PolicyName: in.PolicyName, PolicyDocument: document}, err)
}

// DeleteUserPolicy deletes an inline policy of a user.
func (s *Service) DeleteUserPolicy(ctx context.Context, in *api.DeleteUserPolicyInput) (*api.DeleteUserPolicyOutput, error) {
	return answer(&api.DeleteUserPolicyOutput{}, s.deleteInline(ctx, user, *in.UserName, *in.PolicyName))
}

// ListUserPolicies lists the names of a user's inline policies.
func (s *Service) ListUserPolicies(ctx context.Context, in *api.ListUserPoliciesInput) (*api.ListUserPoliciesOutput, error) {
	names, marker, err := s.listInline(ctx, user, *in.UserName, in.Marker, in.MaxItems)
	return answer(&api.ListUserPoliciesOutput{PolicyNames: names, IsTruncated: new(marker != nil), Marker: marker}, err)
}

// PutGroupPolicy adds or replaces an inline policy of a group.
func (s *Service) PutGroupPolicy(ctx context.Context, in *api.PutGroupPolicyInput) (*api.PutGroupPolicyOutput, error) {
	return answer(&api.PutGroupPolicyOutput{}, s.putInline(ctx, group, *in.GroupName, *in.PolicyName, *in.PolicyDocument))
}

// GetGroupPolicy shows an inline policy of a group.
func (s *Service) GetGroupPolicy(ctx context.Context, in *api.GetGroupPolicyInput) (*api.GetGroupPolicyOutput, error) {
	owner, document, err := s.getInline(ctx, group, *in.GroupName, *in.PolicyName)
	return answer(&api.GetGroupPolicyOutput{GroupName: owner, PolicyName: in.PolicyName, PolicyDocument: document}, err)
}

// DeleteGroupPolicy deletes an inline policy of a group.
func (s *Service) DeleteGroupPolicy(ctx context.Context, in *api.DeleteGroupPolicyInput) (*api.DeleteGroupPolicyOutput, error) {
	return answer(&api.DeleteGroupPolicyOutput{}, s.deleteInline(ctx, group, *in.GroupName, *in.PolicyName))
}

// ListGroupPolicies lists the names of a group's inline policies.
func (s *Service) ListGroupPolicies(ctx context.Context, in *api.ListGroupPoliciesInput) (*api.ListGroupPoliciesOutput, error) {
	names, marker, err := s.listInline(ctx, group, *in.GroupName, in.Marker, in.MaxItems)
	return answer(&api.ListGroupPoliciesOutput{PolicyNames: names, IsTruncated: new(marker != nil), Marker: marker}, err)
}

// PutRolePolicy adds or replaces an inline policy of a role.
func (s *Service) PutRolePolicy(ctx context.Context, in *api.PutRolePolicyInput) (*api.PutRolePolicyOutput, error) {
	return answer(&api.PutRolePolicyOutput{}, s.putInline(ctx, role, *in.RoleName, *in.PolicyName, *in.PolicyDocument))
}

// GetRolePolicy shows an inline policy of a role.
func (s *Service) GetRolePolicy(ctx context.Context, in *api.GetRolePolicyInput) (*api.GetRolePolicyOutput, error) {
	owner, document, err := s.getInline(ctx, role, *in.RoleName, *in.PolicyName)
	return answer(&api.GetRolePolicyOutput{RoleName: owner, PolicyName: in.PolicyName, PolicyDocument: document}, err)
}

// DeleteRolePolicy deletes an inline policy of a role.
func (s *Service) DeleteRolePolicy(ctx context.Context, in *api.DeleteRolePolicyInput) (*api.DeleteRolePolicyOutput, error) {
	return answer(&api.DeleteRolePolicyOutput{}, s.deleteInline(ctx, role, *in.RoleName, *in.PolicyName))
}

// ListRolePolicies lists the names of a role's inline policies.
func (s *Service) ListRolePolicies(ctx context.Context, in *api.ListRolePoliciesInput) (*api.ListRolePoliciesOutput, error) {
	names, marker, err := s.listInline(ctx, role, *in.RoleName, in.Marker, in.MaxItems)
	return answer(&api.ListRolePoliciesOutput{PolicyNames: names, IsTruncated: new(marker != nil), Marker: marker}, err)
}
