package iam

import (
	"context"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/store"
)

func apiBoundary(e *entity) *api.AttachedPermissionsBoundary {
	if e.Boundary == "" {
		return nil
	}
	// AWS answers "Policy" here, which its own model does not name.
	return &api.AttachedPermissionsBoundary{PermissionsBoundaryType: new("Policy"), PermissionsBoundaryArn: &e.Boundary}
}

// setBoundary replaces a permissions boundary; an empty ARN takes it away.
func (s *Service) setBoundary(ctx context.Context, k kind, name, arn string) error {
	id := account(ctx)
	return s.edit(ctx, k, name, func(tx store.Tx, e *entity) error {
		if err := protected(e); err != nil {
			return err
		}
		if e.Boundary == "" && arn == "" {
			return api.ErrNoSuchEntity.Withf("%s %s does not have a permission boundary.", k.title(), e.Name)
		}
		if e.Boundary != "" {
			if err := unuse(tx, id, e.Boundary, boundary, e); err != nil {
				return err
			}
		}
		e.Boundary = arn
		if arn == "" {
			return nil
		}
		return s.use(tx, id, arn, boundary, e)
	})
}

// PutUserPermissionsBoundary limits what a user's policies can allow.
func (s *Service) PutUserPermissionsBoundary(ctx context.Context, in *api.PutUserPermissionsBoundaryInput) (*api.PutUserPermissionsBoundaryOutput, error) {
	return answer(&api.PutUserPermissionsBoundaryOutput{}, s.setBoundary(ctx, user, *in.UserName, *in.PermissionsBoundary))
}

// DeleteUserPermissionsBoundary takes the limit away.
func (s *Service) DeleteUserPermissionsBoundary(ctx context.Context, in *api.DeleteUserPermissionsBoundaryInput) (*api.DeleteUserPermissionsBoundaryOutput, error) {
	return answer(&api.DeleteUserPermissionsBoundaryOutput{}, s.setBoundary(ctx, user, *in.UserName, ""))
}

// PutRolePermissionsBoundary limits what a role's policies can allow.
func (s *Service) PutRolePermissionsBoundary(ctx context.Context, in *api.PutRolePermissionsBoundaryInput) (*api.PutRolePermissionsBoundaryOutput, error) {
	return answer(&api.PutRolePermissionsBoundaryOutput{}, s.setBoundary(ctx, role, *in.RoleName, *in.PermissionsBoundary))
}

// DeleteRolePermissionsBoundary takes the limit away.
func (s *Service) DeleteRolePermissionsBoundary(ctx context.Context, in *api.DeleteRolePermissionsBoundaryInput) (*api.DeleteRolePermissionsBoundaryOutput, error) {
	return answer(&api.DeleteRolePermissionsBoundaryOutput{}, s.setBoundary(ctx, role, *in.RoleName, ""))
}
