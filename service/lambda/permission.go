package lambda

import (
	"context"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
)

var (
	errPolicyRevision = api.ErrPreconditionFailed.New("The Revision Id provided does not match the latest Revision Id. " +
		"Call the GetPolicy API to retrieve the latest Revision Id")
	errNoPolicy  = api.ErrResourceNotFound.New("No policy is associated with the given resource.")
	errNoneThere = api.ErrResourceNotFound.New("The resource you requested does not exist.")
)

// AddPermission adds a statement to the policy of a function, or of the version or alias that the qualifier names.
// See https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html.
func (s *Service) AddPermission(ctx context.Context, in *api.AddPermissionInput) (*api.AddPermissionOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if r.qualifier == latest {
		return nil, invalid("We currently do not support adding policies for $LATEST.")
	}
	if err := s.checkPrincipal(ctx, str(in.Principal)); err != nil {
		return nil, err
	}
	var added string
	err = s.updateFunction(ctx, r, func(e *edit) error {
		holder, err := e.policyHolder(r, notFound(r.arn()))
		if err != nil {
			return err
		}
		if in.RevisionID != nil && *in.RevisionID != holder.revision {
			return errPolicyRevision
		}
		st, err := newStatement(in, r.qualifiedArn())
		if err != nil {
			return err
		}
		now, err := getPolicy(e.tx, r)
		if err != nil {
			return err
		}
		next, text, err := now.with(st, s.deps.Now())
		if err != nil {
			return err
		}
		added = text
		return cmpErr(e.putPolicy(r, next), holder.touch())
	})
	if err != nil {
		return nil, err
	}
	return &api.AddPermissionOutput{Statement: &added}, nil
}

// RemovePermission removes a statement, and the policy with its last one.
// See https://docs.aws.amazon.com/lambda/latest/api/API_RemovePermission.html.
func (s *Service) RemovePermission(ctx context.Context, in *api.RemovePermissionInput) (*api.RemovePermissionOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	err = s.updateFunction(ctx, r, func(e *edit) error {
		holder, err := e.policyHolder(r, api.ErrResourceNotFound.Withf("No policy found for: %s", r.arn()))
		if err != nil {
			return err
		}
		now, err := getPolicy(e.tx, r)
		if now == nil {
			return cmpErr(err, errNoPolicy)
		}
		next, err := now.without(str(in.StatementID))
		if err != nil {
			return err
		}
		if in.RevisionID != nil && *in.RevisionID != holder.revision {
			return errRevision
		}
		return cmpErr(e.putPolicy(r, next), holder.touch())
	})
	if err != nil {
		return nil, err
	}
	return &api.RemovePermissionOutput{}, nil
}

// GetPolicy shows the policy of a function, version or alias.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetPolicy.html.
func (s *Service) GetPolicy(ctx context.Context, in *api.GetPolicyInput) (*api.GetPolicyOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	out := &api.GetPolicyOutput{}
	err = s.deps.Store.View(ctx, func(tx store.Tx) error {
		if f, err := getFunction(tx, r.scope, r.name); f == nil {
			return cmpErr(err, notFound(r.arn()))
		}
		p, err := getPolicy(tx, r)
		if p == nil {
			return cmpErr(err, errNoneThere)
		}
		holder, err := (&edit{tx: tx, scope: r.scope}).policyHolder(r, errNoneThere)
		if err != nil {
			return err
		}
		text, err := p.text()
		out.Policy, out.RevisionID = &text, &holder.revision
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// policyHolder is what a policy belongs to. It has one RevisionId with its policy.
type policyHolder struct {
	revision string
	touch    func() error // gives it another
}

// policyHolder finds the version or alias that a ref names. missing is the answer if there is no such function.
func (e *edit) policyHolder(r ref, missing error) (policyHolder, error) {
	if f, err := e.function(r.name); f == nil {
		return policyHolder{}, cmpErr(err, missing)
	}
	q := r.orLatest()
	if q != latest && isName(q) && !isNumber(q) {
		a, err := getAlias(e.tx, r.scope, r.name, q)
		if a == nil {
			return policyHolder{}, cmpErr(err, api.ErrResourceNotFound.Withf("Cannot find alias arn: %s", r.qualifiedArn()))
		}
		return policyHolder{a.Revision, func() error {
			a.Revision = uuid.NewString()
			_, err := aliases.Put(e.tx, r.scope, store.Key(r.name, q), *a)
			return err
		}}, nil
	}
	v, err := e.version(r.name, q)
	if v == nil {
		return policyHolder{}, cmpErr(err, notFound(r.qualifiedArn()))
	}
	return policyHolder{v.Revision, func() error {
		v.Revision = uuid.NewString()
		_, err := versions.Put(e.tx, r.scope, store.Key(r.name, versionKey(q)), *v)
		return err
	}}, nil
}

func policyKey(r ref) string { return store.Key(r.name, r.orLatest()) }

// getPolicy answers nil if there is none.
func getPolicy(tx store.Tx, r ref) (*resourcePolicy, error) {
	return orNil(policies.Get(tx, r.scope, policyKey(r)))
}

// putPolicy stores a policy, or removes it if it is nil.
func (e *edit) putPolicy(r ref, p *resourcePolicy) error {
	if p == nil {
		return ifThere(policies.Delete(e.tx, r.scope, policyKey(r)))
	}
	_, err := policies.Put(e.tx, r.scope, policyKey(r), *p)
	return err
}
