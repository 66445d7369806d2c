package sns

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/store"
)

// Limits of a message. See https://docs.aws.amazon.com/sns/latest/api/API_Publish.html.
const (
	maxMessage   = 256 << 10 // bytes, with its attributes
	maxSubject   = 100       // characters
	maxID        = 128       // characters of a group's or deduplication id
	dedupTime    = 5 * time.Minute
	sequenceBase = 10_000_000_000_000_000_000 // of the first SequenceNumber, which has 20 digits
)

// publication is a message on its way into a topic: of Publish, or an entry of PublishBatch.
type publication struct {
	text, subject, structure, group, dedup *string
	attributes                             map[string]*api.MessageAttributeValue
}

// duplicateRow is a message that a FIFO topic got.
type duplicateRow struct {
	ID, Sequence string
	At           time.Time
}

// Publish sends a message to a topic. It is durable when Publish returns.
func (s *Service) Publish(ctx context.Context, in *api.PublishInput) (*api.PublishOutput, error) {
	parameter, arn := "TopicArn", in.TopicArn
	switch {
	case in.TopicArn == nil && in.TargetArn != nil:
		parameter, arn = "TargetArn", in.TargetArn
		if strings.Contains(*arn, ":endpoint/") {
			return nil, invalid("TargetArn Reason: No endpoint found for the target arn specified")
		}
	case in.TopicArn == nil && in.PhoneNumber != nil:
		return nil, invalid("PhoneNumber Reason: Enfold does not send SMS")
	}
	a, err := parseTopic(ctx, parameter, arn)
	if err != nil {
		return nil, err
	}
	m, err := s.prepare(ctx, a, &publication{
		in.Message, in.Subject, in.MessageStructure, in.MessageGroupID, in.MessageDeduplicationID, in.MessageAttributes,
	})
	if err != nil {
		return nil, err
	}
	if err := s.emit(ctx, a, []*message{m}); err != nil {
		return nil, err
	}
	return &api.PublishOutput{MessageID: &m.ID, SequenceNumber: orNil(m.Sequence)}, nil
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// prepare makes the message of a publication, as far as it can be checked without the topic.
func (s *Service) prepare(ctx context.Context, topic aws.ARN, p *publication) (*message, error) {
	text := value(p.text)
	switch {
	case text == "":
		return nil, invalid("Empty message")
	case !utf8.ValidString(text):
		return nil, invalid("Message")
	}
	if err := checkSubject(p.subject); err != nil {
		return nil, err
	}
	attributes, size, err := readAttributes(p.attributes)
	if err != nil {
		return nil, err
	}
	if len(text)+size > maxMessage {
		return nil, invalid("Message too long")
	}
	m := s.newMessage(topic, text)
	m.Subject, m.Attributes = p.subject, attributes
	m.Group, m.Dedup = value(p.group), value(p.dedup)
	call := aws.CallFrom(ctx)
	m.TraceID, m.BaseURL = call.TraceID, call.BaseURL
	switch value(p.structure) {
	case "":
	case "json":
		if err := m.readStructure(text); err != nil {
			return nil, err
		}
	default:
		return nil, invalid("Invalid MessageStructure")
	}
	for name, id := range map[string]*string{"MessageGroupId": p.group, "MessageDeduplicationId": p.dedup} {
		if id != nil && !isID(*id) {
			return nil, invalid("The %s parameter can only include alphanumeric and punctuation characters, and must be between 1 and 128 characters long", name)
		}
	}
	return m, nil
}

// checkSubject wants a line of text.
func checkSubject(subject *string) error {
	if subject == nil {
		return nil
	}
	n := utf8.RuneCountInString(*subject)
	if n == 0 || n > maxSubject || !utf8.ValidString(*subject) || strings.ContainsFunc(*subject, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return invalid("Subject")
	}
	return nil
}

// isID says whether a group or a message may be called so.
func isID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// readStructure reads a message that has texts for protocols.
func (m *message) readStructure(text string) error {
	var all map[string]any
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return invalid("Message Structure - JSON message body failed to parse")
	}
	standard, ok := all["default"].(string)
	if !ok {
		return invalid("Message Structure - No default entry in JSON message body")
	}
	m.Text = standard
	for _, protocol := range []string{"http", "https", "email", "email-json", "sqs", "lambda"} {
		if own, ok := all[protocol].(string); ok {
			if m.Texts == nil {
				m.Texts = map[string]string{}
			}
			m.Texts[protocol] = own
		}
	}
	return nil
}

