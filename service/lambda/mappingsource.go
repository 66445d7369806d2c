package lambda

import (
	"context"
	"errors"
	"slices"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/store"
)

// source finds what polls an ARN.
func (s *Service) source(arn *string) (event.Source, aws.ARN, error) {
	parsed, err := aws.ParseARN(str(arn))
	if err != nil {
		return nil, parsed, invalid("Unrecognized event source.")
	}
	switch source := s.deps.Sources[parsed.Service]; {
	case source != nil:
		return source, parsed, nil
	case slices.Contains([]string{"kinesis", "dynamodb", "kafka", "mq", "rds"}, parsed.Service):
		return nil, parsed, invalid("Event sources of %s are not served by Enfold yet.", parsed.Service)
	}
	return nil, parsed, invalid("Unrecognized event source.")
}

// checkSource asks the place, as the function's role, whether it can be polled.
func (s *Service) checkSource(ctx context.Context, r ref, source event.Source, arn aws.ARN) error {
	c, err := s.configOf(ctx, r)
	if err != nil {
		return err
	}
	place, err := s.place(ctx, r, arn, c.Role)
	if err != nil {
		return err
	}
	lease, err := source.Check(ctx, place)
	var refused event.Refusal
	switch timeout := time.Duration(c.Timeout) * time.Second; {
	case errors.As(err, &refused):
		return invalid("%s", refused)
	case err != nil:
		return err
	case lease < timeout:
		return invalid("Queue visibility timeout: %d seconds is less than Function timeout: %d seconds", int(lease.Seconds()), c.Timeout)
	}
	return nil
}

// configOf is the configuration that a ref runs with.
func (s *Service) configOf(ctx context.Context, r ref) (*config, error) {
	var v *version
	err := s.deps.Store.View(ctx, func(tx store.Tx) (err error) {
		v, err = getQualified(tx, r)
		return err
	})
	if v == nil {
		return nil, cmpErr(err, invalid("Function does not exist"))
	}
	return v.serving(), nil
}

// place is what is polled for a function, by its role.
func (s *Service) place(ctx context.Context, r ref, arn aws.ARN, role string) (event.Place, error) {
	p, err := s.deps.Sessions.Session(ctx, r.scope, role, r.name)
	var refused *aws.Error
	if errors.As(err, &refused) && !refused.Type.Server {
		return event.Place{}, api.ErrInvalidParameterValue.New("The role defined for the function cannot be assumed by Lambda.").Because(err)
	}
	return event.Place{ARN: arn, Function: r.arn(), Scope: r.scope, Principal: p}, err
}
