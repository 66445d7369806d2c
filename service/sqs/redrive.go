package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// redrivePolicy says after how many receives a message goes where.
type redrivePolicy struct {
	target store.Scope
	name   string
	most   int // receives
}

const (
	maxReceives   = 1000
	maxSources    = 10 // of a redrive allow policy
	maxPolicyText = 8 << 10
)

func badRedrive(text, reason string) error { return wrong(text, attrRedrive, reason) }

// parseRedrive reads a RedrivePolicy; nil for none.
func parseRedrive(text string) (*redrivePolicy, error) {
	if text == "" {
		return nil, nil
	}
	var p struct {
		Target *string         `json:"deadLetterTargetArn"`
		Max    json.RawMessage `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil || len(text) > maxPolicyText {
		return nil, badRedrive(clip(text), "Redrive policy is not a valid JSON map.")
	}
	if p.Target == nil {
		return nil, badRedrive(text, "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.")
	}
	if p.Max == nil {
		return nil, badRedrive(text, "Redrive policy does not contain mandatory attribute: maxReceiveCount.")
	}
	n, err := strconv.Atoi(strings.Trim(string(p.Max), `"`))
	if err != nil || n < 1 || n > maxReceives {
		return nil, badRedrive(text, "Invalid value for maxReceiveCount: "+strings.Trim(string(p.Max), `"`)+", valid values are from 1 to 1000 both inclusive.")
	}
	arn, ok := api.ParseQueueARN(*p.Target)
	if !ok {
		return nil, badRedrive(text, "Invalid value for deadLetterTargetArn.")
	}
	return &redrivePolicy{target: store.Scope{Account: arn.Account, Region: arn.Region}, name: arn.Resource, most: n}, nil
}

// shownRedrive is a RedrivePolicy that was checked, as AWS answers it: compact, and the count a number however it was given.
func shownRedrive(text string) string {
	p, err := parseRedrive(text)
	if p == nil || err != nil {
		return text
	}
	b, err := json.Marshal(struct {
		Target string `json:"deadLetterTargetArn"`
		Max    int    `json:"maxReceiveCount"`
	}{queueARN(p.target, p.name), p.most})
	if err != nil {
		return text
	}
	return string(b)
}

// redriveAllow says which queues may have a queue for their dead letters.
type redriveAllow struct {
	Permission string   `json:"redrivePermission"`
	Sources    []string `json:"sourceQueueArns"`
}

// parseRedriveAllow reads a RedriveAllowPolicy; without one all are allowed.
func parseRedriveAllow(text string) (redriveAllow, error) {
	p := redriveAllow{Permission: "allowAll"}
	if text == "" {
		return p, nil
	}
	p.Permission = ""
	bad := func(reason string) (redriveAllow, error) { return p, wrong(clip(text), attrRedriveAllow, reason) }
	if err := json.Unmarshal([]byte(text), &p); err != nil || len(text) > maxPolicyText {
		return bad("Amazon SQS can't create the redrive allow policy, as it's in an unsupported format.")
	}
	switch {
	case p.Permission != "allowAll" && p.Permission != "denyAll" && p.Permission != "byQueue":
		return bad("Amazon SQS can't create the redrive allow policy. It does not contain mandatory attribute: redrivePermission.")
	case p.Permission == "byQueue" && (len(p.Sources) == 0 || len(p.Sources) > maxSources):
		return bad("Amazon SQS can't create the redrive allow policy. The list of source queue ARNs has 1 to 10 of them.")
	case p.Permission != "byQueue" && len(p.Sources) > 0:
		return bad("Amazon SQS can't create the redrive allow policy. Source queue ARNs can be given only with byQueue.")
	}
	return p, nil
}

func (p redriveAllow) allows(source string) bool {
	return p.Permission == "allowAll" || p.Permission == "byQueue" && slices.Contains(p.Sources, source)
}

// checkRedrive checks the queue that dead letters of k are to go to.
func (s *Service) checkRedrive(tx store.Tx, k queueKey, attributes map[string]string) error {
	text := attributes[attrRedrive]
	p, err := parseRedrive(text)
	if p == nil || err != nil {
		return err
	}
	if p.target != k.scope {
		return badRedrive(text, "Dead letter target owner should be same as the source.")
	}
	target, err := s.read(tx, p.target, p.name)
	if errors.Is(err, api.ErrQueueDoesNotExist) {
		return badRedrive(text, "Dead letter target does not exist.")
	}
	if err != nil {
		return err
	}
	if target.fifo != strings.HasSuffix(k.name, fifoSuffix) {
		return badRedrive(text, "Dead-letter queue must be same type of queue as the source.")
	}
	allow, err := parseRedriveAllow(target.row.Attributes[attrRedriveAllow])
	if err != nil {
		return err
	}
	if !allow.allows(queueARN(k.scope, k.name)) {
		return badRedrive(text, "The dead letter target does not allow this queue: see its RedriveAllowPolicy.")
	}
	return nil
}

// ListDeadLetterSourceQueues lists the queues whose dead letters go to this one.
func (s *Service) ListDeadLetterSourceQueues(ctx context.Context, in *api.ListDeadLetterSourceQueuesInput) (*api.ListDeadLetterSourceQueuesOutput, error) {
	q, err := s.named(ctx, in.QueueURL)
	if err != nil {
		return nil, err
	}
	p, err := newPage(in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	call := aws.CallFrom(ctx)
	out := &api.ListDeadLetterSourceQueuesOutput{QueueURLs: []string{}}
	err = s.db.View(ctx, func(tx store.Tx) error {
		out.QueueURLs = out.QueueURLs[:0]
		return s.sources(tx, q, p.after, func(name string) bool {
			if !p.take(name) {
				return false
			}
			out.QueueURLs = append(out.QueueURLs, s.urlOf(call, queueKey{q.scope, name}))
			return true
		})
	})
	out.NextToken = p.next()
	return out, err
}

// sources calls do with the names of the queues whose dead letters go to q, until it answers false.
func (s *Service) sources(tx store.Tx, q *queue, after string, do func(name string) bool) error {
	for rec, err := range rows.Scan(tx, q.scope, store.Range{After: after}) {
		if err != nil {
			return err
		}
		p, err := parseRedrive(rec.Value.Attributes[attrRedrive])
		if err == nil && p != nil && p.target == q.scope && p.name == q.name && !do(rec.Key) {
			return nil
		}
	}
	return nil
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200]
	}
	return s
}
