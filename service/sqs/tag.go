package sqs

import (
	"context"
	"maps"
	"strings"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/store"
)

// Limits of tags.
// See https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-tags.html.
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// tag adds tags or changes their values.
func (r *queueRow) tag(queue string, more map[string]string) error {
	all := maps.Clone(r.Tags)
	if all == nil {
		all = map[string]string{}
	}
	for k, v := range more {
		switch {
		case k == "" || len(k) > maxTagKey || len(v) > maxTagValue:
			return invalid("Tag keys have 1 to 128 characters and tag values up to 256.")
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return invalid("Tag keys that begin with aws: are reserved.")
		}
		all[k] = v
	}
	if len(all) > maxTags {
		return invalid("Too many tags added for queue %s.", queue)
	}
	if len(all) > 0 {
		r.Tags = all
	}
	return nil
}

// TagQueue adds tags or changes their values.
func (s *Service) TagQueue(ctx context.Context, in *api.TagQueueInput) (*api.TagQueueOutput, error) {
	err := s.change(ctx, in.QueueURL, func(_ store.Tx, q *queue) error { return q.row.tag(q.name, in.Tags) })
	return &api.TagQueueOutput{}, err
}

// UntagQueue removes tags; one that is not there is no error.
func (s *Service) UntagQueue(ctx context.Context, in *api.UntagQueueInput) (*api.UntagQueueOutput, error) {
	err := s.change(ctx, in.QueueURL, func(_ store.Tx, q *queue) error {
		for _, k := range in.TagKeys {
			delete(q.row.Tags, k)
		}
		return nil
	})
	return &api.UntagQueueOutput{}, err
}

// ListQueueTags answers a queue's tags.
func (s *Service) ListQueueTags(ctx context.Context, in *api.ListQueueTagsInput) (*api.ListQueueTagsOutput, error) {
	q, err := s.named(ctx, in.QueueURL)
	if err != nil {
		return nil, err
	}
	out := &api.ListQueueTagsOutput{}
	if len(q.row.Tags) > 0 {
		out.Tags = maps.Clone(q.row.Tags)
	}
	return out, nil
}
