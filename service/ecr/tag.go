package ecr

import (
	"context"
	"maps"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// TagResource adds tags to a repository or changes their values.
func (s *Service) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	name, err := tagged(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	_, err = s.change(ctx, name, func(_ store.Tx, r *repository) (err error) {
		r.row.Tags, err = addTags(r.row.Tags, in.Tags)
		return err
	})
	return &api.TagResourceOutput{}, err
}

// UntagResource removes tags; a repository that has them not is no error.
func (s *Service) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	name, err := tagged(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	_, err = s.change(ctx, name, func(_ store.Tx, r *repository) error {
		r.row.Tags = maps.Clone(r.row.Tags)
		for _, k := range in.TagKeys {
			delete(r.row.Tags, k)
		}
		return nil
	})
	return &api.UntagResourceOutput{}, err
}

// ListTagsForResource lists a repository's tags by key.
func (s *Service) ListTagsForResource(ctx context.Context, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	name, err := tagged(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	out := &api.ListTagsForResourceOutput{Tags: []*api.Tag{}}
	err = s.view(ctx, name, func(_ store.Tx, r *repository) error {
		for _, k := range slices.Sorted(maps.Keys(r.row.Tags)) {
			out.Tags = append(out.Tags, &api.Tag{Key: &k, Value: new(r.row.Tags[k])})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// tagged is the name of the repository of an ARN, which must be where the call acts.
func tagged(ctx context.Context, arn *string) (*string, error) {
	a, name, ok := api.ParseRepositoryARN(*arn)
	if call := aws.CallFrom(ctx); !ok || a.Region != call.Region || a.Account != call.Account {
		return nil, invalid("resourceArn", "Invalid ARN")
	}
	return &name, nil
}

// addTags is old with more over it, by key.
func addTags(old map[string]string, more []*api.Tag) (map[string]string, error) {
	all := maps.Clone(old)
	if all == nil {
		all = map[string]string{}
	}
	for _, t := range more {
		if t == nil {
			continue
		}
		k, v := *t.Key, *t.Value
		if k == "" || len(k) > 128 || len(v) > 256 || strings.HasPrefix(strings.ToLower(k), "aws:") {
			return nil, api.ErrInvalidTagParameter.New("Invalid parameter at 'tags': a tag's key has 1 to 128 characters and does not begin with aws:, its value 256 at most")
		}
		all[k] = v
	}
	if len(all) > maxTags {
		return nil, api.ErrTooManyTags.Withf("A repository has %d tags at most", maxTags)
	}
	return all, nil
}
