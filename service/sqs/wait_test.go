package sqs

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
)

// waiting is a receive that waits, in a goroutine.
type waiting struct {
	cancel context.CancelFunc
	done   chan struct{}
	got    []*api.Message
	err    error
}

func (w *world) wait(q *string) *waiting {
	ctx, cancel := context.WithCancel(w.ctx)
	r := &waiting{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		out, err := w.ReceiveMessage(ctx, &api.ReceiveMessageInput{QueueURL: q, WaitTimeSeconds: new(20), AttributeNames: []string{"All"}})
		if r.err = err; err == nil {
			r.got = out.Messages
		}
	}()
	w.t.Cleanup(func() { cancel(); <-r.done })
	return r
}

func (w *world) untilWaiting(q *string, n int) {
	w.t.Helper()
	found, err := w.named(w.ctx, q)
	if err != nil {
		w.t.Fatal(err)
	}
	until(w.t, fmt.Sprint(n, " wait"), func() bool {
		found.room.mu.Lock()
		defer found.room.mu.Unlock()
		return len(found.room.waiters) == n
	})
}

func TestWaitersAreWoken(t *testing.T) {
	for name, wake := range map[string]func(w *world, q *string){
		"send": func(w *world, q *string) { w.sendTo(q, "a") },
		"batch": func(w *world, q *string) {
			entry := &api.SendMessageBatchRequestEntry{ID: new("1"), MessageBody: new("a")}
			if _, err := w.SendMessageBatch(w.ctx, &api.SendMessageBatchInput{QueueURL: q, Entries: []*api.SendMessageBatchRequestEntry{entry}}); err != nil {
				w.t.Error(err)
			}
		},
		"delayed": func(w *world, q *string) {
			w.sendIn(&api.SendMessageInput{QueueURL: q, MessageBody: new("a"), DelaySeconds: new(1)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			q := w.create("q")
			r := w.wait(q)
			w.untilWaiting(q, 1)
			start := time.Now()
			wake(w, q)
			<-r.done
			if r.err != nil || bodies(r.got) != "a" || time.Since(start) > 15*time.Second {
				t.Errorf("received %q, %v, after %s", bodies(r.got), r.err, time.Since(start))
			}
		})
	}
}

// Who waits gets a message whose consumer gave it up, or whose time in flight is over.
func TestWaitersGetWhatComesBack(t *testing.T) {
	w := newWorld(t)
	q := w.create("q", attrVisibility, "1")
	w.sendTo(q, "a")
	w.receive(q, 1)
	r := w.wait(q)
	<-r.done
	if r.err != nil || bodies(r.got) != "a" {
		t.Fatalf("received %q, %v", bodies(r.got), r.err)
	}
	again := w.wait(q) // the one that took it does not delete it
	<-again.done
	if again.err != nil || bodies(again.got) != "a" {
		t.Fatalf("received %q, %v", bodies(again.got), again.err)
	}
	last := w.wait(q)
	_, err := w.ChangeMessageVisibility(w.ctx, &api.ChangeMessageVisibilityInput{QueueURL: q, ReceiptHandle: again.got[0].ReceiptHandle, VisibilityTimeout: new(0)})
	if err != nil {
		t.Log(err) // its time was over
	}
	<-last.done
	if bodies(last.got) != "a" {
		t.Errorf("received %q, %v", bodies(last.got), last.err)
	}
}

// A client that goes away while it waits takes nothing with it.
func TestWaiterLeaves(t *testing.T) {
	w := newWorld(t)
	q := w.create("q")
	first := w.wait(q)
	w.untilWaiting(q, 1)
	second := w.wait(q)
	w.untilWaiting(q, 2)
	first.cancel()
	<-first.done
	if first.err == nil || len(first.got) != 0 {
		t.Errorf("received %q, %v", bodies(first.got), first.err)
	}
	w.untilWaiting(q, 1)
	w.sendTo(q, "a")
	<-second.done
	if bodies(second.got) != "a" {
		t.Errorf("received %q, %v", bodies(second.got), second.err)
	}
}

// Whoever is woken and goes away wakes another: a message is never left lying while somebody waits.
func TestWaitersComeAndGo(t *testing.T) {
	w := newWorld(t)
	q := w.create("q", attrVisibility, "600")
	const messages = 60
	var mu sync.Mutex
	got := map[string]int{}
	var all sync.WaitGroup
	over, stop := context.WithCancel(w.ctx)
	defer stop()
	for c := range 6 {
		all.Go(func() {
			for n := 0; over.Err() == nil; n++ {
				ctx, cancel := context.WithTimeout(over, time.Duration(1+(n*7+c)%13)*time.Millisecond)
				out, err := w.ReceiveMessage(ctx, &api.ReceiveMessageInput{QueueURL: q, WaitTimeSeconds: new(20)})
				cancel()
				if err != nil {
					continue
				}
				mu.Lock()
				for _, m := range out.Messages {
					got[*m.Body]++
				}
				if len(got) == messages {
					stop()
				}
				mu.Unlock()
			}
		})
	}
	for n := range messages {
		w.sendTo(q, fmt.Sprint(n))
	}
	until(t, "all messages are received", func() bool { return over.Err() != nil })
	all.Wait()
	for b, n := range got {
		if n != 1 {
			t.Errorf("%s was received %d times", b, n)
		}
	}
	if n := w.rooms.waiting.Load(); n != 0 {
		t.Errorf("%d wait when all have left", n)
	}
}

// goneClient is a client that went away a moment before its context ends.
type goneClient struct{}

func (goneClient) Gone() bool { return true }

func TestClientHasGone(t *testing.T) {
	w := newWorld(t)
	q := w.create("q")
	call := *aws.CallFrom(w.ctx)
	call.Client = goneClient{}
	gone := &world{Service: w.Service, t: t, ctx: aws.WithCall(w.ctx, &call)}
	first := gone.wait(q)
	w.untilWaiting(q, 1)
	second := w.wait(q)
	w.untilWaiting(q, 2)
	w.sendTo(q, "a")
	<-first.done
	<-second.done
	if len(first.got) != 0 || bodies(second.got) != "a" || second.got[0].Attributes["ApproximateReceiveCount"] != "1" {
		t.Errorf("who is gone received %q, the other %q", bodies(first.got), bodies(second.got))
	}
}

// What was claimed for a client that is gone when the answer is ready comes back at once and does not count as received.
func TestGivenBack(t *testing.T) {
	w := newWorld(t)
	q := w.create("q")
	w.sendTo(q, "a")
	found, err := w.named(w.ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := w.claim(w.ctx, found, &receiving{most: 1, hidden: time.Hour})
	if err != nil || len(got) != 1 {
		t.Fatalf("claimed %d, %v", len(got), err)
	}
	w.giveBack(w.ctx, found, got)
	if again := w.receive(q, 1); bodies(again) != "a" || again[0].Attributes["ApproximateReceiveCount"] != "1" {
		t.Errorf("received %q", bodies(again))
	}
}

func TestDeletedWhileWaiting(t *testing.T) {
	w := newWorld(t)
	q := w.create("q")
	r := w.wait(q)
	w.untilWaiting(q, 1)
	if _, err := w.DeleteQueue(w.ctx, &api.DeleteQueueInput{QueueURL: q}); err != nil {
		t.Fatal(err)
	}
	<-r.done
	wantError(t, r.err, "QueueDoesNotExist: The specified queue does not exist.")
}

// A server that ends keeps nobody waiting.
func TestEndWaits(t *testing.T) {
	w := newWorld(t)
	q := w.create("q")
	first := w.wait(q)
	w.untilWaiting(q, 1)
	start := time.Now()
	w.EndWaits()
	w.EndWaits()
	<-first.done
	second := w.wait(q)
	<-second.done
	if first.err != nil || second.err != nil || len(first.got)+len(second.got) != 0 || time.Since(start) > 15*time.Second {
		t.Errorf("%v, %v, after %s", first.err, second.err, time.Since(start))
	}
	w.sendTo(q, "a")
	last := w.wait(q)
	<-last.done
	if bodies(last.got) != "a" {
		t.Errorf("received %q, %v", bodies(last.got), last.err)
	}
}

func TestInFlightLimit(t *testing.T) {
	w := newWorld(t)
	q := w.create("q")
	for range 3 {
		w.sendTo(q, "a")
	}
	found, err := w.named(w.ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	first := w.receive(q, 2)
	if err := w.checkInFlightOf(w.ctx, found, 3); err != nil {
		t.Error(err)
	}
	w.later += 2 * time.Second
	wantError(t, w.checkInFlightOf(w.ctx, found, 2), "OverLimit: Too many messages are in flight: at most 2.")
	w.delete(q, first[0])
	if err := w.checkInFlightOf(w.ctx, found, 2); err != nil {
		t.Error(err)
	}
}

// Messages go by the queue as it is in the transaction that moves them, however old what the caller knows of it.
func TestStaleQueue(t *testing.T) {
	w := newWorld(t)
	q := w.create("q")
	old, err := w.named(w.ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.DeleteQueue(w.ctx, &api.DeleteQueueInput{QueueURL: q}); err != nil {
		t.Fatal(err)
	}
	send := func() error {
		return w.send(aws.WithCall(w.ctx, aws.CallFrom(w.ctx)), old, []*outgoing{{content: content{body: "x"}, id: "1"}})
	}
	wantError(t, send(), "QueueDoesNotExist: The specified queue does not exist.")
	w.later += deletedFor
	w.create("q") // another one of the same name
	wantError(t, send(), "QueueDoesNotExist: The specified queue does not exist.")
	if c := w.counts(q); c != "0/0/0" {
		t.Errorf("counts %s", c)
	}
}
