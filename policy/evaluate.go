package policy

import (
	"strconv"

	"github.com/enfold-run/enfold/aws"
)

// Evaluate decides. g and r may be nil: no policies on that side. A request without a principal is anonymous.
//
// A principal needs an Allow on its own side, which is that of its identity policies and of every limit that it has:
// permissions boundary, session policies, service control policies. In its own account the Allow of a resource policy does
// instead, as far as that reaches; to a resource of another account it needs both. The root user needs no identity policy;
// AWS services and anonymous callers have no side of their own and need the resource policy.
func Evaluate(req *Request, g *Grants, r *ResourceGrants) Decision {
	if req.Principal == nil {
		asked := *req
		asked.Principal = &aws.Principal{Type: aws.Anonymous}
		req = &asked
	}
	if g == nil {
		g = &Grants{}
	}
	if r == nil {
		r = &ResourceGrants{}
	}
	e := newEval(req, g)
	d := e.decide(g, r)
	d.Missing = e.lacking()
	return d
}

func (e *eval) decide(g *Grants, r *ResourceGrants) Decision {
	outsider := e.req.Principal.Type == aws.ServiceType || e.req.Principal.Type == aws.Anonymous
	across := !outsider && e.owner() != e.req.Principal.Account
	d, denied := e.denial(g, r)
	if !denied {
		resource := e.allow(r.Policies, true)
		switch {
		case outsider:
			d = resource.decision(ResourceBased, resource.reach != nobody)
		case across:
			d = e.acrossAccounts(g, resource)
		default:
			d = e.inAccount(g, r, resource)
		}
	}
	d.CrossAccount = across
	return d
}

// denial looks for an explicit deny, anywhere.
func (e *eval) denial(g *Grants, r *ResourceGrants) (Decision, bool) {
	for _, level := range g.Control {
		if f, ok := e.deny(level); ok {
			return f.denial(ServiceControl), true
		}
	}
	if f, ok := e.deny(r.Policies); ok {
		return f.denial(ResourceBased), true
	}
	if f, ok := e.deny(g.Identity); ok {
		return f.denial(IdentityBased), true
	}
	if g.Boundary != nil {
		if f, ok := e.deny([]Named{*g.Boundary}); ok {
			return f.denial(Boundary), true
		}
	}
	if f, ok := e.deny(g.Session); ok {
		return f.denial(SessionPolicy), true
	}
	return Decision{}, false
}

// inAccount is for a resource of the principal's own account.
func (e *eval) inAccount(g *Grants, r *ResourceGrants, resource found) Decision {
	if !e.controlAllows(g) {
		return Decision{Layer: ServiceControl}
	}
	if resource.reach == direct {
		return resource.decision(ResourceBased, true)
	}
	if r.Decisive && resource.reach == nobody {
		return Decision{Layer: ResourceBased}
	}
	var identity found
	if resource.reach != limited {
		if identity = e.identity(g); identity.reach == nobody {
			return Decision{Layer: IdentityBased}
		}
	}
	if layer := e.limit(g); layer != "" {
		return Decision{Layer: layer}
	}
	switch {
	case resource.reach == limited || r.Decisive:
		return resource.decision(ResourceBased, true)
	case identity.statement == nil:
		return Decision{Allowed: true} // root
	}
	return identity.decision(IdentityBased, true)
}

// acrossAccounts is for a resource of another account, where both sides must allow.
func (e *eval) acrossAccounts(g *Grants, resource found) Decision {
	switch {
	case !e.controlAllows(g):
		return Decision{Layer: ServiceControl}
	case e.identity(g).reach == nobody:
		return Decision{Layer: IdentityBased}
	}
	if layer := e.limit(g); layer != "" {
		return Decision{Layer: layer}
	}
	return resource.decision(ResourceBased, resource.reach != nobody)
}

// identity is the Allow of the identity policies. The root user has it without a statement.
func (e *eval) identity(g *Grants) found {
	if e.req.Principal.Type == aws.Root {
		return found{reach: direct}
	}
	return e.allow(g.Identity, false)
}

// controlAllows says whether every level of the service control policies allows.
func (e *eval) controlAllows(g *Grants) bool {
	for _, level := range g.Control {
		if e.allow(level, false).reach == nobody {
			return false
		}
	}
	return true
}

// limit is the first of boundary and session policies that lacks an Allow; empty if neither does.
func (e *eval) limit(g *Grants) Layer {
	if g.Boundary != nil && e.allow([]Named{*g.Boundary}, false).reach == nobody {
		return Boundary
	}
	if (g.Limited || len(g.Session) > 0) && e.allow(g.Session, false).reach == nobody {
		return SessionPolicy
	}
	return ""
}

// decision is that of an Allow, or for want of it.
func (f found) decision(layer Layer, allowed bool) Decision {
	if !allowed {
		return Decision{Layer: layer}
	}
	return Decision{Allowed: true, Layer: layer, Policy: f.policy.Name, Statement: f.statement.name()}
}

func (f found) denial(layer Layer) Decision {
	return Decision{Explicit: true, Layer: layer, Policy: f.policy.Name, Statement: f.statement.name()}
}

// name is the Sid, or the number of the statement as "[3]".
func (s *Statement) name() string {
	if s.Sid != "" {
		return s.Sid
	}
	return "[" + strconv.Itoa(s.Index) + "]"
}
