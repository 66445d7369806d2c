package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// letter is a message of a dead-letter queue.
type letter struct {
	ID                string `json:"MessageId"`
	Receipt           string `json:"ReceiptHandle"`
	Body              string
	Attributes        map[string]string
	MessageAttributes map[string]messageAttribute
}

type messageAttribute struct {
	DataType    string
	StringValue string `json:",omitempty"`
	BinaryValue []byte `json:",omitempty"`
}

// record is what Lambda sends to the failure destination of an asynchronous invocation.
type record struct {
	Version string `json:"version"`
	Context struct {
		RequestID string `json:"requestId"`
		Function  string `json:"functionArn"`
		Condition string `json:"condition"`
		Count     int    `json:"approximateInvokeCount"`
	} `json:"requestContext"`
	Payload  json.RawMessage `json:"requestPayload"`
	Response json.RawMessage `json:"responsePayload"`
}

// asRecord reads the body as one of Lambda's records; nil if it is none.
func (l *letter) asRecord() *record {
	var r record
	if json.Unmarshal([]byte(l.Body), &r) != nil || r.Version != "1.0" || r.Context.Function == "" || r.Payload == nil {
		return nil
	}
	return &r
}

// fromFunction says that Lambda sent the letter as a function's dead letter: the body is the event.
func (l *letter) fromFunction() bool {
	for _, name := range []string{"RequestID", "ErrorCode"} {
		if _, ok := l.MessageAttributes[name]; !ok {
			return false
		}
	}
	return true
}

func (l *letter) sent() string {
	ms, err := strconv.ParseInt(l.Attributes["SentTimestamp"], 10, 64)
	if err != nil {
		return "at an unknown time"
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339)
}

// cause is why the letter is dead, as far as it says.
func (l *letter) cause() string {
	switch r := l.asRecord(); {
	case r != nil:
		return fmt.Sprintf("%s of %s after %d tries (request %s): %.200s", r.Context.Condition, r.Context.Function, r.Context.Count,
			r.Context.RequestID, r.Response)
	case l.fromFunction():
		return fmt.Sprintf("the function failed with %s (request %s): %s", l.MessageAttributes["ErrorCode"].StringValue,
			l.MessageAttributes["RequestID"].StringValue, l.MessageAttributes["ErrorMessage"].StringValue)
	case l.Attributes["DeadLetterQueueSourceArn"] != "":
		return "received too often from " + l.Attributes["DeadLetterQueueSourceArn"] + " and not deleted"
	}
	return "not said in the letter"
}

// way is where letters go back to: exactly one of its ARNs is set, or none if it is unknown.
type way struct {
	queue, function, subscription string
	endpoint                      string // of the subscription
}

func (w way) unknown() bool { return w == way{} }

func (w way) String() string {
	switch {
	case w.queue != "":
		return w.queue
	case w.function != "":
		return w.function
	case w.subscription != "":
		return w.endpoint + ", for " + w.subscription
	}
	return "somewhere that the letter does not say"
}

// wayTo is the way to an ARN.
func wayTo(arn string) way {
	if strings.Contains(arn, ":sqs:") {
		return way{queue: arn}
	}
	return way{function: arn}
}

// way is where the letter came from: it says so itself, or only one of what its queue is for can have sent it.
func (l *letter) way(origins []way) way {
	if r := l.asRecord(); r != nil {
		return way{function: r.Context.Function}
	}
	if source := l.Attributes["DeadLetterQueueSourceArn"]; source != "" {
		return way{queue: source}
	}
	if fit := l.fitting(origins); len(fit) == 1 {
		return fit[0]
	}
	return way{}
}

// fitting is those of a queue's origins that can have sent the letter.
func (l *letter) fitting(origins []way) (fit []way) {
	for _, o := range origins {
		if (o.function != "") == l.fromFunction() && o.queue == "" {
			fit = append(fit, o)
		}
	}
	return fit
}

// trace is the way of a letter. Of several functions that may have sent it, it is the one whose log has its request.
func (d *deadLetters) trace(ctx context.Context, l *letter, origins []way) way {
	w := l.way(origins)
	if !w.unknown() || !l.fromFunction() {
		return w
	}
	for _, o := range l.fitting(origins) {
		var out struct{ Events []struct{} }
		name := o.function[strings.LastIndexByte(o.function, ':')+1:]
		err := d.json(ctx, "logs", "Logs_20140328.FilterLogEvents", map[string]any{
			"logGroupName": "/aws/lambda/" + name, "filterPattern": `"` + l.MessageAttributes["RequestID"].StringValue + `"`, "limit": 1,
		}, &out)
		if err == nil && len(out.Events) > 0 {
			return o
		}
	}
	return w
}

// send sends a letter on its way.
func (d *deadLetters) send(ctx context.Context, l *letter, w way) error {
	switch {
	case w.queue != "":
		return d.enqueue(ctx, l, w.queue)
	case w.function != "":
		event := []byte(l.Body)
		if r := l.asRecord(); r != nil {
			event = r.Payload
		}
		return d.invokeLater(ctx, w.function, event)
	case strings.Contains(w.endpoint, ":sqs:"):
		return d.enqueue(ctx, l, w.endpoint)
	case strings.Contains(w.endpoint, ":lambda:"):
		return d.invokeLater(ctx, w.endpoint, asRecords(w.subscription, l.Body))
	}
	return fmt.Errorf("letters of %s cannot be sent to %s again from here: publish them to the topic", w.subscription, w.endpoint)
}

