package cloudtrail

import (
	"context"
	"fmt"
	"runtime"

	"github.com/google/uuid"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// intentTable has a sealed row for each call that changed something and whose record is not on the disk yet, by its eventID.
const intentTable = "cloudtrail.intent"

// intentID is a call. A service that calls another one passes the request's id on.
type intentID struct {
	requestID string
	op        *aws.Op
	account   string
}

// intent is what Update puts beside what a call changes.
type intent struct {
	scope    store.Scope
	eventID  string
	sealed   []byte // the row; nil once it is stored
	recorded bool   // the call is over: what changes later needs no row
}

// audited is a store whose changes do not survive without their record.
type audited struct {
	store.Store
	trail *Service
}

// Wrap is the store for everybody but the trail itself. Its Update puts a row into the same transaction that says which call
// made the change, if ctx belongs to a call of an op that is not read-only. Everything else goes to the store as it is.
func (s *Service) Wrap(db store.Store) store.Store { return &audited{db, s} }

// Unwrap is the store inside.
func (a *audited) Unwrap() store.Store { return a.Store }

// Update is [store.Store.Update].
func (a *audited) Update(ctx context.Context, fn func(store.Tx) error) error {
	call := aws.CallFrom(ctx)
	if call.Op == nil || call.Op.ReadOnly {
		return a.Store.Update(ctx, fn)
	}
	i, sealed := a.trail.intentOf(call)
	if sealed == nil {
		return a.Store.Update(ctx, fn)
	}
	err := a.Store.Update(ctx, func(tx store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		_, err := tx.Put(intentTable, i.scope, i.eventID, sealed, store.Cond{})
		return err
	})
	if err == nil {
		a.trail.mu.Lock()
		i.sealed = nil
		a.trail.mu.Unlock()
	}
	return err
}

// intentOf is the intent of a call and the row that is still to be stored, nil if there is nothing to store.
func (s *Service) intentOf(call *aws.Call) (*intent, []byte) {
	id := intentID{call.RequestID, call.Op, call.Account}
	s.mu.Lock()
	i := s.intents[id]
	if i != nil {
		defer s.mu.Unlock()
		if i.recorded {
			return i, nil
		}
		return i, i.sealed
	}
	s.mu.Unlock()

	i = s.newIntent(call)
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.intents[id]; other != nil {
		return other, other.sealed
	}
	s.intents[id] = i
	// Recorded intents stay known for as long as somebody may still change something in the name of the call.
	runtime.AddCleanup(call, func(i *intent) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.intents[id] == i {
			delete(s.intents, id)
		}
	}, i)
	return i, i.sealed
}

func (s *Service) newIntent(call *aws.Call) *intent {
	e := s.newEntry(call)
	if e.data {
		e.params = elements(withARN(shallow(call.Input), e.resources().first), "requestParameters")
	} else {
		e.params = elements(call.Input, "requestParameters")
	}
	i := &intent{scope: store.Scope{Account: e.recipient}, eventID: newEventID()}
	i.sealed = s.key.Seal(e.appendIntent(nil, s.boot), intentName(i.scope, i.eventID))
	return i
}

// newEventID is an id that is greater than those before it, so that the rows of calls that are made at the same time are next to
// each other and share pages of the store.
func newEventID() string { return uuid.Must(uuid.NewV7()).String() }

// intentName is what an intent's row is bound to.
func intentName(sc store.Scope, eventID string) []byte {
	return []byte(store.Key("intent", sc.Account, eventID))
}

// recover makes events of the intents that another process left over.
func (s *Service) recover(ctx context.Context) error {
	var scopes []store.Scope
	err := s.raw.View(ctx, func(tx store.Tx) (err error) {
		scopes, err = tx.Scopes(intentTable)
		return err
	})
	if err != nil {
		return fmt.Errorf("find left-over intents: %w", err)
	}
	for _, sc := range scopes {
		for after, more := "", true; more; {
			var entries []entry
			err := s.raw.View(ctx, func(tx store.Tx) (err error) {
				entries, after, err = s.leftOver(tx, sc, after)
				return err
			})
			if err != nil {
				return fmt.Errorf("read left-over intents: %w", err)
			}
			more = after != ""
			s.flushing.Lock()
			err = s.write(ctx, entries)
			s.flushing.Unlock()
			if err != nil {
				return fmt.Errorf("record left-over intents: %w", err)
			}
		}
	}
	return nil
}

// leftOver are the next entries of a scope that were left over, and where to go on; empty at the end.
func (s *Service) leftOver(tx store.Tx, sc store.Scope, after string) (list []entry, last string, err error) {
	const page = 1000
	n := 0
	for rec, err := range tx.Scan(intentTable, sc, store.Range{After: after, Limit: page}) {
		if err != nil {
			return nil, "", err
		}
		n, last = n+1, rec.Key
		e, ours, err := s.openIntent(sc, rec)
		if err != nil {
			s.log.Error("audit trail: an intent was changed on the disk and is not taken for a record", "account", sc.Account, "eventID", rec.Key)
			continue
		}
		if !ours {
			list = append(list, e)
		}
	}
	if n < page {
		last = ""
	}
	return list, last, nil
}

// openIntent is the entry of a row; ours says that it is this process's, whose call may still be running.
func (s *Service) openIntent(sc store.Scope, rec store.Record) (e entry, ours bool, err error) {
	b, err := s.key.Open(rec.Value, intentName(sc, rec.Key))
	if err != nil {
		return e, false, err
	}
	i := &intent{scope: sc, eventID: rec.Key}
	e, boot, err := parseIntent(b, i)
	return e, boot == s.boot, err
}
