package policy

import (
	"time"

	"github.com/enfold-run/enfold/aws"
)

// Request is what is asked: may this principal do this action on this resource, now?
type Request struct {
	Principal *aws.Principal
	Action    string // "lambda:InvokeFunction"
	Resource  string // ARN, or "*" for an action without resource level
	// ResourceAccount owns the resource; empty is the principal's own account.
	ResourceAccount string
	// Keys finds condition keys; nil finds none.
	Keys Keys
}

// Keys finds the values of a condition key, whose name comes in lower case but for what follows a slash, which is as the
// policy spells it ("aws:requesttag/CostCenter"). ok tells absent from empty.
type Keys interface {
	Values(key string) (values []string, ok bool)
}

// Named is a policy and the name that explanations give it: an ARN, or "inline policy NAME of …".
type Named struct {
	Name string
	// Set is when a policy on the resource's side was put there, to the millisecond or finer. By the ARN of a user or role, or
	// of a role session, such a policy means who had that name then: who got it later is given nothing, and a Deny that spares
	// it does not spare the later one. A Deny of the name itself holds for whoever has it. Zero means whoever has the name.
	Set time.Time
	*Policy
}

// Grants are the policies on the principal's side. They are shared between calls and never changed once made.
type Grants struct {
	Identity []Named // of the user and its groups, or of the role
	// Born is when the user or role, or the one that the session came from, got its name, cut to the millisecond; zero for
	// one that is not there, whom no policy with a time means.
	Born time.Time
	// Boundary is the permissions boundary; nil if there is none.
	Boundary *Named
	// Session are the session policies: an allow in any of them counts. Limited says that there are some, so that a session
	// with an empty list of them may do nothing.
	Session []Named
	Limited bool
	// Control are the service control policies, level by level from the root of the organization: every level must allow.
	Control [][]Named
}

// ResourceGrants are the policies on the resource's side.
type ResourceGrants struct {
	Policies []Named
	// Decisive says that without an allow in these policies nothing is allowed, whatever identity policies say: role trust
	// policies and KMS key policies.
	Decisive bool
}

// Layer is the kind of policy that a decision came from, as AWS's messages name it.
type Layer string

// The layers.
const (
	IdentityBased  Layer = "identity-based policy"
	ResourceBased  Layer = "resource-based policy"
	Boundary       Layer = "permissions boundary"
	SessionPolicy  Layer = "session policy"
	ServiceControl Layer = "service control policy"
)

// Decision is the answer with its reason.
type Decision struct {
	Allowed  bool
	Explicit bool  // denied by a Deny statement, not for want of an Allow
	Layer    Layer // that allowed, that denied, or in which an allow was missing; empty for root's own right
	// Policy and Statement name the statement that decided: its Sid, or its number from 0 as "[3]". Empty where an allow was
	// missing.
	Policy, Statement string
	// CrossAccount says that the principal and the resource are of different accounts: AWS then tells no reason.
	CrossAccount bool
	// Missing are condition keys that statements asked for, which would otherwise have matched, and the request did not have.
	Missing []string
}
