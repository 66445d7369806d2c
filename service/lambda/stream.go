package lambda

import (
	"context"
	"encoding/base64"
	"errors"
	"iter"
	"sync"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/worker"
)

// errReaderGone ends a stream whose reader went away.
var errReaderGone = errors.New("lambda: the reader of the response stream went away")

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
	once := sync.OnceFunc(release)
	context.AfterFunc(ctx, once)
	return &api.InvokeWithResponseStreamOutput{
		StatusCode: new(200), ExecutedVersion: &t.Version,
		ResponseStreamContentType: new("application/vnd.amazon.eventstream"),
		EventStream: func(yield func(any, error) bool) {
			defer once()
			s.stream(ctx, t, r, yield)
		},
	}, nil
}

// stream runs the function and yields its answer as events, the last one InvokeComplete.
func (s *Service) stream(ctx context.Context, t *target, r *worker.Request, yield func(any, error) bool) {
	w := &eventWriter{yield: yield}
	r.Stream = w
	resp, err := s.deps.Runner.Run(ctx, t.Function, r)
	if w.gone {
		return
	}
	if err != nil {
		yield(nil, s.notRun(t, err))
		return
	}
	s.metrics.ran(t.Function, resp)
	end := &api.InvokeWithResponseStreamCompleteEvent{}
	switch {
	case resp.FunctionError != "":
		details := resp.Payload
		if resp.Streamed {
			details = resp.StreamError
		}
		end.ErrorCode, end.ErrorDetails = new(resp.FunctionError), new(string(details))
	case !resp.Streamed:
		if _, err := w.Write(resp.Payload); err != nil {
			return
		}
	}
	if r.Tail {
		end.LogResult = new(base64.StdEncoding.EncodeToString(resp.LogTail))
	}
	yield(end, nil)
}

// eventWriter makes PayloadChunk events of what is written to it.
type eventWriter struct {
	yield func(any, error) bool
	gone  bool
}

func (w *eventWriter) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 && !w.gone {
		piece := p[:min(len(p), maxStreamPiece)]
		p = p[len(piece):]
		w.gone = !w.yield(&api.InvokeResponseStreamUpdate{Payload: piece}, nil)
		n += len(piece)
	}
	if w.gone {
		return n, errReaderGone
	}
	return n, nil
}

var _ iter.Seq2[any, error] = api.InvokeWithResponseStreamOutput{}.EventStream
