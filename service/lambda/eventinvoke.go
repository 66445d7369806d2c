package lambda

import (
	"context"
	"errors"
	"strings"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// destinationPattern is what the service answers when a destination is no ARN.
const destinationPattern = `^$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:` +
	`((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)`

var destination = aws.Pattern(`^arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)$`)

var errNoFunction = api.ErrResourceNotFound.New("The function doesn't exist.")

// PutFunctionEventInvokeConfig sets how a function, version or alias is invoked asynchronously, and replaces what was set.
// See https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html.
func (s *Service) PutFunctionEventInvokeConfig(
	ctx context.Context, in *api.PutFunctionEventInvokeConfigInput,
) (*api.PutFunctionEventInvokeConfigOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	given := invokeSettings{in.MaximumRetryAttempts, in.MaximumEventAgeInSeconds, in.DestinationConfig}
	return s.setInvokeConfig(ctx, r, given, func(*edit) (*invokeConfig, error) { return &invokeConfig{}, nil })
}

// UpdateFunctionEventInvokeConfig changes what is given of it.
// See https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionEventInvokeConfig.html.
func (s *Service) UpdateFunctionEventInvokeConfig(
	ctx context.Context, in *api.UpdateFunctionEventInvokeConfigInput,
) (*api.UpdateFunctionEventInvokeConfigOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	given := invokeSettings{in.MaximumRetryAttempts, in.MaximumEventAgeInSeconds, in.DestinationConfig}
	return s.setInvokeConfig(ctx, r, given, func(e *edit) (*invokeConfig, error) {
		c, err := getInvokeConfig(e.tx, r)
		if c == nil {
			return nil, cmpErr(err, noInvokeConfig(r))
		}
		return c, nil
	})
}

// invokeSettings are what Put and Update have in common. Nil is "not given".
type invokeSettings struct {
	retries, maxAge *int
	destinations    *api.DestinationConfig
}

func (s *Service) setInvokeConfig(
	ctx context.Context, r ref, given invokeSettings, base func(*edit) (*invokeConfig, error),
) (*api.FunctionEventInvokeConfig, error) {
	if given.retries == nil && given.maxAge == nil && given.destinations == nil {
		return nil, invalid("You must specify at least one of error handling or destination setting.")
	}
	if err := s.checkDestinations(ctx, r, given.destinations); err != nil {
		return nil, err
	}
	var c *invokeConfig
	err := s.update(ctx, r.scope, func(e *edit) error {
		if v, err := getQualified(e.tx, r); v == nil {
			return cmpErr(err, errNoFunction)
		}
		var err error
		if c, err = base(e); err != nil {
			return err
		}
		c.Function, c.Qualifier, c.Modified = r.name, r.orLatest(), s.deps.Now()
		if given.retries != nil {
			c.Retries = given.retries
		}
		if given.maxAge != nil {
			c.MaxAge = given.maxAge
		}
		if err := e.setDestinations(r, c, given.destinations); err != nil {
			return err
		}
		_, err = invokeConfigs.Put(e.tx, r.scope, store.Key(r.name, c.Qualifier), *c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return showInvokeConfig(r, c), nil
}

// checkDestinations refuses those that the function's role may not send to.
func (s *Service) checkDestinations(ctx context.Context, r ref, in *api.DestinationConfig) error {
	if in == nil {
		return nil
	}
	c, err := s.configOf(ctx, r)
	var none *aws.Error
	if errors.As(err, &none) {
		return nil // it will be said, in the words of this operation
	}
	if err != nil {
		return err
	}
	if in.OnSuccess != nil {
		if err := s.checkSends(ctx, r, c.Role, in.OnSuccess.Destination); err != nil {
			return err
		}
	}
	if in.OnFailure != nil {
		return s.checkSends(ctx, r, c.Role, in.OnFailure.Destination)
	}
	return nil
}

// setDestinations checks and sets what a DestinationConfig gives.
func (e *edit) setDestinations(r ref, c *invokeConfig, in *api.DestinationConfig) error {
	if in == nil {
		return nil
	}
	var onSuccess, onFailure *string
	if in.OnSuccess != nil {
		onSuccess = in.OnSuccess.Destination
		c.OnSuccess = str(onSuccess)
	}
	if in.OnFailure != nil {
		onFailure = in.OnFailure.Destination
		c.OnFailure = str(onFailure)
	}
	ok := true
	for _, d := range []struct {
		member string
		arn    *string
		s3     bool
	}{{"destinationConfig.onSuccess.destination", onSuccess, false}, {"destinationConfig.onFailure.destination", onFailure, true}} {
		if str(d.arn) == "" {
			continue
		}
		served, err := e.checkDestination(r, d.member, *d.arn, d.s3)
		if err != nil {
			return err
		}
		ok = ok && served
	}
	if !ok {
		return invalid("The provided destination config DestinationConfig(onSuccess=%s, onFailure=%s) is invalid.",
			javaish("OnSuccess", onSuccess), javaish("OnFailure", onFailure))
	}
	return nil
}

// checkDestination says whether events can be sent there.
func (e *edit) checkDestination(r ref, member, arn string, s3 bool) (served bool, err error) {
	if !destination().MatchString(arn) {
		return false, mismatch(arn, member, destinationPattern)
	}
	parsed, err := aws.ParseARN(arn)
	if err != nil {
		return false, nil
	}
	switch parsed.Service {
	case "sqs", "sns": // a FIFO one would refuse every record, which has no group
		return !strings.HasSuffix(parsed.Resource, fifoSuffix), nil
	case "events":
		return false, notServed(parsed.Service)
	case "s3":
		if s3 {
			return false, notServed(parsed.Service)
		}
	case "lambda":
		p, ok := splitName(arn)
		if !ok {
			return false, nil
		}
		if p.name == r.name && p.account == r.scope.Account && p.region == r.scope.Region {
			return false, invalid("You can't specify the function as a destination for itself.")
		}
		f, err := getFunction(e.tx, store.Scope{Account: p.account, Region: p.region}, p.name)
		if f == nil {
			return false, cmpErr(err, invalid("The destination ARN %s is invalid.", arn))
		}
		return true, nil
	}
	return false, nil
}

// notServed refuses what AWS would take: a record that goes nowhere would be lost.
func notServed(service string) error {
	return invalid("Destinations of %s are not served by Enfold yet.", service)
}

// fifoSuffix ends the names of FIFO queues and topics.
const fifoSuffix = ".fifo"

// javaish is a destination as AWS's own message prints it.
func javaish(name string, arn *string) string {
	if str(arn) == "" {
		return "null"
	}
	return name + "(destination=" + *arn + ")"
}

// GetFunctionEventInvokeConfig shows it.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionEventInvokeConfig.html.
func (s *Service) GetFunctionEventInvokeConfig(
	ctx context.Context, in *api.GetFunctionEventInvokeConfigInput,
) (*api.GetFunctionEventInvokeConfigOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	var c *invokeConfig
	err = s.deps.Store.View(ctx, func(tx store.Tx) (err error) {
		if c, err = getInvokeConfig(tx, r); c == nil {
			return cmpErr(err, noInvokeConfig(r))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return showInvokeConfig(r, c), nil
}

// ListFunctionEventInvokeConfigs lists those of a function's versions and aliases.
// See https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctionEventInvokeConfigs.html.
func (s *Service) ListFunctionEventInvokeConfigs(
	ctx context.Context, in *api.ListFunctionEventInvokeConfigsInput,
) (*api.ListFunctionEventInvokeConfigsOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	list := "invoke-configs/" + r.name
	after, err := openMarker(list, in.Marker)
	if err != nil {
		return nil, err
	}
	out := &api.ListFunctionEventInvokeConfigsOutput{FunctionEventInvokeConfigs: []*api.FunctionEventInvokeConfig{}}
	var found []invokeConfig
	err = s.deps.Store.View(ctx, func(tx store.Tx) error {
		if f, err := getFunction(tx, r.scope, r.name); f == nil {
			return cmpErr(err, errNoFunction)
		}
		rows := invokeConfigs.Scan(tx, r.scope, store.Range{Prefix: store.Prefix(r.name), After: after})
		found, out.NextMarker, err = page(rows, list, pageSize(in.MaxItems))
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range found {
		out.FunctionEventInvokeConfigs = append(out.FunctionEventInvokeConfigs, showInvokeConfig(r, &found[i]))
	}
	return out, nil
}

// DeleteFunctionEventInvokeConfig goes back to the defaults.
// See https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunctionEventInvokeConfig.html.
func (s *Service) DeleteFunctionEventInvokeConfig(
	ctx context.Context, in *api.DeleteFunctionEventInvokeConfigInput,
) (*api.DeleteFunctionEventInvokeConfigOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, r.scope, func(e *edit) error {
		if c, err := getInvokeConfig(e.tx, r); c == nil {
			return cmpErr(err, noInvokeConfig(r))
		}
		return dropInvokeConfig(e, r.name, r.orLatest())
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteFunctionEventInvokeConfigOutput{}, nil
}

func getInvokeConfig(tx store.Tx, r ref) (*invokeConfig, error) {
	return orNil(invokeConfigs.Get(tx, r.scope, store.Key(r.name, r.orLatest())))
}

func dropInvokeConfig(e *edit, name, qualifier string) error {
	return ifThere(invokeConfigs.Delete(e.tx, e.scope, store.Key(name, qualifier)))
}

func noInvokeConfig(r ref) error {
	return api.ErrResourceNotFound.Withf("The function %s doesn't have an EventInvokeConfig", qualify(r.arn(), r.orLatest()))
}

func showInvokeConfig(r ref, c *invokeConfig) *api.FunctionEventInvokeConfig {
	return &api.FunctionEventInvokeConfig{
		FunctionArn: new(qualify(r.arn(), c.Qualifier)), LastModified: new(c.Modified), MaximumRetryAttempts: c.Retries,
		MaximumEventAgeInSeconds: c.MaxAge,
		DestinationConfig: &api.DestinationConfig{
			OnSuccess: &api.OnSuccess{Destination: given(c.OnSuccess)},
			OnFailure: &api.OnFailure{Destination: given(c.OnFailure)},
		},
	}
}
