package lambda

import (
	"testing"

	api "github.com/enfold-run/enfold/api/lambda"
)

// TestRoleMaySend: a function's role must be allowed to send to where it is told to, or nobody would ever learn of its failures.
func TestRoleMaySend(t *testing.T) {
	w := newWorld(t)
	const queue, topic, fn = "arn:aws:sqs:eu-west-1:123456789012:q", "arn:aws:sns:eu-west-1:123456789012:t", fnArn + "g"
	w.create("f")
	w.create("g")
	role := *w.wait("f").Role
	dead := func(arn string) func() error {
		return func() error {
			_, err := w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
				FunctionName: new("f"), DeadLetterConfig: &api.DeadLetterConfig{TargetArn: &arn},
			})
			w.wait("f")
			return err
		}
	}
	made := func(arn string) func() error {
		return func() error {
			in := w.simple("h")
			in.DeadLetterConfig = &api.DeadLetterConfig{TargetArn: &arn}
			_, err := w.CreateFunction(w.ctx, in)
			return err
		}
	}
	told := func(d *api.DestinationConfig) func() error {
		return func() error {
			_, err := w.PutFunctionEventInvokeConfig(w.ctx, &api.PutFunctionEventInvokeConfigInput{FunctionName: new("f"), DestinationConfig: d})
			return err
		}
	}
	const refusal = "400 InvalidParameterValueException: The provided execution role does not have permissions to call "
	for _, c := range []struct {
		what, function, target, want string
		do                           func() error
	}{
		{"a dead-letter queue", "f", queue, "SendMessage on SQS", dead(queue)},
		{"a dead-letter topic", "f", topic, "Publish on SNS", dead(topic)},
		{"a new function's", "h", queue, "SendMessage on SQS", made(queue)},
		{"a destination", "f", fn, "Invoke on Lambda", told(&api.DestinationConfig{OnSuccess: &api.OnSuccess{Destination: new(fn)}})},
		{"a destination of failures", "f", topic, "Publish on SNS", told(&api.DestinationConfig{OnFailure: &api.OnFailure{Destination: new(topic)}})},
	} {
		w.roles.mu.Lock()
		w.roles.refused = map[string]bool{role + " " + c.function + " " + c.target: true}
		w.roles.mu.Unlock()
		if got := coded(c.do()); got != refusal+c.want {
			t.Errorf("%s: %s", c.what, got)
		}
		w.roles.mu.Lock()
		w.roles.refused = nil
		w.roles.mu.Unlock()
		if err := c.do(); err != nil {
			t.Errorf("%s, with the permission: %v", c.what, err)
		}
	}
}
