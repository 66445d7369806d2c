package lambda

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/worker"
)

// An event that is too old to be tried again ends with what came of its last run, or, if it never ran, with what was in the way.
func TestAsyncTooOld(t *testing.T) {
	const boom = `!{"errorMessage":"x","errorType":"E"}`
	long := `!{"errorMessage":"x","errorType":"E","stackTrace":["` + strings.Repeat("s", maxLastAnswer) + `"]}`
	for name, c := range map[string]struct {
		answers  []string
		runs     []time.Duration
		count    int
		code     string
		message  string
		response string // what the record has of it
	}{
		"it failed": {
			[]string{boom},
			[]time.Duration{0, time.Minute},
			2, "200", "x",
			`"responseContext":{"executedVersion":"$LATEST","functionError":"Unhandled","statusCode":200},"responsePayload":{"errorMessage":"x","errorType":"E"}`,
		},
		"it failed, and then there was no room": {
			[]string{boom, "#"},
			nil, 1, "200", "x",
			`"responseContext":{"executedVersion":"$LATEST","functionError":"Unhandled","statusCode":200},"responsePayload":{"errorMessage":"x","errorType":"E"}`,
		},
		"it failed, and then there was no sandbox": {
			[]string{boom, "broken"}, nil, 1, "200", "x", `"responsePayload":{"errorMessage":"x","errorType":"E"}`,
		},
		"it failed with a long answer": {
			[]string{long}, nil, 2, "200", "x", `"responsePayload":{"errorMessage":"x","errorType":"E"}`,
		},
		"there was never room": {[]string{"#"}, nil, 0, "429", "Rate Exceeded.", ""},
		"there was never a sandbox": {
			[]string{"broken"}, nil, 0, "500", "An error occurred while the execution environment was prepared. The server's log says why.", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, c.answers, func(t *testing.T, w *asyncWorld) {
				run := w.pool.run
				w.pool.run = func(f *worker.Function, r *worker.Request) (*worker.Response, error) {
					resp, err := run(f, r)
					if err == nil && string(resp.Payload) == "broken" {
						return nil, errors.New("no sandbox")
					}
					return resp, err
				}
				w.configure(nil, new(100))
				w.invoke(`{}`)
				time.Sleep(10 * time.Minute)
				bad, dead := w.to("bad"), w.to("dead")
				if len(bad) != 1 || len(dead) != 1 || c.runs != nil && !slices.Equal(w.runs, c.runs) {
					t.Fatalf("%d records, %d dead letters, runs at %v", len(bad), len(dead), w.runs)
				}
				got := letter(t, bad[0])
				if !strings.Contains(got, `"approximateInvokeCount":`+strconv.Itoa(c.count)+`,"condition":"EventAgeExceeded"`) ||
					!strings.Contains(got, c.response) || strings.Contains(got, "response") != (c.response != "") {
					t.Errorf("the record is %.2000s", got)
				}
				if h := dead[0].Headers; h["ErrorCode"] != c.code || h["ErrorMessage"] != c.message {
					t.Errorf("the dead letter has %v", h)
				}
				if (loops(bad[0].Trace) == 1) != (c.count > 0) {
					t.Errorf("%d runs are %d in the trace", c.count, loops(bad[0].Trace))
				}
			})
		})
	}
}

// What lies on the disk between two tries has a bound.
func TestRememberBounded(t *testing.T) {
	for answer, most := range map[string]int{
		strings.Repeat("x", maxLastAnswer): maxLastAnswer, strings.Repeat("x", maxLastAnswer+1): 0,
		`{"errorMessage":"` + strings.Repeat("m", maxLastAnswer) + `"}`: 2 * maxErrorMessage,
	} {
		before := map[string]string{headFunction: "f"}
		d := &event.Delivery{Headers: before}
		remember(d, &ran{version: "1", resp: &worker.Response{Payload: []byte(answer), FunctionError: "Unhandled"}}, errors.New("it failed"))
		if n := len(d.Headers[headLastAnswer]); n > most || len(before) != 1 || d.Headers[headFunction] != "f" {
			t.Errorf("of %d bytes %d are kept, %d at most; the headers were %v", len(answer), n, most, before)
		}
	}
}
