package policy

import (
	"fmt"
	"strings"
)

// SyntaxError is what is wrong with a policy, in AWS's words: the message of MalformedPolicyDocument.
type SyntaxError struct {
	Message string
}

func (e *SyntaxError) Error() string { return e.Message }

// The sentences that do not name what they are about.
const (
	sayInvalidJSON    = "This policy contains invalid Json"
	saySyntax         = "Syntax errors in policy."
	saySyntaxTrust    = "Syntax error in policy."
	sayControl        = "The provided policy document does not meet the requirements of the specified policy type."
	sayVersion        = "Policy document must be version 2012-10-17 or greater."
	sayVersionTrust   = "The policy must contain a valid version string"
	sayNoStatements   = "Could not parse the policy: Statement is empty!"
	sayLegacy         = "The policy failed legacy parsing"
	saySids           = "Statement IDs (SID) in a single policy must be unique."
	saySidsTrust      = "The Statement Ids in the policy are not unique"
	sayPrincipal      = "Policy document should not specify a principal."
	sayNoActions      = "Policy statement must contain actions."
	sayNoResources    = "Policy statement must contain resources."
	sayVendor         = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
	sayColons         = "Actions/Condition can contain only one colon."
	sayResourceVendor = "Resource vendor must be fully qualified and cannot contain regexes."
	sayNoPrincipals   = "Missing required field Principal cannot be empty!"
	sayAllowNot       = "Allow with NotPrincipal is not allowed."
	sayTrustNot       = "AssumeRole policy must not contain NotPrincipal field."
	sayTrustAction    = "AssumeRole policy may only specify STS AssumeRole actions."
	sayTrustNotRes    = "AssumeRole policy must not contain resources."
	sayCognito        = "A condition block must be present for the Cognito provider"
	sayFederated      = "Federated principals must be valid domain names or SAML metadata ARNs"
)

func wrong(format string, args ...any) *SyntaxError {
	if len(args) == 0 {
		return &SyntaxError{Message: format}
	}
	return &SyntaxError{Message: fmt.Sprintf(format, args...)}
}

// Parse checks the grammar and compiles. The error is a *SyntaxError. A text may have 1 MiB, 1,000 statements and no name twice
// in an object; the lengths that AWS allows are less, depend on where a policy goes, and are for the services to check.
//
// Parse does not know which principals, actions and resources exist.
func Parse(text []byte, k Kind) (*Policy, error) {
	p, err := parse(text, k)
	switch {
	case err == nil:
		return p, nil
	case k == KindControl:
		return nil, wrong(sayControl)
	}
	return nil, err
}

// parse returns a *SyntaxError as such, for the nil of it to be one.
func parse(text []byte, k Kind) (*Policy, *SyntaxError) {
	if len(text) > maxText {
		return nil, wrong("Policy document is longer than %d bytes.", maxText)
	}
	n, err := readJSON(text)
	if err != nil {
		if k.namesPrincipals() {
			return nil, wrong(sayInvalidJSON)
		}
		return nil, wrong(saySyntax)
	}
	top, ok := n.(*object)
	if !ok {
		return nil, k.syntax()
	}
	d := &document{kind: k, top: top}
	if e := d.read(); e != nil {
		return nil, e
	}
	if e := d.check(); e != nil {
		return nil, e
	}
	return d.compile(), nil
}

// namesPrincipals says whether statements must have a Principal.
func (k Kind) namesPrincipals() bool {
	return k == KindTrust || k == KindResource || k == KindRepository
}

// syntax is the error that tells nothing.
func (k Kind) syntax() *SyntaxError {
	if k.namesPrincipals() {
		return wrong(saySyntaxTrust)
	}
	return wrong(saySyntax)
}

// document is a policy on its way from JSON to a Policy.
type document struct {
	kind       Kind
	top        *object
	id         string
	version    string // empty if there is none
	statements []*Statement
	given      []map[string]bool // the elements of each statement
}

