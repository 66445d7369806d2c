package sts

import (
	"context"

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
)

// Service implements [api.API]. It keeps nothing.
type Service struct{}

var _ api.API = (*Service)(nil)

// New is a service that is ready.
func New() *Service { return &Service{} }

// GetCallerIdentity answers who signed the request. It needs no permission, and the account is the caller's own.
func (s *Service) GetCallerIdentity(ctx context.Context, _ *api.GetCallerIdentityInput) (*api.GetCallerIdentityOutput, error) {
	p := aws.CallFrom(ctx).Principal
	if p == nil || p.Arn == "" {
		return nil, aws.ErrAccessDenied.New("Cannot call GetCallerIdentity with no principal")
	}
	return &api.GetCallerIdentityOutput{UserID: &p.ID, Account: &p.Account, Arn: &p.Arn}, nil
}
