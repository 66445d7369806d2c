package sns

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/target"
	"github.com/enfold-run/enfold/store"
)

// StatusKind is the kind of what tells how a message was delivered: Statuses handles it.
const StatusKind = "sns.status"

// StatusLog writes to log groups in the name of roles.
type StatusLog interface {
	// Log adds a line. The error of the role, or of what it may not do, is an *aws.Error.
	Log(ctx context.Context, l *StatusLine) error
}

// StatusLine is a line of a topic's delivery status log.
type StatusLine struct {
	Scope store.Scope
	Topic string // ARN
	Role  string // ARN of the role that SNS writes as
	Group string // log group; it is made if it is not there
	At    time.Time
	Text  string
}

// statusTime is how long it is tried to write a line.
const statusTime = time.Hour

// tried is what is known after a try, for the topic's status log.
type tried struct {
	topic    *topic
	protocol string // as the attributes of the topic call it
	notice   statusNotice
	delivery statusDelivery
	at       time.Time // of the publish
}

type statusNotice struct {
	MD5       string `json:"messageMD5Sum"`
	MessageID string `json:"messageId"`
	TopicArn  string `json:"topicArn"`
	Timestamp string `json:"timestamp"`
}

type statusDelivery struct {
	ID          string `json:"deliveryId"`
	Destination string `json:"destination"`
	Response    string `json:"providerResponse,omitempty"`
	Dwell       int64  `json:"dwellTimeMs"`
	Attempts    int    `json:"attempts"`
	Status      int    `json:"statusCode,omitempty"`
}

// feedbackOf is how a protocol is called by the attributes of delivery status; empty for those that have none.
func feedbackOf(protocol string) string {
	switch protocol {
	case "http", "https":
		return "HTTP"
	case "lambda":
		return "Lambda"
	case "sqs":
		return "SQS"
	}
	return ""
}

// note keeps what a try came to, if the topic logs that.
func (o *outgoing) note(ctx context.Context, d *event.Delivery, answer target.Answer, err error) {
	protocol := feedbackOf(o.sub.row.Protocol)
	if protocol == "" || o.topic == nil || o.m.Type != typeNotification ||
		o.topic.attribute(protocol+"SuccessFeedbackRoleArn") == "" && o.topic.attribute(protocol+"FailureFeedbackRoleArn") == "" {
		return
	}
	sum := md5.Sum([]byte(o.m.Text))
	t := &tried{
		topic: o.topic, protocol: protocol, at: o.m.At,
		notice: statusNotice{hex.EncodeToString(sum[:]), o.m.ID, o.m.TopicArn, o.m.At.UTC().Format("2006-01-02 15:04:05.000")},
		delivery: statusDelivery{
			ID: d.ID, Destination: o.sub.row.Endpoint, Response: answer.Text, Attempts: d.Tries + 1, Status: answer.Status,
		},
	}
	var refused *aws.Error
	switch {
	case errors.As(err, &refused):
		t.delivery.Status, t.delivery.Response = refused.Type.Status, jsonText(map[string]string{"ErrorCode": refused.Type.Code, "ErrorMessage": refused.Message})
	case err != nil:
		t.delivery.Response = jsonText(map[string]string{"ErrorMessage": err.Error()})
	}
	event.Note(ctx, t)
}

func jsonText(v any) string {
	b, err := plainJSON(v, "")
	if err != nil {
		return ""
	}
	return string(b)
}

// status is the delivery of a line that tells how a delivery ended; nil if the topic does not want to know.
func status(o event.Outcome) *event.Delivery {
	t, ok := o.Result.(*tried)
	if !ok {
		return nil
	}
	role, group, word := t.topic.attribute(t.protocol+"SuccessFeedbackRoleArn"), "", "SUCCESS"
	if o.Err != nil {
		role, group, word = t.topic.attribute(t.protocol+"FailureFeedbackRoleArn"), "/Failure", "FAILURE"
	} else if rand.IntN(100) >= t.topic.sampleRate(t.protocol) {
		return nil
	}
	if role == "" {
		return nil
	}
	t.delivery.Dwell = max(0, o.At.Sub(t.at).Milliseconds())
	line := StatusLine{
		Scope: t.topic.scope, Topic: t.topic.arn.String(), Role: role, At: o.At,
		Group: "sns/" + t.topic.arn.Region + "/" + t.topic.arn.Account + "/" + t.topic.name() + group,
		Text: jsonText(struct {
			Notice   statusNotice   `json:"notification"`
			Delivery statusDelivery `json:"delivery"`
			Status   string         `json:"status"`
		}{t.notice, t.delivery, word}),
	}
	body, err := json.Marshal(line)
	if err != nil {
		return nil // a line of texts always marshals
	}
	return &event.Delivery{
		Kind: StatusKind, Target: line.Topic, Scope: line.Scope, Source: line.Topic, Role: role, Payload: body,
		Retry: event.Retry{Age: statusTime, Jitter: true},
	}
}

// sampleRate is how many of a hundred successes are logged.
func (t *topic) sampleRate(protocol string) int {
	n, err := strconv.Atoi(t.attribute(protocol + "SuccessFeedbackSampleRate"))
	if err != nil {
		return 100
	}
	return n
}

// Statuses writes delivery status logs.
type Statuses struct{ s *Service }

var _ event.Handler = Statuses{}

// Statuses is the handler of StatusKind.
func (s *Service) Statuses() Statuses { return Statuses{s} }

// statusPlaces is how many lines of one topic are written at once.
const statusPlaces = 4

// Places implements event.Handler.
func (Statuses) Places(string) int { return statusPlaces }

// Deliver implements event.Handler.
func (h Statuses) Deliver(ctx context.Context, d *event.Delivery) error {
	l := &StatusLine{}
	if err := json.Unmarshal(d.Payload, l); err != nil {
		return event.Permanent(err)
	}
	if h.s.deps.Status == nil {
		return event.Permanent(errors.New("sns: there are no logs"))
	}
	err := h.s.deps.Status.Log(ctx, l)
	var refused *aws.Error
	if errors.As(err, &refused) && !refused.Type.Server && refused.Type != aws.ErrThrottling {
		return event.Permanent(err)
	}
	return err
}

// Settle implements event.Handler.
func (h Statuses) Settle(_ store.Tx, d *event.Delivery, o event.Outcome) ([]*event.Delivery, error) {
	if o.Err != nil {
		h.s.deps.Log.Warn("the status of a delivery was not logged", "topic", d.Target, "role", d.Role, "cause", string(o.Cause), "error", o.Err)
	}
	return nil, nil
}
