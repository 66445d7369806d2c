package policy

import (
	"slices"
)

// Kind is where a policy goes: it decides which elements a statement must and must not have, and how AWS words what is wrong.
type Kind uint8

// The kinds.
const (
	KindIdentity   Kind = iota // inline policy of a user, group or role
	KindResource               // policy of a queue, a key, a function …
	KindTrust                  // assume role policy of a role
	KindSession                // session policy
	KindControl                // service control policy
	KindManaged                // like KindIdentity, and must be of Version 2012-10-17
	KindRepository             // like KindResource, of a repository of images: its statements are about this repository and name no resources
)

// Effect is what a statement does to the requests that it matches.
type Effect string

// The effects.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// The versions of the policy language. Variables are variables only in the current one.
const (
	VersionOld     = "2008-10-17" // also of a policy that says none
	VersionCurrent = "2012-10-17"
)

// Policy is a compiled policy. It is immutable and safe for concurrent use.
type Policy struct {
	ID      string
	Version string // VersionOld or VersionCurrent
	Kind    Kind

	statements     []*Statement
	allows, denies []*Statement
}

// Statement is a statement as it was written. It belongs to its Policy and must not be changed.
type Statement struct {
	Sid    string
	Index  int // in the policy, from 0
	Effect Effect

	Actions, NotActions       []string // one of them
	Resources, NotResources   []string // one of them; none in policies of roles and repositories
	Principals, NotPrincipals []Principal
	Conditions                []*Condition

	actions    []pattern // lower case
	resources  []pattern
	principals []principal
}

// Principal is one value of a Principal or NotPrincipal element.
type Principal struct {
	Type  string // "AWS", "Service", "Federated", "CanonicalUser"; "*" is {"AWS": "*"}
	Value string
}

// Condition is one key of one operator; a statement's conditions must all hold.
type Condition struct {
	Operator string // as written: "ForAllValues:StringLikeIfExists"
	Key      string // as written
	Values   []string

	key    string // canonical
	test   operator
	values []value
}

// AWSPrincipals are the users, roles, accounts and sessions that the policy names, in their order, as it spells them.
func (p *Policy) AWSPrincipals() []string {
	var all []string
	for _, s := range p.statements {
		for _, who := range slices.Concat(s.Principals, s.NotPrincipals) {
			if who.Type == "AWS" {
				all = append(all, who.Value)
			}
		}
	}
	return all
}

// Statements are the statements in their order. The caller must not change them.
func (p *Policy) Statements() []*Statement { return p.statements }

// ContextKeys are the condition keys that the policy asks for, variables included: lower case but for what follows a slash,
// sorted, each once.
func (p *Policy) ContextKeys() []string {
	var keys []string
	add := func(k string) { keys = append(keys, k) }
	for _, s := range p.statements {
		for i := range s.resources {
			s.resources[i].keys(add)
		}
		for _, c := range s.Conditions {
			add(c.key)
			for i := range c.values {
				c.values[i].pattern.keys(add)
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Public says whether the statement allows something to everybody: its Principal is "*". Its conditions may narrow that.
func (s *Statement) Public() bool {
	return s.Effect == Allow && slices.ContainsFunc(s.Principals, func(p Principal) bool { return p.Type == "AWS" && p.Value == "*" })
}
