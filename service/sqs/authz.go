package sqs

import (
	"context"
	"errors"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

// ownOnly are the actions that no queue policy gives to another account.
// See https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-customer-managed-policy-examples.html.
var ownOnly = []string{
	"AddPermission", "CancelMessageMoveTask", "CreateQueue", "DeleteQueue", "ListMessageMoveTasks", "ListQueues", "ListQueueTags",
	"RemovePermission", "SetQueueAttributes", "StartMessageMoveTask", "TagQueue", "UntagQueue",
}

// ResourceGrants is the policy of a queue of whatever account; nil for none.
func (s *Service) ResourceGrants(ctx context.Context, call *aws.Call, arn string) (*policy.ResourceGrants, error) {
	q, err := s.byARN(ctx, arn)
	if q == nil || err != nil {
		return nil, err
	}
	if p := call.Principal; call.Op != nil && p != nil && p.Account != "" && p.Account != q.scope.Account && slices.Contains(ownOnly, call.Op.Name) {
		return nil, nil
	}
	return q.policy, nil
}

// ConditionValues knows the tags of queues.
func (s *Service) ConditionValues(ctx context.Context, _ *aws.Call, arn, key string) ([]string, bool) {
	name, ok := strings.CutPrefix(key, "aws:resourcetag/")
	if !ok {
		return nil, false
	}
	q, err := s.byARN(ctx, arn)
	if q == nil || err != nil {
		return nil, false
	}
	for k, v := range q.row.Tags {
		if k == name || strings.EqualFold(k, name) {
			return []string{v}, true
		}
	}
	return nil, false
}

// byARN answers nil if there is no such queue.
func (s *Service) byARN(ctx context.Context, arn string) (*queue, error) {
	a, ok := api.ParseQueueARN(arn)
	if !ok {
		return nil, nil
	}
	q, err := s.find(ctx, store.Scope{Account: a.Account, Region: a.Region}, a.Resource)
	if errors.Is(err, api.ErrQueueDoesNotExist) {
		return nil, nil
	}
	return q, err
}
