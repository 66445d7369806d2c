package sqs

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/row"
)

// envelope is a message as the store has it: what changes when it moves to another queue, and the rest, sealed.
type envelope struct {
	sent   time.Time // millisecond precision
	source string    // ARN of the queue whose dead letter it is; empty for none
	before receives  // in the queues that it was a dead letter of
	key    []byte    // the encrypted data key that it is sealed with; empty: Enfold's own
	keyFor string    // ARN of the queue that the data key was made for
	sealed []byte
}

// receives are how often a message was received, and when first, in millisecond precision.
type receives struct {
	count int
	first time.Time // zero if count is
}

// of adds those of the queue that a message is claimed from, where each queue counts for itself.
func (r receives) of(tries int, first time.Time) receives {
	if r.count == 0 {
		r.first = first
	}
	r.count += tries
	return r
}

// content is what a message says.
type content struct {
	body       string
	sender     string // the SenderId
	group      string
	dedup      string
	trace      string // the AWSTraceHeader
	attributes []attribute
	cause      string // why a service put it here that could not deliver it elsewhere, as JSON; empty for none
}

// attribute is a message attribute.
type attribute struct {
	name, dataType string
	value          []byte
	binary         bool
}

// Versions of the envelope: the second has receives in other queues, which most messages have none of.
const (
	envelopeVersion = 1
	envelopeMoved   = 2
)

var errEnvelope = errors.New("sqs: a stored message is damaged")

func (e *envelope) encode() []byte {
	b := make([]byte, 0, 48+len(e.source)+len(e.key)+len(e.keyFor)+len(e.sealed))
	if e.before.count == 0 {
		b = append(b, envelopeVersion)
	} else {
		b = append(b, envelopeMoved)
		b = binary.AppendUvarint(b, uint64(e.before.count))
		b = binary.AppendUvarint(b, uint64(e.before.first.UnixMilli()))
	}
	b = binary.AppendUvarint(b, uint64(e.sent.UnixMilli()))
	b = row.AppendText(b, e.source)
	b = row.AppendText(b, e.key)
	b = row.AppendText(b, e.keyFor)
	return append(b, e.sealed...)
}

func decodeEnvelope(b []byte) (*envelope, error) {
	if len(b) == 0 || b[0] != envelopeVersion && b[0] != envelopeMoved {
		return nil, errEnvelope
	}
	r, e := row.Reader{Rest: b[1:]}, &envelope{}
	if b[0] == envelopeMoved {
		e.before = receives{count: int(r.Unsigned()), first: time.UnixMilli(int64(r.Unsigned()))}
		if e.before.count <= 0 {
			return nil, errEnvelope
		}
	}
	e.sent, e.source = time.UnixMilli(int64(r.Unsigned())).UTC(), r.Text()
	e.key, e.keyFor = []byte(r.Text()), r.Text()
	e.sealed = r.Rest
	if r.Bad {
		return nil, errEnvelope
	}
	return e, nil
}

func (c *content) encode() []byte {
	size := 64 + len(c.body) + len(c.group) + len(c.dedup) + len(c.trace) + len(c.sender)
	for i := range c.attributes {
		size += 16 + len(c.attributes[i].name) + len(c.attributes[i].dataType) + len(c.attributes[i].value)
	}
	b := make([]byte, 0, size)
	for _, s := range [...]string{c.body, c.sender, c.group, c.dedup, c.trace} {
		b = row.AppendText(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(c.attributes)))
	for i := range c.attributes {
		a := &c.attributes[i]
		b = row.AppendText(b, a.name)
		b = row.AppendText(b, a.dataType)
		kind := byte(0)
		if a.binary {
			kind = 1
		}
		b = append(b, kind)
		b = row.AppendText(b, a.value)
	}
	if c.cause != "" {
		b = row.AppendText(b, c.cause)
	}
	return b
}

func decodeContent(b []byte) (*content, error) {
	r := row.Reader{Rest: b}
	c := &content{body: r.Text(), sender: r.Text(), group: r.Text(), dedup: r.Text(), trace: r.Text()}
	n := r.Unsigned()
	if n > maxAttributes {
		return nil, errEnvelope
	}
	for range n {
		a := attribute{name: r.Text(), dataType: r.Text()}
		a.binary = r.Octet() == 1
		a.value = []byte(r.Text())
		c.attributes = append(c.attributes, a)
	}
	if len(r.Rest) > 0 && !r.Bad { // most have none, and so have those of before there were any
		c.cause = r.Text()
	}
	if r.Bad || len(r.Rest) > 0 {
		return nil, errEnvelope
	}
	return c, nil
}

// place is what sealed messages are bound to: they move between the queues of an account and Region only.
func place(sc store.Scope) []byte { return []byte(store.Key("sqs", sc.Account, sc.Region)) }

// open unseals a message with a key.
func (e *envelope) open(k *seal.Key, sc store.Scope) (*content, error) {
	plain, err := k.Open(e.sealed, place(sc))
	if err != nil {
		return nil, err
	}
	return decodeContent(plain)
}