// asRecords is the event that a topic makes for a function, of the notification that its subscription's dead letter is.
// Records are as they are.
func asRecords(subscription, body string) []byte {
	var n map[string]any
	if json.Unmarshal([]byte(body), &n) != nil || n["Type"] != "Notification" {
		return []byte(body)
	}
	for _, name := range []string{"SigningCertURL", "UnsubscribeURL"} { // functions get them by other names than queues
		if v, ok := n[name]; ok {
			delete(n, name)
			n[strings.TrimSuffix(name, "URL")+"Url"] = v
		}
	}
	for _, name := range []string{"Subject", "MessageAttributes"} {
		if _, ok := n[name]; !ok {
			n[name] = map[string]any{"Subject": nil, "MessageAttributes": map[string]any{}}[name]
		}
	}
	b, err := json.Marshal(map[string]any{"Records": []any{map[string]any{
		"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": subscription, "Sns": n,
	}}})
	if err != nil {
		return []byte(body)
	}
	return b
}

func (d *deadLetters) enqueue(ctx context.Context, l *letter, queue string) error {
	name := queue[strings.LastIndexByte(queue, ':')+1:]
	var out struct {
		QueueURL string `json:"QueueUrl"`
	}
	if err := d.sqs(ctx, "GetQueueUrl", map[string]any{"QueueName": name}, &out); err != nil {
		return err
	}
	in := map[string]any{"QueueUrl": out.QueueURL, "MessageBody": l.Body}
	if len(l.MessageAttributes) > 0 {
		in["MessageAttributes"] = l.MessageAttributes
	}
	if g := l.Attributes["MessageGroupId"]; g != "" && strings.HasSuffix(name, ".fifo") {
		in["MessageGroupId"], in["MessageDeduplicationId"] = g, l.ID
	}
	return d.sqs(ctx, "SendMessage", in, nil)
}

// invokeLater has a function run with the event, asynchronously.
func (t *target) invokeLater(ctx context.Context, function string, event []byte) error {
	_, _, err := t.do(ctx, request{
		service: "lambda", method: http.MethodPost, path: "/2015-03-31/functions/" + url.PathEscape(function) + "/invocations", body: event,
		header: http.Header{"X-Amz-Invocation-Type": {"Event"}},
	})
	return err
}

// origins is what names a dead-letter queue, by the queue's ARN.
func (t *target) origins(ctx context.Context) (map[string][]way, error) {
	all := map[string][]way{}
	for _, find := range []func(context.Context, func(string, way)) error{t.queueOrigins, t.functionOrigins, t.subscriptionOrigins} {
		err := find(ctx, func(dead string, w way) {
			if strings.Contains(dead, ":sqs:") && !slices.Contains(all[dead], w) {
				all[dead] = append(all[dead], w)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// redrivePolicy is the attribute of queues and subscriptions.
func redrivePolicy(text string) (dead string) {
	var p struct {
		Target string `json:"deadLetterTargetArn"`
	}
	_ = json.Unmarshal([]byte(text), &p) // there is none, then
	return p.Target
}

func (t *target) queueOrigins(ctx context.Context, found func(string, way)) error {
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
			if err != nil {
				return err
			}
			if dead := redrivePolicy(a["RedrivePolicy"]); dead != "" {
				found(dead, way{queue: a["QueueArn"]})
			}
		}
		if out.NextToken == "" {
			return nil
		}
		next = out.NextToken
	}
}

func (t *target) functionOrigins(ctx context.Context, found func(string, way)) error {
	for marker := ""; ; {
		var out struct {
			Functions []struct {
				FunctionName, FunctionArn string
				DeadLetterConfig          struct{ TargetArn string }
			}
			NextMarker string
		}
		if err := t.rest(ctx, http.MethodGet, "/2015-03-31/functions/?Marker="+url.QueryEscape(marker), nil, &out); err != nil {
			return err
		}
		for _, f := range out.Functions {
			if dead := f.DeadLetterConfig.TargetArn; dead != "" {
				found(dead, way{function: f.FunctionArn})
			}
			var configs struct {
				FunctionEventInvokeConfigs []struct {
					DestinationConfig struct{ OnFailure struct{ Destination string } }
				}
			}
			if err := t.rest(ctx, http.MethodGet, "/2019-09-25/functions/"+f.FunctionName+"/event-invoke-config/list", nil, &configs); err != nil {
				return err
			}
			for _, c := range configs.FunctionEventInvokeConfigs {
				found(c.DestinationConfig.OnFailure.Destination, way{function: f.FunctionArn})
			}
		}
		if out.NextMarker == "" {
			return nil
		}
		marker = out.NextMarker
	}
}

func (t *target) subscriptionOrigins(ctx context.Context, found func(string, way)) error {
	for next := ""; ; {
		var out struct {
			Subscriptions []struct {
				SubscriptionArn string
				Endpoint        string
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
			var attributes struct {
				Entries []struct {
					Key   string `xml:"key"`
					Value string `xml:"value"`
				} `xml:"GetSubscriptionAttributesResult>Attributes>entry"`
			}
			if err := t.sns(ctx, "GetSubscriptionAttributes", url.Values{"SubscriptionArn": {s.SubscriptionArn}}, &attributes); err != nil {
				return err
			}
			for _, e := range attributes.Entries {
				if e.Key == "RedrivePolicy" {
					found(redrivePolicy(e.Value), way{subscription: s.SubscriptionArn, endpoint: s.Endpoint})
				}
			}
		}
		if out.NextToken == "" {
			return nil
		}
		next = out.NextToken
	}
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
