package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/enfold-run/enfold/aws"
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

// record is what Lambda sends to the destination of an asynchronous invocation.
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

// isOf says whether the record is of the function that an origin is, of any version or alias.
func (r *record) isOf(o way) bool {
	return o.function != "" && (r.Context.Function == o.function || strings.HasPrefix(r.Context.Function, o.function+":"))
}

// notification is the envelope of a message that came by a topic.
type notification struct {
	Type              string
	MessageID         string `json:"MessageId"`
	Message           string
	MessageAttributes map[string]struct{ Type, Value string }
}

// asNotification reads the body as what a topic sends; nil if it is no such thing.
func (l *letter) asNotification() *notification {
	var n notification
	if json.Unmarshal([]byte(l.Body), &n) != nil || n.Type != "Notification" {
		return nil
	}
	return &n
}

// asRecord reads the body as one of Lambda's records, which may have come by a topic; nil if it is none.
func (l *letter) asRecord() *record {
	body := l.Body
	if n := l.asNotification(); n != nil {
		body = n.Message
	}
	var r record
	if json.Unmarshal([]byte(body), &r) != nil || r.Version != "1.0" || r.Context.Function == "" || r.Payload == nil {
		return nil
	}
	return &r
}

// failure is a function's dead letter, which may have come by a topic.
type failure struct{ request, code, message, event string }

// asFailure reads the letter as a function's dead letter; nil if Lambda did not send it as one.
func (l *letter) asFailure() *failure {
	f := failure{event: l.Body}
	said := func(name string) (string, bool) {
		a, ok := l.MessageAttributes[name]
		return a.StringValue, ok
	}
	if n := l.asNotification(); n != nil {
		f.event = n.Message
		said = func(name string) (string, bool) {
			a, ok := n.MessageAttributes[name]
			return a.Value, ok
		}
	}
	var request, code bool
	f.request, request = said("RequestID")
	f.code, code = said("ErrorCode")
	f.message, _ = said("ErrorMessage")
	if !request || !code {
		return nil
	}
	return &f
}

// event is what the function that failed was invoked with.
func (l *letter) event() string {
	if r := l.asRecord(); r != nil {
		return string(r.Payload)
	}
	if f := l.asFailure(); f != nil {
		return f.event
	}
	return l.Body
}

// causeName is the attribute in which Enfold's queues keep why a topic could not deliver a message. No sender can set it.
const causeName = "EnfoldCause"

// refusal is why a subscription did not get a message, and which.
type refusal struct {
	Subscription, Condition, Error string
	MessageID                      string `json:"MessageId"` // empty in letters of earlier versions
}

// asRefusal is what the queue knows of a letter that a topic could not deliver; nil if nothing.
func (l *letter) asRefusal() *refusal {
	var r refusal
	if json.Unmarshal([]byte(l.Attributes[causeName]), &r) != nil || r.Subscription == "" {
		return nil
	}
	return &r
}

// source is the queue from which SQS moved the letter, or the empty string.
func (l *letter) source() string { return l.Attributes["DeadLetterQueueSourceArn"] }

func (l *letter) sent() string {
	ms, err := strconv.ParseInt(l.Attributes["SentTimestamp"], 10, 64)
	if err != nil {
		return "at an unknown time"
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339)
}

// cause is why the letter is dead, as far as it says.
func (l *letter) cause() string {
	if l.source() != "" {
		return "received too often from " + l.source() + " and not deleted"
	}
	if r := l.asRefusal(); r != nil {
		return fmt.Sprintf("%s delivering to %s: %s", r.Condition, r.Subscription, r.Error)
	}
	if r := l.asRecord(); r != nil {
		return fmt.Sprintf("%s of %s after %d tries (request %s): %.200s", r.Context.Condition, r.Context.Function, r.Context.Count,
			r.Context.RequestID, r.Response)
	}
	if f := l.asFailure(); f != nil {
		return fmt.Sprintf("the function failed with %s (request %s): %s", f.code, f.request, f.message)
	}
	return "not said in the letter"
}

