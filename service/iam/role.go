package iam

import (
	"context"
	"time"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/store"
)

// defaultSession is how long sessions of a role may last unless it says otherwise, in seconds.
const defaultSession = 3600

// CreateRole makes a role that may do nothing, and which those may assume whom the trust policy allows it.
func (s *Service) CreateRole(ctx context.Context, in *api.CreateRoleInput) (*api.CreateRoleOutput, error) {
	tags, err := withTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	if err := checkTrust(*in.AssumeRolePolicyDocument); err != nil {
		return nil, err
	}
	e := &entity{
		Kind: role, Name: *in.RoleName, Path: pathOf(in.Path), ID: newID(rolePrefix), Created: s.clock(), Tags: tags,
		Boundary: val(in.PermissionsBoundary), Trust: *in.AssumeRolePolicyDocument, Description: val(in.Description),
		MaxSession: defaultSession,
	}
	if in.MaxSessionDuration != nil {
		e.MaxSession = *in.MaxSessionDuration
	}
	if err := s.create(ctx, e); err != nil {
		return nil, err
	}
	if err := s.showTrust(ctx, e); err != nil {
		return nil, err
	}
	r := apiRole(account(ctx), e)
	r.Description, r.MaxSessionDuration = in.Description, in.MaxSessionDuration // only what was given
	return &api.CreateRoleOutput{Role: r}, nil
}

func apiRole(account string, e *entity) *api.Role {
	return &api.Role{
		Path: &e.Path, RoleName: &e.Name, RoleID: &e.ID, Arn: new(e.arn(account)), CreateDate: &e.Created,
		AssumeRolePolicyDocument: encoded(e.Trust), Description: orNil(e.Description), MaxSessionDuration: &e.MaxSession,
		PermissionsBoundary: apiBoundary(e), Tags: someTags(e.Tags),
	}
}

// GetRole shows a role with when it was last used.
func (s *Service) GetRole(ctx context.Context, in *api.GetRoleInput) (*api.GetRoleOutput, error) {
	e, err := s.read(ctx, role, *in.RoleName)
	if err != nil {
		return nil, err
	}
	if err := s.showTrust(ctx, e); err != nil {
		return nil, err
	}
	r := apiRole(account(ctx), e)
	r.RoleLastUsed, err = s.roleLastUsed(ctx, e)
	return answer(&api.GetRoleOutput{Role: r}, err)
}

func (s *Service) roleLastUsed(ctx context.Context, e *entity) (*api.RoleLastUsed, error) {
	last, err := s.lastUse(ctx, account(ctx), e.ID)
	if err != nil || last.At.IsZero() {
		return &api.RoleLastUsed{}, err
	}
	return &api.RoleLastUsed{LastUsedDate: new(last.At.Truncate(time.Second)), Region: &last.Region}, nil
}

// ListRoles lists roles by name.
func (s *Service) ListRoles(ctx context.Context, in *api.ListRolesInput) (*api.ListRolesOutput, error) {
	all, marker, err := list(ctx, s, role, in.PathPrefix, in.Marker, in.MaxItems, func(e *entity) *entity { return e })
	if err != nil {
		return nil, err
	}
	if err := s.showTrust(ctx, all...); err != nil {
		return nil, err
	}
	out := make([]*api.Role, len(all))
	for i, e := range all {
		out[i] = apiRole(account(ctx), e)
		out[i].Tags, out[i].PermissionsBoundary = nil, nil // lists leave them out
	}
	return &api.ListRolesOutput{Roles: out, IsTruncated: new(marker != nil), Marker: marker}, nil
}

// UpdateRole changes a role's description and its longest session.
func (s *Service) UpdateRole(ctx context.Context, in *api.UpdateRoleInput) (*api.UpdateRoleOutput, error) {
	err := s.editRole(ctx, *in.RoleName, func(_ store.Tx, e *entity) error {
		if in.Description != nil {
			e.Description = *in.Description
		}
		if in.MaxSessionDuration != nil {
			e.MaxSession = *in.MaxSessionDuration
		}
		return nil
	})
	return answer(&api.UpdateRoleOutput{}, err)
}

// UpdateRoleDescription changes a role's description.
func (s *Service) UpdateRoleDescription(ctx context.Context, in *api.UpdateRoleDescriptionInput) (*api.UpdateRoleDescriptionOutput, error) {
	var changed entity
	err := s.edit(ctx, role, *in.RoleName, func(_ store.Tx, e *entity) error {
		e.Description = *in.Description
		changed = *e
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.showTrust(ctx, &changed); err != nil {
		return nil, err
	}
	return &api.UpdateRoleDescriptionOutput{Role: apiRole(account(ctx), &changed)}, nil
}

// UpdateAssumeRolePolicy replaces a role's trust policy.
func (s *Service) UpdateAssumeRolePolicy(ctx context.Context, in *api.UpdateAssumeRolePolicyInput) (*api.UpdateAssumeRolePolicyOutput, error) {
	if err := checkTrust(*in.PolicyDocument); err != nil {
		return nil, err
	}
	err := s.editRole(ctx, *in.RoleName, func(tx store.Tx, e *entity) (err error) {
		e.Trust, err = boundTrust(tx, *in.PolicyDocument)
		return err
	})
	return answer(&api.UpdateAssumeRolePolicyOutput{}, err)
}

// editRole changes a role that belongs to no service.
func (s *Service) editRole(ctx context.Context, name string, fn func(tx store.Tx, e *entity) error) error {
	return s.edit(ctx, role, name, func(tx store.Tx, e *entity) error {
		if err := protected(e); err != nil {
			return err
		}
		return fn(tx, e)
	})
}

// protected refuses to change what belongs to a service.
func protected(e *entity) error {
	if e.Service == "" {
		return nil
	}
	return api.ErrUnmodifiableEntity.Withf(
		"Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", e.Name)
}

// DeleteRole deletes a role without policies. Its sessions may do nothing from then on.
func (s *Service) DeleteRole(ctx context.Context, in *api.DeleteRoleInput) (*api.DeleteRoleOutput, error) {
	err := s.remove(ctx, role, *in.RoleName, func(_ store.Tx, e *entity) error { return protected(e) })
	return answer(&api.DeleteRoleOutput{}, err)
}

// ListInstanceProfilesForRole is empty: there are no instances. Tools ask it before they delete a role.
func (s *Service) ListInstanceProfilesForRole(ctx context.Context, in *api.ListInstanceProfilesForRoleInput) (*api.ListInstanceProfilesForRoleOutput, error) {
	_, err := s.read(ctx, role, *in.RoleName)
	return answer(&api.ListInstanceProfilesForRoleOutput{InstanceProfiles: []*api.InstanceProfile{}, IsTruncated: new(false)}, err)
}
