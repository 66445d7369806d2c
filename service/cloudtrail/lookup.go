package cloudtrail

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	api "github.com/enfold-run/enfold/api/cloudtrail"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

const (
	lookupLimit = 50 // events of a page
	lookupDays  = 90
	// lookupChunks bounds the chunks that one page reads for a rare attribute; the page is shorter then, and has a token.
	lookupChunks = 2_000
	// clockSlack is how far a clock may have gone back: chunks that begin so much later are not looked into.
	clockSlack = time.Hour
	maxToken   = 512
)

// lookup is a LookupEvents.
type lookup struct {
	region     string
	key, value string // of the attribute; empty for all
	from, to   time.Time
	limit      int

	found []*api.Event
	at    place // where the next page begins
	more  bool
}

// place is where a page ends: the events of chunk seq from number upTo on were seen.
type place struct {
	seq  int64
	upTo int
}

// LookupEvents answers the management events of a region, the newest first.
func (s *Service) LookupEvents(ctx context.Context, in *api.LookupEventsInput) (*api.LookupEventsOutput, error) {
	call := aws.CallFrom(ctx)
	l, err := s.newLookup(call, in)
	if err != nil {
		return nil, err
	}
	if err := s.flush(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	id := logID{call.Account, management}
	if err := s.raw.View(ctx, func(tx store.Tx) error { return l.run(tx, id, l.at) }); err != nil {
		return nil, err
	}
	out := &api.LookupEventsOutput{Events: l.found}
	if out.Events == nil {
		out.Events = []*api.Event{}
	}
	if l.more {
		out.NextToken = new(s.lookupToken(call, in, l.at))
	}
	return out, nil
}

func (s *Service) newLookup(call *aws.Call, in *api.LookupEventsInput) (*lookup, error) {
	now := s.now()
	l := &lookup{region: call.Region, limit: lookupLimit, from: now.Add(-lookupDays * 24 * time.Hour), to: now.Add(clockSlack)}
	if in.EventCategory != nil {
		if *in.EventCategory != "insight" {
			return nil, api.ErrInvalidEventCategory.New("The event category is not valid. Valid value: insight")
		}
		l.to = time.Time{} // there are no insights
	}
	if in.MaxResults != nil {
		if *in.MaxResults < 1 || *in.MaxResults > lookupLimit {
			return nil, api.ErrInvalidMaxResults.New("MaxResults must be between 1 and 50.")
		}
		l.limit = *in.MaxResults
	}
	if len(in.LookupAttributes) > 1 {
		return nil, api.ErrInvalidLookupAttributes.New("You can specify only one lookup attribute.")
	}
	for _, a := range in.LookupAttributes {
		l.key, l.value = *a.AttributeKey, *a.AttributeValue
		if l.key == api.LookupAttributeKeyReadOnly && l.value != "true" && l.value != "false" {
			return nil, api.ErrInvalidLookupAttributes.New("The value of ReadOnly must be true or false.")
		}
	}
	if in.StartTime != nil && in.EndTime != nil && in.StartTime.After(*in.EndTime) {
		return nil, api.ErrInvalidTimeRange.New("The start time must be before the end time.")
	}
	if in.StartTime != nil && in.StartTime.After(l.from) {
		l.from = *in.StartTime
	}
	if in.EndTime != nil && in.EndTime.Before(l.to) {
		l.to = *in.EndTime
	}
	var err error
	l.at, err = s.parseLookupToken(call, in)
	return l, err
}

// run reads chunks backwards from a place.
func (l *lookup) run(tx store.Tx, id logID, from place) error {
	l.found, l.more, l.at = nil, false, from
	r := store.Range{Prefix: store.Prefix(id.kind), Reverse: true}
	if from.seq > 0 {
		r.After = indexKey(id, from.seq+1)
	}
	read := 0
	for rec, err := range tx.Scan(indexTable, id.scope(), r) {
		if err != nil {
			return err
		}
		row, err := decodeIndex(rec)
		if err != nil {
			return err
		}
		if row.last.Before(l.from.Add(-clockSlack)) {
			return nil
		}
		if row.first.After(l.to) || row.last.Before(l.from.Truncate(time.Second)) {
			continue
		}
		upTo := row.count
		if row.seq == from.seq {
			upTo = min(from.upTo, upTo)
		}
		if read++; read > lookupChunks {
			l.at, l.more = place{row.seq, upTo}, true
			return nil
		}
		if err := l.chunk(tx, id, place{row.seq, upTo}); err != nil || l.more {
			return err
		}
	}
	return nil
}

// chunk takes events of a chunk, the last first. It sets more when the page is full before the chunk is at its beginning.
func (l *lookup) chunk(tx store.Tx, id logID, at place) error {
	for c, err := range tx.ReadLog(id.name(), id.scope(), at.seq-1, 1) {
		if err != nil {
			return err
		}
		if c.Sequence != at.seq {
			return errChunk
		}
		_, _, p, err := openChunk(c)
		if err != nil {
			return err
		}
		lines, err := p.texts()
		if err != nil {
			return err
		}
		for i, text := range slices.Backward(lines[:min(at.upTo, len(lines))]) {
			e, err := parseEvent(text)
			if err != nil {
				return err
			}
			if !l.has(e) {
				continue
			}
			if len(l.found) == l.limit {
				l.at, l.more = place{at.seq, i + 1}, true
				return nil
			}
			l.found = append(l.found, e.api())
		}
	}
	return nil
}

func (l *lookup) has(e *Event) bool {
	if e.Region != l.region || e.Time.Before(l.from.Truncate(time.Second)) || e.Time.After(l.to) {
		return false
	}
	switch l.key {
	case "":
		return true
	case api.LookupAttributeKeyEventId:
		return e.ID == l.value
	case api.LookupAttributeKeyEventName:
		return e.Name == l.value
	case api.LookupAttributeKeyReadOnly:
		return strconv.FormatBool(e.ReadOnly) == l.value
	case api.LookupAttributeKeyUsername:
		return e.User == l.value
	case api.LookupAttributeKeyEventSource:
		return e.Source == l.value
	case api.LookupAttributeKeyAccessKeyId:
		return e.AccessKeyID == l.value
	case api.LookupAttributeKeyResourceType:
		return slices.ContainsFunc(e.Resources, func(r Resource) bool { return r.Type == l.value })
	case api.LookupAttributeKeyResourceName:
		return slices.ContainsFunc(e.Resources, func(r Resource) bool { return r.ARN == l.value || r.name() == l.value })
	}
	return false
}

// api is an event as LookupEvents answers it.
func (e *Event) api() *api.Event {
	out := &api.Event{
		EventID: &e.ID, EventName: &e.Name, ReadOnly: new(strconv.FormatBool(e.ReadOnly)), EventTime: &e.Time,
		EventSource: &e.Source, Resources: []*api.Resource{}, CloudTrailEvent: &e.Record,
	}
	if e.AccessKeyID != "" {
		out.AccessKeyID = &e.AccessKeyID
	}
	if e.User != "" {
		out.Username = &e.User
	}
	for _, r := range e.Resources {
		if r.Type != "" {
			out.Resources = append(out.Resources, &api.Resource{ResourceType: new(r.Type), ResourceName: new(r.name())})
		}
	}
	return out
}

// lookupToken is sealed and good for the same question only.
func (s *Service) lookupToken(call *aws.Call, in *api.LookupEventsInput, at place) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(at.seq))
	b = binary.BigEndian.AppendUint64(b, uint64(at.upTo))
	return base64.RawURLEncoding.EncodeToString(s.key.Seal(b, question(call, in)))
}

func (s *Service) parseLookupToken(call *aws.Call, in *api.LookupEventsInput) (place, error) {
	if in.NextToken == nil {
		return place{}, nil
	}
	var sealed []byte
	err := error(errChunk)
	if len(*in.NextToken) <= maxToken {
		sealed, err = base64.RawURLEncoding.DecodeString(*in.NextToken)
	}
	if err == nil {
		sealed, err = s.key.Open(sealed, question(call, in))
	}
	if err != nil || len(sealed) != 16 {
		return place{}, api.ErrInvalidNextToken.New("Invalid nextToken.")
	}
	return place{int64(binary.BigEndian.Uint64(sealed)), int(binary.BigEndian.Uint64(sealed[8:]))}, nil
}

// question is what a token is bound to.
func question(call *aws.Call, in *api.LookupEventsInput) []byte {
	q := struct {
		Purpose, Account, Region string
		Attributes               []*api.LookupAttribute
		From, To                 *time.Time
		Category                 *string
	}{"lookup", call.Account, call.Region, in.LookupAttributes, in.StartTime, in.EndTime, in.EventCategory}
	b, err := json.Marshal(q)
	if err != nil { // a year beyond 9999
		return []byte(q.Account)
	}
	return b
}
