package lambda

import (
	"context"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
)

// GetRuntimeManagementConfig shows when a version's runtime is updated.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetRuntimeManagementConfig.html.
func (s *Service) GetRuntimeManagementConfig(
	ctx context.Context, in *api.GetRuntimeManagementConfigInput,
) (*api.GetRuntimeManagementConfigOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	_, v, err := s.find(ctx, r)
	if err != nil {
		return nil, err
	}
	return &api.GetRuntimeManagementConfigOutput{
		FunctionArn: new(r.qualifiedArn()), UpdateRuntimeOn: new(v.Runtime.On), RuntimeVersionArn: given(v.Runtime.Arn),
	}, nil
}

// PutRuntimeManagementConfig sets when a version's runtime is updated. A host has one version of each runtime, so Manual
// accepts that one only.
// See https://docs.aws.amazon.com/lambda/latest/api/API_PutRuntimeManagementConfig.html.
func (s *Service) PutRuntimeManagementConfig(
	ctx context.Context, in *api.PutRuntimeManagementConfigInput,
) (*api.PutRuntimeManagementConfigOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if r.qualifier != "" && r.qualifier != latest && !isNumber(r.qualifier) {
		return nil, invalid("The runtime of an alias cannot be managed. Specify $LATEST or a published version.")
	}
	next := runtimeUpdate{On: str(in.UpdateRuntimeOn), Arn: str(in.RuntimeVersionArn)}
	if manual := next.On == api.UpdateRuntimeOnManual; manual != (next.Arn != "") {
		if manual {
			return nil, invalid("RuntimeVersionArn is required when UpdateRuntimeOn is Manual.")
		}
		return nil, invalid("RuntimeVersionArn can only be set when UpdateRuntimeOn is Manual.")
	}
	err = s.update(ctx, r.scope, func(e *edit) error {
		v, err := e.version(r.name, r.orLatest())
		if v == nil {
			return cmpErr(err, notFound(r.qualifiedArn()))
		}
		if next.Arn != "" && next.Arn != runtimeVersionArn(r.scope.Region, v.Config.Runtime) {
			return invalid("Runtime version %s is not on this host. It has %s.", next.Arn, runtimeVersionArn(r.scope.Region, v.Config.Runtime))
		}
		v.Runtime = next
		_, err = versions.Put(e.tx, r.scope, store.Key(r.name, versionKey(v.Version)), *v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.PutRuntimeManagementConfigOutput{
		FunctionArn: new(r.qualifiedArn()), UpdateRuntimeOn: &next.On, RuntimeVersionArn: given(next.Arn),
	}, nil
}

// GetFunctionRecursionConfig shows what is done when a function invokes itself in a circle.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionRecursionConfig.html.
func (s *Service) GetFunctionRecursionConfig(
	ctx context.Context, in *api.GetFunctionRecursionConfigInput,
) (*api.GetFunctionRecursionConfigOutput, error) {
	r, err := unqualifiedRef(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	f, err := s.getFunction(ctx, r, notFound(r.arn()))
	if err != nil {
		return nil, err
	}
	return &api.GetFunctionRecursionConfigOutput{RecursiveLoop: &f.Recursion}, nil
}

// PutFunctionRecursionConfig sets it.
// See https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionRecursionConfig.html.
func (s *Service) PutFunctionRecursionConfig(
	ctx context.Context, in *api.PutFunctionRecursionConfigInput,
) (*api.PutFunctionRecursionConfigOutput, error) {
	r, err := unqualifiedRef(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	loop := str(in.RecursiveLoop)
	err = s.setFunction(ctx, r, notFound(r.arn()), func(_ *edit, f *function) error {
		f.Recursion = loop
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.PutFunctionRecursionConfigOutput{RecursiveLoop: &loop}, nil
}
