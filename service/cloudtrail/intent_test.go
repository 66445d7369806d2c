package cloudtrail

import (
	"context"
	"errors"
	"testing"
	"time"

	lambdaapi "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// change is a handler that changes something.
func (f *fixture) change(call *aws.Call) {
	f.t.Helper()
	err := f.Wrap(f.db).Update(aws.WithCall(f.t.Context(), call), func(tx store.Tx) error {
		_, err := tx.Put("thing", store.Scope{Account: account}, "k", []byte("v"), store.Cond{})
		return err
	})
	f.check(err, "")
}

// intentRows counts them.
func (f *fixture) intentRows() (n int) {
	f.t.Helper()
	f.check(f.db.View(f.t.Context(), func(tx store.Tx) error {
		for _, err := range tx.Scan(intentTable, store.Scope{Account: account}, store.Range{}) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	}), "")
	return n
}

// TestCrashBeforeRecord: the server dies between the commit and the record.
func TestCrashBeforeRecord(t *testing.T) {
	f := newFixture(t)
	call := f.remove(worker)
	f.change(call)
	f.crash()
	r := f.only()
	if r["requestID"] != call.RequestID || r["eventName"] != "DeleteFunction20150331" {
		t.Errorf("recovered %v", r)
	}
	if more, _ := r["additionalEventData"].(map[string]any); more["recovered"] != true {
		t.Errorf("not marked as recovered: %v", r)
	}
	f.crash()
	if n := len(f.events(Query{})); n != 1 || f.intentRows() != 0 {
		t.Errorf("%d events and %d intents after a second start", n, f.intentRows())
	}
}

// TestCrashBeforeWrite: the record is in memory only when the server dies.
func TestCrashBeforeWrite(t *testing.T) {
	f := newFixture(t)
	call := f.remove(worker)
	f.change(call)
	f.record(call, nil, nil)
	f.crash()
	if got := f.events(Query{}); len(got) != 1 || !got[0].Recovered || got[0].Role != role {
		t.Errorf("events %+v", got)
	}
}

// TestOneRecord: a call that changes something several times, also after it was recorded, has one record and leaves nothing.
func TestOneRecord(t *testing.T) {
	f := newFixture(t)
	call := f.remove(worker)
	f.change(call)
	f.change(call)
	if n := f.intentRows(); n != 1 {
		t.Errorf("%d intents, want one", n)
	}
	f.record(call, nil, nil)
	f.check(f.flush(t.Context()), "")
	f.change(call)
	f.crash()
	if got := f.events(Query{}); len(got) != 1 || got[0].Recovered || f.intentRows() != 0 {
		t.Errorf("%d events, %d intents", len(got), f.intentRows())
	}
}

// TestNoIntent: what changes nothing, fails, or belongs to no call leaves no intent.
func TestNoIntent(t *testing.T) {
	f := newFixture(t)
	failed := errors.New("no")
	for _, c := range []struct {
		name string
		ctx  context.Context
		err  error
	}{
		{"no call", t.Context(), nil},
		{"read only", aws.WithCall(t.Context(), f.call(root, lambdaapi.OpGetFunction, hello, &lambdaapi.GetFunctionInput{})), nil},
		{"undone", aws.WithCall(t.Context(), f.remove(root)), failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := f.Wrap(f.db).Update(c.ctx, func(store.Tx) error { return c.err })
			if !errors.Is(err, c.err) || f.intentRows() != 0 {
				t.Errorf("error %v, %d intents", err, f.intentRows())
			}
		})
	}
}

// TestRunWrites: a record is on the disk soon, and what is left when the server stops is too.
func TestRunWrites(t *testing.T) {
	f := newFixture(t)
	written := func() int64 {
		r, err := Verify(t.Context(), f.db, testKey())
		f.check(err, "")
		n := int64(0)
		for _, l := range r.Logs {
			n += l.Events
		}
		return n
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	f.record(f.remove(root), nil, nil)
	for deadline := time.Now().Add(5 * time.Second); written() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was written in 5 s")
		}
	}
	f.record(f.invoke(root), nil, nil)
	cancel()
	f.check(<-done, "")
	if n := written(); n != 2 {
		t.Errorf("%d events after Run, want 2", n)
	}
	f.record(f.invoke(root), nil, nil)
	if n := written(); n != 3 {
		t.Errorf("%d events after a call beyond Run, want 3", n)
	}
}

// failing is a store whose disk is full for a while.
type failing struct {
	store.Store
	left int
}

func (s *failing) Update(ctx context.Context, fn func(store.Tx) error) error {
	if s.left > 0 {
		s.left--
		return store.ErrFull
	}
	return s.Store.Update(ctx, fn)
}

// TestFullDisk: calls wait while the queue is full and cannot be written, and none is lost.
func TestFullDisk(t *testing.T) {
	f := newFixture(t)
	for range maxQueue {
		f.record(f.invoke(root), nil, nil)
	}
	f.raw = &failing{Store: f.db, left: 1}
	start := time.Now()
	f.record(f.remove(root), nil, nil)
	if waited := time.Since(start); waited < retryAfter {
		t.Errorf("waited %s for a disk that was full once", waited)
	}
	for f.waiting < maxQueue {
		f.record(f.invoke(root), nil, nil)
	}
	f.raw = &failing{Store: f.db, left: 1 << 30}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	f.Record(ctx, f.remove(root), nil, nil)
	if ctx.Err() == nil {
		t.Error("a call did not wait for a disk that stays full")
	}
	f.raw = f.db
	if got, want := len(f.events(Query{})), 2*maxQueue+1; got != want {
		t.Errorf("%d events, want %d", got, want)
	}
}
