package sqs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

const (
	dedupFor   = 5 * time.Minute
	maxGroupID = 128
	punctuated = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
)

var (
	errNoGroup = missing("MessageGroupId")
	errNoDedup = invalid("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
)

// outgoing is a message on its way into the store.
type outgoing struct {
	content
	delay *int // seconds; nil: the queue's
	id    string
	done  store.Enqueued

	traceSum *string // digest of an AWSTraceHeader that the sender gave
}

// size is what the message counts, in bytes.
func (m *outgoing) size() int { return len(m.body) + size(m.attributes) }

// SendMessage stores one message. It is durable when SendMessage returns.
func (s *Service) SendMessage(ctx context.Context, in *api.SendMessageInput) (*api.SendMessageOutput, error) {
	q, err := s.named(ctx, in.QueueURL)
	if err != nil {
		return nil, err
	}
	m, err := newOutgoing(q, in)
	if err != nil {
		return nil, err
	}
	m.from(aws.CallFrom(ctx))
	if err := s.send(ctx, q, []*outgoing{m}); err != nil {
		return nil, err
	}
	return &api.SendMessageOutput{
		MessageID: &m.done.ID, MD5OfMessageBody: new(md5Hex([]byte(m.body))), MD5OfMessageAttributes: md5OfAttributes(m.attributes),
		MD5OfMessageSystemAttributes: m.traceSum, SequenceNumber: q.sequence(m.done.Sequence),
	}, nil
}

// sequence is a SequenceNumber of 20 digits; nil for a standard queue.
func (q *queue) sequence(n int64) *string {
	if !q.fifo {
		return nil
	}
	return new(fmt.Sprintf("188%017d", n))
}

// senderID is IAM's id of who sends: AIDA… of a user, AROA…:session of a role session, the account of a root user.
func senderID(p *aws.Principal) string {
	switch {
	case p == nil:
		return ""
	case p.ID != "":
		return p.ID
	}
	return p.Service
}

// newOutgoing checks a message.
func newOutgoing(q *queue, in *api.SendMessageInput) (*outgoing, error) {
	m := &outgoing{delay: in.DelaySeconds, id: uuid.NewString()}
	m.body = value(in.MessageBody)
	switch {
	case m.body == "":
		return nil, missing("MessageBody")
	case !isXML(m.body):
		return nil, api.ErrInvalidMessageContents.New(forbidden)
	}
	var err error
	if m.attributes, err = messageAttributes(in.MessageAttributes); err != nil {
		return nil, err
	}
	if m.trace, err = traceOf(in.MessageSystemAttributes); err != nil {
		return nil, err
	}
	m.traceSum = md5OfTrace(m.trace)
	if m.size() > q.maxSize {
		return nil, invalid("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", q.maxSize)
	}
	if d := in.DelaySeconds; d != nil {
		if *d < 0 || *d > maxDelay {
			return nil, wrong(*d, attrDelay, "DelaySeconds must be >= 0 and <= 900.")
		}
		if q.fifo && *d > 0 {
			return nil, wrong(*d, attrDelay, "The request include parameter that is not valid for this queue type.")
		}
	}
	return m, m.order(q, in)
}

// maxTrace is the longest trace header that a message takes along, in bytes.
const maxTrace = 1024

// maxCause is the longest cause that a message takes along, in bytes.
const maxCause = 4 << 10

// from notes who sends the message, and why if that is a service with a dead letter. The trace that the request belongs to goes on with it, unless the sender gave another:
// SDKs in functions send the header with every request.
func (m *outgoing) from(call *aws.Call) {
	m.sender = senderID(call.Principal)
	if m.trace == "" && len(call.TraceID) <= maxTrace && isXML(call.TraceID) {
		m.trace = call.TraceID
	}
	if p := call.Principal; p != nil && p.Service != "" && len(call.Cause) <= maxCause && isXML(call.Cause) {
		m.cause = call.Cause
	}
}

// order checks what says where in the order of a FIFO queue the message is.
func (m *outgoing) order(q *queue, in *api.SendMessageInput) error {
	if in.MessageGroupID != nil && !isPunctuated(*in.MessageGroupID) {
		return wrong(*in.MessageGroupID, "MessageGroupId", "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	}
	m.group, m.dedup = value(in.MessageGroupID), value(in.MessageDeduplicationID)
	if !q.fifo {
		if in.MessageDeduplicationID != nil {
			return wrong(m.dedup, "MessageDeduplicationId", "The request includes a parameter that is not valid for this queue type.")
		}
		return nil
	}
	if in.MessageGroupID == nil {
		return errNoGroup
	}
	if in.MessageDeduplicationID != nil {
		if !isPunctuated(m.dedup) {
			return wrong(m.dedup, "MessageDeduplicationId", "MessageDeduplicationId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
		}
		return nil
	}
	if !q.contentDedup {
		return errNoDedup
	}
	sum := sha256.Sum256([]byte(m.body))
	m.dedup = hex.EncodeToString(sum[:])
	return nil
}

func isPunctuated(s string) bool {
	return s != "" && len(s) <= maxGroupID && strings.Trim(s, punctuated) == ""
}

// send stores messages, all or none, and wakes who waits for them.
func (s *Service) send(ctx context.Context, q *queue, all []*outgoing) error {
	now := s.now()
	stored := make([]store.Message, len(all))
	for i, m := range all {
		body, err := s.seal(ctx, q, &m.content, now)
		if err != nil {
			return err
		}
		stored[i] = store.Message{ID: m.id, Body: body}
		if q.fifo {
			stored[i].Group, stored[i].Dedup, stored[i].DedupFor = m.group, q.dedupKey(m), dedupFor
		}
	}
	var done []store.Enqueued
	var due time.Time
	err := s.messages.Update(ctx, func(tx store.Tx) error {
		now, err := s.current(tx, q)
		if err != nil {
			return err
		}
		due = time.Time{}
		for i, m := range all {
			at := s.now()
			if q.fifo {
				stored[i].Enqueued = at // what another delay is counted from
			}
			stored[i].Due = now.due(m, at)
			if at := stored[i].Due; !at.IsZero() && (due.IsZero() || at.Before(due)) {
				due = at
			}
		}
		done, err = tx.Enqueue(q.messages(), q.scope, stored...)
		return err
	})
	if err != nil {
		return err
	}
	ready := 0
	for i, m := range all {
		m.done = done[i]
		if stored[i].Due.IsZero() && !done[i].Duplicate {
			ready++
		}
	}
	q.room.notify(ready)
	if !due.IsZero() {
		q.room.alarm(due, s.now())
	}
	return nil
}

// due is when a message becomes visible; zero for at once.
func (q *queue) due(m *outgoing, now time.Time) time.Time {
	delay := q.delay
	if m.delay != nil && !q.fifo {
		delay = *m.delay
	}
	if delay == 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(delay) * time.Second)
}

// dedupKey is the deduplication id as the store has it: of one length, and of the group's own if the queue says so.
func (q *queue) dedupKey(m *outgoing) string {
	text := m.dedup
	if q.dedupByGroup {
		text = store.Key(m.group, m.dedup)
	}
	sum := sha256.Sum256([]byte(text))
	return string(sum[:])
}
