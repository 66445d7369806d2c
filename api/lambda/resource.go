package lambda

import (
	"strconv"
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// FunctionName is a FunctionName parameter in its parts. AWS takes a name ("f"), a partial ARN
// ("123456789012:function:f") or an ARN, each with an optional ":qualifier".
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html.
type FunctionName struct {
	Name      string
	Qualifier string // empty if there is none
	Region    string // empty unless the parameter is an ARN
	Account   string // empty unless the parameter is an ARN or a partial one
}

// ParseFunctionName splits a FunctionName parameter: [arn:PARTITION:lambda:][REGION:][ACCOUNT:][function:]NAME[:QUALIFIER].
// ok says that it is one. It is the one place that tells whose function a name means: what a call is authorized on and what
// it acts on must not differ.
func ParseFunctionName(s string) (f FunctionName, ok bool) {
	rest, isARN := strings.CutPrefix(s, "arn:")
	if isARN {
		partition, after, found := strings.Cut(rest, ":")
		if !found || !isPartition(partition) {
			return parsePlain(s) // "arn" may still be a function's name: "arn:alias"
		}
		after, found = strings.CutPrefix(after, "lambda:")
		if !found {
			return parsePlain(s)
		}
		rest = after
	}
	if head, after, found := strings.Cut(rest, ":"); found && isRegion(head) {
		if f, ok := parseTail(after); ok {
			f.Region = head
			return f, true
		}
	}
	return parseTail(rest)
}

// parseTail splits what follows the region: [ACCOUNT:][function:]NAME[:QUALIFIER].
func parseTail(s string) (FunctionName, bool) {
	if head, after, found := strings.Cut(s, ":"); found && isAccount(head) {
		if after, found := strings.CutPrefix(after, "function:"); found {
			if f, ok := parsePlain(after); ok {
				f.Account = head
				return f, true
			}
		}
		if f, ok := parsePlain(after); ok {
			f.Account = head
			return f, true
		}
	}
	if after, found := strings.CutPrefix(s, "function:"); found {
		if f, ok := parsePlain(after); ok {
			return f, true
		}
	}
	return parsePlain(s)
}

// parsePlain splits NAME[:QUALIFIER].
func parsePlain(s string) (FunctionName, bool) {
	name, qualifier, qualified := strings.Cut(s, ":")
	if !isName(name) || qualified && !isName(qualifier) && qualifier != "$LATEST" {
		return FunctionName{}, false
	}
	return FunctionName{Name: name, Qualifier: qualifier}, true
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

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// isPartition accepts "", "aws" and "aws-…".
func isPartition(s string) bool {
	rest, ok := strings.CutPrefix(s, "aws")
	return s == "" || ok && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == ""
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
	return len(parts[0]) == 2 && isLower(parts[0]) && isLower(area) && len(number) == 1 && number[0] >= '0' && number[0] <= '9'
}

func isLower(s string) bool { return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == "" }

// functionARN is the ARN that a call on a function is authorized on, qualified if the op takes a qualifier and the call has
// one. An op that takes none acts on the whole function, whatever the name ends with.
func functionARN(call *aws.Call, name *string, qualifier ...*string) ([]string, error) {
	f := functionName(name)
	if len(qualifier) == 0 {
		f.Qualifier = ""
	}
	for _, q := range qualifier {
		if q != nil && *q != "" {
			f.Qualifier = *q
		}
	}
	return []string{f.arn(call.Region, call.Account)}, nil
}

// newFunctionARN is functionARN for a function that is to be. Nobody makes one in another account, and AWS was recorded to
// say so without a message.
func newFunctionARN(call *aws.Call, name *string) ([]string, error) {
	f := functionName(name)
	if f.Account != "" && f.Account != call.Account {
		return nil, aws.ErrAccessDenied.New("")
	}
	return functionARN(call, name)
}

// functionName is a FunctionName parameter in its parts; what is none is taken for a name, for the constraints to refuse.
func functionName(name *string) FunctionName {
	if name == nil {
		return FunctionName{}
	}
	f, ok := ParseFunctionName(*name)
	if !ok {
		return FunctionName{Name: *name}
	}
	return f
}

// arn is the function's ARN; region and account stand in for what the name does not say.
func (f FunctionName) arn(region, account string) string {
	resource := "function:" + f.Name
	if f.Qualifier != "" {
		resource += ":" + f.Qualifier
	}
	return aws.NewARN("lambda", orElse(f.Region, region), orElse(f.Account, account), resource).String()
}

// layerARN is the ARN of a layer that is given by its name or its ARN.
func layerARN(call *aws.Call, name *string) ([]string, error) {
	return []string{layer(call, name)}, nil
}

// layerVersionARN is the ARN of one version of a layer.
func layerVersionARN(call *aws.Call, name *string, version *int64) ([]string, error) {
	arn := layer(call, name)
	if version != nil {
		arn += ":" + strconv.FormatInt(*version, 10)
	}
	return []string{arn}, nil
}

func layer(call *aws.Call, name *string) string {
	if name == nil {
		return aws.NewARN("lambda", call.Region, call.Account, "layer:").String()
	}
	if strings.HasPrefix(*name, "arn:") {
		return *name
	}
	return aws.NewARN("lambda", call.Region, call.Account, "layer:"+*name).String()
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
