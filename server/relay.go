package server

import (
	"context"

	"golang.org/x/sync/errgroup"

	lambdaapi "github.com/enfold-run/enfold/api/lambda"
	snsapi "github.com/enfold-run/enfold/api/sns"
	sqsapi "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/source"
	"github.com/enfold-run/enfold/event/target"
)

// senders send to every place inside Enfold that events go to.
func senders(calls aws.Doer) target.Senders {
	return target.Senders{
		"lambda": target.Lambda{API: lambdaapi.NewClient(calls)},
		"sqs":    target.SQS{API: sqsapi.NewClient(calls)},
		"sns":    target.SNS{API: snsapi.NewClient(calls)},
	}
}

// sources are the places that event source mappings poll, by the service in their ARN.
func sources(calls aws.Doer) map[string]event.Source {
	return map[string]event.Source{"sqs": source.SQS{API: sqsapi.NewClient(calls)}}
}

// runningRelay is what moves events: the relay and the feeders of event source mappings.
type runningRelay struct {
	stop func() // begins no delivery any more, and polls nothing
	cut  func() // ends those under way
	done chan struct{}
}

// startRelay lets events move until it is stopped.
func (s *Server) startRelay(ctx context.Context) *runningRelay {
	hurry, cut := context.WithCancel(ctx)
	running, stop := context.WithCancel(ctx)
	r := &runningRelay{stop: stop, cut: cut, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		var both errgroup.Group
		both.Go(func() error { return s.relay.Run(running, hurry) })
		both.Go(func() error { return s.lambda.Feed(running, hurry) })
		if err := both.Wait(); err != nil {
			s.cfg.Log.Error("events do not move any more: restart the server", "error", err)
		}
	}()
	return r
}

// end waits for the deliveries under way until ctx ends. What it cuts short is delivered again after the next start.
func (r *runningRelay) end(ctx context.Context) {
	r.stop()
	select {
	case <-r.done:
	case <-ctx.Done():
	}
	r.cut()
	<-r.done
}
