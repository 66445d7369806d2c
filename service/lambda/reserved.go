package lambda

import (
	"context"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// mostUnreserved is how much concurrency functions without a reservation always share, in an account that has so much.
const mostUnreserved = 100

// minUnreserved is how much of an account's concurrency cannot be reserved: of a small one, as new accounts are on AWS, nothing can.
func (e *edit) minUnreserved() int { return min(mostUnreserved, e.limit) }

// PutFunctionConcurrency reserves concurrency for a function, and limits it to that. Zero stops it.
// See https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html.
func (s *Service) PutFunctionConcurrency(
	ctx context.Context, in *api.PutFunctionConcurrencyInput,
) (*api.PutFunctionConcurrencyOutput, error) {
	r, err := unqualifiedRef(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	n := val(in.ReservedConcurrentExecutions)
	if err := inRange(n, "reservedConcurrentExecutions", 0, 1<<31-1); err != nil {
		return nil, err
	}
	err = s.setFunction(ctx, r, notFound(qualify(r.arn(), latest)), func(e *edit, f *function) error {
		if others := e.usage.Reserved - f.setAside(); n > e.limit-e.minUnreserved()-others {
			return invalid("Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "+
				"below its minimum value of [%d].", e.minUnreserved())
		}
		if n < f.Provisioned { // the spaces are AWS's
			return invalid(" ReservedConcurrentExecutions  %d should not be lower than function's total provisioned concurrency [%d].",
				n, f.Provisioned)
		}
		f.Reserved = &n
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.PutFunctionConcurrencyOutput{ReservedConcurrentExecutions: &n}, nil
}

// GetFunctionConcurrency shows a function's reserved concurrency: nothing if it has none.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConcurrency.html.
func (s *Service) GetFunctionConcurrency(
	ctx context.Context, in *api.GetFunctionConcurrencyInput,
) (*api.GetFunctionConcurrencyOutput, error) {
	r, err := unqualifiedRef(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	f, err := s.getFunction(ctx, r, notFound(r.arn()))
	if err != nil {
		return nil, err
	}
	return &api.GetFunctionConcurrencyOutput{ReservedConcurrentExecutions: f.Reserved}, nil
}

// DeleteFunctionConcurrency gives a function's reserved concurrency back.
// See https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunctionConcurrency.html.
func (s *Service) DeleteFunctionConcurrency(
	ctx context.Context, in *api.DeleteFunctionConcurrencyInput,
) (*api.DeleteFunctionConcurrencyOutput, error) {
	r, err := unqualifiedRef(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	err = s.setFunction(ctx, r, notFound(qualify(r.arn(), latest)), func(_ *edit, f *function) error {
		f.Reserved = nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteFunctionConcurrencyOutput{}, nil
}

// GetAccountSettings shows an account's limits and what it uses, in one region.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html.
func (s *Service) GetAccountSettings(ctx context.Context, _ *api.GetAccountSettingsInput) (*api.GetAccountSettingsOutput, error) {
	call := aws.CallFrom(ctx)
	var u *accountUse
	err := s.deps.Store.View(ctx, func(tx store.Tx) (err error) {
		u, err = orNil(usages.Get(tx, store.Scope{Account: call.Account, Region: call.Region}, usageKey))
		return err
	})
	if err != nil {
		return nil, err
	}
	if u == nil {
		u = &accountUse{}
	}
	return &api.GetAccountSettingsOutput{
		AccountLimit: &api.AccountLimit{
			TotalCodeSize: new(int64(maxCodeStorage)), CodeSizeUnzipped: new(int64(maxUnzipped)), CodeSizeZipped: new(int64(maxZipped)),
			ConcurrentExecutions: new(s.deps.AccountConcurrency), UnreservedConcurrentExecutions: new(s.deps.AccountConcurrency - u.Reserved),
		},
		AccountUsage: &api.AccountUsage{TotalCodeSize: &u.CodeSize, FunctionCount: &u.Functions},
	}, nil
}
