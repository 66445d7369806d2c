package lambda

import (
	"context"
	"encoding/base64"
	"iter"
	"slices"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/worker"
)

// maxStreamPiece is the most bytes of one PayloadChunk event.
const maxStreamPiece = 64 << 10

// InvokeWithResponseStream runs a function and passes its answer on while it comes.
// See https://docs.aws.amazon.com/lambda/latest/api/API_InvokeWithResponseStream.html.
func (s *Service) InvokeWithResponseStream(
	ctx context.Context, in *api.InvokeWithResponseStreamInput,
) (*api.InvokeWithResponseStreamOutput, error) {
	t, err := s.resolve(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if err := refuseInvoke(nil, in.TenantID); err != nil {
		return nil, err
	}
	r, err := newRequest(ctx, t, in.Payload, in.ClientContext)
	if err != nil {
		return nil, err
	}
	r.Tail = in.LogType != nil && *in.LogType == api.LogTypeTail
	if kind(in.InvocationType) == api.InvocationTypeDryRun {
		return &api.InvokeWithResponseStreamOutput{StatusCode: new(204)}, nil
	}
	release, err := s.admitPaced(t)
	if err != nil {
		return nil, err
	}
	// The encoder ranges over the events after this returns. Should it never come to that, the end of the request gives the
	// place back.
	stop := context.AfterFunc(ctx, release)
	return &api.InvokeWithResponseStreamOutput{
		StatusCode: new(200), ExecutedVersion: &t.Version,
		ResponseStreamContentType: new("application/vnd.amazon.eventstream"),
		EventStream: func(yield func(any, error) bool) {
			if stop() {
				s.stream(ctx, t, r, release, yield)
			}
		},
	}, nil
}

// stream runs the function and yields its answer as events, the last one InvokeComplete.
func (s *Service) stream(ctx context.Context, t *target, r *worker.Request, release func(), yield func(any, error) bool) {
	w := &eventWriter{yield: yield}
	r.Stream = w
	if answer := aws.CallFrom(ctx).Answer; answer != nil {
		r.Cut = answer.Cut
	}
	resp, err := s.run(ctx, t, r, release)
	if err == nil {
		s.metrics.ran(t.Function, resp)
	}
	if w.gone {
		return
	}
	if err != nil {
		yield(nil, s.notRun(t, err))
		return
	}
	end := &api.InvokeWithResponseStreamCompleteEvent{}
	switch {
	case resp.FunctionError != "":
		details := resp.Payload
		if resp.Streamed {
			details = resp.StreamError
		}
		end.ErrorCode, end.ErrorDetails = new(resp.FunctionError), new(string(details))
	case !resp.Streamed:
		if w.Write(resp.Payload); w.gone {
			return
		}
	}
	if r.Tail {
		end.LogResult = new(base64.StdEncoding.EncodeToString(resp.LogTail))
	}
	yield(end, nil)
}

// eventWriter makes PayloadChunk events of what is written to it. What comes when its reader has gone is for nobody: the function goes on,
// as on AWS.
type eventWriter struct {
	yield func(any, error) bool
	gone  bool
}

func (w *eventWriter) Write(p []byte) (int, error) {
	for piece := range slices.Chunk(p, maxStreamPiece) {
		if w.gone {
			break
		}
		w.gone = !w.yield(&api.InvokeResponseStreamUpdate{Payload: piece}, nil)
	}
	return len(p), nil
}

var _ iter.Seq2[any, error] = api.InvokeWithResponseStreamOutput{}.EventStream
