package accessanalyzer

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/enfold-run/enfold/policy"
)

// Public are the statements of a resource or trust policy that let everybody in.
func Public(p *policy.Policy) []*policy.Statement {
	return slices.DeleteFunc(slices.Clone(p.Statements()), func(st *policy.Statement) bool { return !isPublic(st) })
}

// isPublic says that a statement allows something to everybody and no condition narrows whom.
func isPublic(st *policy.Statement) bool {
	if st.Effect != policy.Allow || !st.Public() {
		return false
	}
	return !restricts(st, narrowing...)
}

// narrowing are the condition keys that say who calls, or from where. What a caller may choose is not among them.
var narrowing = []string{
	"aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:sourceaccount", "aws:sourcearn",
	"aws:sourceip", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourcevpc", "aws:sourcevpce", "aws:userid", "aws:username",
	"aws:vpcsourceip", "kms:calleraccount", "sts:externalid",
	"token.actions.githubusercontent.com:sub", "cognito-identity.amazonaws.com:aud",
}

// restricts says that a condition of the statement wants one of the keys, in lower case, to have values that not everybody has.
func restricts(st *policy.Statement, keys ...string) bool {
	return slices.ContainsFunc(st.Conditions, func(c *policy.Condition) bool {
		return slices.Contains(keys, strings.ToLower(c.Key)) && narrows(c)
	})
}

// narrows says that a condition fails for most requests: it is positive, fails without the key, and has no value that matches
// everything.
func narrows(c *policy.Condition) bool {
	op := strings.ToLower(c.Operator)
	if strings.HasSuffix(op, "ifexists") || strings.HasPrefix(op, "forallvalues:") {
		return false
	}
	op = strings.TrimPrefix(op, "foranyvalue:")
	var open func(string) bool // a value that everybody matches
	switch op {
	case "stringequals", "stringequalsignorecase":
		open = func(v string) bool { return strings.HasPrefix(v, "${") }
	case "stringlike", "arnlike", "arnequals":
		open = func(v string) bool {
			return strings.HasPrefix(v, "${") || strings.Trim(v, "*?:") == "" || anyAccount(c.Key, v)
		}
	case "ipaddress":
		open = wholeInternet
	default:
		return false
	}
	return len(c.Values) > 0 && !slices.ContainsFunc(c.Values, open)
}

// anyAccount says that an ARN pattern leaves the account open. The ARN of an S3 bucket has none, and is one bucket's.
func anyAccount(key, v string) bool {
	if !strings.HasSuffix(strings.ToLower(key), "arn") {
		return false
	}
	parts := strings.SplitN(v, ":", 6)
	if len(parts) < 6 {
		return true
	}
	if parts[4] == "" {
		return strings.HasPrefix(parts[5], "*")
	}
	return strings.ContainsAny(parts[4], "*?")
}

// wholeInternet says that a range has every address, or so many that it says nothing.
func wholeInternet(v string) bool {
	p, err := netip.ParsePrefix(v)
	return err == nil && p.Bits() < 8
}
