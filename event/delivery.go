package event

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/enfold-run/enfold/store"
)

// MaxPayload is the most bytes of a Delivery's Payload: a message of SQS with its attributes, or an event of Lambda, and room.
const MaxPayload = 2 << 20

// Delivery is an event on its way to a target.
type Delivery struct {
	ID     string // the same at every try; made up by Emit if empty
	Kind   string // which Handler it is for: "lambda.async"
	Target string // ARN or URL; with Kind and Scope the lane
	Scope  store.Scope
	Group  string `json:",omitempty"` // ordered among themselves; empty for none

	Source  string            `json:",omitempty"` // ARN of what caused it: aws:SourceArn of the calls that deliver it
	Role    string            `json:",omitempty"` // ARN of the role that delivers it; empty if a service does so by itself
	Trace   string            `json:",omitempty"` // X-Amzn-Trace-Id that it belongs to
	Headers map[string]string `json:",omitempty"` // what else the handler needs to know
	Payload []byte            `json:"-"`

	Emitted time.Time // set by Emit if zero
	NotYet  time.Time // the first try is not before; zero for at once
	Retry   Retry

	// Tries counts those that failed and count, Waits those that do not count.
	Tries int `json:",omitempty"`
	Waits int `json:",omitempty"`

	claimed *store.Claimed // between Outbox.Begin and Outbox.Wake
}

// Retry says how often and how fast a delivery is tried again.
type Retry struct {
	Tries   int             `json:",omitempty"` // in all, the first one included; 0 for no limit but Age
	Age     time.Duration   `json:",omitempty"` // since Emitted, after which it is not tried again; 0 for no limit but Tries
	Steps   []time.Duration `json:",omitempty"` // the wait after the first failed try, the second …; then it doubles up to Longest
	Longest time.Duration   `json:",omitempty"` // of the waits after Steps and of those that are not counted; five minutes if 0
	Jitter  bool            `json:",omitempty"` // each wait is between a half and the whole of it, at random
}

// longest is Retry.Longest by default.
const longest = 5 * time.Minute

// after is the wait before try number n+1, after n failures.
func (r Retry) after(n int) time.Duration {
	wait := time.Second
	top := r.Longest
	if top == 0 {
		top = longest
	}
	switch {
	case n <= 0:
	case n <= len(r.Steps):
		wait, top = r.Steps[n-1], r.Steps[n-1]
	default:
		if len(r.Steps) > 0 {
			wait = r.Steps[len(r.Steps)-1]
			n -= len(r.Steps) - 1
		}
		for ; n > 1 && wait < top; n-- {
			wait *= 2
		}
	}
	wait = min(wait, top)
	if r.Jitter {
		wait = wait/2 + rand.N(wait/2+1)
	}
	return wait
}

// Cause is why a delivery was given up.
type Cause string

// Causes.
const (
	Exhausted Cause = "RetriesExhausted"
	TooOld    Cause = "EventAgeExceeded"
	Refused   Cause = "Refused" // the target will never take it: [Permanent]
)

// Outcome is how a delivery ended.
type Outcome struct {
	Err    error // nil if it was delivered
	Cause  Cause // if it was not
	At     time.Time
	Result any // what the last Deliver noted with [Note]; nil if nothing
}

// Handler is what a kind of delivery means. Its methods are called by many goroutines.
type Handler interface {
	// Deliver makes one try. Nil means done; an error is tried again as Retry says, unless it is a [Permanent] or [Later] one.
	// ctx ends when the relay stops: a try that it cuts short is made again. Headers that it gives d (a map of its own: others may read
	// the one that was there) go with d to its next try, unless that is of a Group or this one was [Busy].
	Deliver(ctx context.Context, d *Delivery) error
	// Settle answers what is emitted in the transaction that ends the delivery, which is tx. It may be called more than once,
	// and has no effects but those of tx. An error is tried again, so that nothing is lost, for as long as the relay runs, and
	// Deliver is not called again meanwhile. What cannot be bettered, a [Permanent] error, a panic or a delivery that is too large
	// to be stored, is logged, and the delivery ends without it.
	Settle(tx store.Tx, d *Delivery, o Outcome) ([]*Delivery, error)
	// Places is how many deliveries to one target may be under way at once.
	Places(target string) int
}

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent wraps the error of a try that no other can better.
func Permanent(err error) error { return permanent{err} }

// IsPermanent says that no other try can better an error of Deliver.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}

type later struct {
	error
	wait time.Duration
}

func (l later) Unwrap() error { return l.error }

// Later wraps the error of a try that does not count: the target has no room now. It is made again after wait, or with a
// back-off of its own if wait is zero.
func Later(err error, wait time.Duration) error { return later{err, wait} }

type noteKey struct{}

// Note keeps what Deliver learnt for Settle: the answer of the target, say.
func Note(ctx context.Context, result any) {
	if n, ok := ctx.Value(noteKey{}).(*any); ok {
		*n = result
	}
}
