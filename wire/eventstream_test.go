package wire_test

import (
	"bytes"
	"errors"
	"iter"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/enfold-run/enfold/api/lambda"
)

// flushes counts the flushes of a response.
type flushes struct {
	*httptest.ResponseRecorder
	count int
}

func (f *flushes) Flush() { f.count++ }

func invokeStream(t *testing.T, events iter.Seq2[any, error]) (*flushes, error) {
	t.Helper()
	r := httptest.NewRequest("POST", "/2021-11-15/functions/f/response-streaming-invocations", nil)
	m, err := router().Route(r, "lambda", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &flushes{ResponseRecorder: httptest.NewRecorder()}
	return w, m.Encode(w, "id", &lambda.InvokeWithResponseStreamOutput{StatusCode: new(200), ExecutedVersion: new("1"), EventStream: events})
}

// frames reads a body with the decoder of AWS's Go SDK, as "type/event:content-type:payload".
func frames(t *testing.T, body *bytes.Buffer) []string {
	t.Helper()
	var all []string
	d := eventstream.NewDecoder()
	for body.Len() > 0 {
		msg, err := d.Decode(body, nil)
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, h := range []string{":message-type", ":event-type", ":exception-type", ":error-code", ":content-type"} {
			if v := msg.Headers.Get(h); v != nil {
				parts = append(parts, v.String())
			}
		}
		all = append(all, strings.Join(append(parts, string(msg.Payload)), " "))
	}
	return all
}

func TestEventStream(t *testing.T) {
	var w *flushes
	chunks := 0
	w, err := invokeStream(t, func(yield func(any, error) bool) {
		for _, e := range []any{
			&lambda.InvokeResponseStreamUpdate{Payload: []byte("one")},
			&lambda.InvokeResponseStreamUpdate{Payload: []byte{}},
			&lambda.InvokeWithResponseStreamCompleteEvent{LogResult: new("bG9n")},
		} {
			chunks++
			if !yield(e, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	got := frames(t, w.Body)
	want := []string{
		"event PayloadChunk application/octet-stream one",
		"event PayloadChunk application/octet-stream ",
		`event InvokeComplete application/json {"LogResult":"bG9n"}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q", got)
	}
	if w.count != chunks+1 {
		t.Errorf("%d flushes for the header and %d events", w.count, chunks)
	}
	if w.Header().Get("Content-Type") != "application/vnd.amazon.eventstream" || w.Header().Get("X-Amz-Executed-Version") != "1" {
		t.Errorf("headers %v", w.Header())
	}
}

func TestEventStreamErrors(t *testing.T) {
	broken := errors.New("the disk is on fire")
	for _, tc := range []struct {
		name  string
		fails error
		frame string
		want  error
	}{
		{"modelled", lambda.ErrTooManyRequests.New("Rate Exceeded."), `exception TooManyRequestsException application/json {"message":"Rate Exceeded."}`, nil},
		{"not modelled", broken, "error InternalFailure ", broken},
	} {
		w, err := invokeStream(t, func(yield func(any, error) bool) { yield(nil, tc.fails) })
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v", tc.name, err)
		}
		if got := frames(t, w.Body); len(got) != 1 || got[0] != tc.frame {
			t.Errorf("%s: got %q", tc.name, got)
		}
	}
	_, err := invokeStream(t, func(yield func(any, error) bool) { yield(&lambda.InvokeOutput{}, nil) })
	if err == nil || !strings.Contains(err.Error(), "has no event") {
		t.Errorf("a foreign event: got %v", err)
	}
	var none iter.Seq2[any, error]
	if w, err := invokeStream(t, none); err != nil || w.Body.Len() != 0 {
		t.Errorf("no stream: got %v, %d bytes", err, w.Body.Len())
	}
}
