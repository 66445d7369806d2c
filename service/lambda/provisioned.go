package lambda

import (
	"context"
	"slices"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
)

// provisionedDate is how LastModified of provisioned concurrency is written: without milliseconds, unlike a function's.
const provisionedDate = "2006-01-02T15:04:05-0700"

var (
	errNotProvisioned  = api.ErrProvisionedConcurrencyConfigNotFound.New("No Provisioned Concurrency Config found for this function")
	errUnpublished     = invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
	errTwiceProvided   = api.ErrResourceConflict.New("Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version")
	errAliasHasIt      = api.ErrResourceConflict.New("Version is pointed by a Provisioned Concurrency alias")
	errBeyondReserved  = invalid("Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function")
	errNothingToHaveIt = invalid("The function resource provided must be an alias or a published version.")
)

// PutProvisionedConcurrencyConfig has execution environments of a version or alias made ahead. It answers at once; how far that
// has come is what GetProvisionedConcurrencyConfig says.
// See https://docs.aws.amazon.com/lambda/latest/api/API_PutProvisionedConcurrencyConfig.html.
func (s *Service) PutProvisionedConcurrencyConfig(
	ctx context.Context, in *api.PutProvisionedConcurrencyConfigInput,
) (*api.PutProvisionedConcurrencyConfigOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	n := val(in.ProvisionedConcurrentExecutions)
	if err := inRange(n, "provisionedConcurrentExecutions", 1, 1<<31-1); err != nil {
		return nil, err
	}
	if r.orLatest() == latest {
		return nil, errUnpublished
	}
	c := provisionedConfig{Function: r.name, Qualifier: r.qualifier, Requested: n, Modified: s.deps.Now()}
	err = s.updateFunction(ctx, r, func(e *edit) error {
		f, versions, err := e.provisionable(r)
		if err != nil {
			return err
		}
		old, err := getProvisioned(e.tx, r)
		if err != nil {
			return err
		}
		if err := e.checkProvisioned(f, old, n); err != nil {
			return err
		}
		if err := e.checkOverlap(r, versions); err != nil {
			return err
		}
		next := *f
		next.Provisioned += n - old.requested()
		if err := e.putFunction(&next, f); err != nil {
			return err
		}
		_, err = provisions.Put(e.tx, r.scope, store.Key(r.name, r.qualifier), c)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.keeper.look(functionKey{r.scope, r.name})
	return &api.PutProvisionedConcurrencyConfigOutput{
		RequestedProvisionedConcurrentExecutions: &n, AllocatedProvisionedConcurrentExecutions: new(0),
		AvailableProvisionedConcurrentExecutions: new(0), Status: new(api.ProvisionedConcurrencyStatusEnumInProgress),
		LastModified: c.modified(),
	}, nil
}

func (c *provisionedConfig) modified() *string { return new(c.Modified.UTC().Format(provisionedDate)) }

// requested is zero for no config.
func (c *provisionedConfig) requested() int {
	if c == nil {
		return 0
	}
	return c.Requested
}

func getProvisioned(tx store.Tx, r ref) (*provisionedConfig, error) {
	return orNil(provisions.Get(tx, r.scope, store.Key(r.name, r.qualifier)))
}

// provisionable is the function, and the versions that the ref's qualifier means, or the error that it means none.
func (e *edit) provisionable(r ref) (*function, []string, error) {
	f, versions, err := provisionable(e.tx, r)
	if err == nil && slices.Contains(versions, latest) {
		err = errUnpublished
	}
	if err == nil {
		err = e.checkUnsnapped(r, versions)
	}
	return f, versions, err
}

func provisionable(tx store.Tx, r ref) (*function, []string, error) {
	f, err := getFunction(tx, r.scope, r.name)
	if err != nil {
		return nil, nil, err
	}
	if isNumber(r.qualifier) {
		var v *version
		if f != nil {
			v, err = getVersion(tx, r.scope, r.name, r.qualifier)
		}
		if v == nil {
			return nil, nil, cmpErr(err, notFound(r.qualifiedArn()))
		}
		return f, []string{v.Version}, nil
	}
	var a *alias
	if f != nil {
		a, err = getAlias(tx, r.scope, r.name, r.qualifier)
	}
	if a == nil {
		return nil, nil, cmpErr(err, api.ErrResourceNotFound.Withf("Cannot find alias arn: %s", r.qualifiedArn()))
	}
	return f, a.versions(), nil
}

// versions are those that an alias names.
func (a *alias) versions() []string {
	if a.Other == "" {
		return []string{a.Version}
	}
	return []string{a.Version, a.Other}
}

// checkProvisioned checks that there is as much concurrency as n, instead of old.
func (e *edit) checkProvisioned(f *function, old *provisionedConfig, n int) error {
	if f.Reserved != nil {
		if n > *f.Reserved-(f.Provisioned-old.requested()) {
			return errBeyondReserved
		}
		return nil
	}
	unreserved := e.limit - e.usage.Reserved + old.requested()
	switch {
	case n > unreserved:
		return invalid("Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [%d].", unreserved)
	case n > unreserved-e.minUnreserved():
		return invalid("Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "+
			"below its minimum value of [%d].", e.minUnreserved())
	}
	return nil
}

// checkOverlap refuses provisioned concurrency of an alias and of a version that it names.
func (e *edit) checkOverlap(r ref, names []string) error {
	if !isNumber(r.qualifier) {
		return e.checkUnprovided(r, names)
	}
	for row, err := range aliases.Scan(e.tx, r.scope, store.Range{Prefix: store.Prefix(r.name)}) {
		if err != nil {
			return err
		}
		if !slices.Contains(row.Value.versions(), r.qualifier) {
			continue
		}
		c, err := getProvisioned(e.tx, ref{scope: r.scope, name: r.name, qualifier: row.Value.Name})
		if c != nil || err != nil {
			return cmpErr(err, errAliasHasIt)
		}
	}
	return nil
}

// checkUnprovided refuses versions that have provisioned concurrency of their own.
func (e *edit) checkUnprovided(r ref, names []string) error {
	for _, v := range names {
		c, err := getProvisioned(e.tx, ref{scope: r.scope, name: r.name, qualifier: v})
		if c != nil || err != nil {
			return cmpErr(err, errTwiceProvided)
		}
	}
	return nil
}

// checkMove checks that an alias that has provisioned concurrency may take it to the versions that it names next.
func (e *edit) checkMove(next *alias) error {
	r := ref{scope: e.scope, name: next.Function, qualifier: next.Name}
	c, err := getProvisioned(e.tx, r)
	if c == nil {
		return err
	}
	if next.Version == latest {
		return errUnpublished
	}
	return cmpErr(e.checkUnsnapped(r, next.versions()), e.checkUnprovided(r, next.versions()))
}

// dropProvisioned ends the provisioned concurrency of a version or alias, if it has some.
func (e *edit) dropProvisioned(r ref) error {
	c, err := getProvisioned(e.tx, r)
	if c == nil {
		return err
	}
	f, err := e.function(r.name)
	if f == nil {
		return err
	}
	next := *f
	next.Provisioned -= c.Requested
	if err := e.putFunction(&next, f); err != nil {
		return err
	}
	return provisions.Delete(e.tx, r.scope, store.Key(r.name, r.qualifier))
}

// GetProvisionedConcurrencyConfig shows how much provisioned concurrency a version or alias has.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetProvisionedConcurrencyConfig.html.
func (s *Service) GetProvisionedConcurrencyConfig(
	ctx context.Context, in *api.GetProvisionedConcurrencyConfigInput,
) (*api.GetProvisionedConcurrencyConfigOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if r.orLatest() == latest {
		return nil, errNothingToHaveIt
	}
	var p *provisioning
	err = s.deps.Store.View(ctx, func(tx store.Tx) error {
		f, _, err := provisionable(tx, r)
		if err != nil {
			return err
		}
		p, err = getProvisioning(tx, r.scope, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(p.configs, func(c provisionedConfig) bool { return c.Qualifier == r.qualifier })
	if i < 0 {
		return nil, errNotProvisioned
	}
	a := s.allocations(functionKey{r.scope, r.name}, p)[i]
	return &api.GetProvisionedConcurrencyConfigOutput{
		RequestedProvisionedConcurrentExecutions: &p.configs[i].Requested, AllocatedProvisionedConcurrentExecutions: &a.allocated,
		AvailableProvisionedConcurrentExecutions: &a.allocated, Status: &a.status, StatusReason: given(a.reason),
		LastModified: p.configs[i].modified(),
	}, nil
}

// ListProvisionedConcurrencyConfigs lists the versions and aliases of a function that have provisioned concurrency.
// See https://docs.aws.amazon.com/lambda/latest/api/API_ListProvisionedConcurrencyConfigs.html.
func (s *Service) ListProvisionedConcurrencyConfigs(
	ctx context.Context, in *api.ListProvisionedConcurrencyConfigsInput,
) (*api.ListProvisionedConcurrencyConfigsOutput, error) {
	r, err := unqualifiedRef(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	list := "provisioned/" + r.name
	after, err := openMarker(list, in.Marker)
	if err != nil {
		return nil, err
	}
	var p *provisioning
	err = s.deps.Store.View(ctx, func(tx store.Tx) error {
		f, err := getFunction(tx, r.scope, r.name)
		if f == nil {
			return cmpErr(err, notFound(r.arn()))
		}
		p, err = getProvisioning(tx, r.scope, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &api.ListProvisionedConcurrencyConfigsOutput{ProvisionedConcurrencyConfigs: []*api.ProvisionedConcurrencyConfigListItem{}}
	for i, a := range s.allocations(functionKey{r.scope, r.name}, p) {
		c := &p.configs[i]
		if store.Key(r.name, c.Qualifier) <= after {
			continue
		}
		if len(out.ProvisionedConcurrencyConfigs) == pageSize(in.MaxItems) {
			out.NextMarker = newMarker(list, store.Key(r.name, p.configs[i-1].Qualifier))
			break
		}
		out.ProvisionedConcurrencyConfigs = append(out.ProvisionedConcurrencyConfigs, &api.ProvisionedConcurrencyConfigListItem{
			FunctionArn: new(qualify(r.arn(), c.Qualifier)), RequestedProvisionedConcurrentExecutions: &c.Requested,
			AllocatedProvisionedConcurrentExecutions: new(a.allocated), AvailableProvisionedConcurrentExecutions: new(a.allocated),
			Status: new(a.status), StatusReason: given(a.reason), LastModified: c.modified(),
		})
	}
	return out, nil
}

// DeleteProvisionedConcurrencyConfig ends the provisioned concurrency of a version or alias, if it has some.
// See https://docs.aws.amazon.com/lambda/latest/api/API_DeleteProvisionedConcurrencyConfig.html.
func (s *Service) DeleteProvisionedConcurrencyConfig(
	ctx context.Context, in *api.DeleteProvisionedConcurrencyConfigInput,
) (*api.DeleteProvisionedConcurrencyConfigOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if r.orLatest() == latest {
		return nil, errNothingToHaveIt
	}
	err = s.updateFunction(ctx, r, func(e *edit) error {
		if _, _, err := provisionable(e.tx, r); err != nil {
			return err
		}
		return e.dropProvisioned(r)
	})
	if err != nil {
		return nil, err
	}
	s.keeper.look(functionKey{r.scope, r.name})
	return &api.DeleteProvisionedConcurrencyConfigOutput{}, nil
}