// emit stores messages for a topic in one transaction. It sets what the topic gives them.
func (s *Service) emit(ctx context.Context, arn aws.ARN, all []*message) error {
	l, err := s.lockFor(ctx, arn)
	if err != nil {
		return err
	}
	var out []*event.Delivery
	err = s.db.Update(ctx, func(tx store.Tx) error {
		out = nil
		t, err := getTopic(tx, arn)
		if err != nil {
			return err
		}
		c, err := t.counted(tx)
		if err != nil {
			return err
		}
		for _, m := range all {
			m.lock, m.Joined = l, c.Joined
			d, err := s.store(tx, t, m)
			if err != nil {
				return err
			}
			if d != nil {
				out = append(out, d)
			}
		}
		return s.deps.Outbox.Emit(tx, out...)
	})
	if err != nil {
		return err
	}
	s.deps.Outbox.Wake(out...)
	return nil
}

// store makes the delivery of a message to the topic's fan-out; nil if the topic got it before.
func (s *Service) store(tx store.Tx, t *topic, m *message) (*event.Delivery, error) {
	m.SignatureVersion = t.signatureVersion()
	if err := m.checkKind(t); err != nil {
		return nil, err
	}
	if t.row.FIFO {
		known, err := s.number(tx, t, m)
		if known || err != nil {
			return nil, err
		}
	}
	body, err := m.encode()
	if err != nil {
		return nil, err
	}
	d := &event.Delivery{
		Kind: PublishKind, Target: t.arn.String(), Scope: t.scope, Source: t.arn.String(), Payload: body, Retry: event.Retry{Longest: 10 * time.Second},
	}
	if t.row.FIFO {
		d.Group = m.Group
	}
	return d, nil
}

// checkKind refuses what does not go with the kind of topic, and makes up the deduplication id that the topic promises.
func (m *message) checkKind(t *topic) error {
	switch {
	case !t.row.FIFO && m.Dedup != "":
		return invalid("MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type")
	case !t.row.FIFO:
		return nil
	case m.Group == "":
		return invalid("The MessageGroupId parameter is required for FIFO topics")
	case m.Dedup == "" && t.attribute("ContentBasedDeduplication") != "true":
		return invalid("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	case m.Dedup == "":
		sum := sha256.Sum256([]byte(m.Text))
		m.Dedup = hex.EncodeToString(sum[:])
	}
	return nil
}

// number gives a message of a FIFO topic its sequence number, or those of the same message that the topic got within the last
// five minutes: known.
func (s *Service) number(tx store.Tx, t *topic, m *message) (known bool, err error) {
	if err := forgetOld(tx, t, m.At.Add(-dedupTime)); err != nil {
		return false, err
	}
	key := store.Key(t.name(), "", m.Dedup)
	if t.attribute("FifoThroughputScope") == "MessageGroup" {
		key = store.Key(t.name(), m.Group, m.Dedup)
	}
	row, err := duplicates.Get(tx, t.scope, key)
	switch {
	case err == nil && m.At.Sub(row.Value.At) < dedupTime:
		m.ID, m.Sequence = row.Value.ID, row.Value.Sequence
		return true, nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return false, err
	}
	c, err := t.count(tx, func(c *countRow) { c.Sequence++ })
	if err != nil {
		return false, err
	}
	m.Sequence = strconv.FormatUint(sequenceBase+c.Sequence*1000, 10)
	if _, err := duplicates.Put(tx, t.scope, key, duplicateRow{m.ID, m.Sequence, m.At}); err != nil {
		return false, err
	}
	_, err = ages.Put(tx, t.scope, store.Key(t.name(), fmt.Sprintf("%020d", m.At.UnixMilli()), m.Sequence), key)
	return false, err
}

// forgetOld forgets a few of the messages that are too old to have duplicates: more than come.
func forgetOld(tx store.Tx, t *topic, before time.Time) error {
	limit := store.Key(t.name(), fmt.Sprintf("%020d", before.UnixMilli()))
	for row, err := range ages.Scan(tx, t.scope, store.Range{Prefix: store.Prefix(t.name()), Limit: 3}) {
		if err != nil {
			return err
		}
		if row.Key >= limit {
			return nil
		}
		d, err := duplicates.Get(tx, t.scope, row.Value)
		if err == nil && d.Value.At.Before(before) {
			err = duplicates.Delete(tx, t.scope, row.Value)
		}
		if err := errors.Join(ifThere(err), ages.Delete(tx, t.scope, row.Key)); err != nil {
			return err
		}
	}
	return nil
}
