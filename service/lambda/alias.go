package lambda

import (
	"context"
	"errors"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
)

// CreateAlias names a version, or two with a weight.
// See https://docs.aws.amazon.com/lambda/latest/api/API_CreateAlias.html.
func (s *Service) CreateAlias(ctx context.Context, in *api.CreateAliasInput) (*api.CreateAliasOutput, error) {
	r, err := unqualifiedRef(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	name := str(in.Name)
	if err := checkAliasName(name); err != nil {
		return nil, err
	}
	a := alias{Function: r.name, Name: name, Version: str(in.FunctionVersion), Description: str(in.Description), Revision: uuid.NewString()}
	if err := a.route(in.RoutingConfig); err != nil {
		return nil, err
	}
	err = s.updateFunction(ctx, r, func(e *edit) error {
		if err := e.checkAlias(r, &a); err != nil {
			return err
		}
		_, err := aliases.Put(e.tx, r.scope, store.Key(r.name, name), a, store.IfAbsent())
		if errors.Is(err, store.ErrExists) {
			return api.ErrResourceConflict.Withf("Alias already exists: %s", qualify(r.arn(), name))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return aliasConfiguration(r, &a), nil
}

// checkAliasName refuses a name that could be a version's number.
func checkAliasName(name string) error {
	if !isName(name) || isNumber(name) {
		return mismatch(name, "name", "(?!^[0-9]+$)([a-zA-Z0-9-_]+)")
	}
	return nil
}

// route sets an alias's second version. A RoutingConfig without weights means that there is none.
func (a *alias) route(in *api.AliasRoutingConfiguration) error {
	if in == nil {
		return nil
	}
	if len(in.AdditionalVersionWeights) > 1 {
		return invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
	}
	a.Other, a.Weight = "", 0
	for v, w := range in.AdditionalVersionWeights {
		a.Other, a.Weight = v, w
	}
	return nil
}

// checkAlias checks that the versions of an alias are there and may share it.
func (e *edit) checkAlias(r ref, a *alias) error {
	if a.Other != "" && a.Version == latest {
		return invalid("$LATEST is not supported for an alias pointing to more than 1 version")
	}
	if a.Other != "" && a.Other == a.Version {
		return invalid("Invalid function version %[1]s. Function version %[1]s is already included in routing configuration.", a.Other)
	}
	main, err := e.version(r.name, a.Version)
	if main == nil {
		return cmpErr(err, notFound(qualify(r.arn(), a.Version)))
	}
	if a.Other == "" {
		return nil
	}
	other, err := e.version(r.name, a.Other)
	if other == nil {
		return cmpErr(err, notFound(qualify(r.arn(), a.Other)))
	}
	if main.Config.Role != other.Config.Role {
		return invalid("Function versions %s and %s must have the same execution role to share an alias.", a.Version, a.Other)
	}
	if main.Config.DeadLetter != other.Config.DeadLetter {
		return invalid("Function versions %s and %s must have the same dead-letter configuration to share an alias.", a.Version, a.Other)
	}
	return nil
}

// GetAlias shows an alias.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetAlias.html.
func (s *Service) GetAlias(ctx context.Context, in *api.GetAliasInput) (*api.GetAliasOutput, error) {
	r, err := unqualifiedRef(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	var a *alias
	err = s.deps.Store.View(ctx, func(tx store.Tx) (err error) {
		if a, err = getAlias(tx, r.scope, r.name, str(in.Name)); a == nil {
			return cmpErr(err, api.ErrResourceNotFound.Withf("Cannot find alias arn: %s", qualify(r.arn(), str(in.Name))))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return aliasConfiguration(r, a), nil
}

// ListAliases lists a function's aliases by name, all or those of one version.
// See https://docs.aws.amazon.com/lambda/latest/api/API_ListAliases.html.
func (s *Service) ListAliases(ctx context.Context, in *api.ListAliasesInput) (*api.ListAliasesOutput, error) {
	r, err := unqualifiedRef(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	list := "aliases/" + r.name + "/" + str(in.FunctionVersion)
	after, err := openMarker(list, in.Marker)
	if err != nil {
		return nil, err
	}
	out := &api.ListAliasesOutput{Aliases: []*api.AliasConfiguration{}}
	var found []alias
	err = s.deps.Store.View(ctx, func(tx store.Tx) error {
		if f, err := getFunction(tx, r.scope, r.name); f == nil {
			return cmpErr(err, notFound(r.arn()))
		}
		rows := only(aliases.Scan(tx, r.scope, store.Range{Prefix: store.Prefix(r.name), After: after}), func(a *alias) bool {
			v := str(in.FunctionVersion)
			return v == "" || a.Version == v || a.Other == v
		})
		found, out.NextMarker, err = page(rows, list, pageSize(in.MaxItems))
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range found {
		out.Aliases = append(out.Aliases, aliasConfiguration(r, &found[i]))
	}
	return out, nil
}

// UpdateAlias changes what is given of an alias.
// See https://docs.aws.amazon.com/lambda/latest/api/API_UpdateAlias.html.
func (s *Service) UpdateAlias(ctx context.Context, in *api.UpdateAliasInput) (*api.UpdateAliasOutput, error) {
	r, err := unqualifiedRef(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	var next alias
	err = s.updateFunction(ctx, r, func(e *edit) error {
		a, err := getAlias(e.tx, r.scope, r.name, str(in.Name))
		if a == nil {
			return cmpErr(err, api.ErrResourceNotFound.Withf("Alias not found: %s", qualify(r.arn(), str(in.Name))))
		}
		if in.RevisionID != nil && *in.RevisionID != a.Revision {
			return errRevision
		}
		next = *a
		next.Revision = uuid.NewString()
		set(&next.Version, in.FunctionVersion)
		set(&next.Description, in.Description)
		if err := cmpErr(next.route(in.RoutingConfig), e.checkAlias(r, &next)); err != nil {
			return err
		}
		if err := e.checkMove(&next); err != nil {
			return err
		}
		_, err = aliases.Put(e.tx, r.scope, store.Key(r.name, next.Name), next)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.keeper.look(functionKey{r.scope, r.name})
	return aliasConfiguration(r, &next), nil
}

// DeleteAlias deletes an alias, if there is one.
// See https://docs.aws.amazon.com/lambda/latest/api/API_DeleteAlias.html.
func (s *Service) DeleteAlias(ctx context.Context, in *api.DeleteAliasInput) (*api.DeleteAliasOutput, error) {
	r, err := unqualifiedRef(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	err = s.updateFunction(ctx, r, func(e *edit) error {
		if checkAliasName(str(in.Name)) != nil {
			return nil
		}
		named := ref{scope: r.scope, name: r.name, qualifier: *in.Name}
		if err := cmpErr(dropInvokeConfig(e, r.name, named.qualifier), e.putPolicy(named, nil), e.dropProvisioned(named)); err != nil {
			return err
		}
		return ifThere(aliases.Delete(e.tx, r.scope, store.Key(r.name, str(in.Name))))
	})
	if err != nil {
		return nil, err
	}
	s.keeper.look(functionKey{r.scope, r.name})
	return &api.DeleteAliasOutput{}, nil
}

func aliasConfiguration(r ref, a *alias) *api.AliasConfiguration {
	out := &api.AliasConfiguration{
		AliasArn: new(qualify(r.arn(), a.Name)), Name: new(a.Name), FunctionVersion: new(a.Version), Description: new(a.Description),
		RevisionID: new(a.Revision),
	}
	if a.Other != "" {
		out.RoutingConfig = &api.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{a.Other: a.Weight}}
	}
	return out
}

// ifThere is nil for what was not there to be deleted.
func ifThere(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
