package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// deadLetters is a queue of them.
type deadLetters struct {
	*target
	given          string // as the user or an origin says it
	name, url, arn string
}

// deadLetters is the queue of a name, URL or ARN.
func (t *target) deadLetters(queue string) *deadLetters {
	return &deadLetters{target: t, given: queue, name: queue[strings.LastIndexAny(queue, ":/")+1:]}
}

func (d *deadLetters) find(ctx context.Context) error {
	var out struct {
		QueueURL string `json:"QueueUrl"`
	}
	err := d.sqs(ctx, "GetQueueUrl", map[string]any{"QueueName": d.name}, &out)
	if isGone(err) {
		return fmt.Errorf("%w There is no queue %q in %s: enfold dlq list shows those that something names for its dead letters", err, d.name, d.region)
	}
	if err != nil {
		return err
	}
	d.url = out.QueueURL
	attributes, err := d.attributes(ctx, d.url)
	d.arn = attributes["QueueArn"]
	if err == nil && strings.HasPrefix(d.given, "arn:") && d.given != d.arn {
		err = &apiError{http.StatusNotFound, "QueueDoesNotExist", d.given + " is a queue of another account or region"}
	}
	return err
}

// count is how many letters are visible now.
func (d *deadLetters) count(ctx context.Context) (int, error) {
	if d.url == "" {
		if err := d.find(ctx); err != nil {
			return 0, err
		}
	}
	visible, _, err := d.counts(ctx)
	return visible, err
}

// counts is how many letters are visible, and how many somebody is receiving.
func (d *deadLetters) counts(ctx context.Context) (visible, hidden int, err error) {
	attributes, err := d.attributes(ctx, d.url)
	if err != nil {
		return 0, 0, err
	}
	visible, err = strconv.Atoi(attributes["ApproximateNumberOfMessages"])
	if err == nil {
		hidden, err = strconv.Atoi(attributes["ApproximateNumberOfMessagesNotVisible"])
	}
	return visible, hidden, err
}

func (t *target) attributes(ctx context.Context, url string) (map[string]string, error) {
	var out struct{ Attributes map[string]string }
	err := t.sqs(ctx, "GetQueueAttributes", map[string]any{"QueueUrl": url, "AttributeNames": []string{"All"}}, &out)
	return out.Attributes, err
}

func (d *deadLetters) receive(ctx context.Context, most int, hidden time.Duration) ([]*letter, error) {
	var out struct{ Messages []*letter }
	err := d.sqs(ctx, "ReceiveMessage", map[string]any{
		"QueueUrl": d.url, "MaxNumberOfMessages": most, "VisibilityTimeout": int(hidden.Seconds()), "WaitTimeSeconds": 0,
		"MessageSystemAttributeNames": []string{"All", causeName}, "MessageAttributeNames": []string{"All"},
	}, &out)
	return out.Messages, err
}

// release makes letters visible again at once, as well as it can: they are in a moment anyway.
func (d *deadLetters) release(ctx context.Context, all []*letter) {
	for _, l := range all {
		_ = d.sqs(ctx, "ChangeMessageVisibility", map[string]any{"QueueUrl": d.url, "ReceiptHandle": l.Receipt, "VisibilityTimeout": 0}, nil)
	}
}

func (d *deadLetters) remove(ctx context.Context, l *letter) error {
	return d.sqs(ctx, "DeleteMessage", map[string]any{"QueueUrl": d.url, "ReceiptHandle": l.Receipt}, nil)
}

// sqs calls an operation of SQS.
func (t *target) sqs(ctx context.Context, op string, in, out any) error {
	if out == nil {
		out = &json.RawMessage{}
	}
	return t.json(ctx, "sqs", "AmazonSQS."+op, in, out)
}
