package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/filter"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/worker"
)

// maxBatchBytes is the most bytes of an event that a batch makes.
const maxBatchBytes = 6 << 20

// windowGrace is how much longer than its window and the function's timeout a gathered batch is kept from others, if the queue's own
// visibility timeout is too short for both.
// See https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html.
const windowGrace = 30 * time.Second

// gather polls until a batch is full, or its window is over. What comes first is waited for; a poller that does not stay asks
// once and goes.
func (f *feeder) gather(ctx context.Context, stays bool) (*batch, error) {
	lease, err := f.lease(ctx)
	if err != nil {
		return nil, err
	}
	wait := time.Duration(0)
	if stays {
		wait = pollWait
	}
	b := &batch{lease: lease}
	b.records, err = f.pollOnce(ctx, f.m.Batch, wait, lease)
	b.received = time.Now()
	if err != nil || len(b.records) == 0 || f.m.Window == 0 {
		return b, err
	}
	end := b.received.Add(time.Duration(f.m.Window) * time.Second)
	size := sizeOf(b.records)
	for len(b.records) < f.m.Batch && size < maxBatchBytes {
		left := time.Until(end)
		if left < time.Second { // sources wait whole seconds
			pause(ctx, left)
		}
		more, err := f.pollOnce(ctx, f.m.Batch-len(b.records), max(left, 0).Truncate(time.Second), lease)
		b.records, size = append(b.records, more...), size+sizeOf(more)
		if err != nil || left < time.Second {
			break // what is there is worked on, whatever became of the rest
		}
	}
	return b, nil
}

// pollOnce polls in the name of the role as it is now.
func (f *feeder) pollOnce(ctx context.Context, most int, wait, lease time.Duration) ([]event.Record, error) {
	place, _, err := f.place(ctx)
	if err != nil {
		return nil, err
	}
	place.Lease = lease
	return f.source.Poll(ctx, place, most, wait)
}

func sizeOf(all []event.Record) int {
	n := 0
	for i := range all {
		n += len(all[i].Event)
	}
	return n
}

// place is what to poll and which version of the function is fed. A function that cannot be invoked takes nothing out of its
// source.
func (f *feeder) place(ctx context.Context) (event.Place, *target, error) {
	r := f.m.target(f.key.scope)
	t, err := f.service.resolve(asLambda(ctx, r.scope), &r.name, given(r.qualifier))
	if err != nil {
		return event.Place{}, nil, err
	}
	p, err := f.service.place(ctx, r, f.arn, t.Function.Role)
	return p, t, err
}

// lease is for how long records are kept from others: as the queue says, which is zero, or longer if the function could not be done
// by then with a batch that is gathered for the whole of its window. What fails then, or is lost in a crash, comes again after that time.
func (f *feeder) lease(ctx context.Context) (time.Duration, error) {
	if f.m.Window == 0 {
		return 0, nil
	}
	place, t, err := f.place(ctx)
	if err != nil {
		return 0, err
	}
	kept, err := f.source.Check(ctx, place)
	need := time.Duration(f.m.Window)*time.Second + t.Function.Timeout
	if err != nil || kept >= need {
		return 0, err
	}
	return need + windowGrace, nil
}

// asLambda is a context for what Lambda does by itself in an account.
func asLambda(ctx context.Context, s store.Scope) context.Context {
	return aws.WithCall(ctx, &aws.Call{
		Account: s.Account, Region: s.Region, RequestID: uuid.NewString(), Principal: aws.ServicePrincipal("lambda.amazonaws.com"),
	})
}

