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

	relay *Relay // set by NewRelay
}

// NewOutbox makes an outbox whose payloads lie sealed. now is time.Now if nil.
func NewOutbox(k *seal.Key, now func() time.Time) *Outbox {
	if now == nil {
		now = time.Now
	}
	return &Outbox{seal: k, now: now}
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
func (o *Outbox) Emit(tx store.Tx, all ...*Delivery) error { return o.emit(tx, false, all) }

// Begin is Emit of a delivery that is about to be tried: if the relay of this process will soon have a place for it, it is claimed
// as it is stored, so that no other transaction has to, nor read it again. The caller must call [Outbox.Wake] with this very delivery: one that was claimed
// and not heard of again is tried when its lease ends, 20 seconds later. What it refers to, its payload and its headers, is the
// relay's from then on.
func (o *Outbox) Begin(tx store.Tx, d *Delivery) error { return o.emit(tx, true, []*Delivery{d}) }

var errIncomplete = errors.New("event: a delivery needs Kind, Target and Scope")

func (o *Outbox) emit(tx store.Tx, begin bool, all []*Delivery) error {
	for _, d := range all {
		if d.Kind == "" || d.Target == "" || d.Scope.Account == "" {
			return errIncomplete
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
		if err := o.enqueue(tx, d, d.NotYet, begin); err != nil {
			return err
		}
	}
	return nil
}

// Wake tells the relay of deliveries that are durable now.
func (o *Outbox) Wake(all ...*Delivery) {
	if o.relay == nil {
		return
	}
	for _, d := range all {
		if c := d.claimed; c != nil {
			begun := *d
			d.claimed, begun.claimed = nil, nil
			o.relay.begin(d.lane(), job{*c, &begun})
		} else {
			o.relay.wake(d.lane())
		}
	}
}

// enqueue stores a delivery. If it is to begin and there is a place for it, it is claimed.
func (o *Outbox) enqueue(tx store.Tx, d *Delivery, due time.Time, begin bool) error {
	lane := d.lane()
	d.claimed = nil
	_, err := tx.Get(lanes.Name, lane.scope, lane.queue) // what it says is known
	if errors.Is(err, store.ErrNotFound) {
		_, err = lanes.Put(tx, lane.scope, lane.queue, laneRow{d.Kind, d.Target})
	}
	if err != nil {
		return fmt.Errorf("emit to %s: %w", d.Target, err)
	}
	m := store.Message{ID: d.ID, Body: o.seal.Seal(d.encode(), []byte(lane.queue)), Due: due, Group: d.Group}
	if begin && o.relay != nil && o.relay.hasRoom(lane, d.Kind) {
		m.Lease = lease
	}
	done, err := tx.Enqueue(lane.queue, lane.scope, m)
	if err != nil {
		return fmt.Errorf("emit to %s: %w", d.Target, err)
	}
	if r := done[0].Receipt; r != "" {
		d.claimed = &store.Claimed{ID: d.ID, Receipt: r, Tries: 1, Sequence: done[0].Sequence}
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
