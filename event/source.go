package event

import (
	"context"
	"encoding/json"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// Place is where records are polled from, for which function, and by whom.
type Place struct {
	ARN       aws.ARN
	Function  string // ARN, unqualified: aws:SourceArn of the calls
	Scope     store.Scope
	Principal *aws.Principal // a session of the function's role
	Lease     time.Duration  // for how long records stay with who polls them; zero for as long as Check says
}

// Record is what a source gave out. It is the source's again when its lease ends, unless Done took it.
type Record struct {
	ID      string          // what a function's report of failed items names
	Event   json.RawMessage // its element of the event's "Records"
	Group   string          // ordered among themselves; empty for none
	Trace   string          // X-Amzn-Trace-Id that it came with; may be empty
	Receipt string          // for the source alone
}

// Refusal is why nothing can be polled from a place, in AWS's words.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// Source is a kind of place that events are polled from. Its methods are called by many goroutines.
type Source interface {
	// Check answers how long records stay with who polled them, or why a function cannot be fed from the place: a [Refusal] is
	// for the caller to read.
	Check(ctx context.Context, p Place) (lease time.Duration, err error)
	// Poll takes at most most records, and waits for the first one if there is none, for wait at most. They are the caller's for
	// p.Lease, whole seconds and twelve hours at most, or as long as Check says.
	Poll(ctx context.Context, p Place, most int, wait time.Duration) ([]Record, error)
	// Done removes records. What could not be removed comes again.
	Done(ctx context.Context, p Place, r []Record) error
	// Document is what filter criteria look at: the record's event, with what it carries parsed if that is JSON.
	Document(r Record) []byte
	// Ordered says that the place gives out records of a group one after another.
	Ordered(p Place) bool
}