// feed runs the function on records and removes those that it has done. Those that no filter wants are removed too. What
// failed comes again when its lease ends. What is throttled is tried again meanwhile, until polling ends.
func (f *feeder) feed(polling context.Context, b *batch) error {
	ctx := f.hurry
	defer f.jam.leave(b)
	var err error
	if b.place, b.target, err = f.place(ctx); err != nil {
		return err
	}
	wanted, unwanted := f.sift(b.records)
	if len(unwanted) > 0 {
		if err := f.source.Done(ctx, b.place, unwanted); err != nil {
			return err
		}
	}
	for len(wanted) > 0 {
		payload, n := batchPayload(wanted)
		done, err := f.invoke(ctx, b, wanted[:n], payload)
		if errors.Is(err, api.ErrTooManyRequests) {
			again, failure := f.retry(polling, b)
			if again {
				continue
			}
			err = errors.Join(err, failure)
		}
		if len(done) > 0 {
			if err := f.source.Done(ctx, b.place, done); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if len(done) == 0 {
			f.say(resultFailed)
		} else {
			f.say(resultOK)
		}
		wanted = wanted[n:]
	}
	return nil
}

// sift parts records in those that a filter wants, or all if there is none, and those that none wants.
func (f *feeder) sift(all []event.Record) (wanted, unwanted []event.Record) {
	if f.match == nil {
		return all, nil
	}
	for _, r := range all {
		if f.match(f.source.Document(r)) {
			wanted = append(wanted, r)
		} else {
			unwanted = append(unwanted, r)
		}
	}
	return wanted, unwanted
}

// batchPayload is the event of the first n records, as many as fit.
func batchPayload(all []event.Record) (payload []byte, n int) {
	var b bytes.Buffer
	b.WriteString(`{"Records":[`)
	for n < len(all) && (n == 0 || b.Len()+len(all[n].Event)+3 <= maxBatchBytes) {
		if n > 0 {
			b.WriteByte(',')
		}
		b.Write(all[n].Event)
		n++
	}
	b.WriteString(`]}`)
	return b.Bytes(), n
}

// invoke runs the function once, and answers the records that it has done. The error is that it could not be invoked; a function
// that fails has done none.
func (f *feeder) invoke(ctx context.Context, b *batch, all []event.Record, payload []byte) ([]event.Record, error) {
	s, t := f.service, b.target
	release, err := s.admit(t)
	if err != nil {
		return nil, err
	}
	ran := false
	defer func() {
		if release(); ran { // else the next would be refused as well, and at once
			f.jam.free()
		}
	}()
	f.jam.leave(b)
	trace := ""
	for _, rec := range all { // the batch belongs to the chain that has come round most often
		if hasRoot(rec.Trace) && (trace == "" || loops(rec.Trace) > loops(trace)) {
			trace = rec.Trace
		}
	}
	if trace, err = follow(t, trace); err != nil {
		return nil, err
	}
	resp, err := s.deps.Runner.Run(ctx, t.Function, &worker.Request{
		RequestID: uuid.NewString(), InvokedArn: t.InvokedArn, Payload: payload, TraceID: trace,
	})
	if err != nil {
		return nil, platformError(err)
	}
	ran = true
	s.metrics.ran(t.Function, resp)
	if resp.FunctionError != "" {
		return nil, nil
	}
	if !f.m.Partial {
		return all, nil
	}
	failed, err := batchFailures(resp.Payload, all)
	if err != nil {
		s.deps.Log.Warn("a function's report of failed items means that all failed", "function", f.m.Function, "error", err)
		return nil, nil
	}
	done := make([]event.Record, 0, len(all))
	for _, rec := range all {
		if !failed[rec.ID] {
			done = append(done, rec)
		}
	}
	return done, nil
}

// batchFailures reads the ids of failed records from what a function answered. An error means that the whole batch failed.
// See https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting.
func batchFailures(answer []byte, all []event.Record) (map[string]bool, error) {
	answer = bytes.TrimSpace(answer)
	if len(answer) == 0 || string(answer) == "null" || string(answer) == `""` {
		return nil, nil
	}
	var report struct {
		Failures *[]map[string]json.RawMessage `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(answer, &report); err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	if report.Failures == nil {
		return nil, nil
	}
	known := make(map[string]bool, len(all))
	for _, r := range all {
		known[r.ID] = true
	}
	failed := map[string]bool{}
	for _, item := range *report.Failures {
		var id string
		if err := json.Unmarshal(item["itemIdentifier"], &id); err != nil || !known[id] {
			return nil, fmt.Errorf("the report names no item of the batch: %.100q", item["itemIdentifier"])
		}
		failed[id] = true
	}
	return failed, nil
}

// compileFilters makes of patterns what says whether a record's document fits one of them; nil if there are none.
// See https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html.
func compileFilters(patterns []string) (func(document []byte) bool, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	all := make([]*filter.Pattern, 0, len(patterns))
	for _, text := range patterns {
		p, err := filter.CompileRecord([]byte(text))
		if err != nil {
			return nil, api.ErrInvalidParameterValue.New("Invalid filter pattern definition.").Because(err)
		}
		all = append(all, p)
	}
	return func(document []byte) bool {
		return slices.ContainsFunc(all, func(p *filter.Pattern) bool { return p.Match(document) })
	}, nil
}
