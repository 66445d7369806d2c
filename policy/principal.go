package policy

import (
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// reach is how much a resource policy's Allow gives to the principal that it matched.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html.
type reach uint8

const (
	nobody    reach = iota
	delegated       // to the account: its identity policies must allow as well
	limited         // to the role or the federating user: boundary and session policies must allow as well
	direct          // to this principal, whatever is missing elsewhere
)

// principal is a compiled Principal.
type principal struct {
	form  form
	value string // account for account
}

// form is the way in which a principal is named.
type form uint8

const (
	anybody form = iota
	account
	arn
	uniqueID // "AIDA…", "AROA…": what AWS keeps of a user or role
	service
	federated
	canonicalUser // of S3: names nobody here
)

// compilePrincipal reads one value; false if IAM would not take it.
func compilePrincipal(p Principal) (principal, bool) {
	switch p.Type {
	case "AWS":
		return compileAWS(p.Value)
	case "Service":
		return principal{service, strings.ToLower(p.Value)}, isHost(p.Value)
	case "Federated":
		return principal{federated, p.Value}, isHost(p.Value) || isProvider(p.Value)
	case "CanonicalUser":
		return principal{canonicalUser, p.Value}, p.Value != ""
	}
	return principal{}, false
}

func compileAWS(v string) (principal, bool) {
	if v == "*" {
		return principal{form: anybody}, true
	}
	if isAccount(v) {
		return principal{account, v}, true
	}
	if len(v) >= 16 && isUpperAlnum(v) {
		return principal{uniqueID, v}, strings.HasPrefix(v, "AIDA") || strings.HasPrefix(v, "AROA") ||
			strings.HasPrefix(v, "ANPA") || strings.HasPrefix(v, "AGPA")
	}
	a, err := aws.ParseARN(v)
	if err != nil || !isAccount(a.Account) || a.Region != "" || strings.ContainsAny(v, "*?") {
		return principal{}, false
	}
	kind, name, _ := strings.Cut(a.Resource, "/")
	switch {
	case a.Service == "iam" && a.Resource == "root":
		return principal{account, a.Account}, true
	case a.Service == "iam" && (kind == "user" || kind == "role") && name != "":
		return principal{arn, v}, true
	case a.Service == "sts" && kind == "assumed-role" && strings.Count(name, "/") == 1:
		return principal{arn, v}, true
	case a.Service == "sts" && kind == "federated-user" && name != "":
		return principal{arn, v}, true
	}
	return principal{}, false
}

// reach is what an Allow for this principal gives to who asks.
func (p principal) reach(who *aws.Principal) reach {
	switch p.form {
	case anybody:
		return direct
	case account:
		return p.accountReach(who)
	case arn:
		return p.arnReach(who)
	case uniqueID:
		return p.idReach(who)
	case service:
		if who.Type == aws.ServiceType && strings.EqualFold(p.value, who.Service) {
			return direct
		}
	case federated: // an identity that presents its token; the role session that it gets is AWS's own
		if s := who.Session; s != nil && who.Type != aws.AssumedRole && s.Provider != "" && s.Provider == p.value {
			return direct
		}
	}
	return nobody
}

func (p principal) accountReach(who *aws.Principal) reach {
	switch {
	case who.Account == "" || who.Account != p.value || who.Type == aws.ServiceType || who.Type == aws.Anonymous:
		return nobody
	case who.Type == aws.Root:
		return direct
	}
	return delegated
}

func (p principal) arnReach(who *aws.Principal) reach {
	switch {
	case who.Type == aws.ServiceType || who.Type == aws.Anonymous:
		return nobody
	case p.value == who.Arn:
		return direct
	case throughIssuer(who) && p.value == who.Session.Issuer:
		return limited
	}
	return nobody
}

func (p principal) idReach(who *aws.Principal) reach {
	switch {
	case who.Type == aws.ServiceType || who.Type == aws.Anonymous:
		return nobody
	case p.value == who.ID:
		return direct
	case throughIssuer(who) && p.value == who.Session.IssuerID:
		return limited
	}
	return nobody
}

// throughIssuer says that who acts with the rights of the role or user that its session came from.
func throughIssuer(who *aws.Principal) bool {
	return who.Session != nil && who.Session.Issuer != "" && (who.Type == aws.AssumedRole || who.Type == aws.Federated)
}

// ofName says that p means a user, a role or a session of it by its name, which another one may have had before.
func (p principal) ofName(who *aws.Principal) bool {
	return p.form == arn && !(who.Type == aws.Federated && p.value == who.Arn) // that name is anybody's to take
}

// reaches is the most that a statement's Principal or NotPrincipal gives to who asks; newcomer says that who has its name
// since the policy was set. A statement without either is one of a policy on the principal's own side.
func (s *Statement) reaches(who *aws.Principal, newcomer bool) reach {
	switch {
	case len(s.Principals) > 0:
		most := nobody
		for _, p := range s.principals {
			if newcomer && s.Effect == Allow && p.ofName(who) {
				continue
			}
			most = max(most, p.reach(who))
		}
		return most
	case len(s.NotPrincipals) > 0:
		return s.spares(who, newcomer)
	}
	return direct
}

// spares judges NotPrincipal. A Deny spares only those of whom it lists everything that they are: the account, the role or
// user, the session. An Allow leaves out those of whom it lists anything.
func (s *Statement) spares(who *aws.Principal, newcomer bool) reach {
	var listed reach
	accountListed := who.Account == "" || who.Type == aws.ServiceType || who.Type == aws.Anonymous
	selfListed, issuerListed := false, !throughIssuer(who)
	for _, p := range s.principals {
		if newcomer && s.Effect == Deny && p.ofName(who) {
			continue
		}
		r := p.reach(who)
		listed = max(listed, r)
		accountListed = accountListed || p.form == anybody || p.form == account && r != nobody
		selfListed = selfListed || r == direct
		issuerListed = issuerListed || p.form == anybody || r == limited
	}
	if s.Effect == Allow && listed == nobody || s.Effect == Deny && !(accountListed && selfListed && issuerListed) {
		return direct
	}
	return nobody
}

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

func isUpperAlnum(s string) bool {
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// isHost says whether s looks like a DNS name of two labels or more, perhaps with a path.
func isHost(s string) bool {
	host, _, _ := strings.Cut(s, "/")
	return strings.Contains(host, ".") && !strings.HasPrefix(host, ".") && !strings.HasSuffix(host, ".") &&
		strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-_") == ""
}

// isProvider says whether s is the ARN of an identity provider.
func isProvider(s string) bool {
	a, err := aws.ParseARN(s)
	return err == nil && a.Service == "iam" && isAccount(a.Account) &&
		(strings.HasPrefix(a.Resource, "saml-provider/") || strings.HasPrefix(a.Resource, "oidc-provider/"))
}
