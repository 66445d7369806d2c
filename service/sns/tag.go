package sns

import (
	"context"
	"errors"
	"maps"
	"slices"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/store"
)

// maxTags is how many tags a topic may have.
const maxTags = 50

var errNoResource = api.ErrResourceNotFound.New("Resource does not exist")

// tagsOf reads tags of a request.
func tagsOf(list []*api.Tag) (map[string]string, error) {
	tags := make(map[string]string, len(list))
	for _, t := range list {
		k := value(t.Key)
		if _, twice := tags[k]; twice {
			return nil, invalid("Duplicated keys are not allowed.")
		}
		if !printable(k) || !printable(value(t.Value)) {
			return nil, invalid("Tags")
		}
		tags[k] = value(t.Value)
	}
	if len(tags) > maxTags {
		return nil, errManyTags
	}
	return tags, nil
}

var errManyTags = api.ErrTagLimitExceeded.New("Could not complete request: tag quota of per resource exceeded")

// TagResource sets tags of a topic.
func (s *Service) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	err = s.changeTopic(ctx, "ResourceArn", in.ResourceArn, func(_ store.Tx, t *topic) error {
		all := maps.Clone(t.row.Tags)
		if all == nil {
			all = map[string]string{}
		}
		maps.Copy(all, tags)
		if len(all) > maxTags {
			return errManyTags
		}
		t.row.Tags = all
		return nil
	})
	return &api.TagResourceOutput{}, noResource(err)
}

// UntagResource removes tags of a topic.
func (s *Service) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	err := s.changeTopic(ctx, "ResourceArn", in.ResourceArn, func(_ store.Tx, t *topic) error {
		for _, k := range in.TagKeys {
			delete(t.row.Tags, k)
		}
		return nil
	})
	return &api.UntagResourceOutput{}, noResource(err)
}

// ListTagsForResource lists the tags of a topic.
func (s *Service) ListTagsForResource(ctx context.Context, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	out := &api.ListTagsForResourceOutput{}
	err := s.viewTopic(ctx, "ResourceArn", in.ResourceArn, func(_ store.Tx, t *topic) error {
		out.Tags = []*api.Tag{}
		for _, k := range slices.Sorted(maps.Keys(t.row.Tags)) {
			out.Tags = append(out.Tags, &api.Tag{Key: &k, Value: new(t.row.Tags[k])})
		}
		return nil
	})
	return out, noResource(err)
}

// noResource is how ops about tags say that there is no topic.
func noResource(err error) error {
	if errors.Is(err, api.ErrNotFound) {
		return errNoResource
	}
	return err
}
