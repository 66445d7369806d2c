package lambda

import (
	"context"

	"github.com/enfold-run/enfold/aws"
)

// Roles says whether Lambda may become an execution role: it is there and trusts lambda.amazonaws.com. function is the
// session's name. call is the client's, whose account and region the function is in.
type Roles interface {
	CanAssume(ctx context.Context, call *aws.Call, roleArn, function string) error
}

// checkRole refuses a role that Lambda cannot assume, for whatever reason.
// See https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html.
func (s *Service) checkRole(ctx context.Context, r ref, role *string) error {
	if role == nil {
		return nil
	}
	err := s.deps.Roles.CanAssume(ctx, aws.CallFrom(ctx), *role, r.name)
	if err == nil || ctx.Err() != nil {
		return err
	}
	refusal := invalid("The role defined for the function cannot be assumed by Lambda.").(*aws.Error)
	return refusal.Because(err)
}
