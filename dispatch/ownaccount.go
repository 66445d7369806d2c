package dispatch

import (
	"context"
	"reflect"
	"regexp"
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// OwnAccount is the Authorizer of an Enfold without policies. Three rules, the first that fits:
//
//   - An op that needs no permission (sts:GetCallerIdentity) is for everybody.
//   - The root user of an account may do everything in this account, and nothing in another.
//   - An AWS service may act in the account that it acts for: services inside Enfold call each other in the account whose
//     work they do, as lambda.amazonaws.com writes the logs of an account's functions. Only code inside Enfold can be such
//     a principal: no signature makes one.
//
// Everybody else is refused.
type OwnAccount struct{}

// Authorize implements Authorizer.
func (OwnAccount) Authorize(ctx context.Context, call *aws.Call, impl any) error {
	p := call.Principal
	if p == nil {
		p = &aws.Principal{Type: aws.Anonymous, Arn: "anonymous"}
	}
	switch {
	case call.Op.NoAuth:
		return nil
	case p.Type == aws.Root && p.Account != "" && p.Account == call.Account:
		return nil
	case p.Type == aws.ServiceType && strings.HasSuffix(p.Service, ".amazonaws.com") && call.Account != "" &&
		(call.SourceAccount == "" || call.SourceAccount == call.Account):
		return nil
	}
	return aws.ErrAccessDenied.Withf("User: %s is not authorized to perform: %s on resource: %s because no identity-based "+
		"policy allows the %s action", p.Arn, call.Op.Action, resource(ctx, call, impl), call.Op.Action)
}

var variable = regexp.MustCompile(`\$\{\w+\}`)

// resource is the ARN that the call acts on, as far as the op, the call and its input tell; "*" stands for the rest. It is
// for the refusal's text alone.
func resource(ctx context.Context, call *aws.Call, impl any) string {
	if call.Op.Resources != nil {
		if arns, err := call.Op.Resources(ctx, impl, call.Input); err == nil && len(arns) > 0 {
			return arns[0]
		}
		return "*"
	}
	in := reflect.Indirect(reflect.ValueOf(call.Input))
	return variable.ReplaceAllStringFunc(call.Op.Resource, func(v string) string {
		switch name := v[2 : len(v)-1]; name {
		case "Partition":
			return "aws"
		case "Region":
			return call.Region
		case "Account":
			return call.Account
		default:
			return member(in, name)
		}
	})
}

// member is a string member of an input, "*" if it has none or the member is an ARN, which is no part of another.
func member(in reflect.Value, name string) string {
	if in.Kind() != reflect.Struct || !in.FieldByName(name).IsValid() {
		return "*"
	}
	s, ok := reflect.TypeAssert[*string](in.FieldByName(name))
	if !ok || s == nil || strings.HasPrefix(*s, "arn:") {
		return "*"
	}
	return *s
}
