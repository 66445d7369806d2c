package sns

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/store"
)

// A large message to many subscriptions lies once in the store: its deliveries name it. It goes with the last of them.
const (
	inlineSize  = 4 << 10 // bytes of a message that every delivery has for itself
	inlineCount = 8       // subscriptions, up to which every delivery has any message for itself
	headBody    = "body"  // the key of the message that a delivery names
)

// bodyCountRow counts the deliveries that name bodies of a message, and a fan-out that is not at its end as one more.
type bodyCountRow struct{ Left int }

var (
	// bodies are encoded messages, sealed: topic, message id, hash.
	bodies = store.Table[[]byte]{Name: "sns.body"}
	// bodyCounts count for each message: topic, message id.
	bodyCounts = store.Table[bodyCountRow]{Name: "sns.body.count"}
)

// body is a message that deliveries name.
type body struct {
	key    string
	sealed []byte
}

// share makes a delivery name its message, and answers what must be stored for that; nil if the delivery keeps it.
func (s *Service) share(d *event.Delivery, topic, messageID string) *body {
	if len(d.Payload) <= inlineSize {
		return nil
	}
	sum := sumOf(d.Payload)
	b := &body{key: store.Key(topic, messageID, hex.EncodeToString(sum[:16]))}
	b.sealed = s.deps.Seal.Seal(d.Payload, bodyPlace(d.Scope, b.key))
	d.Headers = map[string]string{headBody: b.key}
	d.Payload = nil
	return b
}

func bodyPlace(sc store.Scope, key string) []byte {
	return []byte("sns body\x00" + sc.Account + "\x00" + sc.Region + "\x00" + key)
}

// payload is the encoded message of a delivery, wherever it lies.
func (s *Service) payload(ctx context.Context, d *event.Delivery) ([]byte, error) {
	key := d.Headers[headBody]
	if key == "" {
		return d.Payload, nil
	}
	var sealed []byte
	err := s.db.View(ctx, func(tx store.Tx) error {
		row, err := bodies.Get(tx, d.Scope, key)
		sealed = row.Value
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, event.Permanent(fmt.Errorf("sns: the message of delivery %s: %w", d.ID, err))
	}
	if err != nil {
		return nil, err
	}
	b, err := s.deps.Seal.Open(sealed, bodyPlace(d.Scope, key))
	if err != nil {
		return nil, event.Permanent(fmt.Errorf("sns: the message of delivery %s: %w", d.ID, err))
	}
	return b, nil
}

// keepBodies stores the bodies that the deliveries of a piece name. more is 1 if the fan-out begins and goes on after this piece, -1 if it
// went on and ends.
func keepBodies(tx store.Tx, sc store.Scope, message string, all map[string][]byte, named, more int) error {
	for key, sealed := range all {
		if _, err := bodies.Put(tx, sc, key, sealed); err != nil {
			return err
		}
	}
	return countBodies(tx, sc, message, named+more)
}

// countBodies changes how many name bodies of a message, and removes what nobody names any more.
func countBodies(tx store.Tx, sc store.Scope, message string, more int) error {
	if more == 0 {
		return nil
	}
	row, err := bodyCounts.Get(tx, sc, message)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if row.Value.Left += more; row.Value.Left > 0 {
		_, err := bodyCounts.Put(tx, sc, message, row.Value)
		return err
	}
	var keys []string
	for row, err := range bodies.Scan(tx, sc, store.Range{Prefix: message + "\x00"}) {
		if err != nil {
			return err
		}
		keys = append(keys, row.Key)
	}
	for _, key := range keys {
		if err := bodies.Delete(tx, sc, key); err != nil {
			return err
		}
	}
	return ifThere(bodyCounts.Delete(tx, sc, message))
}

// release ends a delivery's hold on the message that it names, if it names one.
func release(tx store.Tx, d *event.Delivery) error {
	key := d.Headers[headBody]
	if key == "" {
		return nil
	}
	return countBodies(tx, d.Scope, key[:strings.LastIndexByte(key, 0)], -1)
}
