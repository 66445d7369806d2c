package server

import (
	"context"

	lambdaapi "github.com/enfold-run/enfold/api/lambda"
	snsapi "github.com/enfold-run/enfold/api/sns"
	sqsapi "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
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

// runningRelay is the event relay at work.
type runningRelay struct {
	stop func() // begins no delivery any more
	cut  func() // ends those under way
	done chan struct{}
}

// startRelay lets the relay work until it is stopped.
func (s *Server) startRelay(ctx context.Context) *runningRelay {
	hurry, cut := context.WithCancel(ctx)
	running, stop := context.WithCancel(ctx)
	r := &runningRelay{stop: stop, cut: cut, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		if err := s.relay.Run(running, hurry); err != nil {
			s.cfg.Log.Error("the event relay ended", "error", err)
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
