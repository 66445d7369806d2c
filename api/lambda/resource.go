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

// ParseFunctionName splits a FunctionName parameter. It never fails: what is not a (partial) ARN is a name, and whether
// that is well formed is for the constraints to say.
func ParseFunctionName(s string) FunctionName {
	var f FunctionName
	rest := s
	if strings.HasPrefix(s, "arn:") {
		p := strings.SplitN(s, ":", 6)
		if len(p) != 6 {
			return FunctionName{Name: s}
		}
		f.Region, f.Account, rest = p[3], p[4], p[5]
	} else if account, tail, ok := strings.Cut(s, ":function:"); ok {
		if i := strings.LastIndexByte(account, ':'); i >= 0 {
			f.Region, account = account[:i], account[i+1:]
		}
		f.Account, rest = account, tail
	}
	rest = strings.TrimPrefix(rest, "function:")
	f.Name, f.Qualifier, _ = strings.Cut(rest, ":")
	return f
}

// functionARN is the ARN that a call on a function is authorized on, qualified if the call names a version or an alias.
func functionARN(call *aws.Call, name *string, qualifier ...*string) ([]string, error) {
	if name == nil {
		return []string{aws.NewARN("lambda", call.Region, call.Account, "function:").String()}, nil
	}
	f := ParseFunctionName(*name)
	for _, q := range qualifier {
		if q != nil && *q != "" {
			f.Qualifier = *q
		}
	}
	return []string{f.arn(call.Region, call.Account)}, nil
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
