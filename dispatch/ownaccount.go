package dispatch

import (
	"context"
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
	p := principalOf(call)
	switch {
	case call.Op.NoAuth:
		return nil
	case p.Type == aws.Root && p.Account != "" && p.Account == call.Account:
		return nil
	case p.Type == aws.ServiceType && strings.HasSuffix(p.Service, ".amazonaws.com") && call.Account != "" &&
		(call.SourceAccount == "" || call.SourceAccount == call.Account):
		return nil
	}
	arn := everything // for the refusal's text alone
	if arns, err := new(templates).resources(ctx, call, impl); err == nil {
		arn = arns[0]
	}
	return aws.ErrAccessDenied.Withf("User: %s is not authorized to perform: %s on resource: %s because no identity-based "+
		"policy allows the %s action", p.Arn, call.Op.Action, arn, call.Op.Action)
}

// principalOf is who calls, never nil: who did not sign is anonymous.
func principalOf(call *aws.Call) *aws.Principal {
	if call.Principal == nil {
		return &aws.Principal{Type: aws.Anonymous, Arn: "anonymous"}
	}
	return call.Principal
}
