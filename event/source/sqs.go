package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
)

// Limits of one call to SQS.
const (
	mostReceived = 10
	mostDeleted  = 10
	longestWait  = 20 * time.Second
	longestLease = 12 * time.Hour
)

// SQS polls queues.
// See https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html.
type SQS struct{ API QueueAPI }

// QueueAPI is what is needed of SQS.
type QueueAPI interface {
	ReceiveMessage(ctx context.Context, in *api.ReceiveMessageInput) (*api.ReceiveMessageOutput, error)
	DeleteMessageBatch(ctx context.Context, in *api.DeleteMessageBatchInput) (*api.DeleteMessageBatchOutput, error)
	GetQueueAttributes(ctx context.Context, in *api.GetQueueAttributesInput) (*api.GetQueueAttributesOutput, error)
}

var _ event.Source = SQS{}

// Check implements event.Source.
func (s SQS) Check(ctx context.Context, p event.Place) (time.Duration, error) {
	url, err := api.URLOf(p.ARN.String())
	if err != nil {
		return 0, event.Refusal("Unrecognized event source.")
	}
	out, err := s.API.GetQueueAttributes(in(ctx, p), &api.GetQueueAttributesInput{
		QueueURL: &url, AttributeNames: []string{"VisibilityTimeout"},
	})
	var e *aws.Error
	switch {
	case errors.As(err, &e) && e.Type == api.ErrQueueDoesNotExist:
		return 0, event.Refusal("Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. " +
			"SQS Error Message: The specified queue does not exist.")
	case errors.As(err, &e) && !e.Type.Server && e.Type.Status < 500:
		return 0, event.Refusal("The provided execution role does not have permissions to call ReceiveMessage on SQS")
	case err != nil:
		return 0, err
	}
	visible, err := strconv.Atoi(out.Attributes["VisibilityTimeout"])
	if err != nil {
		return 0, fmt.Errorf("read VisibilityTimeout: %w", err)
	}
	return time.Duration(visible) * time.Second, nil
}

// Ordered implements event.Source.
func (SQS) Ordered(p event.Place) bool { return strings.HasSuffix(p.ARN.Resource, ".fifo") }

