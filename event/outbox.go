package event

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// Outbox is where services leave deliveries.
type Outbox struct {
	seal *seal.Key
	now  func() time.Time
	wake func(laneID) // set by NewRelay
}

// NewOutbox makes an outbox whose payloads lie sealed. now is time.Now if nil.
func NewOutbox(k *seal.Key, now func() time.Time) *Outbox {
	if now == nil {
		now = time.Now
	}
	return &Outbox{seal: k, now: now, wake: func(laneID) {}}
}

// laneRow names a lane for as long as it holds a delivery. Its key is the name of the queue.
type laneRow struct{ Kind, Target string }

var lanes = store.Table[laneRow]{Name: "event.lane"}

// laneID is a lane: the queue of a kind and a target.
type laneID struct {
	scope store.Scope
	queue string
}

// maxName is the longest target that a queue is named by.
const maxName = 512

func (d *Delivery) lane() laneID {
	name := d.Target
	if len(name) > maxName {
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:])
	}
	return laneID{d.Scope, "event\x00" + d.Kind + "\x00" + name}
}

// Emit adds deliveries to the transaction and sets what they leave open. Call [Outbox.Wake] when it is durable.
func (o *Outbox) Emit(tx store.Tx, all ...*Delivery) error {
	for _, d := range all {
		if d.Kind == "" || d.Target == "" || d.Scope.Account == "" {
			return errors.New("event: a delivery needs Kind, Target and Scope")
		}
		if len(d.Payload) > MaxPayload {
			return fmt.Errorf("event: %w: a payload of %d bytes", store.ErrTooLarge, len(d.Payload))
		}
		if d.ID == "" {
			d.ID = uuid.NewString()
		}
		if d.Emitted.IsZero() {
			d.Emitted = o.now()
		}
		if err := o.enqueue(tx, d, d.NotYet); err != nil {
			return err
		}
	}
	return nil
}

// Wake tells the relay of deliveries that are durable now.
func (o *Outbox) Wake(all ...*Delivery) {
	for _, d := range all {
		o.wake(d.lane())
	}
}

func (o *Outbox) enqueue(tx store.Tx, d *Delivery, due time.Time) error {
	lane := d.lane()
	_, err := lanes.Get(tx, lane.scope, lane.queue)
	if errors.Is(err, store.ErrNotFound) {
		_, err = lanes.Put(tx, lane.scope, lane.queue, laneRow{d.Kind, d.Target})
	}
	if err != nil {
		return fmt.Errorf("emit to %s: %w", d.Target, err)
	}
	body, err := d.encode()
	if err != nil {
		return err
	}
	m := store.Message{ID: d.ID, Body: o.seal.Seal(body, []byte(lane.queue)), Due: due, Group: d.Group}
	if _, err := tx.Enqueue(lane.queue, lane.scope, m); err != nil {
		return fmt.Errorf("emit to %s: %w", d.Target, err)
	}
	return nil
}

func (o *Outbox) open(lane laneID, body []byte) (*Delivery, error) {
	plain, err := o.seal.Open(body, []byte(lane.queue))
	if err != nil {
		return nil, fmt.Errorf("open delivery: %w", err)
	}
	return decode(plain)
}
