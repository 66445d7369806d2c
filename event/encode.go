package event

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A delivery lies in the queue as version, texts, each after its length, numbers, and the payload to the end. By reflection, as
// JSON, the same took a twentieth of all the time that an event costs.
const version = 1

var errMalformed = errors.New("event: malformed delivery")

// encode is a delivery as it lies in the queue.
func (d *Delivery) encode() []byte {
	b := make([]byte, 0, 512+len(d.Payload))
	b = append(b, version)
	for _, text := range [...]string{d.ID, d.Kind, d.Target, d.Scope.Account, d.Scope.Region, d.Group, d.Source, d.Role, d.Trace} {
		b = appendText(b, text)
	}
	b = binary.AppendUvarint(b, uint64(len(d.Headers)))
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		b = appendText(appendText(b, name), d.Headers[name])
	}
	b = appendTime(appendTime(b, d.Emitted), d.NotYet)
	r := d.Retry
	for _, n := range [...]int64{int64(d.Tries), int64(d.Waits), int64(r.Tries), int64(r.Age), int64(r.Longest), flag(r.Jitter), int64(len(r.Steps))} {
		b = binary.AppendVarint(b, n)
	}
	for _, step := range r.Steps {
		b = binary.AppendVarint(b, int64(step))
	}
	return append(b, d.Payload...)
}

func flag(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// appendTime adds seconds and nanoseconds, which have room for any time.
func appendTime(b []byte, t time.Time) []byte {
	return binary.AppendVarint(binary.AppendVarint(b, t.Unix()), int64(t.Nanosecond()))
}

// decode reads what encode wrote. The payload is a part of b.
func decode(b []byte) (*Delivery, error) {
	if len(b) == 0 || b[0] == 0 { // a length of less than 16 MiB
		return decodeJSON(b)
	}
	if b[0] != version {
		return nil, fmt.Errorf("%w of version %d", errMalformed, b[0])
	}
	d, r := &Delivery{}, &reader{b: b[1:]}
	for _, to := range [...]*string{
		&d.ID, &d.Kind, &d.Target, &d.Scope.Account, &d.Scope.Region, &d.Group, &d.Source, &d.Role, &d.Trace,
	} {
		*to = r.text()
	}
	if n := r.count(2); n > 0 {
		d.Headers = make(map[string]string, n)
		for range n {
			name := r.text()
			d.Headers[name] = r.text()
		}
	}
	d.Emitted, d.NotYet = r.time(), r.time()
	d.Tries, d.Waits = int(r.number()), int(r.number())
	d.Retry = Retry{Tries: int(r.number()), Age: time.Duration(r.number()), Longest: time.Duration(r.number()), Jitter: r.number() != 0}
	if n := r.number(); n < 0 || n > int64(len(r.b)) {
		r.bad = true
	} else if n > 0 {
		d.Retry.Steps = make([]time.Duration, n)
		for i := range d.Retry.Steps {
			d.Retry.Steps[i] = time.Duration(r.number())
		}
	}
	if r.bad {
		return nil, errMalformed
	}
	d.Payload = r.b
	return d, nil
}

// reader takes what is encoded apart.
type reader struct {
	b   []byte
	bad bool
}

// count is a number of things that take at least so many bytes each.
func (r *reader) count(size int) int {
	n, used := binary.Uvarint(r.b)
	if used <= 0 || n > uint64((len(r.b)-used)/size) {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[used:]
	return int(n)
}

func (r *reader) text() string {
	n := r.count(1)
	text := string(r.b[:n])
	r.b = r.b[n:]
	return text
}

func (r *reader) number() int64 {
	n, used := binary.Varint(r.b)
	if used <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[used:]
	return n
}

// time is in UTC, without a reading of the monotonic clock.
func (r *reader) time() time.Time {
	seconds, nanos := r.number(), r.number()
	return time.Unix(seconds, nanos).UTC()
}

// decodeJSON reads a delivery as it lay in the queue before there were versions: the length of the head, the head as JSON, the
// payload.
func decodeJSON(b []byte) (*Delivery, error) {
	if len(b) < 4 {
		return nil, errMalformed
	}
	n := int64(binary.BigEndian.Uint32(b))
	b = b[4:]
	if n > int64(len(b)) {
		return nil, errMalformed
	}
	d := &Delivery{}
	if err := json.Unmarshal(b[:n], d); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	d.Payload = b[n:]
	return d, nil
}
