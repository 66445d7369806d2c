package iam

import (
	"context"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/store"
)

const maxTags = 50

// withTags is old with more added or replaced. Keys are not distinguished by case.
func withTags(old []tag, more []*api.Tag) ([]tag, error) {
	tags := slices.Clone(old)
	for i, t := range more {
		if slices.ContainsFunc(more[:i], func(o *api.Tag) bool { return strings.EqualFold(*o.Key, *t.Key) }) {
			return nil, api.ErrInvalidInput.New("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		if strings.HasPrefix(strings.ToLower(*t.Key), "aws:") {
			return nil, api.ErrInvalidInput.New("Tag keys that begin with aws: are reserved for system use.")
		}
		at := slices.IndexFunc(tags, func(o tag) bool { return strings.EqualFold(o.Key, *t.Key) })
		if at >= 0 {
			tags[at] = tag{*t.Key, *t.Value}
			continue
		}
		tags = append(tags, tag{*t.Key, *t.Value})
	}
	if len(tags) > maxTags {
		return nil, api.ErrLimitExceeded.Withf("The number of tags has reached the maximum limit.")
	}
	return tags, nil
}

func withoutTags(old []tag, keys []string) []tag {
	return slices.DeleteFunc(slices.Clone(old), func(t tag) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, t.Key) })
	})
}

func apiTags(tags []tag) []*api.Tag {
	out := []*api.Tag{}
	for _, t := range tags {
		out = append(out, &api.Tag{Key: new(t.Key), Value: new(t.Value)})
	}
	return out
}

// someTags is nil where there are none, as answers that show more than the tags leave them out.
func someTags(tags []tag) []*api.Tag {
	if len(tags) == 0 {
		return nil
	}
	return apiTags(tags)
}

func tagMap(tags []tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// tagPage is what the ListTags calls answer.
func tagPage(tags []tag, marker *string, maxItems *int) ([]*api.Tag, *string, error) {
	p, err := pageOf(marker, maxItems)
	if err != nil {
		return nil, nil, err
	}
	tags, next := slicePage(tags, p, func(t tag) string { return t.Key })
	return apiTags(tags), next, nil
}

func (s *Service) tagEntity(ctx context.Context, k kind, name string, tags []*api.Tag) error {
	return s.edit(ctx, k, name, func(_ store.Tx, e *entity) (err error) {
		e.Tags, err = withTags(e.Tags, tags)
		return err
	})
}

func (s *Service) untagEntity(ctx context.Context, k kind, name string, keys []string) error {
	return s.edit(ctx, k, name, func(_ store.Tx, e *entity) error {
		e.Tags = withoutTags(e.Tags, keys)
		return nil
	})
}

// TagUser adds tags or replaces their values.
func (s *Service) TagUser(ctx context.Context, in *api.TagUserInput) (*api.TagUserOutput, error) {
	return answer(&api.TagUserOutput{}, s.tagEntity(ctx, user, *in.UserName, in.Tags))
}

// UntagUser removes tags.
func (s *Service) UntagUser(ctx context.Context, in *api.UntagUserInput) (*api.UntagUserOutput, error) {
	return answer(&api.UntagUserOutput{}, s.untagEntity(ctx, user, *in.UserName, in.TagKeys))
}

// ListUserTags lists tags by key.
func (s *Service) ListUserTags(ctx context.Context, in *api.ListUserTagsInput) (*api.ListUserTagsOutput, error) {
	e, err := s.read(ctx, user, *in.UserName)
	if err != nil {
		return nil, err
	}
	tags, marker, err := tagPage(e.Tags, in.Marker, in.MaxItems)
	return answer(&api.ListUserTagsOutput{Tags: tags, IsTruncated: new(marker != nil), Marker: marker}, err)
}

// TagRole adds tags or replaces their values.
func (s *Service) TagRole(ctx context.Context, in *api.TagRoleInput) (*api.TagRoleOutput, error) {
	return answer(&api.TagRoleOutput{}, s.tagEntity(ctx, role, *in.RoleName, in.Tags))
}

// UntagRole removes tags.
func (s *Service) UntagRole(ctx context.Context, in *api.UntagRoleInput) (*api.UntagRoleOutput, error) {
	return answer(&api.UntagRoleOutput{}, s.untagEntity(ctx, role, *in.RoleName, in.TagKeys))
}

// ListRoleTags lists tags by key.
func (s *Service) ListRoleTags(ctx context.Context, in *api.ListRoleTagsInput) (*api.ListRoleTagsOutput, error) {
	e, err := s.read(ctx, role, *in.RoleName)
	if err != nil {
		return nil, err
	}
	tags, marker, err := tagPage(e.Tags, in.Marker, in.MaxItems)
	return answer(&api.ListRoleTagsOutput{Tags: tags, IsTruncated: new(marker != nil), Marker: marker}, err)
}

// answer is out, or the error if there is one.
func answer[T any](out *T, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return out, nil
}
