package logs

import (
	"context"
	"time"

	api "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// Limits of PutLogEvents.
// See https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html.
const (
	maxBatch  = 1 << 20 // bytes, eventOverhead for each event counted; so also of an event
	maxSpan   = 24 * time.Hour
	maxAge    = 14 * 24 * time.Hour
	maxFuture = 2 * time.Hour
)

// PutLogEvents appends events to a stream as one chunk. They are visible when it returns and durable within a second.
func (s *Service) PutLogEvents(ctx context.Context, in *api.PutLogEventsInput) (*api.PutLogEventsOutput, error) {
	events, err := batch(in.LogEvents)
	if err != nil {
		return nil, err
	}
	k := groupKey{scopeOf(aws.CallFrom(ctx)), *in.LogGroupName}
	st, err := s.find(ctx, k, *in.LogStreamName)
	if err != nil {
		return nil, err
	}
	defer st.mu.Unlock()
	now := s.now()
	kept, rejected := admit(events, now, st.retention)
	if len(kept) > 0 {
		if err := s.append(ctx, st, now.UnixMilli(), kept); err != nil {
			return nil, err
		}
	}
	return &api.PutLogEventsOutput{NextSequenceToken: new(sequenceToken(st.id, st.sum)), RejectedLogEventsInfo: rejected}, nil
}

// batch checks the events of one request and answers them as entries.
func batch(in []*api.InputLogEvent) ([]entry, error) {
	if len(in) > maxChunkEvents {
		return nil, invalid("1 validation error detected: Value at 'logEvents' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", maxChunkEvents)
	}
	events := make([]entry, len(in))
	size := 0
	for i, e := range in {
		events[i] = entry{at: *e.Timestamp, message: []byte(*e.Message)}
		n := len(*e.Message) + eventOverhead
		if n > maxBatch {
			return nil, invalid("Log event too large: %d bytes exceeds limit of %d", n, maxBatch)
		}
		size += n
		if i > 0 && events[i].at < events[i-1].at {
			return nil, invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	if size > maxBatch {
		return nil, invalid("Upload too large: %d bytes exceeds limit of %d", size, maxBatch)
	}
	if n := len(events); n > 0 && events[n-1].at-events[0].at > maxSpan.Milliseconds() {
		return nil, invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	return events, nil
}

// admit cuts off the events that are too old, expired or too new at now; rejected is nil if there are none.
func admit(events []entry, now time.Time, retention int) (kept []entry, rejected *api.RejectedLogEventsInfo) {
	old := before(events, now.Add(-maxAge).UnixMilli())
	expired := 0
	if retention > 0 {
		expired = before(events, now.Add(-time.Duration(retention)*24*time.Hour).UnixMilli())
	}
	tooNew := before(events, now.Add(maxFuture).UnixMilli()+1)
	first := max(old, expired)
	if first == 0 && tooNew == len(events) {
		return events, nil
	}
	rejected = &api.RejectedLogEventsInfo{}
	if old > 0 {
		rejected.TooOldLogEventEndIndex = &old
	}
	if expired > 0 {
		rejected.ExpiredLogEventEndIndex = &expired
	}
	if tooNew < len(events) {
		rejected.TooNewLogEventStartIndex = &tooNew
	}
	return events[min(first, tooNew):tooNew], rejected
}

// before counts the events, sorted, that are older than at.
func before(events []entry, at int64) int {
	n := 0
	for n < len(events) && events[n].at < at {
		n++
	}
	return n
}

// append writes one chunk and keeps the books; st is locked.
func (s *Service) append(ctx context.Context, st *stream, now int64, events []entry) error {
	err := s.db.Logs().Append(ctx, logName(st.id), st.scope, store.Chunk{
		First: time.UnixMilli(events[0].at),
		Last:  time.UnixMilli(events[len(events)-1].at),
		Count: len(events),
		Data:  encodeChunk(st.sum, now, events),
	})
	if err != nil {
		return err
	}
	if st.sum.events == 0 || events[0].at < st.first {
		st.first = events[0].at
	}
	st.sum = st.sum.add(now, events)
	return nil
}
