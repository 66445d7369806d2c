package target

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/store"
)

// told is a place that remembers what it got, and sessions for it.
type told struct{ all []*Message }

func (p *told) Send(_ context.Context, m *Message) error { p.all = append(p.all, m); return nil }

func (p *told) Session(context.Context, store.Scope, string, string) (*aws.Principal, error) {
	return aws.ServicePrincipal("lambda.amazonaws.com"), nil
}

func TestOutcomes(t *testing.T) {
	place := &told{}
	var undelivered []string
	var log strings.Builder
	o := Outcomes{
		Senders: place, Sessions: place, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Undelivered: func(d *event.Delivery) { undelivered = append(undelivered, d.ID) },
	}
	d := &event.Delivery{
		ID: "1", Source: "arn:aws:lambda:eu-west-1:111111111111:function:f", Target: "arn:aws:sqs:eu-west-1:111111111111:q", Payload: []byte(`{}`),
		Headers: map[string]string{"RequestID": "r", "ErrorCode": "200", "ErrorMessage": ""},
	}
	if err := o.Deliver(t.Context(), d); err != nil || len(place.all) != 1 {
		t.Fatalf("sent %d, %v", len(place.all), err)
	}
	a := place.all[0].Attributes
	if len(a) != 2 || a["RequestID"].Type != "String" || a["ErrorCode"].Type != "Number" {
		t.Errorf("the attributes are %v", a)
	}
	large := &event.Delivery{ID: "2", Source: d.Source, Target: d.Target, Headers: map[string]string{"RequestID": "r2"}}
	record := &event.Delivery{ID: "3", Source: d.Source, Target: d.Target, Payload: []byte(`{"requestContext":{"requestId":"r3"}}`)}
	err := o.Deliver(t.Context(), large)
	if !isPermanent(err) || !errors.Is(err, errTooLarge) || len(place.all) != 1 {
		t.Errorf("what was too large is sent, or tried again: %v", err)
	}
	for d, end := range map[*event.Delivery]event.Outcome{
		d: {}, large: {Err: err, Cause: event.Refused}, record: {Err: errors.New("the queue is gone"), Cause: event.Refused},
	} {
		if more, err := o.Settle(nil, d, end); len(more) > 0 || err != nil {
			t.Errorf("settled with %v, %v", more, err)
		}
	}
	if slices.Sort(undelivered); !slices.Equal(undelivered, []string{"2", "3"}) {
		t.Errorf("undelivered are %q", undelivered)
	}
	for _, id := range []string{"r2", "r3"} {
		if got := log.String(); strings.Count(got, "requestId="+id+" ") != 1 || strings.Count(got, "function="+d.Source+" ") != 2 {
			t.Errorf("the log does not say once that %s is lost: %s", id, got)
		}
	}
}
