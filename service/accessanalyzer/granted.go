package accessanalyzer

import (
	"slices"
	"strings"

	"github.com/enfold-run/enfold/policy"
)

// Grants are the statements that allow one of the actions on one of the resources, patterns of both included: what a request
// could use. No actions are all of them, no resources likewise. Conditions are taken to hold. A Deny counts if it has no
// condition and covers what the Allow would give.
func Grants(p *policy.Policy, actions, resources []string) []*policy.Statement {
	if len(actions) == 0 {
		actions = []string{everything}
	}
	if len(resources) == 0 {
		resources = []string{everything}
	}
	return slices.DeleteFunc(slices.Clone(p.Statements()), func(st *policy.Statement) bool {
		if st.Effect != policy.Allow {
			return true
		}
		for _, a := range actions {
			for _, r := range resources {
				if overlaps(st.Actions, st.NotActions, strings.ToLower(a), strings.ToLower) &&
					overlaps(st.Resources, st.NotResources, r, withoutVariables) && !denied(p, a, r) {
					return false
				}
			}
		}
		return true
	})
}

// overlaps says that something is matched both by the pattern and by the statement's patterns, each in a form that is compared.
func overlaps(yes, no []string, pattern string, form func(string) string) bool {
	if len(no) > 0 {
		return !slices.ContainsFunc(no, func(p string) bool { return !strings.Contains(p, "${") && covers(form(p), pattern) })
	}
	return len(yes) == 0 || slices.ContainsFunc(yes, func(p string) bool { return intersect(form(p), pattern) })
}

// denied says that the policy denies all that the patterns match, whatever the request.
func denied(p *policy.Policy, action, resource string) bool {
	return slices.ContainsFunc(p.Statements(), func(st *policy.Statement) bool {
		return st.Effect == policy.Deny && len(st.Conditions) == 0 && len(st.NotPrincipals) == 0 && (len(st.Principals) == 0 || everybody(st)) &&
			slices.ContainsFunc(st.Actions, func(a string) bool { return covers(strings.ToLower(a), strings.ToLower(action)) }) &&
			slices.ContainsFunc(st.Resources, func(r string) bool { return !strings.Contains(r, "${") && covers(r, resource) })
	})
}

func everybody(st *policy.Statement) bool {
	return slices.ContainsFunc(st.Principals, func(p policy.Principal) bool { return p.Type == "AWS" && p.Value == "*" })
}

// covers says for sure that all that is matched by the narrow pattern is matched by the wide one. It may say no where that is
// so: a "?" in wide is never taken for the "*" of narrow.
func covers(wide, narrow string) bool {
	return !strings.Contains(wide, "?") && policy.Matches(wide, narrow)
}

// intersect says whether some text matches both patterns, in time linear in the product of their lengths.
func intersect(a, b string) bool {
	row := make([]bool, len(b)+1) // row[j]: a[i:] and b[j:] have a text in common
	next := make([]bool, len(b)+1)
	for i := len(a); i >= 0; i-- {
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				row[j] = true
			case i < len(a) && a[i] == '*':
				row[j] = next[j] || j < len(b) && row[j+1]
			case j < len(b) && b[j] == '*':
				row[j] = row[j+1] || i < len(a) && next[j]
			default:
				row[j] = i < len(a) && j < len(b) && (a[i] == b[j] || a[i] == '?' || b[j] == '?') && next[j+1]
			}
		}
		row, next = next, row
	}
	return next[0]
}
