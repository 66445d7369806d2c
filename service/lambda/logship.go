package lambda

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	logs "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/worker"
)

const (
	shipEvery     = 100 * time.Millisecond
	shipMaxTotal  = 32 << 20 // bytes waiting in all streams together
	shipMaxStream = 4 << 20  // bytes waiting in one stream: a function that floods loses events, not its neighbours
	shipMaxEvents = 10_000   // per PutLogEvents
	shipMaxBytes  = 1 << 20  // per PutLogEvents, 26 bytes of overhead an event included
	shipOverhead  = 26
)

// LogShipper is the worker's Logger: it gathers what functions write and sends it to CloudWatch Logs in batches, through the
// public API of that service and as the Lambda service. Its memory is bounded: what exceeds it is dropped, and the stream
// says how much.
type LogShipper struct {
	api logs.API
	log *slog.Logger

	mu      sync.Mutex
	streams map[*worker.LogStream]*pending
	total   int
}

var _ worker.Logger = (*LogShipper)(nil)

// pending is what one stream has waiting.
type pending struct {
	data    []byte
	events  []span
	dropped int
	last    time.Time
}

// span is one event in pending.data.
type span struct {
	at       int64 // Unix milliseconds
	from, to int
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
		p = &pending{}
		s.streams[stream] = p
	}
	p.last = at
	if len(p.data)+len(event) > shipMaxStream || s.total+len(event) > shipMaxTotal {
		p.dropped++
		return
	}
	from := len(p.data)
	p.data = append(p.data, event...)
	p.events = append(p.events, span{at: at.UnixMilli(), from: from, to: len(p.data)})
	s.total += len(event)
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
	batch := make([]*logs.InputLogEvent, 0, min(len(p.events), shipMaxEvents))
	size := 0
	for _, e := range p.events {
		n := e.to - e.from + shipOverhead
		if len(batch) == shipMaxEvents || size+n > shipMaxBytes {
			if err := s.put(ctx, stream, batch); err != nil {
				return err
			}
			batch, size = batch[:0], 0
		}
		batch = append(batch, &logs.InputLogEvent{Timestamp: new(e.at), Message: new(string(p.data[e.from:e.to]))})
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
