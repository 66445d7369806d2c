package source

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/filter"
)

// TestBodiesAndPatterns is AWS's table: a pattern for text lets no JSON through, and one for JSON no text, nor JSON without an object.
func TestBodiesAndPatterns(t *testing.T) {
	const text, object, lacks = `{"body":["plain"]}`, `{"body":{"a":["plain"]}}`, `{"body":{"a":[{"exists":false}]}}`
	for _, c := range []struct {
		pattern, body string
		want          bool
	}{
		{text, `plain`, true},
		{text, `plain `, false},
		{text, `"plain"`, false},
		{text, ` ["plain"]`, false},
		{text, `["x","plain"]`, false},
		{text, `[["plain"]]`, false},
		{text, `[{"a":"plain"},"plain"]`, false},
		{text, `{"a":"plain"}`, false},
		{`{"body":[{"prefix":"pl"}]}`, `"plain"`, false},
		{`{"body":[{"prefix":"pl"}]}`, `plain`, true},
		{`{"body":["5"]}`, `5`, false},
		{`{"body":[5]}`, `5`, false},
		{`{"body":[null]}`, `null`, false},
		{`{"body":[{"anything-but":["x"]}]}`, `"plain"`, false},
		{`{"$or":[{"body":["plain"]},{"eventSource":["aws:sns"]}]}`, `"plain"`, false},
		{object, `{"a":"plain"}`, true},
		{object, `{"a":["x","plain"]}`, true},
		{object, `[{"a":"x"},{"a":"plain"},1]`, true},
		{object, `[1,[{"a":"plain"}]]`, true},
		{object, `{"a":"x"}`, false},
		{object, `plain`, false},
		{object, `"plain"`, false},
		{`{"body":{"a":[10000000000000000000001]}}`, `[{"a":10000000000000000000001},1]`, true},
		{`{"body":{"a":[10000000000000000000001]}}`, ` {"a":10000000000000000000001}`, true},
		{lacks, `{"b":1}`, true},
		{lacks, `{}`, true},
		{lacks, `{"a":1}`, false},
		{lacks, `notjson`, false},
		{lacks, ``, false},
		{lacks, `{"b":1`, false},
		{lacks, `"text"`, false},
		{lacks, `5`, false},
		{lacks, `true`, false},
		{lacks, `null`, false},
		{lacks, `[]`, false},
		{lacks, `[1]`, false},
		{lacks, `[{"b":1}]`, true},
		{lacks, `[{"a":1}]`, false},
		{`{"body":{"c":{"a":[{"exists":false}]}}}`, `{"c":5}`, true},
		{`{"body":{"c":{"a":[{"exists":false}]}}}`, `5`, false},
		{`{"body.a":[{"exists":false}]}`, `{"b":1}`, true},
		{`{"body.a":[{"exists":false}]}`, `notjson`, false},
		{`{"body":{"$or":[{"a":[{"exists":false}]},{"b":[{"exists":false}]}]}}`, `{"a":1}`, true},
		{`{"body":{"$or":[{"a":[{"exists":false}]},{"b":[{"exists":false}]}]}}`, `notjson`, false},
		{`{"$or":[{"body":{"a":[{"exists":false}]}},{"body":{"b":[{"exists":false}]}}]}`, `{"a":1}`, true},
		{`{"$or":[{"body":{"a":[{"exists":false}]}},{"body":{"b":[{"exists":false}]}}]}`, `notjson`, false},
		{`{"$or":[{"body":{"a":[{"exists":false}]}},{"body":["notjson"]}]}`, `notjson`, true},
		{`{"eventSource":["aws:sqs"]}`, `"plain"`, true},
	} {
		e, err := json.Marshal(message{Body: c.body, EventSource: "aws:sqs"})
		if err != nil {
			t.Fatal(err)
		}
		p, err := filter.CompileRecord([]byte(c.pattern))
		if err != nil {
			t.Fatal(err)
		}
		document := SQS{}.Document(event.Record{Event: e})
		if got := p.Match(document); got != c.want {
			t.Errorf("%s of the body %s: %v, want %v", c.pattern, c.body, got, c.want)
		}
	}
}

// asked is a queue that remembers what it was asked for.
type asked struct {
	QueueAPI
	last *api.ReceiveMessageInput
}

func (q *asked) ReceiveMessage(_ context.Context, in *api.ReceiveMessageInput) (*api.ReceiveMessageOutput, error) {
	q.last = in
	return &api.ReceiveMessageOutput{}, nil
}

// Messages are hidden for as long as the place says, within what SQS can, or as the queue says.
func TestPollLease(t *testing.T) {
	q, day := &asked{}, 24*time.Hour
	for lease, want := range map[time.Duration]*int{0: nil, 93 * time.Second: new(93), day: new(12 * 60 * 60)} {
		p := event.Place{Lease: lease, Principal: &aws.Principal{Account: "123456789012"}}
		p.ARN, _ = aws.ParseARN("arn:aws:sqs:eu-west-1:123456789012:q")
		if _, err := (SQS{q}).Poll(t.Context(), p, 10, time.Second); err != nil {
			t.Fatal(err)
		}
		if got := q.last.VisibilityTimeout; (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("a lease of %v asks for %v", lease, got)
		}
	}
}
