package lambda

import (
	"context"
	"errors"
	"strings"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"

	api "github.com/enfold-run/enfold/api/lambda"
)

// The results of a mapping's last try, as AWS says them. One that never had a problem has none: AWS was recorded to leave the
// member out for queues.
const (
	resultOK       = "OK"
	resultNothing  = "No records processed"
	resultProblem  = "PROBLEM: "
	resultFailed   = resultProblem + "Function call failed"
	resultInternal = resultProblem + "internal Lambda error"
)

// maxResult bounds a stored result, in bytes.
const maxResult = 1 << 10

// problem is the result of an error; empty for one that says nothing about the mapping. It has what the service said that refused:
// that the role may not, or that a queue or function is gone.
func problem(err error) string {
	var e *aws.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, api.ErrTooManyRequests):
		return ""
	case errors.As(err, &e) && !e.Type.Server && e.Type.Status < 500:
		return strings.ToValidUTF8(resultProblem+e.Message[:min(len(e.Message), maxResult)], "")
	}
	return resultInternal
}

// say notes the result of a try; empty for none. It is stored a moment later, if it is another than before.
func (f *feeder) say(result string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case result == "":
	case result == resultOK && f.result == "": // there never was a problem
	case result == resultNothing && (f.result == resultFailed || !strings.HasPrefix(f.result, resultProblem)):
		// It is what shows that a place can be polled again, and does not hide how the function last did.
	default:
		f.result = result
	}
}

// store writes the result if it has changed. It is called once a second at most, however often results change.
func (f *feeder) store(ctx context.Context) {
	f.mu.Lock()
	result := f.result
	f.mu.Unlock()
	if result == f.m.Result {
		return
	}
	err := f.service.deps.Store.Update(ctx, func(tx store.Tx) error {
		row, err := mappings.Get(tx, f.key.scope, f.key.id)
		if err != nil {
			return err
		}
		row.Value.Result = result
		_, err = mappings.Put(tx, f.key.scope, f.key.id, row.Value)
		return err
	})
	switch {
	case err == nil, errors.Is(err, store.ErrNotFound):
		f.m.Result = result
	case ctx.Err() == nil:
		f.service.deps.Log.Warn("the result of a mapping is not stored", "id", f.key.id, "error", err)
	}
}
