package lambda

import (
	"context"
	"errors"

	"github.com/enfold-run/enfold/aws"
)

// Roles says whether Lambda may become an execution role: it is there and trusts lambda.amazonaws.com. function is the
// session's name. call is the client's, whose account and region the function is in.
type Roles interface {
	CanAssume(ctx context.Context, call *aws.Call, roleArn, function string) error
	// CanSend says whether the role may send to a queue, publish to a topic, or invoke a function. The error is an *aws.Error if it
	// may not.
	CanSend(ctx context.Context, call *aws.Call, roleArn, function, target string) error
}

// sends are what Lambda does with a place that is told how invocations end, as its refusals call it.
var sends = map[string]string{"sqs": "SendMessage on SQS", "sns": "Publish on SNS", "lambda": "Invoke on Lambda"}

// checkSends refuses a dead-letter target or destination that the role may not send to: what it is for would be lost.
func (s *Service) checkSends(ctx context.Context, r ref, role string, target *string) error {
	arn, err := aws.ParseARN(str(target))
	if err != nil || role == "" || sends[arn.Service] == "" { // there is none, or it is refused for what it is
		return nil
	}
	err = s.deps.Roles.CanSend(ctx, aws.CallFrom(ctx), role, r.name, *target)
	var denied *aws.Error
	if !errors.As(err, &denied) || ctx.Err() != nil {
		return err
	}
	refusal := invalid("The provided execution role does not have permissions to call %s", sends[arn.Service]).(*aws.Error)
	return refusal.Because(err)
}

// checkRole refuses a role that Lambda cannot assume, for whatever reason.
// See https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html.
func (s *Service) checkRole(ctx context.Context, r ref, role *string) error {
	if role == nil {
		return nil
	}
	err := s.deps.Roles.CanAssume(ctx, aws.CallFrom(ctx), *role, r.name)
	if err == nil || ctx.Err() != nil {
		return err
	}
	refusal := invalid("The role defined for the function cannot be assumed by Lambda.").(*aws.Error)
	return refusal.Because(err)
}
