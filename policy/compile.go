package policy

import (
	"slices"
	"strings"
)

// compile makes the Policy of a document that is as it should be.
func (d *document) compile() *Policy {
	p := &Policy{ID: d.id, Version: VersionOld, Kind: d.kind, statements: d.statements}
	if d.version != "" {
		p.Version = d.version
	}
	variables := p.Version == VersionCurrent
	for _, s := range d.statements {
		s.compile(variables)
		if s.Effect == Allow {
			p.allows = append(p.allows, s)
		} else {
			p.denies = append(p.denies, s)
		}
	}
	return p
}

func (s *Statement) compile(variables bool) {
	s.actions = make([]pattern, 0, len(s.Actions)+len(s.NotActions))
	for _, a := range slices.Concat(s.Actions, s.NotActions) {
		s.actions = append(s.actions, compile(strings.ToLower(a), spelling{wildcards: true}))
	}
	s.resources = make([]pattern, 0, len(s.Resources)+len(s.NotResources))
	for _, r := range slices.Concat(s.Resources, s.NotResources) {
		s.resources = append(s.resources, compile(r, spelling{wildcards: true, variables: variables}))
	}
	s.principals = make([]principal, 0, len(s.Principals)+len(s.NotPrincipals))
	for _, p := range slices.Concat(s.Principals, s.NotPrincipals) {
		compiled, _ := compilePrincipal(p) // check has seen that it can be
		s.principals = append(s.principals, compiled)
	}
	for _, c := range s.Conditions {
		c.values = make([]value, 0, len(c.Values))
		for _, v := range c.Values {
			c.values = append(c.values, compileValue(c.test, v, variables))
		}
	}
}
