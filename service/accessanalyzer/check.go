package accessanalyzer

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
)

// Severity is the type of a finding.
type Severity string

// The types of findings, the worst first.
const (
	Error           Severity = "ERROR"
	SecurityWarning Severity = "SECURITY_WARNING"
	Warning         Severity = "WARNING"
	Suggestion      Severity = "SUGGESTION"
)

// Finding is something that is wrong with a policy.
type Finding struct {
	Severity  Severity
	Code      string // "PASS_ROLE_WITH_STAR_IN_RESOURCE"
	Details   string
	Statement string // Sid or "[0]"; empty if it is about the whole policy
	Path      []any  // into the document: member names and indexes; empty for the whole
}

// Subject is a policy to check.
type Subject struct {
	Text    string
	Kind    policy.Kind // KindIdentity, KindManaged, KindResource, KindTrust or KindControl
	Account string      // whose policy it is, 12 digits; empty if that is not known
}

// Check says what is wrong with a policy, by statement. A policy that cannot be parsed has one finding, an Error.
func Check(s Subject) []Finding {
	p, err := policy.Parse([]byte(s.Text), s.Kind)
	if err != nil {
		message := err.Error()
		if syntax := (*policy.SyntaxError)(nil); errors.As(err, &syntax) {
			message = syntax.Message
		}
		return []Finding{{Severity: Error, Code: "SYNTAX_ERROR", Details: message}}
	}
	c := &checker{subject: s, policy: p}
	if p.Version == policy.VersionOld {
		c.add(nil, Finding{
			Severity: Warning, Code: "MISSING_VERSION",
			Details: "The policy has no Version 2012-10-17: policy variables in it are plain text.",
		})
	}
	for _, st := range p.Statements() {
		c.statement(st)
	}
	if s.Kind == policy.KindIdentity || s.Kind == policy.KindManaged {
		c.escalation()
	}
	return c.found
}

// checker gathers the findings of one policy.
type checker struct {
	subject Subject
	policy  *policy.Policy
	found   []Finding
}

// add adds a finding about a member of a statement, or about the whole policy.
func (c *checker) add(st *policy.Statement, f Finding) {
	if st != nil {
		f.Statement = nameOf(st)
		f.Path = append([]any{"Statement", st.Index}, f.Path...)
	}
	c.found = append(c.found, f)
}

func (c *checker) statement(st *policy.Statement) {
	if st.Effect != policy.Allow {
		return
	}
	if c.subject.Kind == policy.KindControl {
		return // a service control policy grants nothing
	}
	c.wildcards(st)
	c.principals(st)
}

// wildcards warns of actions and resources that mean everything.
func (c *checker) wildcards(st *policy.Statement) {
	if len(st.NotActions) > 0 {
		c.add(st, Finding{
			Severity: SecurityWarning, Code: "ALLOW_WITH_NOT_ACTION", Path: []any{"NotAction"},
			Details: "Allow with NotAction allows every action but the listed ones, those of services to come included. List the actions.",
		})
	}
	if len(st.NotResources) > 0 {
		c.add(st, Finding{
			Severity: SecurityWarning, Code: "ALLOW_WITH_NOT_RESOURCE", Path: []any{"NotResource"},
			Details: "Allow with NotResource allows every resource but the listed ones. List the resources.",
		})
	}
	wild := false
	for i, a := range st.Actions {
		service, name, _ := strings.Cut(a, ":")
		switch {
		case strings.Trim(a, "*") == "":
			wild = true
			c.add(st, Finding{
				Severity: SecurityWarning, Code: "ALL_ACTIONS", Path: []any{"Action", i},
				Details: `The action "*" allows every action of every service.`,
			})
		case strings.Trim(name, "*") == "":
			c.add(st, Finding{
				Severity: SecurityWarning, Code: "ALL_ACTIONS_OF_SERVICE", Path: []any{"Action", i},
				Details: fmt.Sprintf("%q allows every action of %s, those that grant permissions or delete included.", a, service),
			})
		case strings.Contains(name, "*"):
			c.add(st, Finding{
				Severity: Suggestion, Code: "WILDCARD_ACTION", Path: []any{"Action", i},
				Details: fmt.Sprintf("%q also allows actions of that name that are yet to come.", a),
			})
		}
	}
	for i, r := range st.Resources {
		if strings.Trim(r, "*") != "" {
			continue
		}
		if matchesAction(st, passRole) {
			code := "PASS_ROLE_WITH_STAR_IN_RESOURCE"
			if !slices.ContainsFunc(st.Actions, func(a string) bool { return strings.EqualFold(a, passRole) }) {
				code = "PASS_ROLE_WITH_STAR_IN_ACTION_AND_RESOURCE"
			}
			c.add(st, Finding{
				Severity: SecurityWarning, Code: code, Path: []any{"Resource", i},
				Details: "iam:PassRole on every resource passes any role, the most powerful ones included. Name the roles.",
			})
		} else if c.identity() && len(st.Conditions) == 0 && (wild || slices.ContainsFunc(st.Actions, hasResources)) {
			c.add(st, Finding{
				Severity: Warning, Code: "ALL_RESOURCES", Path: []any{"Resource", i},
				Details: `The resource "*" allows the actions on every resource. Name the resources, or add a condition.`,
			})
		}
	}
}

