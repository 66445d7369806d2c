package lambda

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/worker"
)

// queue plays a source: records that are polled come back after lease, unless they are done.
type queue struct {
	lease  time.Duration
	refuse error // of Check
	broken error // of Poll

	mu     sync.Mutex
	ready  []event.Record
	held   map[string]event.Record
	gone   []string       // ids that are done
	given  map[string]int // how often, by id
	polls  int
	change chan struct{}
}

func newQueue() *queue {
	return &queue{lease: 30 * time.Second, held: map[string]event.Record{}, given: map[string]int{}, change: make(chan struct{})}
}

func (q *queue) put(ids ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		q.ready = append(q.ready, event.Record{ID: id, Receipt: id, Event: json.RawMessage(`{"messageId":"` + id + `","body":{"id":"` + id + `"}}`)})
	}
	close(q.change)
	q.change = make(chan struct{})
}

func (q *queue) Check(context.Context, event.Place) (time.Duration, error) { return q.lease, q.refuse }

func (q *queue) Ordered(p event.Place) bool     { return strings.HasSuffix(p.ARN.Resource, ".fifo") }
func (q *queue) Document(r event.Record) []byte { return r.Event }

func (q *queue) Poll(ctx context.Context, p event.Place, most int, wait time.Duration) ([]event.Record, error) {
	end := time.After(min(wait, 20*time.Second).Truncate(time.Second)) // as SQS
	for {
		q.mu.Lock()
		q.polls++
		if err := q.broken; err != nil {
			q.mu.Unlock()
			return nil, err
		}
		if n := min(most, len(q.ready), 10); n > 0 {
			out := slices.Clone(q.ready[:n])
			q.ready = slices.Delete(q.ready, 0, n)
			for _, r := range out {
				q.held[r.ID] = r
				q.given[r.ID]++
			}
			q.mu.Unlock()
			time.AfterFunc(cmp.Or(p.Lease, q.lease), func() { q.giveBack(out) })
			return out, nil
		}
		change := q.change
		q.mu.Unlock()
		select {
		case <-change:
		case <-end:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (q *queue) giveBack(all []event.Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range all {
		if _, ok := q.held[r.ID]; ok {
			delete(q.held, r.ID)
			q.ready = append(q.ready, r)
		}
	}
	close(q.change)
	q.change = make(chan struct{})
}

func (q *queue) Done(_ context.Context, _ event.Place, all []event.Record) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range all {
		if _, ok := q.held[r.ID]; !ok {
			return errors.New("not held: " + r.ID)
		}
		delete(q.held, r.ID)
		q.gone = append(q.gone, r.ID)
	}
	return nil
}

func (q *queue) done() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := slices.Clone(q.gone)
	slices.Sort(out)
	return out
}

// receives are how many records were given out how often.
func (q *queue) receives() map[int]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := map[int]int{}
	for _, n := range q.given {
		all[n]++
	}
	return all
}

// anyone plays the sessions of roles.
type anyone struct{}

func (anyone) Session(_ context.Context, s store.Scope, role, _ string) (*aws.Principal, error) {
	return &aws.Principal{Type: aws.AssumedRole, Account: s.Account, Arn: role}, nil
}

// fed is a world with a queue, a function f and its feeders.
type fed struct {
	*world
	queue *queue
	end   func()

	mu      sync.Mutex
	batches [][]string
	active  int
	most    int
}

const queueArn = "arn:aws:sqs:eu-west-1:123456789012:q"

// inFedBubble runs a test whose clock is its own. answer says what the function answers to a batch of ids; nil for success.
func inFedBubble(t *testing.T, answer func(ids []string) string, test func(t *testing.T, w *fed)) {
	synctest.Test(t, func(t *testing.T) {
		w := &fed{world: newWorld(t), queue: newQueue()}
		w.feedFrom(w.queue)
		w.create("f", func(in *api.CreateFunctionInput) { in.Timeout = new(10) })
		w.pool.run = func(_ *worker.Function, r *worker.Request) (*worker.Response, error) {
			return w.handle(r.Payload, answer)
		}
		w.start()
		defer func() { w.end(); w.world.close() }()
		test(t, w)
	})
}

// feedFrom gives the service a source.
func (w *world) feedFrom(q *queue) {
	w.deps.Sources, w.deps.Sessions = map[string]event.Source{"sqs": q}, anyone{}
}

func (w *fed) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Feed(ctx, context.Background()) }()
	w.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *fed) handle(payload []byte, answer func([]string) string) (*worker.Response, error) {
	var e struct {
		Records []struct {
			MessageID string `json:"messageId"`
		}
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		w.t.Error(err)
	}
	var ids []string
	for _, r := range e.Records {
		ids = append(ids, r.MessageID)
	}
	w.mu.Lock()
	w.batches = append(w.batches, ids)
	w.active++
	w.most = max(w.most, w.active)
	w.mu.Unlock()
	time.Sleep(time.Second)
	w.mu.Lock()
	w.active--
	w.mu.Unlock()
	if answer == nil {
		return &worker.Response{Payload: []byte("null")}, nil
	}
	a := answer(ids)
	if a == "fail" {
		return &worker.Response{Payload: []byte("{}"), FunctionError: "Unhandled"}, nil
	}
	return &worker.Response{Payload: []byte(a)}, nil
}

func (w *fed) seen() [][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.batches)
}

func (w *fed) mapped(change ...func(*api.CreateEventSourceMappingInput)) string {
	w.t.Helper()
	in := &api.CreateEventSourceMappingInput{FunctionName: new("f"), EventSourceArn: new(queueArn)}
	for _, c := range change {
		c(in)
	}
	out, err := w.CreateEventSourceMapping(w.ctx, in)
	if err != nil {
		w.t.Fatal(err)
	}
	w.until(*out.UUID, mappingEnabled)
	return *out.UUID
}

// until waits for a mapping's state; "" for its end.
func (w *fed) until(id, state string) {
	w.t.Helper()
	for range 1000 {
		out, err := w.GetEventSourceMapping(w.ctx, &api.GetEventSourceMappingInput{UUID: &id})
		if err == nil && *out.State == state || state == "" && err != nil {
			return
		}
		time.Sleep(time.Second)
	}
	w.t.Fatalf("the mapping is never %q", state)
}

func ids(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("m%03d", i))
	}
	return all
}
