package sqs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

const (
	maxReceive       = 10
	maxRounds        = 20 // claims of one receive, when all that comes is too old or dead
	maxReceiveFilter = 100
)

// ReceiveMessage hides up to ten visible messages for a while and answers them. It waits for the first as long as it is told.
func (s *Service) ReceiveMessage(ctx context.Context, in *api.ReceiveMessageInput) (*api.ReceiveMessageOutput, error) {
	q, err := s.named(ctx, in.QueueURL)
	if err != nil {
		return nil, err
	}
	r, err := newReceiving(q, in)
	if err != nil {
		return nil, err
	}
	if err := s.checkInFlight(ctx, q); err != nil {
		return nil, err
	}
	got, again := s.attempted(ctx, q, r)
	if !again {
		if got, err = s.await(ctx, q, r); err != nil {
			return nil, err
		}
	}
	if len(got) == 0 {
		return &api.ReceiveMessageOutput{}, nil
	}
	if r.waited && hasGone(ctx) { // nobody reads the answer
		s.giveBack(ctx, q, got)
		return nil, context.Canceled
	}
	out, err := s.answer(ctx, q, r, got)
	if err != nil {
		s.giveBack(ctx, q, got)
		return nil, err
	}
	if r.attempt != "" && !again {
		s.attempts.keep(q.row.ID+"\x00"+r.attempt, got, s.now())
	}
	return out, nil
}

// hasGone says whether the client went away while it waited.
func hasGone(ctx context.Context) bool {
	client := aws.CallFrom(ctx).Client
	return ctx.Err() != nil || client != nil && client.Gone()
}

// receiving is what a ReceiveMessage asks for.
type receiving struct {
	most       int
	hidden     time.Duration
	wait       time.Duration
	attempt    string
	system     map[string]bool
	attributes []string
	waited     bool
}

