package source

import (
	"encoding/json"
	"testing"

	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/filter"
)

// TestBodiesAndPatterns is AWS's table: a pattern for text lets no JSON through, and one for JSON no text.
func TestBodiesAndPatterns(t *testing.T) {
	const text, object = `{"body":["plain"]}`, `{"body":{"a":["plain"]}}`
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
		{`{"eventSource":["aws:sqs"]}`, `"plain"`, true},
	} {
		e, err := json.Marshal(message{Body: c.body, EventSource: "aws:sqs"})
		if err != nil {
			t.Fatal(err)
		}
		p, err := filter.Compile([]byte(c.pattern))
		if err != nil {
			t.Fatal(err)
		}
		document := SQS{}.Document(event.Record{Event: e})
		if got := p.Match(document); got != c.want {
			t.Errorf("%s of the body %s: %v, want %v", c.pattern, c.body, got, c.want)
		}
	}
}
