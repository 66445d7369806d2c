package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// origins is what sends to queues when something has failed.
type origins struct {
	of      map[string][]way // by the queue's ARN: what names it as the place of its dead letters
	results map[string][]way // by the queue's ARN: what sends it the results of asynchronous invocations that succeeded
	// published are the functions that have versions: a letter may be of one of them, and does not say of which.
	published map[string]bool
}

// add notes that a place gets what an origin sends.
func add(all map[string][]way, place string, w way) {
	if place != "" && !slices.Contains(all[place], w) {
		all[place] = append(all[place], w)
	}
}

// to is all that sends to a queue.
func (o *origins) to(queue string) []way { return slices.Concat(o.of[queue], o.results[queue]) }

// origins looks at all queues, functions and subscriptions of the region.
func (t *target) origins(ctx context.Context) (*origins, error) {
	o := &origins{of: map[string][]way{}, results: map[string][]way{}, published: map[string]bool{}}
	topics := map[string][]string{} // queues that subscribe to a topic
	for _, find := range []func() error{
		func() error { return t.queueOrigins(ctx, o) },
		func() error { return t.functionOrigins(ctx, o) },
		func() error { return t.subscriptionOrigins(ctx, o, topics) },
	} {
		if err := find(); err != nil {
			return nil, err
		}
	}
	for _, all := range []map[string][]way{o.of, o.results} {
		for topic, queues := range topics { // what a function sends may go by a topic
			for _, queue := range queues {
				for _, w := range all[topic] {
					add(all, queue, w)
				}
			}
		}
		maps.DeleteFunc(all, func(arn string, _ []way) bool { return !isQueue(arn) })
	}
	return o, nil
}

// isGone says that something was deleted since it was listed.
func isGone(err error) bool {
	var e *apiError
	return errors.As(err, &e) && (e.Status == http.StatusNotFound || strings.HasSuffix(e.Code, "QueueDoesNotExist"))
}

func isQueue(arn string) bool { return strings.Contains(arn, ":sqs:") }

// redrivePolicy is the attribute of queues and subscriptions.
func redrivePolicy(text string) (dead string) {
	var p struct {
		Target string `json:"deadLetterTargetArn"`
	}
	_ = json.Unmarshal([]byte(text), &p) // there is none, then
	return p.Target
}

func (t *target) queueOrigins(ctx context.Context, o *origins) error {
	for next := any(nil); ; {
		var out struct {
			QueueURLs []string `json:"QueueUrls"`
			NextToken string
		}
		in := map[string]any{"MaxResults": 1000}
		if next != nil {
			in["NextToken"] = next
		}
		if err := t.sqs(ctx, "ListQueues", in, &out); err != nil {
			return err
		}
		for _, u := range out.QueueURLs {
			a, err := t.attributes(ctx, u)
			if err != nil && !isGone(err) {
				return err
			}
			add(o.of, redrivePolicy(a["RedrivePolicy"]), way{queue: a["QueueArn"]})
		}
		if out.NextToken == "" {
			return nil
		}
		next = out.NextToken
	}
}

func (t *target) functionOrigins(ctx context.Context, o *origins) error {
	for marker := ""; ; {
		var out struct {
			Functions []struct {
				FunctionName, FunctionArn, Version string
				DeadLetterConfig                   struct{ TargetArn string }
			}
			NextMarker string
		}
		if err := t.rest(ctx, http.MethodGet, "/2015-03-31/functions/?FunctionVersion=ALL&Marker="+url.QueryEscape(marker), nil, &out); err != nil {
			return err
		}
		for _, f := range out.Functions {
			w := way{function: strings.TrimSuffix(f.FunctionArn, ":"+f.Version)}
			add(o.of, f.DeadLetterConfig.TargetArn, w)
			if f.Version != "$LATEST" {
				o.published[w.function] = true
				continue
			}
			var configs struct {
				FunctionEventInvokeConfigs []struct {
					DestinationConfig struct{ OnSuccess, OnFailure struct{ Destination string } }
				}
			}
			if err := t.rest(ctx, http.MethodGet, "/2019-09-25/functions/"+f.FunctionName+"/event-invoke-config/list", nil, &configs); err != nil && !isGone(err) {
				return err
			}
			for _, c := range configs.FunctionEventInvokeConfigs {
				add(o.of, c.DestinationConfig.OnFailure.Destination, w)
				add(o.results, c.DestinationConfig.OnSuccess.Destination, w)
			}
		}
		if out.NextMarker == "" {
			return nil
		}
		marker = out.NextMarker
	}
}

// subscriptionOrigins notes those with dead letters, and adds the queues of all to topics.
func (t *target) subscriptionOrigins(ctx context.Context, o *origins, topics map[string][]string) error {
	for next := ""; ; {
		var out struct {
			Subscriptions []struct {
				SubscriptionArn, TopicArn, Protocol, Endpoint string
			} `xml:"ListSubscriptionsResult>Subscriptions>member"`
			NextToken string `xml:"ListSubscriptionsResult>NextToken"`
		}
		in := url.Values{}
		if next != "" {
			in.Set("NextToken", next)
		}
		if err := t.sns(ctx, "ListSubscriptions", in, &out); err != nil {
			return err
		}
		for _, s := range out.Subscriptions {
			if !strings.HasPrefix(s.SubscriptionArn, "arn:") {
				continue // not confirmed yet
			}
			if s.Protocol == "sqs" {
				topics[s.TopicArn] = append(topics[s.TopicArn], s.Endpoint)
			}
			dead, err := t.subscriptionDeadLetters(ctx, s.SubscriptionArn)
			if err != nil {
				return err
			}
			add(o.of, dead, way{subscription: s.SubscriptionArn, endpoint: s.Endpoint})
		}
		if out.NextToken == "" {
			return nil
		}
		next = out.NextToken
	}
}

// subscriptionDeadLetters is the ARN of a subscription's dead-letter queue, or the empty string.
func (t *target) subscriptionDeadLetters(ctx context.Context, arn string) (string, error) {
	var out struct {
		Entries []struct {
			Key   string `xml:"key"`
			Value string `xml:"value"`
		} `xml:"GetSubscriptionAttributesResult>Attributes>entry"`
	}
	if err := t.sns(ctx, "GetSubscriptionAttributes", url.Values{"SubscriptionArn": {arn}}, &out); err != nil && !isGone(err) {
		return "", err
	}
	for _, e := range out.Entries {
		if e.Key == "RedrivePolicy" {
			return redrivePolicy(e.Value), nil
		}
	}
	return "", nil
}

// sns calls an operation of SNS, which speaks the query protocol.
func (t *target) sns(ctx context.Context, op string, in url.Values, out any) error {
	in.Set("Action", op)
	in.Set("Version", "2010-03-31")
	_, b, err := t.do(ctx, request{
		service: "sns", method: http.MethodPost, path: "/", body: []byte(in.Encode()),
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}},
	})
	if err != nil {
		return err
	}
	return xml.Unmarshal(b, out)
}
