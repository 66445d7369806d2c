package cloudtrail

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/cloudtrail"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// Limits of tags.
const (
	maxTags   = 50 // of a trail
	maxTagged = 20 // trails of one ListTags
)

// AddTags sets tags of a trail.
func (s *Service) AddTags(ctx context.Context, in *api.AddTagsInput) (*api.AddTagsOutput, error) {
	_, err := s.change(ctx, *in.ResourceID, func(t *trail) (_ *trail, err error) {
		t.Tags, err = addTags(t.Tags, in.TagsList)
		return t, err
	})
	return &api.AddTagsOutput{}, tagError(*in.ResourceID, err)
}

// RemoveTags removes tags of a trail, by their keys.
func (s *Service) RemoveTags(ctx context.Context, in *api.RemoveTagsInput) (*api.RemoveTagsOutput, error) {
	_, err := s.change(ctx, *in.ResourceID, func(t *trail) (*trail, error) {
		t.Tags = maps.Clone(t.Tags)
		for _, tag := range in.TagsList {
			delete(t.Tags, *tag.Key)
		}
		return t, nil
	})
	return &api.RemoveTagsOutput{}, tagError(*in.ResourceID, err)
}

// ListTags answers the tags of trails, by key.
func (s *Service) ListTags(ctx context.Context, in *api.ListTagsInput) (*api.ListTagsOutput, error) {
	call := aws.CallFrom(ctx)
	if len(in.ResourceIDList) > maxTagged {
		return nil, aws.ErrValidation.Withf("The resource list has more than %d resources.", maxTagged)
	}
	out := &api.ListTagsOutput{}
	err := s.db.View(ctx, func(tx store.Tx) error {
		out.ResourceTagList = []*api.ResourceTag{}
		for _, id := range in.ResourceIDList {
			f, err := findTagged(tx, call, id)
			if err != nil {
				return err
			}
			tags := &api.ResourceTag{ResourceID: &id, TagsList: []*api.Tag{}}
			for _, k := range slices.Sorted(maps.Keys(f.trail.Tags)) {
				tags.TagsList = append(tags.TagsList, &api.Tag{Key: new(k), Value: some(f.trail.Tags[k])})
			}
			out.ResourceTagList = append(out.ResourceTagList, tags)
		}
		return nil
	})
	return out, err
}

func findTagged(tx store.Tx, call *aws.Call, id string) (found, error) {
	f, err := find(tx, call, id)
	return f, tagError(id, err)
}

// tagError is what tagging says of a trail that is not there, or of what is no trail.
func tagError(id string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, api.ErrTrailNotFound):
		return api.ErrResourceNotFound.Withf("Resource not found: %s", id)
	case !strings.HasPrefix(id, "arn:"):
		return api.ErrCloudTrailARNInvalid.Withf("Invalid ARN: %s", id)
	}
	return err
}

// addTags is old with tags set.
func addTags(old map[string]string, tags []*api.Tag) (map[string]string, error) {
	all := maps.Clone(old)
	if all == nil {
		all = map[string]string{}
	}
	seen := map[string]bool{}
	for _, t := range tags {
		key := *t.Key
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, api.ErrInvalidTagParameter.New("Tag keys cannot start with aws:.")
		}
		if seen[key] {
			return nil, api.ErrInvalidTagParameter.Withf("Duplicate tag key: %s", key)
		}
		seen[key], all[key] = true, ""
		if t.Value != nil {
			all[key] = *t.Value
		}
	}
	if len(all) > maxTags {
		return nil, api.ErrTagsLimitExceeded.Withf("The number of tags per trail has exceeded the limit of %d.", maxTags)
	}
	return all, nil
}
