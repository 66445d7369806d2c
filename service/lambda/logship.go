package lambda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	logs "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/worker"
)

const (
	shipEvery     = 200 * time.Millisecond
	shipMaxTotal  = 32 << 20 // bytes waiting in all streams together
	shipMaxStream = 4 << 20  // bytes waiting in one stream: a function that floods loses events, not its neighbours
	shipMaxEvents = 10_000   // per PutLogEvents
	shipMaxBytes  = 1 << 20  // per PutLogEvents, 26 bytes of overhead an event included
	shipOverhead  = 26
	eventCost     = 128 // bytes that an event takes on its way, beside its own

	// Buffers that were shipped are used again, up to so many and so large.
	spareBuffers = 64
	spareBytes   = 64 << 10
	spareEvents  = 1 << 10
)

// LogShipper is the worker's Logger: it gathers what functions write and sends it to CloudWatch Logs in batches, through the
// public API of that service and as the Lambda service. Its memory is bounded: what exceeds it is dropped, and the stream
// says how much.
type LogShipper struct {
	api logs.API
	log *slog.Logger

	mu      sync.Mutex
	streams map[*worker.LogStream]*pending
	spare   []*pending
	total   int
}

var _ worker.Logger = (*LogShipper)(nil)

// pending is what one stream has waiting.
type pending struct {
	data    []byte
	events  []span
	cost    int // bytes, with what the events themselves take
	dropped int
	last    time.Time
}

// span is one event in pending.data.
type span struct {
	at       int64 // Unix milliseconds
	from, to int
}

func earlier(a, b span) int { return cmp.Compare(a.at, b.at) }

// member is an event as the API takes it, with what it points to.
type member struct {
	event logs.InputLogEvent
	at    int64
	text  string
}

// NewLogShipper makes a shipper on the in-process client of CloudWatch Logs. Run ships.
func NewLogShipper(client logs.API, log *slog.Logger) *LogShipper {
	return &LogShipper{api: client, log: log, streams: map[*worker.LogStream]*pending{}}
}

// Log implements worker.Logger.
func (s *LogShipper) Log(stream *worker.LogStream, at time.Time, event []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.streams[stream]
	if p == nil {
		p = s.buffer()
		s.streams[stream] = p
	}
	p.last = at
	// An event costs more than its bytes: a flood of empty lines is a flood too.
	cost := len(event) + eventCost
	if p.cost+cost > shipMaxStream || s.total+cost > shipMaxTotal {
		p.dropped++
		return
	}
	from := len(p.data)
	p.data = append(p.data, event...)
	p.events = append(p.events, span{at: at.UnixMilli(), from: from, to: len(p.data)})
	p.cost += cost
	s.total += cost
}

// buffer is an empty one. The caller holds s.mu.
func (s *LogShipper) buffer() *pending {
	n := len(s.spare)
	if n == 0 {
		return &pending{}
	}
	p := s.spare[n-1]
	s.spare = s.spare[:n-1]
	return p
}

// recycle keeps a shipped buffer, unless it is large or there are many.
func (s *LogShipper) recycle(p *pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.spare) < spareBuffers && cap(p.data) <= spareBytes && cap(p.events) <= spareEvents {
		*p = pending{data: p.data[:0], events: p.events[:0]}
		s.spare = append(s.spare, p)
	}
}

// Run ships until ctx ends, then ships what is left.
func (s *LogShipper) Run(ctx context.Context) error {
	tick := time.NewTicker(shipEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.Flush(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			s.Flush(ctx)
		}
	}
}

// Flush ships everything that waits.
func (s *LogShipper) Flush(ctx context.Context) {
	s.mu.Lock()
	streams := s.streams
	if len(streams) == 0 {
		s.mu.Unlock()
		return
	}
	s.streams, s.total = map[*worker.LogStream]*pending{}, 0
	s.mu.Unlock()
	for stream, p := range streams {
		if err := s.ship(ctx, stream, p); err != nil {
			s.log.Error("ship function logs", "group", stream.Group, "stream", stream.Name, "events", len(p.events), "error", err)
		}
		s.recycle(p)
	}
}

func (s *LogShipper) ship(ctx context.Context, stream *worker.LogStream, p *pending) error {
	if p.dropped > 0 {
		from := len(p.data)
		p.data = fmt.Appendf(p.data, "[enfold] %d log events were dropped: the function writes faster than its log is stored\n", p.dropped)
		p.events = append(p.events, span{at: p.last.UnixMilli(), from: from, to: len(p.data)})
	}
	ctx = aws.WithCall(ctx, &aws.Call{
		Principal: aws.ServicePrincipal("lambda.amazonaws.com"), Account: stream.Account, Region: stream.Region,
		SourceIP: "lambda.amazonaws.com", UserAgent: "lambda.amazonaws.com", SourceAccount: stream.Account,
	})
	if !slices.IsSortedFunc(p.events, earlier) { // the clock was set back: PutLogEvents refuses what is out of order
		slices.SortStableFunc(p.events, earlier)
	}
	batch := make([]*logs.InputLogEvent, 0, min(len(p.events), shipMaxEvents))
	text := string(p.data) // one allocation for all events of a batch, and one for their members
	members := make([]member, len(p.events))
	size := 0
	for i, e := range p.events {
		n := e.to - e.from + shipOverhead
		if len(batch) == shipMaxEvents || size+n > shipMaxBytes {
			if err := s.put(ctx, stream, batch); err != nil {
				return err
			}
			batch, size = batch[:0], 0
		}
		m := &members[i]
		m.at, m.text = e.at, text[e.from:e.to]
		m.event = logs.InputLogEvent{Timestamp: &m.at, Message: &m.text}
		batch = append(batch, &m.event)
		size += n
	}
	return s.put(ctx, stream, batch)
}

// put stores a batch, and makes the group and the stream when they are not there: Lambda does, at a function's first event.
func (s *LogShipper) put(ctx context.Context, stream *worker.LogStream, batch []*logs.InputLogEvent) error {
	if len(batch) == 0 {
		return nil
	}
	in := &logs.PutLogEventsInput{LogGroupName: &stream.Group, LogStreamName: &stream.Name, LogEvents: batch}
	_, err := s.api.PutLogEvents(ctx, in)
	if !errors.Is(err, logs.ErrResourceNotFound) {
		return err
	}
	_, err = s.api.CreateLogGroup(ctx, &logs.CreateLogGroupInput{LogGroupName: &stream.Group})
	if err != nil && !errors.Is(err, logs.ErrResourceAlreadyExists) {
		return fmt.Errorf("create log group: %w", err)
	}
	_, err = s.api.CreateLogStream(ctx, &logs.CreateLogStreamInput{LogGroupName: &stream.Group, LogStreamName: &stream.Name})
	if err != nil && !errors.Is(err, logs.ErrResourceAlreadyExists) {
		return fmt.Errorf("create log stream: %w", err)
	}
	_, err = s.api.PutLogEvents(ctx, in)
	return err
}
