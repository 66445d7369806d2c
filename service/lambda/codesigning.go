package lambda

import (
	"context"

	api "github.com/enfold-run/enfold/api/lambda"
)

// GetFunctionCodeSigningConfig answers nothing: no function here has a code signing configuration, as CreateFunction takes none.
// Clients ask after every creation of a function and take any error for a failure.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionCodeSigningConfig.html.
func (s *Service) GetFunctionCodeSigningConfig(
	ctx context.Context, in *api.GetFunctionCodeSigningConfigInput,
) (*api.GetFunctionCodeSigningConfigOutput, error) {
	if err := s.exists(ctx, in.FunctionName); err != nil {
		return nil, err
	}
	return &api.GetFunctionCodeSigningConfigOutput{}, nil
}

// DeleteFunctionCodeSigningConfig has nothing to remove.
// See https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunctionCodeSigningConfig.html.
func (s *Service) DeleteFunctionCodeSigningConfig(
	ctx context.Context, in *api.DeleteFunctionCodeSigningConfigInput,
) (*api.DeleteFunctionCodeSigningConfigOutput, error) {
	if err := s.exists(ctx, in.FunctionName); err != nil {
		return nil, err
	}
	return &api.DeleteFunctionCodeSigningConfigOutput{}, nil
}

// exists answers ResourceNotFoundException if there is no function of that name.
func (s *Service) exists(ctx context.Context, name *string) error {
	r, err := unqualifiedRef(ctx, name)
	if err != nil {
		return err
	}
	_, err = s.getFunction(ctx, r, notFound(r.arn()))
	return err
}
