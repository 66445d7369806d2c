package sqs

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
)

func TestFIFOOrder(t *testing.T) {
	w := newWorld(t)
	q := w.create("q.fifo")
	for _, b := range []string{"a1", "a2", "b1", "a3", "b2"} {
		w.fifo(q, b[:1], b)
	}
	got := w.receive(q, 2)
	if bodies(got) != "a1 a2" {
		t.Fatalf("received %q, want the first of one group", bodies(got))
	}
	if rest := w.receive(q, 10); bodies(rest) != "b1 b2" {
		t.Errorf("received %q while group a is in flight", bodies(rest))
	}
	w.delete(q, got[1]) // out of order: a1 still holds the group
	if rest := w.receive(q, 10); len(rest) != 0 {
		t.Errorf("received %q while a1 is in flight", bodies(rest))
	}
	w.later += 31 * time.Second // a1 comes back before a3
	if again := w.receive(q, 10); bodies(again) != "a1 a3 b1 b2" {
		t.Errorf("received %q after the time was over", bodies(again))
	}
	_, err := w.DeleteMessage(w.ctx, &api.DeleteMessageInput{QueueURL: q, ReceiptHandle: got[0].ReceiptHandle})
	wantError(t, err, "InvalidParameterValueException: Value "+*got[0].ReceiptHandle+" for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.")
}

func TestFIFODeduplication(t *testing.T) {
	w := newWorld(t)
	send := func(q *string, group, body, dedup string) *api.SendMessageOutput {
		in := &api.SendMessageInput{QueueURL: q, MessageBody: &body, MessageGroupID: &group}
		if dedup != "" {
			in.MessageDeduplicationID = &dedup
		}
		return w.sendIn(in)
	}
	queue := w.create("queue.fifo", attrContentDedup, "true")
	first, second := send(queue, "a", "x", ""), send(queue, "b", "x", "")
	if *first.MessageID != *second.MessageID || *first.SequenceNumber != *second.SequenceNumber || len(*first.SequenceNumber) != 20 {
		t.Errorf("the same content in another group is %s, %s, after %s, %s", *second.MessageID, *second.SequenceNumber, *first.MessageID, *first.SequenceNumber)
	}
	if third := send(queue, "a", "x", "other"); *third.MessageID == *first.MessageID || *third.SequenceNumber <= *first.SequenceNumber {
		t.Errorf("another deduplication id is %+v", third)
	}
	group := w.create("group.fifo", attrContentDedup, "true", attrDedupScope, scopeGroup, attrThroughput, perGroup)
	first, second = send(group, "a", "x", ""), send(group, "b", "x", "")
	if *first.MessageID == *second.MessageID {
		t.Error("deduplicated across groups")
	}
	if again := send(group, "b", "x", ""); *again.MessageID != *second.MessageID {
		t.Error("not deduplicated in its group")
	}
	got := w.receive(group, 1)[0]
	if got.Attributes["MessageDeduplicationId"] != "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" || got.Attributes["MessageGroupId"] != "a" {
		t.Errorf("attributes %v", got.Attributes)
	}
}

// Consumers that crash, lose their messages' time and delete what they did see each group in order.
func TestFIFOConcurrentConsumers(t *testing.T) {
	w := newWorld(t)
	q := w.create("q.fifo", attrVisibility, "600")
	const groups, each = 5, 20
	for i := range each {
		for g := range groups {
			w.fifo(q, fmt.Sprint(g), fmt.Sprintf("%d/%02d", g, i))
		}
	}
	var mu sync.Mutex
	done := map[string]string{} // the last of each group that was deleted
	left := groups * each
	var consumers sync.WaitGroup
	for c := range 4 {
		consumers.Go(func() {
			for n := 0; ; n++ {
				got, err := w.ReceiveMessage(w.ctx, &api.ReceiveMessageInput{QueueURL: q, MaxNumberOfMessages: new(1 + (n+c)%4)})
				if err != nil {
					t.Error(err)
					return
				}
				for i, m := range got.Messages {
					if (n+c)%5 == 0 { // lost: all that came, back at once
						w.show(q, got.Messages[i:])
						break
					}
					group, _, _ := strings.Cut(*m.Body, "/")
					mu.Lock()
					if *m.Body <= done[group] {
						t.Errorf("%s after %s", *m.Body, done[group])
					}
					done[group] = *m.Body
					left--
					mu.Unlock()
					if _, err := w.DeleteMessage(w.ctx, &api.DeleteMessageInput{QueueURL: q, ReceiptHandle: m.ReceiptHandle}); err != nil {
						t.Error(err)
					}
				}
				mu.Lock()
				over := left <= 0 || t.Failed()
				mu.Unlock()
				if over {
					return
				}
			}
		})
	}
	consumers.Wait()
	if c := w.counts(q); c != "0/0/0" {
		t.Errorf("counts %s", c)
	}
}

