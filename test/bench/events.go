//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/test/floor"
)

// What the rows about events send.
const (
	queueName   = "bench"
	messageBody = `{"order":4711,"customer":"somebody with a name of a usual length","lines":[{"sku":"a-1","count":2},{"sku":"b-2","count":1}]}`
	backlog     = 100_000   // events that wait at once
	manyInQueue = 1_000_000 // messages of a long queue
)

// events measures queues and asynchronous invocations. Everything of Enfold's is fsynced before the answer.
func events(ctx context.Context, o *options, p *programs, e *enfold, t *table) (err error) {
	floor, err := serve(ctx, environment(), p.path("queue"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, floor.stop()) }()
	echo, err := serve(ctx, nil, p.path("echo"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, echo.stop()) }()
	url, err := e.queue(ctx, queueName)
	if err != nil {
		return err
	}
	m := &eventMeasure{
		o: o, p: p, e: e, table: t, floor: floor.line, url: url,
		warmth: &warmth{o: o, p: p, echo: sideOf("H", "--address", echo.line), enfold: side{name: "Enfold"}},
	}
	for _, measure := range []func(context.Context) error{m.sends, m.cycles, m.oneSend, m.accepted, m.drain, m.longQueue} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

// eventMeasure is the measurements of events.
type eventMeasure struct {
	o          *options
	p          *programs
	e          *enfold
	table      *table
	floor, url string
	warmth     *warmth
}

func sideOf(name string, args ...string) side { return side{name: name, args: args} }

// against is Enfold's and the floor's side of a mode.
func (m *eventMeasure) against(mode string) (ours, floor side) {
	at := func(name, address string) side {
		return sideOf(name, "--mode", mode, "--queue", m.url, "--body", messageBody, "--address", address)
	}
	return at("Enfold", m.e.address), at("the floor", m.floor)
}

// rates compares how many rounds a second both sides make at 16 clients.
func (m *eventMeasure) rates(ctx context.Context, mode, what string) error {
	ours, floor := m.against(mode)
	var pairs pairs
	for range m.o.rounds {
		f, err := m.warmth.load(ctx, floor, 16)
		if err != nil {
			return err
		}
		r, err := m.warmth.load(ctx, ours, 16)
		if err != nil {
			return err
		}
		pairs.add(r.PerSecond, f.PerSecond)
	}
	m.table.add(pairs.row(what, "%.0f/s", atLeast(0.5), m.failures()))
	return nil
}

// failures says what went wrong on Enfold's side since it was asked last.
func (m *eventMeasure) failures() string {
	defer func() { m.warmth.failures, m.warmth.errors = nil, 0 }()
	if m.warmth.errors == 0 {
		return ""
	}
	return fmt.Sprintf("%d errors: %s", m.warmth.errors, m.warmth.failures[0])
}

func (m *eventMeasure) sends(ctx context.Context) error {
	err := m.rates(ctx, "send", "SQS send, 16 clients, against a floor that stores nothing")
	return errors.Join(err, m.e.purge(ctx, m.url))
}

func (m *eventMeasure) cycles(ctx context.Context) error {
	err := m.rates(ctx, "cycle", "SQS send, receive, delete, 16 clients, against the floor")
	return errors.Join(err, m.e.purge(ctx, m.url))
}

// oneSend compares the latency of one client's sends with the floor's and one fdatasync.
func (m *eventMeasure) oneSend(ctx context.Context) error {
	ours, floor := m.against("send")
	return m.latency(ctx, ours, floor, "SQS send, 1 client, p50, against the floor and one fdatasync")
}

// accepted compares how soon an asynchronous invocation is accepted with an echo and one fdatasync.
func (m *eventMeasure) accepted(ctx context.Context) error {
	ours := sideOf("Enfold", "--mode", "async", "--function", functionName, "--address", m.e.address, "--body", event)
	return m.latency(ctx, ours, m.warmth.echo, "asynchronous Invoke, 1 client, p50, against H and one fdatasync")
}

func (m *eventMeasure) latency(ctx context.Context, ours, floor side, what string) error {
	var pairs pairs
	var syncs []float64
	for range m.o.rounds {
		f, err := m.warmth.load(ctx, floor, 1)
		if err != nil {
			return err
		}
		sync, err := fdatasync(m.p.dir)
		if err != nil {
			return err
		}
		r, err := m.warmth.load(ctx, ours, 1)
		if err != nil {
			return err
		}
		syncs = append(syncs, sync)
		pairs.add(r.P50, f.P50+sync)
	}
	beside := fmt.Sprintf("fdatasync %.0f µs", median(syncs))
	if bad := m.failures(); bad != "" {
		beside += "; " + bad
	}
	m.table.add(pairs.row(what, "%.0f µs", atMost(1.5, "×"), beside))
	return nil
}

// fdatasync is the median of appending 4 KB to a file and syncing it, in microseconds.
func fdatasync(dir string) (us float64, err error) {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	var all []float64
	page := make([]byte, 4096)
	for range 200 {
		begun := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		all = append(all, float64(time.Since(begun).Nanoseconds())/1e3)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// drain compares how fast a backlog of events runs with synchronous calls of the same function.
func (m *eventMeasure) drain(ctx context.Context) error {
	var sync *floor.Report
	for range 2 { // the first one starts the sandboxes
		var err error
		if sync, err = m.warmth.load(ctx, sideOf("Enfold", "--mode", "lambda", "--function", functionName, "--address", m.e.address, "--body", event), 16); err != nil {
			return err
		}
	}
	if err := m.idle(ctx); err != nil {
		return err
	}
	begun := time.Now()
	before, err := m.e.delivered(ctx)
	if err != nil {
		return err
	}
	// More clients than sandboxes, so that events are accepted faster than they run.
	args := []string{"--mode", "async", "--function", functionName, "--address", m.e.address, "--body", event, "--clients", "64", "--warmup", "0", "--count", strconv.Itoa(backlog)}
	if _, err := m.p.report(ctx, environment(), "load", args...); err != nil {
		return err
	}
	sent, atEnd := time.Since(begun), 0.0
	if atEnd, err = m.e.delivered(ctx); err != nil {
		return err
	}
	left := backlog - (atEnd - before)
	begun = time.Now()
	if err := m.waitDelivered(ctx, before+backlog); err != nil {
		return err
	}
	rate, beside := left/time.Since(begun).Seconds(), ""
	if left < backlog/10 { // hardly any waited: what is known is how fast they were accepted and run at the same time
		rate = backlog / (sent + time.Since(begun)).Seconds()
		beside = "; accepted and run at the same time"
	}
	var pairs pairs
	pairs.add(rate, sync.PerSecond)
	m.table.add(pairs.row("a backlog of events, against synchronous calls at 16 clients", "%.0f/s", atLeast(0.8),
		fmt.Sprintf("%d events accepted in %.1f s, %.0f of them still waiting then%s", backlog, sent.Seconds(), left, beside)))
	return nil
}

// idle waits until no event is on its way.
func (m *eventMeasure) idle(ctx context.Context) error {
	for last := -1.0; ; {
		n, err := m.e.delivered(ctx)
		if err != nil || n == last {
			return err
		}
		last = n
		time.Sleep(500 * time.Millisecond)
	}
}

func (m *eventMeasure) waitDelivered(ctx context.Context, want float64) error {
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		n, err := m.e.delivered(ctx)
		if err != nil || n >= want {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("of the backlog %.0f events are not delivered after five minutes", want-n)
		}
	}
}

// longQueue compares a queue that holds many messages with an empty one.
func (m *eventMeasure) longQueue(ctx context.Context) error {
	long, err := m.e.queue(ctx, "long")
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := m.e.fill(ctx, long, manyInQueue); err != nil {
		return err
	}
	filled := fmt.Sprintf("filled in %.0f s by SendMessageBatch", time.Since(begun).Seconds())
	at := func(url string) side {
		return sideOf("Enfold", "--mode", "cycle", "--queue", url, "--body", messageBody, "--address", m.e.address)
	}
	var pairs pairs
	for range m.o.rounds {
		short, err := m.warmth.load(ctx, at(m.url), 1)
		if err != nil {
			return err
		}
		full, err := m.warmth.load(ctx, at(long), 1)
		if err != nil {
			return err
		}
		pairs.add(full.P50, short.P50)
	}
	m.table.add(pairs.row(fmt.Sprintf("a queue of %d messages, send, receive, delete, p50, against an empty one", manyInQueue), "%.0f µs",
		atMost(2, "×"), strings.Trim(filled+"; "+m.failures(), "; ")))
	return m.counts(ctx, long)
}

// counts compares how long it takes to ask how many messages a queue holds.
func (m *eventMeasure) counts(ctx context.Context, long string) error {
	var pairs pairs
	for range m.o.rounds {
		short, err := m.e.counted(ctx, m.url)
		if err != nil {
			return err
		}
		full, err := m.e.counted(ctx, long)
		if err != nil {
			return err
		}
		pairs.add(full, short)
	}
	m.table.add(pairs.row(fmt.Sprintf("a queue of %d messages, GetQueueAttributes, p50, against an empty one", manyInQueue), "%.0f µs",
		atMost(2, "×"), ""))
	return nil
}

// counted is the median time of a GetQueueAttributes, in microseconds.
func (e *enfold) counted(ctx context.Context, url string) (us float64, err error) {
	var all []float64
	for range 100 {
		begun := time.Now()
		if _, err := e.sqs(ctx, "GetQueueAttributes", map[string]any{"QueueUrl": url, "AttributeNames": []string{"All"}}); err != nil {
			return 0, err
		}
		all = append(all, float64(time.Since(begun).Nanoseconds())/1e3)
	}
	return median(all), nil
}

// sqs calls an operation of SQS.
func (e *enfold) sqs(ctx context.Context, op string, in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+e.address+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AmazonSQS."+op)
	a, err := e.send(ctx, "sqs", req, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return a.body, nil
}

func (e *enfold) queue(ctx context.Context, name string) (url string, err error) {
	var out struct {
		QueueURL string `json:"QueueUrl"`
	}
	b, err := e.sqs(ctx, "CreateQueue", map[string]any{"QueueName": name})
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	return out.QueueURL, err
}

func (e *enfold) purge(ctx context.Context, url string) error {
	for { // a queue is purged once a minute at most: it is emptied by receiving what is left, which is little after a cycle
		var out struct {
			Messages []struct{ ReceiptHandle string }
		}
		b, err := e.sqs(ctx, "ReceiveMessage", map[string]any{"QueueUrl": url, "MaxNumberOfMessages": 10})
		if err == nil {
			err = json.Unmarshal(b, &out)
		}
		if err != nil || len(out.Messages) == 0 {
			return err
		}
		var entries []map[string]string
		for i, m := range out.Messages {
			entries = append(entries, map[string]string{"Id": strconv.Itoa(i), "ReceiptHandle": m.ReceiptHandle})
		}
		if _, err := e.sqs(ctx, "DeleteMessageBatch", map[string]any{"QueueUrl": url, "Entries": entries}); err != nil {
			return err
		}
	}
}

// fill sends n messages, ten at a time, with 16 senders.
func (e *enfold) fill(ctx context.Context, url string, n int) error {
	var entries []map[string]string
	for i := range 10 {
		entries = append(entries, map[string]string{"Id": strconv.Itoa(i), "MessageBody": messageBody})
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for range n / 10 {
		g.Go(func() error {
			_, err := e.sqs(ctx, "SendMessageBatch", map[string]any{"QueueUrl": url, "Entries": entries})
			return err
		})
	}
	return g.Wait()
}

// delivered is how many asynchronous invocations have ended well.
func (e *enfold) delivered(ctx context.Context) (float64, error) {
	value, err := e.metric(ctx, `enfold_event_tries_total{kind="lambda.async",result="Delivered"}`)
	if err != nil || value == "" { // none yet
		return 0, err
	}
	return strconv.ParseFloat(value, 64)
}
