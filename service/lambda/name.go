package lambda

import (
	"context"
	"fmt"
	"strings"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// latest is the qualifier and version of the unpublished version.
const latest = "$LATEST"

// maxName is the longest function name by itself, in bytes.
const maxName = 64

// functionPattern is what the service itself answers when a name does not fit; the published model's is older.
const functionPattern = `(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?`

// ref is whose function is meant, which, and by which qualifier the caller named it.
type ref struct {
	scope     store.Scope
	name      string
	qualifier string // version number, alias, "$LATEST", or empty if the caller did not qualify
}

// arn is the function's unqualified ARN.
func (r ref) arn() string { return functionArn(r.scope, r.name) }

// qualifiedArn is the ARN as the caller named the function.
func (r ref) qualifiedArn() string { return qualify(r.arn(), r.qualifier) }

// orLatest is the qualifier, or "$LATEST" which none stands for.
func (r ref) orLatest() string {
	if r.qualifier == "" {
		return latest
	}
	return r.qualifier
}

// unqualified is the ref without its qualifier.
func (r ref) unqualified() ref {
	r.qualifier = ""
	return r
}

func functionArn(s store.Scope, name string) string {
	return "arn:aws:lambda:" + s.Region + ":" + s.Account + ":function:" + name
}

func qualify(arn, qualifier string) string {
	if qualifier == "" {
		return arn
	}
	return arn + ":" + qualifier
}

// nameParts is a FunctionName parameter taken apart. Parts that were not given are empty.
type nameParts struct{ region, account, name, qualifier string }

// splitName takes a FunctionName parameter apart: a name, a partial or a full ARN, each with or without a qualifier. It
// accepts what functionPattern does.
func splitName(s string) (p nameParts, ok bool) {
	f, ok := api.ParseFunctionName(s)
	return nameParts{region: f.Region, account: f.Account, name: f.Name, qualifier: f.Qualifier}, ok
}

func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return s != ""
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func isAccount(s string) bool { return len(s) == 12 && isNumber(s) }

// isPartition accepts "", "aws" and "aws-…".
func isPartition(s string) bool {
	if s == "" {
		return true
	}
	rest, ok := strings.CutPrefix(s, "aws")
	for i := range len(rest) {
		if c := rest[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-') {
			return false
		}
	}
	return ok
}

// isRegion accepts "eu-west-1", "us-gov-east-1", "us-isob-east-1", "eusc-de-east-1".
func isRegion(s string) bool {
	s = strings.TrimPrefix(s, "eusc-")
	parts := strings.Split(s, "-")
	switch len(parts) {
	case 3:
	case 4:
		if m := parts[1]; m != "gov" && !(strings.HasPrefix(m, "iso") && len(m) <= 4 && isLower(m)) {
			return false
		}
	default:
		return false
	}
	area, number := parts[len(parts)-2], parts[len(parts)-1]
	return len(parts[0]) == 2 && isLower(parts[0]) && area != "" && isLower(area) && len(number) == 1 && isNumber(number)
}

func isLower(s string) bool {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return true
}

// parseRef is the function that a FunctionName and a Qualifier parameter mean, in the caller's account and region.
func parseRef(ctx context.Context, name, qualifier *string) (ref, error) {
	call := aws.CallFrom(ctx)
	s := store.Scope{Account: call.Account, Region: call.Region}
	given := str(name)
	p, ok := splitName(given)
	if !ok {
		return ref{}, mismatch(given, "functionName", functionPattern)
	}
	if p.account != "" && p.account != s.Account {
		return ref{}, otherAccount(call, p)
	}
	if p.region != "" && p.region != s.Region {
		return ref{}, api.ErrResourceNotFound.Withf("Functions from '%s' are not reachable in this region ('%s')", p.region, s.Region)
	}
	if q := str(qualifier); q != "" {
		if p.qualifier != "" && p.qualifier != q {
			return ref{}, api.ErrInvalidParameterValue.New("The derived qualifier from the function name does not match the specified qualifier.")
		}
		p.qualifier = q
	}
	return ref{scope: s, name: p.name, qualifier: p.qualifier}, nil
}

// otherAccount is the answer to a caller that names another account's function.
func otherAccount(call *aws.Call, p nameParts) error {
	if call.Op != nil && call.Op.Name == "CreateFunction" {
		return aws.ErrAccessDenied.New("") // recorded from AWS: without a message
	}
	action := "lambda:InvokeFunction"
	if call.Op != nil && call.Op.Action != "" {
		action = call.Op.Action
	}
	region := p.region
	if region == "" {
		region = call.Region
	}
	arn := qualify(functionArn(store.Scope{Account: p.account, Region: region}, p.name), p.qualifier)
	return denied(call, action, arn)
}

// denied is IAM's answer to a caller from another account.
func denied(call *aws.Call, action, arn string) error {
	who := "anonymous"
	if call.Principal != nil && call.Principal.Arn != "" {
		who = call.Principal.Arn
	}
	return aws.ErrAccessDenied.Withf("User: %s is not authorized to perform: %s on resource: %s because no resource-based policy allows the %s action",
		who, action, arn, action)
}

// mismatch is the framework's answer to a value that does not match its pattern.
func mismatch(value, member, pattern string) error {
	return aws.ErrValidation.Withf(
		"1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: %s",
		value, member, pattern)
}

// invalid is InvalidParameterValueException.
func invalid(format string, args ...any) error {
	return api.ErrInvalidParameterValue.New(fmt.Sprintf(format, args...))
}

// notFound says that the function, version or alias is not there, by the ARN that the caller asked for.
func notFound(arn string) error {
	return api.ErrResourceNotFound.Withf("Function not found: %s", arn)
}

func str(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}