// Poll implements event.Source.
func (s SQS) Poll(ctx context.Context, p event.Place, most int, wait time.Duration) ([]event.Record, error) {
	url, err := api.URLOf(p.ARN.String())
	if err != nil {
		return nil, err
	}
	ask := &api.ReceiveMessageInput{
		QueueURL: &url, MaxNumberOfMessages: new(min(most, mostReceived)), WaitTimeSeconds: new(int(min(wait, longestWait).Seconds())),
		MessageSystemAttributeNames: []string{"All"}, MessageAttributeNames: []string{"All"},
	}
	if p.Lease > 0 {
		ask.VisibilityTimeout = new(int(min(p.Lease, longestLease).Seconds()))
	}
	out, err := s.API.ReceiveMessage(in(ctx, p), ask)
	if err != nil {
		return nil, err
	}
	records := make([]event.Record, 0, len(out.Messages))
	for _, m := range out.Messages {
		r, err := record(p, m)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// message is a record as the function gets it.
type message struct {
	MessageID         string               `json:"messageId"`
	ReceiptHandle     string               `json:"receiptHandle"`
	Body              string               `json:"body"`
	Attributes        map[string]string    `json:"attributes"`
	MessageAttributes map[string]attribute `json:"messageAttributes"`
	MD5OfAttributes   *string              `json:"md5OfMessageAttributes"`
	MD5OfBody         string               `json:"md5OfBody"`
	EventSource       string               `json:"eventSource"`
	EventSourceARN    string               `json:"eventSourceARN"`
	AWSRegion         string               `json:"awsRegion"`
}

type attribute struct {
	StringValue *string  `json:"stringValue,omitempty"`
	BinaryValue []byte   `json:"binaryValue,omitempty"`
	StringList  []string `json:"stringListValues"`
	BinaryList  []string `json:"binaryListValues"`
	DataType    string   `json:"dataType"`
}

func record(p event.Place, m *api.Message) (event.Record, error) {
	w := message{
		MessageID: str(m.MessageID), ReceiptHandle: str(m.ReceiptHandle), Body: str(m.Body), Attributes: m.Attributes,
		MessageAttributes: map[string]attribute{}, MD5OfAttributes: m.MD5OfMessageAttributes, MD5OfBody: str(m.MD5OfBody),
		EventSource: "aws:sqs", EventSourceARN: p.ARN.String(), AWSRegion: p.ARN.Region,
	}
	for name, a := range m.MessageAttributes {
		w.MessageAttributes[name] = attribute{
			StringValue: a.StringValue, BinaryValue: a.BinaryValue, StringList: []string{}, BinaryList: []string{}, DataType: str(a.DataType),
		}
	}
	b, err := json.Marshal(w)
	return event.Record{ID: w.MessageID, Event: b, Group: m.Attributes["MessageGroupId"], Trace: m.Attributes["AWSTraceHeader"], Receipt: w.ReceiptHandle}, err
}

// Document implements event.Source. A body that is no JSON stays a string. Of one that is, there are the objects alone: a pattern
// that asks for the body itself is about text, and a body that is valid JSON satisfies none such.
func (SQS) Document(r event.Record) []byte {
	var m map[string]json.RawMessage
	var body string
	if json.Unmarshal(r.Event, &m) != nil || json.Unmarshal(m["body"], &body) != nil || !json.Valid([]byte(body)) {
		return r.Event
	}
	m["body"] = objects(body)
	b, err := json.Marshal(m)
	if err != nil {
		return r.Event
	}
	return b
}

// objects is JSON without the values that are in no object; an empty list if there is nothing else.
func objects(text string) json.RawMessage {
	switch strings.TrimLeft(text, " \t\r\n")[0] {
	case '{':
		return json.RawMessage(text)
	case '[':
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		var list []any
		if dec.Decode(&list) != nil {
			break
		}
		if b, err := json.Marshal(withoutValues(list)); err == nil {
			return b
		}
	}
	return json.RawMessage("[]")
}

// withoutValues takes what is neither an object nor a list out of a list and the lists in it.
func withoutValues(list []any) []any {
	kept := list[:0]
	for _, e := range list {
		switch e := e.(type) {
		case map[string]any:
			kept = append(kept, e)
		case []any:
			kept = append(kept, withoutValues(e))
		}
	}
	return kept
}

// Done implements event.Source.
func (s SQS) Done(ctx context.Context, p event.Place, all []event.Record) error {
	url, err := api.URLOf(p.ARN.String())
	if err != nil {
		return err
	}
	ctx = in(ctx, p)
	for len(all) > 0 {
		n := min(len(all), mostDeleted)
		batch := &api.DeleteMessageBatchInput{QueueURL: &url}
		for i, r := range all[:n] {
			batch.Entries = append(batch.Entries, &api.DeleteMessageBatchRequestEntry{ID: new(strconv.Itoa(i)), ReceiptHandle: &r.Receipt})
		}
		out, callErr := s.API.DeleteMessageBatch(ctx, batch)
		err = cmp.Or(err, callErr)
		if callErr == nil && len(out.Failed) > 0 {
			err = cmp.Or(err, fmt.Errorf("delete messages: %d failed, the first with %s: %s", len(out.Failed), str(out.Failed[0].Code), str(out.Failed[0].Message)))
		}
		all = all[n:]
	}
	return err
}

// in is ctx for a call of the function's role.
func in(ctx context.Context, p event.Place) context.Context {
	return aws.WithCall(ctx, &aws.Call{
		Principal: p.Principal, Account: p.Principal.Account, Region: p.ARN.Region, RequestID: uuid.NewString(),
		SourceIP: "lambda.amazonaws.com", UserAgent: "lambda.amazonaws.com", Secure: true, SourceArn: p.Function, SourceAccount: p.Scope.Account,
	})
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