// ids are what the event is known by: the message's id, and those of the request and of the notification that it was.
func (l *letter) ids() []string {
	ids := []string{l.ID}
	if r := l.asRecord(); r != nil {
		ids = append(ids, r.Context.RequestID)
	}
	if f := l.asFailure(); f != nil {
		ids = append(ids, f.request)
	}
	if n := l.asNotification(); n != nil {
		ids = append(ids, n.MessageID)
	}
	if r := l.asRefusal(); r != nil && !slices.Contains(ids, r.MessageID) { // a raw one does not say it elsewhere
		ids = append(ids, r.MessageID)
	}
	var event struct {
		Records []struct {
			SNS notification `json:"Sns"`
		}
	}
	if json.Unmarshal([]byte(l.event()), &event) == nil { // of a function that a topic invoked
		for _, r := range event.Records {
			ids = append(ids, r.SNS.MessageID)
		}
	}
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}

// isCargo says that what is in the letter is what a queue or a topic was to bring, and not how a function did.
func (l *letter) isCargo() bool { return l.source() != "" || l.asRefusal() != nil }

// eventID tells events apart: one may have been sent to a dead-letter queue and to a destination.
func (l *letter) eventID() string {
	if r := l.asRecord(); r != nil && !l.isCargo() {
		return r.Context.RequestID
	}
	if f := l.asFailure(); f != nil && !l.isCargo() {
		return f.request
	}
	return l.ID
}

// vague is 1 for what is not sure to say where it came from.
func (l *letter) vague() int {
	if l.asRecord() != nil {
		return 0
	}
	return 1
}

// succeeded says that the letter is no dead one: it is the result of an invocation.
func (l *letter) succeeded() bool {
	r := l.asRecord()
	return r != nil && r.Context.Condition == "Success" && !l.isCargo()
}

// way is where letters go back to: exactly one of its ARNs is set, or none if it is unknown.
type way struct {
	queue, function, subscription string
	endpoint                      string // of the subscription
}

func (w way) unknown() bool { return w == way{} }

// errUnknown says what to do with a letter whose way is unknown.
func (l *letter) errUnknown() error {
	if r := l.asRefusal(); r != nil {
		return fmt.Errorf("it is of %s, which sends no dead letters here any more: name a queue or function with --to", r.Subscription)
	}
	if r := l.asRecord(); r != nil {
		return fmt.Errorf("it says that it is of %s, which does not send its letters here: if that is right, name it with --to", oneLine(r.Context.Function))
	}
	return errors.New("it does not say where it came from: name that with --to")
}

func (w way) String() string {
	switch {
	case w.queue != "":
		return w.queue
	case w.function != "":
		return oneLine(w.function) // the qualifier is as the letter has it
	case w.subscription != "":
		return w.endpoint + ", for " + w.subscription
	}
	return "somewhere that the letter does not say"
}

// wayTo is the way to an ARN.
func wayTo(arn string) way {
	if isQueue(arn) {
		return way{queue: arn}
	}
	return way{function: arn}
}

// way is where the letter came from: it says so itself, or only one of what its queue is for can have sent it. Whoever may send to
// the queue decides what is in a letter, so a function that it names must be one that sends its letters there.
func (l *letter) way(origins []way) way {
	if l.source() != "" {
		return way{queue: l.source()}
	}
	if r := l.asRefusal(); r != nil {
		for _, o := range origins {
			if o.subscription == r.Subscription {
				return o
			}
		}
		return way{}
	}
	if r := l.asRecord(); r != nil && slices.ContainsFunc(origins, r.isOf) {
		return way{function: r.Context.Function}
	}
	if fit := l.fitting(origins); len(fit) == 1 {
		return fit[0]
	}
	return way{}
}

// topicSender is the SenderId of what topics send. No other sender can have it.
const topicSender = "sns.amazonaws.com"

// byTopic says that a topic put the letter there, as it does with what it could not deliver, and not somebody with SendMessage.
func (l *letter) byTopic() bool { return l.Attributes["SenderId"] == topicSender }

// undelivered says that the letter is what a topic could not deliver, whatever is in it: its queue is for subscriptions alone.
func (l *letter) undelivered(origins []way) bool {
	return len(origins) > 0 && !slices.ContainsFunc(origins, func(o way) bool { return o.subscription == "" })
}

// fitting is those of a queue's origins that can have sent the letter.
func (l *letter) fitting(origins []way) (fit []way) {
	ofFunction := l.asFailure() != nil && !l.undelivered(origins)
	for _, o := range origins {
		if ofFunction && o.function != "" || !ofFunction && o.subscription != "" && l.byTopic() {
			fit = append(fit, o)
		}
	}
	return fit
}

// trace is the way of a letter. Of several functions that may have sent it, it is the one whose log has its request, and the log
// says which version ran.
func (d *deadLetters) trace(ctx context.Context, l *letter, all *origins) way {
	w, f := l.way(all.to(d.arn)), l.asFailure()
	if f == nil || l.asRefusal() != nil || l.asRecord() != nil || !w.unknown() && !all.published[w.function] {
		return w
	}
	for _, o := range l.fitting(all.to(d.arn)) {
		switch version, found := d.versionThatRan(ctx, o.function, f.request); {
		case version != "":
			return way{function: o.function + ":" + version}
		case found:
			return o
		}
	}
	return w
}

// startLine is what the log says when an invocation begins, as text or as JSON.
var startLine = aws.Pattern(`^START RequestId: \S+ Version: (\S+)|"type":"platform\.start".*"version":"([^"]+)"`)

// versionThatRan says whether a function's log has a request, and which version ran it, if the log tells that.
func (t *target) versionThatRan(ctx context.Context, function, request string) (version string, found bool) {
	var out struct{ Events []struct{ Message string } }
	name := function[strings.LastIndexByte(function, ':')+1:]
	err := t.json(ctx, "logs", "Logs_20140328.FilterLogEvents", map[string]any{
		"logGroupName": "/aws/lambda/" + name, "filterPattern": strconv.Quote(request), "limit": 10,
	}, &out)
	if err != nil || len(out.Events) == 0 {
		return "", false
	}
	for _, e := range out.Events {
		if m := startLine().FindStringSubmatch(e.Message); m != nil {
			return m[1] + m[2], true
		}
	}
	return "", true
}

// send sends a letter on its way, and answers what it is known by now: "request …", "message …".
func (d *deadLetters) send(ctx context.Context, l *letter, w way) (string, error) {
	switch {
	case w.queue != "":
		return d.enqueue(ctx, l, w.queue)
	case w.function != "":
		return d.invokeLater(ctx, w.function, []byte(l.event()))
	case isQueue(w.endpoint):
		return d.enqueue(ctx, l, w.endpoint)
	case strings.Contains(w.endpoint, ":lambda:"):
		return d.invokeLater(ctx, w.endpoint, asRecords(w.subscription, l.Body))
	}
	return "", fmt.Errorf("letters of %s cannot be sent to %s again from here: publish them to the topic", w.subscription, w.endpoint)
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

func (d *deadLetters) enqueue(ctx context.Context, l *letter, queue string) (string, error) {
	parts := strings.Split(queue, ":") // arn:aws:sqs:region:account:name
	name := parts[len(parts)-1]
	where := map[string]any{"QueueName": name}
	if len(parts) == 6 {
		where["QueueOwnerAWSAccountId"] = parts[4]
	}
	var to struct {
		QueueURL string `json:"QueueUrl"`
	}
	if err := d.sqs(ctx, "GetQueueUrl", where, &to); err != nil {
		return "", err
	}
	in := map[string]any{"QueueUrl": to.QueueURL, "MessageBody": l.Body}
	if len(l.MessageAttributes) > 0 {
		in["MessageAttributes"] = l.MessageAttributes
	}
	if g := l.Attributes["MessageGroupId"]; g != "" {
		in["MessageGroupId"] = g
		if strings.HasSuffix(name, ".fifo") {
			in["MessageDeduplicationId"] = l.ID
		}
	}
	var sent struct {
		ID string `json:"MessageId"`
	}
	err := d.sqs(ctx, "SendMessage", in, &sent)
	return "message " + sent.ID, err
}

// invokeLater has a function run with the event, asynchronously.
func (t *target) invokeLater(ctx context.Context, function string, event []byte) (string, error) {
	header, _, err := t.do(ctx, request{
		service: "lambda", method: http.MethodPost, path: "/2015-03-31/functions/" + url.PathEscape(function) + "/invocations", body: event,
		header: http.Header{"X-Amz-Invocation-Type": {"Event"}},
	})
	return "request " + header.Get("X-Amzn-Requestid"), err
}
