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

	"github.com/prometheus/client_golang/prometheus"

	logs "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/worker"
)

const (
	shipEvery     = 200 * time.Millisecond
	shipMaxTotal  = 32 << 20 // bytes waiting in all streams together; half of it of one account
	shipAtOnce    = 1 << 20  // bytes waiting in one stream that are not left waiting
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
// public API of that service and as the Lambda service. Its memory is bounded, and so is what a function and an account may
// write: what exceeds it is dropped, and the function's log says how much. Lines of the platform are dropped only where there
// is no memory for them.
type LogShipper struct {
	api     logs.API
	room    func() int64
	metrics *lossMetrics
	log     *slog.Logger
	much    chan struct{} // a stream has much waiting

	mu      sync.Mutex
	streams map[*worker.LogStream]*pending
	spare   []*pending
	total   int // bytes waiting, with what the events themselves take
	shares  logShares
	lost    lostEvents
}

var _ worker.Logger = (*LogShipper)(nil)

// pending is what one stream has waiting.
type pending struct {
	data   []byte
	events []span
	cost   int            // bytes, with what the events themselves take
	share  *functionShare // nil until the function writes
	loss   tally          // of the function, which this stream is to tell
	why    loss
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

// NewLogShipper makes a shipper on the in-process client of CloudWatch Logs. Run ships. room says how many bytes of logs the disk
// has left; metrics may be nil.
func NewLogShipper(client logs.API, room func() int64, metrics prometheus.Registerer, log *slog.Logger) *LogShipper {
	return &LogShipper{
		api: client, room: room, metrics: newLossMetrics(metrics), log: log, much: make(chan struct{}, 1),
		streams: map[*worker.LogStream]*pending{}, shares: newLogShares(room()),
	}
}

// Log implements worker.Logger.
func (s *LogShipper) Log(stream *worker.LogStream, at time.Time, event []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.waiting(stream)
	if p.share == nil {
		p.share = s.shares.of(stream)
	}
	// An event costs more than its bytes: a flood of empty lines is a flood too.
	cost := len(event) + eventCost
	account := p.share.account
	switch {
	case !p.share.allows():
		s.lose(stream, tally{1, len(event)}, beyondShare)
	case p.cost+cost > shipMaxStream || s.total+cost > shipMaxTotal || account.waiting+cost > shipMaxTotal/2:
		s.lose(stream, tally{1, len(event)}, beyondMemory)
	default:
		p.share.take(len(event) + shipOverhead)
		account.waiting += cost
		s.keep(p, at, event)
	}
}

// LogPlatform implements worker.Logger. Its lines have as much memory again for themselves, so that a flood leaves room for
// them.
func (s *LogShipper) LogPlatform(stream *worker.LogStream, at time.Time, event []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.waiting(stream)
	if cost := len(event) + eventCost; p.cost+cost > 2*shipMaxStream || s.total+cost > 2*shipMaxTotal {
		s.lose(stream, tally{1, len(event)}, beyondMemory)
		return
	}
	s.keep(p, at, event)
}

// waiting is what a stream has waiting. The caller holds s.mu.
func (s *LogShipper) waiting(stream *worker.LogStream) *pending {
	p := s.streams[stream]
	if p == nil {
		p = s.buffer()
		s.streams[stream] = p
	}
	return p
}

// keep adds an event to what waits. The caller holds s.mu.
func (s *LogShipper) keep(p *pending, at time.Time, event []byte) {
	from := len(p.data)
	p.data = append(p.data, event...)
	p.events = append(p.events, span{at: at.UnixMilli(), from: from, to: len(p.data)})
	cost := len(event) + eventCost
	p.cost += cost
	s.total += cost
	if p.cost >= shipAtOnce {
		select {
		case s.much <- struct{}{}:
		default:
		}
	}
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
			s.flush(ctx, false)
		case <-s.much:
			s.flush(ctx, false)
		}
	}
}

// Flush ships everything that waits, and has all logs tell what was lost.
func (s *LogShipper) Flush(ctx context.Context) { s.flush(ctx, true) }

// flush ships what waits. What was lost is told if it is time, or at once.
func (s *LogShipper) flush(ctx context.Context, tell bool) {
	for stream, p := range s.collect(tell) {
		n := len(p.events)
		if stored, err := s.ship(ctx, stream, p); err != nil {
			s.refused(stream, p, p.events[min(stored, n):n], err)
		}
		s.recycle(p)
	}
	s.warn(tell)
}

// collect takes what waits, and fills the shares.
func (s *LogShipper) collect(tell bool) map[*worker.LogStream]*pending {
	room := s.room()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shares.fill(room)
	s.tell(tell)
	streams := s.streams
	if len(streams) == 0 {
		return nil
	}
	s.streams, s.total = map[*worker.LogStream]*pending{}, 0
	for _, a := range s.shares.accounts {
		a.waiting = 0
	}
	return streams
}

// ship answers how many events are stored, the first ones. The last line says what the function has lost.
func (s *LogShipper) ship(ctx context.Context, stream *worker.LogStream, p *pending) (stored int, err error) {
	ctx = aws.WithCall(ctx, &aws.Call{
		Principal: aws.ServicePrincipal("lambda.amazonaws.com"), Account: stream.Account, Region: stream.Region,
		SourceIP: "lambda.amazonaws.com", UserAgent: "lambda.amazonaws.com", SourceAccount: stream.Account,
	})
	if !slices.IsSortedFunc(p.events, earlier) { // the clock was set back: PutLogEvents refuses what is out of order
		slices.SortStableFunc(p.events, earlier)
	}
	if p.loss.events > 0 {
		p.say(time.Now())
	}
	batch := make([]*logs.InputLogEvent, 0, min(len(p.events), shipMaxEvents))
	text := string(p.data) // one allocation for all events of a batch, and one for their members
	members := make([]member, len(p.events))
	size := 0
	for i, e := range p.events {
		n := e.to - e.from + shipOverhead
		if len(batch) == shipMaxEvents || size+n > shipMaxBytes {
			if err := s.put(ctx, stream, batch); err != nil {
				return stored, err
			}
			stored += len(batch)
			batch, size = batch[:0], 0
		}
		m := &members[i]
		m.at, m.text = e.at, text[e.from:e.to]
		m.event = logs.InputLogEvent{Timestamp: &m.at, Message: &m.text}
		batch = append(batch, &m.event)
		size += n
	}
	return stored, s.put(ctx, stream, batch)
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