func (c *checker) identity() bool {
	return c.subject.Kind == policy.KindIdentity || c.subject.Kind == policy.KindManaged
}

// hasResources guesses whether an action works on resources that a policy can name: what lists and describes often does not.
func hasResources(action string) bool {
	_, name, _ := strings.Cut(action, ":")
	for _, p := range []string{"List", "Describe"} {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	return !slices.Contains([]string{"GetCallerIdentity", "GetAccountSettings", "GetSessionToken", "GenerateRandom", "CreateKey", "LookupEvents"}, name)
}

// principals warns of who is let in by a resource or trust policy.
func (c *checker) principals(st *policy.Statement) {
	if isPublic(st) {
		c.add(st, Finding{
			Severity: SecurityWarning, Code: "PUBLIC_PRINCIPAL", Path: []any{"Principal"},
			Details: `The principal "*" lets in everybody, and no condition says whom. Name principals, or add aws:PrincipalOrgID, aws:SourceAccount or the like.`,
		})
	}
	for _, p := range st.Principals {
		switch p.Type {
		case "Service":
			c.servicePrincipal(st, p.Value)
		case "AWS":
			c.foreign(st, p.Value)
		}
	}
}

func (c *checker) servicePrincipal(st *policy.Statement, service string) {
	if restricts(st, "aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:sourceorgpaths") {
		return
	}
	f := Finding{
		Severity: SecurityWarning, Code: "RESTRICT_ACCESS_TO_SERVICE_PRINCIPAL", Path: []any{"Principal", "Service"},
		Details: "Granting access to " + service + " without a source lets it act here for anybody. " +
			"Add a condition on aws:SourceArn, aws:SourceAccount, aws:SourceOrgID or aws:SourceOrgPaths.",
	}
	if c.subject.Kind == policy.KindTrust {
		f.Severity = Suggestion // who may hand the role to a service is iam:PassRole's to say, in the role's own account
	}
	c.add(st, f)
}

// foreign warns of a trust policy that lets another account in without an external id.
func (c *checker) foreign(st *policy.Statement, principal string) {
	if c.subject.Kind != policy.KindTrust || c.subject.Account == "" || principal == "*" || !matchesAction(st, "sts:AssumeRole") {
		return
	}
	account := principal
	if arn, err := aws.ParseARN(principal); err == nil {
		account = arn.Account
	}
	if len(account) != 12 || account == c.subject.Account || restricts(st, "sts:externalid", "aws:principalorgid", "aws:principalorgpaths") {
		return
	}
	c.add(st, Finding{
		Severity: SecurityWarning, Code: "TRUST_WITHOUT_EXTERNAL_ID", Path: []any{"Principal", "AWS"},
		Details: "Account " + account + " may assume the role for anybody whom it serves. Add a condition on sts:ExternalId, or on aws:PrincipalOrgID within an organization.",
	})
}

// matchesAction says whether a statement is about an action, its conditions aside.
func matchesAction(st *policy.Statement, action string) bool {
	return slices.ContainsFunc(termsOf(st.Actions, st.NotActions, true), func(t term) bool { return t.has(action) })
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }
