package event

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/enfold-run/enfold/store/row"
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
		b = row.AppendText(b, text)
	}
	b = binary.AppendUvarint(b, uint64(len(d.Headers)))
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		b = row.AppendText(row.AppendText(b, name), d.Headers[name])
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
	d, r := &Delivery{}, &row.Reader{Rest: b[1:]}
	for _, to := range [...]*string{
		&d.ID, &d.Kind, &d.Target, &d.Scope.Account, &d.Scope.Region, &d.Group, &d.Source, &d.Role, &d.Trace,
	} {
		*to = r.Text()
	}
	if n := r.Count(2); n > 0 {
		d.Headers = make(map[string]string, n)
		for range n {
			name := r.Text()
			d.Headers[name] = r.Text()
		}
	}
	d.Emitted, d.NotYet = readTime(r), readTime(r)
	d.Tries, d.Waits = int(r.Number()), int(r.Number())
	d.Retry = Retry{Tries: int(r.Number()), Age: time.Duration(r.Number()), Longest: time.Duration(r.Number()), Jitter: r.Number() != 0}
	if n := r.Number(); n < 0 || n > int64(len(r.Rest)) {
		r.Bad = true
	} else if n > 0 {
		d.Retry.Steps = make([]time.Duration, n)
		for i := range d.Retry.Steps {
			d.Retry.Steps[i] = time.Duration(r.Number())
		}
	}
	if r.Bad {
		return nil, errMalformed
	}
	d.Payload = r.Rest
	return d, nil
}

// readTime reads what appendTime added: in UTC, without a reading of the monotonic clock.
func readTime(r *row.Reader) time.Time {
	seconds, nanos := r.Number(), r.Number()
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
