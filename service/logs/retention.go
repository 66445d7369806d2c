package logs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// retentionDays are the retentions that AWS offers.
// See https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html.
var retentionDays = []int{
	1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
}

// PutRetentionPolicy sets after how many days events expire. The sweeper deletes those that have.
func (s *Service) PutRetentionPolicy(ctx context.Context, in *api.PutRetentionPolicyInput) (*api.PutRetentionPolicyOutput, error) {
	days := *in.RetentionInDays
	if !slices.Contains(retentionDays, days) {
		set := strings.ReplaceAll(fmt.Sprint(retentionDays), " ", ", ")
		return nil, invalid("1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: "+
			"Member must satisfy enum value set: %s", days, set)
	}
	return &api.PutRetentionPolicyOutput{}, s.setRetention(ctx, *in.LogGroupName, days)
}

// DeleteRetentionPolicy makes a group keep its events for ever.
func (s *Service) DeleteRetentionPolicy(ctx context.Context, in *api.DeleteRetentionPolicyInput) (*api.DeleteRetentionPolicyOutput, error) {
	return &api.DeleteRetentionPolicyOutput{}, s.setRetention(ctx, *in.LogGroupName, 0)
}

func (s *Service) setRetention(ctx context.Context, name string, days int) error {
	k := groupKey{scopeOf(aws.CallFrom(ctx)), name}
	err := s.db.Update(ctx, func(tx store.Tx) error {
		row, err := getGroup(tx, k.scope, k.name)
		if err != nil {
			return err
		}
		row.Value.Retention = days
		_, err = groups.Put(tx, k.scope, k.name, row.Value)
		return err
	})
	if err != nil {
		return err
	}
	s.streams.forget(k)
	return nil
}