// show makes messages visible again, the last one first, so that none is received before those that it is behind.
func (w *world) show(q *string, all []*api.Message) {
	in := &api.ChangeMessageVisibilityBatchInput{QueueURL: q}
	for i, m := range all {
		in.Entries = append(in.Entries, &api.ChangeMessageVisibilityBatchRequestEntry{ID: new(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: new(0)})
	}
	if out, err := w.ChangeMessageVisibilityBatch(w.ctx, in); err != nil || len(out.Failed) > 0 {
		w.t.Errorf("make visible: %+v, %v", out, err)
	}
}

func TestReceiveAttempt(t *testing.T) {
	w := newWorld(t)
	q := w.create("q.fifo")
	for _, b := range []string{"1", "2", "3"} {
		w.fifo(q, "a", b)
	}
	receive := func(attempt string) []*api.Message {
		out, err := w.ReceiveMessage(w.ctx, &api.ReceiveMessageInput{QueueURL: q, MaxNumberOfMessages: new(2), ReceiveRequestAttemptID: &attempt})
		if err != nil {
			t.Fatal(err)
		}
		return out.Messages
	}
	first := receive("x")
	w.later += 20 * time.Second
	again := receive("x")
	if bodies(first) != "1 2" || bodies(again) != "1 2" || *again[0].MessageID != *first[0].MessageID {
		t.Fatalf("received %q and then %q", bodies(first), bodies(again))
	}
	w.later += 20 * time.Second // the second attempt hid them anew
	if got := receive("y"); len(got) != 0 {
		t.Errorf("another attempt received %q", bodies(got))
	}
	w.delete(q, again[0])
	w.delete(q, again[1])
	if got := receive("x"); bodies(got) != "3" {
		t.Errorf("received %q after what the attempt got was deleted", bodies(got))
	}
	_, err := w.ReceiveMessage(w.ctx, &api.ReceiveMessageInput{QueueURL: w.create("standard"), ReceiveRequestAttemptID: new("x")})
	wantError(t, err, "InvalidParameterValueException: Value x for parameter ReceiveRequestAttemptId is invalid. Reason: The request includes a parameter that is not valid for this queue type.")
}

// TestFIFODelayIsRetroactive: another delay of a FIFO queue holds for what waits in it; that of a standard queue for what is sent from
// then on.
func TestFIFODelayIsRetroactive(t *testing.T) {
	w := newWorld(t)
	set := func(q *string, delay string) {
		t.Helper()
		_, err := w.SetQueueAttributes(w.ctx, &api.SetQueueAttributesInput{QueueURL: q, Attributes: map[string]string{attrDelay: delay}})
		if err != nil {
			t.Fatal(err)
		}
	}
	counts := func(q *string, want string) {
		t.Helper()
		if c := w.counts(q); c != want {
			t.Errorf("counts %s, want %s", c, want)
		}
	}
	q := w.create("q.fifo", attrDelay, "900", attrVisibility, "0")
	w.fifo(q, "g", "a")
	w.fifo(q, "g", "b")
	w.fifo(q, "h", "c")
	counts(q, "0/0/3")
	set(q, "0")
	counts(q, "3/0/0")
	if got := w.receive(q, 2); bodies(got) != "a b" {
		t.Errorf("received %q", bodies(got))
	}
	set(q, "60")
	counts(q, "2/0/1") // what was received is not delayed any more
	w.later += 61 * time.Second
	if got := w.receive(q, 10); bodies(got) != "a b c" && bodies(got) != "c a b" {
		t.Errorf("received %q", bodies(got))
	}

	// A receive that waits is woken.
	busy := w.create("busy.fifo", attrDelay, "900")
	w.fifo(busy, "g", "a")
	got := make(chan string, 1)
	go func() {
		out, err := w.ReceiveMessage(w.ctx, &api.ReceiveMessageInput{QueueURL: busy, WaitTimeSeconds: new(20)})
		if err != nil {
			got <- err.Error()
			return
		}
		got <- bodies(out.Messages)
	}()
	time.Sleep(20 * time.Millisecond)
	set(busy, "0")
	select {
	case body := <-got:
		if body != "a" {
			t.Errorf("received %q", body)
		}
	case <-time.After(10 * time.Second):
		t.Error("a receive that waits is not woken")
	}

	standard := w.create("standard", attrDelay, "900")
	w.sendTo(standard, "a")
	set(standard, "0")
	counts(standard, "0/0/1")
}

// TestFIFODelayOfMany: SetQueueAttributes does not wait for all of many messages, and a sweep gives the others their delay, after a
// restart too.
func TestFIFODelayOfMany(t *testing.T) {
	w := newWorld(t)
	q := w.create("q.fifo", attrDelay, "900")
	const extra = 30
	for i := range (redelayBatch*redelayAtOnce + extra) / 10 {
		in := &api.SendMessageBatchInput{QueueURL: q}
		for j := range 10 {
			id := fmt.Sprint(i, "-", j)
			in.Entries = append(in.Entries, &api.SendMessageBatchRequestEntry{ID: &id, MessageBody: &id, MessageGroupID: &id, MessageDeduplicationID: &id})
		}
		if _, err := w.SendMessageBatch(w.ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.SetQueueAttributes(w.ctx, &api.SetQueueAttributesInput{QueueURL: q, Attributes: map[string]string{attrDelay: "0"}}); err != nil {
		t.Fatal(err)
	}
	if c, want := w.counts(q), fmt.Sprintf("%d/0/%d", redelayBatch*redelayAtOnce, extra); c != want {
		t.Errorf("counts %s, want %s", c, want)
	}
	w.reopen()
	for range 2 { // the second finds nothing to do
		if err := w.sweep(w.ctx); err != nil {
			t.Fatal(err)
		}
		if c, want := w.counts(q), fmt.Sprintf("%d/0/0", redelayBatch*redelayAtOnce+extra); c != want {
			t.Errorf("counts %s, want %s", c, want)
		}
	}
	if got, err := w.named(w.ctx, q); err != nil || !got.row.Delayed.IsZero() {
		t.Errorf("the queue is still to have another delay: %+v, %v", got.row, err)
	}
}
