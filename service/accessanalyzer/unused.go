package accessanalyzer

import (
	"cmp"
	"slices"
	"strings"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
)

// Grant is one action on one resource that a policy allows, patterns as the policy has them.
type Grant struct {
	Policy, Statement string // Statement is the Sid, or "[3]" for the one of that number from 0
	Action, Resource  string // "not X, Y" of a NotAction or NotResource
	// Used are the actions that were seen under the grant, sorted; none, and it was never exercised.
	Used []string
}

// Uses are what generated policies allow, see [Generate].
func Uses(generated []*policy.Policy) []aws.Access {
	var out []aws.Access
	for _, p := range generated {
		for _, st := range p.Statements() {
			for _, action := range st.Actions {
				for _, r := range st.Resources {
					out = append(out, aws.Access{Action: action, Resource: unescape.Replace(r)})
				}
			}
		}
	}
	return out
}

// Exercised holds every grant of the policies against what was seen, in their order.
func Exercised(granted []policy.Named, seen []aws.Access) []Grant {
	var out []Grant
	for _, p := range granted {
		for _, st := range p.Statements() {
			if st.Effect != policy.Allow {
				continue
			}
			for _, action := range termsOf(st.Actions, st.NotActions, true) {
				for _, resource := range termsOf(st.Resources, st.NotResources, false) {
					g := Grant{Policy: p.Name, Statement: nameOf(st), Action: action.text, Resource: resource.text}
					for _, a := range seen {
						if action.has(a.Action) && resource.has(a.Resource) {
							g.Used = append(g.Used, a.Action)
						}
					}
					slices.Sort(g.Used)
					g.Used = slices.Compact(g.Used)
					out = append(out, g)
				}
			}
		}
	}
	return out
}

// Unused are the grants that were never exercised.
func Unused(granted []policy.Named, seen []aws.Access) []Grant {
	return slices.DeleteFunc(Exercised(granted, seen), func(g Grant) bool { return len(g.Used) > 0 })
}

// term is a pattern of actions or resources, or everything but some.
type term struct {
	text     string
	patterns []string
	not      bool
	fold     bool // case does not matter
}

func termsOf(yes, no []string, fold bool) []term {
	if len(no) > 0 {
		return []term{{text: "not " + strings.Join(no, ", "), patterns: no, not: true, fold: fold}}
	}
	out := make([]term, len(yes))
	for i, p := range yes {
		out[i] = term{text: p, patterns: yes[i : i+1], fold: fold}
	}
	return out
}

func (t term) has(s string) bool {
	return slices.ContainsFunc(t.patterns, func(p string) bool {
		if t.fold {
			return policy.Matches(strings.ToLower(p), strings.ToLower(s))
		}
		return policy.Matches(withoutVariables(p), s)
	}) != t.not
}

// withoutVariables is a pattern that matches whatever a policy variable in it may become.
func withoutVariables(pattern string) string {
	if !strings.Contains(pattern, "${") {
		return pattern
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(pattern, "${")
		b.WriteString(before)
		variable, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			b.WriteString(rest)
			return b.String()
		}
		switch variable {
		case "*", "?": // themselves; a pattern has no other way to say so than any one character
			b.WriteByte('?')
		case "$":
			b.WriteByte('$')
		default:
			b.WriteByte('*')
		}
		pattern = after
	}
}

func nameOf(st *policy.Statement) string { return cmp.Or(st.Sid, index(st.Index)) }