// read takes the elements and their types.
func (d *document) read() *SyntaxError {
	for _, name := range d.top.names {
		switch name {
		case "Version", "Id", "Statement":
		default:
			return d.kind.syntax()
		}
	}
	if v, is := d.top.get("Version"); is {
		d.version, _ = v.(string)
		if d.version != VersionOld && d.version != VersionCurrent {
			if d.kind.namesPrincipals() {
				return wrong(sayVersionTrust)
			}
			return wrong(saySyntax)
		}
	}
	if v, is := d.top.get("Id"); is {
		if d.id, is = v.(string); !is {
			return d.kind.syntax()
		}
	}
	v, _ := d.top.get("Statement")
	list, isList := v.([]node)
	if !isList {
		list = []node{v}
	}
	if len(list) == 0 || v == nil {
		if d.kind.namesPrincipals() {
			return wrong(sayNoStatements)
		}
		return wrong(saySyntax)
	}
	if len(list) > maxStatements {
		return d.kind.syntax()
	}
	for i, item := range list {
		if err := d.readStatement(i, item); err != nil {
			return err
		}
	}
	return nil
}

// readStatement takes one statement.
func (d *document) readStatement(index int, n node) *SyntaxError {
	o, ok := n.(*object)
	if !ok {
		return d.kind.syntax()
	}
	s, given := &Statement{Index: index}, map[string]bool{}
	d.statements, d.given = append(d.statements, s), append(d.given, given)
	for _, name := range o.names {
		given[name] = true
		if err := d.readElement(s, name, o.values[name]); err != nil {
			return err
		}
	}
	if given["Action"] && given["NotAction"] || given["Resource"] && given["NotResource"] ||
		given["Principal"] && given["NotPrincipal"] {
		return d.kind.syntax()
	}
	if given["Effect"] {
		return nil
	}
	if d.kind.namesPrincipals() {
		return wrong("Missing required field Effect")
	}
	return wrong(saySyntax)
}

func (d *document) readElement(s *Statement, name string, v node) *SyntaxError {
	ok := true
	switch name {
	case "Sid":
		s.Sid, ok = v.(string)
	case "Effect":
		return d.readEffect(s, v)
	case "Action":
		s.Actions, ok = texts(v)
	case "NotAction":
		s.NotActions, ok = texts(v)
	case "Resource":
		s.Resources, ok = texts(v)
	case "NotResource":
		s.NotResources, ok = texts(v)
	case "Principal":
		return d.readPrincipals(&s.Principals, v)
	case "NotPrincipal":
		return d.readPrincipals(&s.NotPrincipals, v)
	case "Condition":
		s.Conditions, ok = conditions(v)
	default:
		ok = false
	}
	if !ok {
		return d.kind.syntax()
	}
	return nil
}

func (d *document) readEffect(s *Statement, v node) *SyntaxError {
	text, ok := v.(string)
	s.Effect = Effect(text)
	switch {
	case !ok:
		return d.kind.syntax()
	case s.Effect == Allow || s.Effect == Deny:
		return nil
	case d.kind.namesPrincipals():
		return wrong("Invalid effect: %s", clip(text))
	case strings.EqualFold(text, string(Allow)) || strings.EqualFold(text, string(Deny)):
		return nil // check says so later, as AWS does
	}
	return wrong(saySyntax)
}

// readPrincipals takes "*" or an object of types and values.
func (d *document) readPrincipals(list *[]Principal, v node) *SyntaxError {
	if !d.kind.namesPrincipals() {
		if d.kind == KindSession {
			return wrong("Has prohibited field Principal")
		}
		return wrong(sayPrincipal)
	}
	if text, is := v.(string); is {
		if text != "*" {
			return wrong("Invalid principal in policy.")
		}
		*list = []Principal{{Type: "AWS", Value: "*"}}
		return nil
	}
	o, ok := v.(*object)
	if !ok {
		return d.kind.syntax()
	}
	for _, kind := range o.names {
		values, ok := texts(o.values[kind])
		if !ok {
			return d.kind.syntax()
		}
		for _, value := range values {
			*list = append(*list, Principal{Type: kind, Value: value})
		}
	}
	if len(*list) == 0 {
		return wrong(sayNoPrincipals)
	}
	return nil
}

// conditions takes a Condition element: operators of keys of values.
func conditions(v node) (list []*Condition, ok bool) {
	operators, ok := v.(*object)
	if !ok {
		return nil, false
	}
	for _, name := range operators.names {
		keys, ok := operators.values[name].(*object)
		if !ok {
			return nil, false
		}
		for _, key := range keys.names {
			values, ok := scalars(keys.values[key])
			if !ok {
				return nil, false
			}
			op, ok := parseOperator(name)
			if !ok {
				return nil, false
			}
			list = append(list, &Condition{Operator: name, Key: key, Values: values, key: canonical(key), test: op})
		}
	}
	return list, true
}

// clip shortens a text that a message quotes.
func clip(s string) string {
	const most = 512
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
