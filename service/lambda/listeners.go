package lambda

import (
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/store"
)

// listeners are who is told how an event ended, by their ARNs, and the role that tells them.
type listeners struct{ role, deadLetter, onSuccess, onFailure string }

// Who is told as it was when the event was accepted, beside the delivery's Role. Each is left out if there was none.
const (
	headDeadLetter = "deadLetter"
	headOnSuccess  = "onSuccess"
	headOnFailure  = "onFailure"
)

// newListeners are those of a version, and of what was invoked. c is nil for none.
func newListeners(role, deadLetter string, c *invokeConfig) listeners {
	l := listeners{role: role, deadLetter: deadLetter}
	if c != nil {
		l.onSuccess, l.onFailure = c.OnSuccess, c.OnFailure
	}
	return l
}

// keep has an event carry them: its alias, version or function may be deleted while it waits, and the rows that say who is told go
// with that. They were checked when they were set; whether the role may still send to them is decided when it does.
func (l listeners) keep(d *event.Delivery) {
	d.Role = l.role
	for _, h := range [...]struct{ name, arn string }{{headDeadLetter, l.deadLetter}, {headOnSuccess, l.onSuccess}, {headOnFailure, l.onFailure}} {
		if h.arn != "" {
			d.Headers[h.name] = h.arn
		} else {
			delete(d.Headers, h.name) // the transaction may run again
		}
	}
}

// listenersOf are those of what an event was for, as they are set now; c is its row, or nil. Of what was deleted they are those that the
// event was accepted with; nobody knows those of an event that an earlier server accepted, for which they are the function's.
func listenersOf(tx store.Tx, r ref, d *event.Delivery, c *invokeConfig) (listeners, error) {
	v, err := getQualified(tx, r)
	if v == nil && err == nil && d.Role != "" {
		h := d.Headers
		return listeners{d.Role, h[headDeadLetter], h[headOnSuccess], h[headOnFailure]}, nil
	}
	if v == nil && err == nil {
		r.qualifier = ""
		if v, err = getQualified(tx, r); err == nil {
			c, err = getInvokeConfig(tx, r)
		}
	}
	if v == nil || err != nil {
		return listeners{}, err
	}
	return newListeners(v.serving().Role, v.serving().DeadLetter, c), nil
}
