package lambda

import (
	"errors"
	"maps"
	"strconv"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/worker"
)

// What an event carries of its last try to the next one, which may never be: the event grows too old or its function is deleted, and
// whoever is told of that is told what came of it. Of a run its version, kind of error and answer; of what kept the function from
// running, if it was not the lack of room, the code and message of a dead letter.
const (
	headLastVersion = "lastVersion"
	headLastError   = "lastError"
	headLastAnswer  = "lastAnswer"
	headLastCode    = "lastCode"
	headLastMessage = "lastMessage"
)

// maxLastAnswer is the longest answer that is carried whole, in bytes: what a topic takes. It lies on the disk between two tries.
const maxLastAnswer = 256 << 10

// remember has an event carry what came of a try. A run is not forgotten for a try that did not get so far.
func remember(d *event.Delivery, run *ran, err error) {
	var e *aws.Error
	last := map[string]string{}
	switch {
	case err == nil || errors.Is(err, api.ErrTooManyRequests):
		return
	case run != nil:
		answer := run.resp.Payload
		if len(answer) > maxLastAnswer {
			answer = shortError(answer)
		}
		last[headLastVersion], last[headLastError], last[headLastAnswer] = run.version, run.resp.FunctionError, string(answer)
	case errors.As(err, &e):
		last[headLastCode], last[headLastMessage] = strconv.Itoa(e.Type.Status), cut(e.Message, maxErrorMessage)
	default:
		last[headLastCode] = "500"
	}
	d.Headers = maps.Clone(d.Headers) // others may read those
	maps.Copy(d.Headers, last)
}

// remembered is the last run that an event carries; nil for none.
func remembered(d *event.Delivery, r ref) *ran {
	h := d.Headers
	if h[headLastVersion] == "" {
		return nil
	}
	return &ran{
		version: h[headLastVersion], trace: readChain(d.Trace, lineageOf(r.arn())).another(),
		resp: &worker.Response{Payload: []byte(h[headLastAnswer]), FunctionError: h[headLastError]},
	}
}
