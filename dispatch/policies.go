package dispatch

import (
	"context"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
)

// Identities knows what principals were granted. Grants is asked at every call, also if nothing hangs on it, and must answer
// from memory. A role or user that is no longer there has no grants; an error refuses the call. The answer is nil for none.
type Identities interface {
	Grants(ctx context.Context, p *aws.Principal) (*policy.Grants, error)
}

// ResourceGranter is a service whose resources have policies: it answers those of one resource of any account, by its ARN,
// and nil for none. It is asked before the call was authorized.
type ResourceGranter interface {
	ResourceGrants(ctx context.Context, call *aws.Call, arn string) (*policy.ResourceGrants, error)
}

// Conditioner is a service with condition keys of its own ("lambda:FunctionUrlAuthType"), or whose resources have tags
// ("aws:resourcetag/CostCenter"). It is asked only for keys that a policy names, in lower case but for what follows a slash.
type Conditioner interface {
	ConditionValues(ctx context.Context, call *aws.Call, arn, key string) (values []string, ok bool)
}

// Organization is the organization that an account is in and the account's paths there; id is empty if it is in none.
type Organization interface {
	Organization(account string) (id string, paths []string)
}

// PolicyDeps are what Policies need.
type PolicyDeps struct {
	Identities   Identities
	Organization Organization     // nil: no account is in one
	Now          func() time.Time // nil: time.Now
}

// Policies is the Authorizer that evaluates IAM policies: of the principal, of the resource, and of the organization.
//
// A call is allowed if its action is allowed on every resource that it acts on, and each permission of Op.Also on its own.
// Whose a resource is says its ARN. A call that is allowed on resources of another account acts there: call.Account is that
// account when Authorize returns.
//
// It is safe for concurrent use.
type Policies struct {
	deps      PolicyDeps
	templates templates
	tags      tagMembers
}

// NewPolicies is an Authorizer for what the identities were granted.
func NewPolicies(d PolicyDeps) *Policies {
	if d.Now == nil {
		d.Now = time.Now
	}
	return &Policies{deps: d}
}

// Denial is the cause of an ErrAccessDenied by policies, for the audit trail: what was asked, and what decided.
type Denial struct {
	Action, Resource string
	Decision         policy.Decision
}

func (d *Denial) Error() string { return d.Action + " on " + d.Resource + " is denied" }

// Authorize implements Authorizer.
func (a *Policies) Authorize(ctx context.Context, call *aws.Call, impl any) error {
	if call.Op.NoAuth {
		_, err := a.grants(ctx, principalOf(call)) // decides nothing, and lets the identities note that the key was used
		return err
	}
	arns, err := a.templates.resources(ctx, call, impl)
	if err != nil {
		return err
	}
	q := question{a: a, call: call, impl: impl, principal: principalOf(call), target: arns[0]}
	if q.grants, err = a.grants(ctx, q.principal); err != nil {
		return err
	}
	for _, arn := range arns {
		if err := q.ask(ctx, call.Op.Action, arn, nil); err != nil {
			return err
		}
	}
	owner := commonOwner(arns, call.Account)
	for i := range call.Op.Also {
		if err := q.askAlso(ctx, &call.Op.Also[i], owner); err != nil {
			return err
		}
	}
	if owner != call.Account { // not before everything is decided: a call that is refused stays the caller's own
		call.Account = owner
	}
	return nil
}

// grants are the principal's, never nil. Services and strangers have no policies of their own.
func (a *Policies) grants(ctx context.Context, p *aws.Principal) (*policy.Grants, error) {
	if p.Type == aws.ServiceType || p.Type == aws.Anonymous {
		return &noGrants, nil
	}
	g, err := a.deps.Identities.Grants(ctx, p)
	if g == nil {
		g = &noGrants
	}
	return g, err
}

var noGrants policy.Grants // never changed

// commonOwner is the account that a call on these resources acts in: another than its own only if all of them are of that
// one, so that what was allowed in one account never acts in another.
func commonOwner(arns []string, own string) string {
	owner := ""
	for _, arn := range arns {
		account := accountOf(arn)
		if account == "" {
			account = own
		}
		if owner != "" && account != owner {
			return own
		}
		owner = account
	}
	return owner
}

// question is one call before the policies.
type question struct {
	a         *Policies
	call      *aws.Call
	impl      any
	principal *aws.Principal
	grants    *policy.Grants
	target    string // the first resource of the call's own action
}

// askAlso decides on a further permission of the op. owner is the account that the call is about to act in.
func (q *question) askAlso(ctx context.Context, also *aws.Permission, owner string) error {
	arns, err := also.Resources(ctx, q.impl, q.call.Input)
	if err != nil {
		return err
	}
	for _, arn := range canonical(arns) {
		if also.Action == passRole {
			if account := accountOf(arn); account != "" && account != owner {
				return aws.ErrAccessDenied.New("Cross-account pass role is not allowed.").
					Because(&Denial{Action: also.Action, Resource: arn, Decision: policy.Decision{CrossAccount: true}})
			}
		}
		if err := q.ask(ctx, also.Action, arn, also); err != nil {
			return err
		}
	}
	return nil
}

// passRole is the permission to hand a role to a service. A role works in its own account only, whatever policies say.
const passRole = "iam:PassRole"

// ask decides on one action on one resource. also is the further permission that it is, nil for the call's own action.
func (q *question) ask(ctx context.Context, action, arn string, also *aws.Permission) error {
	owner := accountOf(arn)
	if owner == "" {
		owner = q.call.Account
	}
	q.call.Authorized = append(q.call.Authorized, aws.Access{Action: action, Resource: arn})
	if q.plumbing(action, owner) {
		return nil
	}
	var onResource *policy.ResourceGrants
	own := also == nil || serviceOf(action) == serviceOf(q.call.Op.Action)
	if granter, ok := q.impl.(ResourceGranter); ok && own && arn != everything {
		var err error
		if onResource, err = granter.ResourceGrants(ctx, q.call, arn); err != nil {
			return err
		}
	}
	if q.isFree(owner) && onResource == nil {
		return nil
	}
	keys := &requestKeys{ctx: ctx, q: *q, arn: arn, owner: owner, also: also, asksService: own}
	req := &policy.Request{Principal: q.principal, Action: action, Resource: arn, ResourceAccount: owner, Keys: keys}
	decision := policy.Evaluate(req, q.grants, onResource)
	if decision.Allowed {
		return nil
	}
	denial := &Denial{Action: action, Resource: arn, Decision: decision}
	if decision.CrossAccount && !decision.Explicit && decision.Layer == policy.ResourceBased {
		// Across accounts no reason is told but this one, recorded from AWS: it says nothing about the other account's policies
		// that the refusal does not say itself.
		decision.CrossAccount = false
	}
	return aws.ErrAccessDenied.New(decision.Message(req)).Because(denial)
}

// isFree says that nothing on the principal's side can refuse it: the root user in its own account, with no control policy
// above and no session policy.
func (q *question) isFree(owner string) bool {
	p, g := q.principal, q.grants
	return p.Type == aws.Root && p.Account != "" && p.Account == owner && len(g.Control) == 0 && !g.Limited && g.Boundary == nil
}

// serviceOf is the service of an action: "lambda".
func serviceOf(action string) string {
	for i := range len(action) {
		if action[i] == ':' {
			return action[:i]
		}
	}
	return action
}