func newReceiving(q *queue, in *api.ReceiveMessageInput) (*receiving, error) {
	r := &receiving{most: 1, attempt: value(in.ReceiveRequestAttemptID), attributes: in.MessageAttributeNames}
	hidden, wait := q.visibility, q.settings.wait
	if in.MaxNumberOfMessages != nil {
		if r.most = *in.MaxNumberOfMessages; r.most < 1 || r.most > maxReceive {
			return nil, wrong(r.most, "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")
		}
	}
	if in.VisibilityTimeout != nil {
		if hidden = *in.VisibilityTimeout; hidden < 0 || hidden > maxHidden {
			return nil, wrong(hidden, attrVisibility, "Must be >= 0 and <= 43200, if provided.")
		}
	}
	if in.WaitTimeSeconds != nil {
		if wait = *in.WaitTimeSeconds; wait < 0 || wait > maxWait {
			return nil, wrong(wait, "WaitTimeSeconds", "Must be >= 0 and <= 20, if provided.")
		}
	}
	if r.attempt != "" && !q.fifo {
		return nil, wrong(clip(r.attempt), "ReceiveRequestAttemptId", "The request includes a parameter that is not valid for this queue type.")
	}
	if r.attempt != "" && !isPunctuated(r.attempt) {
		return nil, wrong(clip(r.attempt), "ReceiveRequestAttemptId", "ReceiveRequestAttemptId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	}
	if len(r.attributes) > maxReceiveFilter {
		return nil, invalid("More than %d MessageAttributeNames.", maxReceiveFilter)
	}
	r.hidden, r.wait = time.Duration(hidden)*time.Second, time.Duration(wait)*time.Second
	return r, r.readNames(slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames))
}

var systemAttributes = []string{
	"SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp", "SequenceNumber",
	"MessageDeduplicationId", "MessageGroupId", traceHeader, "DeadLetterQueueSourceArn",
}

// causeName asks for the cause of a dead letter. It is Enfold's own: who asks for all does not get it, as AWS has no such attribute.
const causeName = "EnfoldCause"

func (r *receiving) readNames(names []string) error {
	r.system = map[string]bool{}
	for _, n := range names {
		switch {
		case n == "All":
			for _, a := range systemAttributes {
				r.system[a] = true
			}
		case n == causeName || slices.Contains(systemAttributes, n):
			r.system[n] = true
		case !slices.Contains(readable, n): // of queues: SDKs share the type
			return api.ErrInvalidAttributeName.Withf("Unknown Attribute %s.", clip(n))
		}
	}
	return nil
}

// await claims messages, now or as soon as there are some and the time has not run out.
func (s *Service) await(ctx context.Context, q *queue, r *receiving) ([]store.Claimed, error) {
	if r.wait == 0 {
		got, _, err := s.claim(ctx, q, r)
		return got, err
	}
	w := q.room.enter()
	defer q.room.leave(w)
	end := time.NewTimer(r.wait)
	defer end.Stop()
	for {
		got, next, err := s.claim(ctx, q, r)
		if err != nil || len(got) > 0 || w == nil {
			return got, err
		}
		if !next.IsZero() {
			q.room.alarm(next, s.now())
		}
		r.waited = true
		select {
		case <-w.woken:
			q.room.stay(w)
		case <-end.C:
			return nil, nil
		case <-s.closing:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// claim takes messages, and answers when the next becomes visible if there are none. What is too old is removed, and what
// was received too often goes to the dead-letter queue.
func (s *Service) claim(ctx context.Context, q *queue, r *receiving) (got []store.Claimed, next time.Time, err error) {
	var dead map[*queue]int
	err = s.messages.Update(ctx, func(tx store.Tx) error {
		got, next, dead = nil, time.Time{}, nil
		q, err := s.current(tx, q)
		if err != nil {
			return err
		}
		for range maxRounds {
			more, dropped, err := s.claimRound(tx, q, r, r.most-len(got), &dead)
			if err != nil {
				return err
			}
			got = append(got, more...)
			if !dropped || len(got) >= r.most {
				break
			}
		}
		if len(got) == 0 && r.wait > 0 {
			next, err = tx.NextDue(q.messages(), q.scope)
		}
		return err
	})
	if err != nil {
		return nil, next, err
	}
	for target, n := range dead {
		target.room.notify(n)
	}
	if len(got) > 0 {
		q.room.held.Add(int64(len(got)))
		q.room.notify(1) // there may be more
		q.room.alarm(s.now().Add(r.hidden), s.now())
	}
	return got, next, nil
}

// claimRound is one claim; dropped says that some of what came was not for the receiver.
func (s *Service) claimRound(tx store.Tx, q *queue, r *receiving, most int, dead *map[*queue]int) (got []store.Claimed, dropped bool, err error) {
	now := s.now()
	claim := tx.Claim
	if q.fifo {
		claim = tx.ClaimRuns
	}
	all, err := claim(q.messages(), q.scope, most, now, r.hidden)
	if err != nil {
		return nil, false, err
	}
	oldest := now.Add(-time.Duration(q.retention) * time.Second)
	for _, m := range all {
		switch {
		case m.Enqueued.Before(oldest):
			err = tx.Ack(q.messages(), q.scope, m.Receipt)
			dropped = true
		case q.redrive != nil && m.Tries > q.redrive.most:
			var target *queue
			if target, err = s.bury(tx, q, m); target == nil {
				got = append(got, m) // there is no such queue any more
				break
			}
			if *dead == nil {
				*dead = map[*queue]int{}
			}
			(*dead)[target]++
			dropped = true
		default:
			got = append(got, m)
		}
		if err != nil {
			return nil, false, err
		}
	}
	return got, dropped, nil
}

// bury moves a message to the queue's dead-letter queue and answers that one; nil if there is none.
func (s *Service) bury(tx store.Tx, q *queue, m store.Claimed) (*queue, error) {
	target := s.queues.get(queueKey{q.redrive.target, q.redrive.name})
	if target == nil || target.stale.Load() {
		var err error
		if target, err = s.read(tx, q.redrive.target, q.redrive.name); err != nil {
			if errors.Is(err, api.ErrQueueDoesNotExist) {
				return nil, nil
			}
			return nil, err
		}
	}
	e, err := decodeEnvelope(m.Body)
	if err != nil {
		return nil, err
	}
	// The claim that moves it is none of its receives. The next queue counts its own for its own redrive policy.
	e.source, e.before = q.arn(), e.before.of(m.Tries-1, m.First)
	moved := store.Message{ID: m.ID, Body: e.encode(), Group: m.Group, Enqueued: m.Enqueued}
	if q.fifo {
		moved.Enqueued = time.Time{} // its retention begins anew
	}
	if _, err := tx.Enqueue(target.messages(), target.scope, moved); err != nil {
		return nil, err
	}
	return target, tx.Ack(q.messages(), q.scope, m.Receipt)
}

// giveBack makes messages visible again that nobody got.
func (s *Service) giveBack(ctx context.Context, q *queue, got []store.Claimed) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := s.messages.Update(ctx, func(tx store.Tx) error {
		for _, m := range got {
			if err := tx.Return(q.messages(), q.scope, m.Receipt, s.now()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil { // they become visible when their time is over
		s.log.Warn("messages that nobody received stay hidden", "queue", q.arn(), "error", err)
		return
	}
	q.room.left(len(got))
	q.room.notify(len(got))
}

// answer makes the messages that the client gets.
func (s *Service) answer(ctx context.Context, q *queue, r *receiving, got []store.Claimed) (*api.ReceiveMessageOutput, error) {
	out := &api.ReceiveMessageOutput{Messages: make([]*api.Message, len(got))}
	now := s.now()
	for i := range got {
		e, err := decodeEnvelope(got[i].Body)
		if err != nil {
			return nil, fmt.Errorf("open message %s: %w", got[i].ID, err)
		}
		c, err := s.unseal(ctx, q, e)
		if err != nil {
			return nil, err
		}
		m := &api.Message{
			MessageID: &got[i].ID, Body: &c.body, MD5OfBody: new(md5Hex([]byte(c.body))),
			ReceiptHandle: new(s.handle(q, receipt{got[i].Receipt, now})), Attributes: r.systemAttributes(q, &got[i], e, c),
		}
		named := r.named(c.attributes)
		m.MessageAttributes, m.MD5OfMessageAttributes = attributeValues(named), md5OfAttributes(named)
		out.Messages[i] = m
	}
	return out, nil
}

func (r *receiving) systemAttributes(q *queue, m *store.Claimed, e *envelope, c *content) map[string]string {
	if len(r.system) == 0 {
		return nil
	}
	all := map[string]string{}
	put := func(name, v string) {
		if v != "" && r.system[name] {
			all[name] = v
		}
	}
	put("SenderId", c.sender)
	put("SentTimestamp", strconv.FormatInt(e.sent.UnixMilli(), 10))
	received := e.before.of(m.Tries, m.First)
	put("ApproximateReceiveCount", strconv.Itoa(received.count))
	put("ApproximateFirstReceiveTimestamp", strconv.FormatInt(received.first.UnixMilli(), 10))
	put(traceHeader, c.trace)
	put("DeadLetterQueueSourceArn", e.source)
	put("MessageGroupId", c.group)
	put("MessageDeduplicationId", c.dedup)
	put("SequenceNumber", value(q.sequence(m.Sequence)))
	put(causeName, c.cause)
	return all
}

// named are the attributes that the receiver asks for: by name, by "prefix.*", or all.
func (r *receiving) named(all []attribute) []attribute {
	var out []attribute
	for _, a := range all {
		if slices.ContainsFunc(r.attributes, func(want string) bool {
			prefix, isPrefix := strings.CutSuffix(want, "*")
			return want == "All" || want == a.name || isPrefix && strings.HasPrefix(a.name, strings.TrimSuffix(prefix, "."))
		}) {
			out = append(out, a)
		}
	}
	return out
}

func attributeValues(all []attribute) map[string]*api.MessageAttributeValue {
	if len(all) == 0 {
		return nil
	}
	out := map[string]*api.MessageAttributeValue{}
	for i := range all {
		a := &all[i]
		v := &api.MessageAttributeValue{DataType: &a.dataType}
		if a.binary {
			v.BinaryValue = a.value
		} else {
			v.StringValue = new(string(a.value))
		}
		out[a.name] = v
	}
	return out
}
