package policy

import (
	"math"
	"slices"
	"strings"
)

// eval is one evaluation: the request, and what has been found out about it.
type eval struct {
	req    *Request
	action string // lower case
	born   int64  // when the principal got its name, in milliseconds of Unix time; the end of time if it is not there
	// newcomer says that the principal got its name after the policy at hand was set.
	newcomer bool

	cache   []cached
	room    [8]cached // of cache
	pending []string  // keys that the statement at hand lacks
	missing []string  // keys that kept statements from matching
}

// cached is a condition key that was asked for before.
type cached struct {
	key    string
	values []string
	ok     bool
}

func newEval(req *Request, g *Grants) *eval {
	e := &eval{req: req, action: strings.ToLower(req.Action), born: math.MaxInt64}
	if !g.Born.IsZero() {
		e.born = g.Born.UnixMilli()
	}
	e.cache = e.room[:0]
	return e
}

// values are those of a condition key in canonical spelling. What follows from the principal goes before what the request says.
func (e *eval) values(key string) (values []string, ok bool) {
	for i := range e.cache {
		if e.cache[i].key == key {
			return e.cache[i].values, e.cache[i].ok
		}
	}
	values, ok = e.principalKey(key)
	if !ok && e.req.Keys != nil {
		values, ok = e.req.Keys.Values(key)
	}
	e.cache = append(e.cache, cached{key, values, ok})
	return values, ok
}

// owner is the account of the resource.
func (e *eval) owner() string {
	if e.req.ResourceAccount != "" || e.req.Principal == nil {
		return e.req.ResourceAccount
	}
	return e.req.Principal.Account
}

// applies says how much the statement has to say about the request: nobody if it does not match. Only resource policies know
// less than direct.
func (s *Statement) applies(e *eval) reach {
	if !s.coversAction(e.action) {
		return nobody
	}
	r := s.reaches(e.req.Principal, e.newcomer)
	if r == nobody {
		return nobody
	}
	e.pending = e.pending[:0]
	result := s.coversResource(e)
	for _, c := range s.Conditions {
		if result == fails {
			return nobody
		}
		result = worst(result, c.judge(e))
	}
	switch result {
	case holds:
		return r
	case lacks:
		e.missing = append(e.missing, e.pending...)
	}
	return nobody
}

// worst is the outcome of two that must both hold.
func worst(a, b outcome) outcome {
	switch {
	case a == fails || b == fails:
		return fails
	case a == lacks || b == lacks:
		return lacks
	}
	return holds
}

func (s *Statement) coversAction(action string) bool {
	for i := range s.actions {
		if ok, _ := s.actions[i].match(nil, action); ok {
			return len(s.NotActions) == 0
		}
	}
	return len(s.NotActions) > 0
}

// coversResource lacks a key if a variable that has no value might have made a difference.
func (s *Statement) coversResource(e *eval) outcome {
	if len(s.resources) == 0 { // policies of roles and repositories are about what has them
		return holds
	}
	lacking, mark := false, len(e.pending)
	for i := range s.resources {
		matched, resolved := s.resources[i].match(e, e.req.Resource)
		if matched {
			e.pending = e.pending[:mark]
			if len(s.NotResources) > 0 {
				return fails
			}
			return holds
		}
		lacking = lacking || !resolved
	}
	switch {
	case lacking:
		return lacks
	case len(s.NotResources) > 0:
		return holds
	}
	return fails
}

// found is a statement and the policy that it is in.
type found struct {
	policy    *Named
	statement *Statement
	reach     reach
}

// meet prepares for the statements of a policy.
func (e *eval) meet(p *Named) {
	e.newcomer = !p.Set.IsZero() && e.born > p.Set.UnixMilli()
}

// deny is the first Deny that applies.
func (e *eval) deny(policies []Named) (found, bool) {
	for i := range policies {
		if policies[i].Policy == nil {
			continue
		}
		e.meet(&policies[i])
		for _, s := range policies[i].denies {
			if r := s.applies(e); r != nobody {
				return found{&policies[i], s, r}, true
			}
		}
	}
	return found{}, false
}

// allow is the Allow that reaches furthest; its reach is nobody if none applies. A policy that names no principals allows
// nothing on the resource's side: it would allow everybody.
func (e *eval) allow(policies []Named, byResource bool) found {
	var best found
	for i := range policies {
		if policies[i].Policy == nil || byResource && !policies[i].Kind.namesPrincipals() {
			continue
		}
		e.meet(&policies[i])
		for _, s := range policies[i].allows {
			if r := s.applies(e); r > best.reach {
				best = found{&policies[i], s, r}
				if r == direct {
					return best
				}
			}
		}
	}
	return best
}

// lacking are the keys that kept statements from matching, sorted, each once.
func (e *eval) lacking() []string {
	if len(e.missing) == 0 {
		return nil
	}
	slices.Sort(e.missing)
	return slices.Compact(e.missing)
}
