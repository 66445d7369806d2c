package logs

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// maxTags is how many tags a group may have. How long they are and which characters they have is checked by the model.
// See https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_TagResource.html.
const maxTags = 50

const manyTags = "A resource can have no more than 50 tags."

// TagResource adds tags to a group or changes their values.
func (s *Service) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	k, err := tagged(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	err = s.tag(ctx, k, in.Tags, api.ErrTooManyTags.New(manyTags).With("resourceName", groupARN(k.scope, k.name)))
	return &api.TagResourceOutput{}, err
}

// TagLogGroup is [Service.TagResource] by the group's name. It has no error of its own for too many tags.
func (s *Service) TagLogGroup(ctx context.Context, in *api.TagLogGroupInput) (*api.TagLogGroupOutput, error) {
	return &api.TagLogGroupOutput{}, s.tag(ctx, namedGroup(ctx, in.LogGroupName), in.Tags, invalid(manyTags))
}

// UntagResource removes tags from a group. Those that it has not are no error.
func (s *Service) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	k, err := tagged(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &api.UntagResourceOutput{}, s.untag(ctx, k, in.TagKeys)
}

// UntagLogGroup is [Service.UntagResource] by the group's name.
func (s *Service) UntagLogGroup(ctx context.Context, in *api.UntagLogGroupInput) (*api.UntagLogGroupOutput, error) {
	return &api.UntagLogGroupOutput{}, s.untag(ctx, namedGroup(ctx, in.LogGroupName), in.Tags)
}

// ListTagsForResource answers a group's tags.
func (s *Service) ListTagsForResource(ctx context.Context, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	k, err := tagged(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags, err := s.tagsOf(ctx, k)
	return &api.ListTagsForResourceOutput{Tags: tags}, err
}

// ListTagsLogGroup is [Service.ListTagsForResource] by the group's name.
func (s *Service) ListTagsLogGroup(ctx context.Context, in *api.ListTagsLogGroupInput) (*api.ListTagsLogGroupOutput, error) {
	tags, err := s.tagsOf(ctx, namedGroup(ctx, in.LogGroupName))
	return &api.ListTagsLogGroupOutput{Tags: tags}, err
}

// ConditionValues finds the tags of groups. A stream has none, its group's neither. Tag keys in condition keys are not case-sensitive;
// the very same spelling wins.
// See https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html.
func (s *Service) ConditionValues(ctx context.Context, _ *aws.Call, arn, key string) ([]string, bool) {
	tag, is := strings.CutPrefix(key, "aws:resourcetag/")
	group, name, isGroup := api.ParseGroupARN(strings.TrimSuffix(arn, ":log-stream:"))
	if !is || !isGroup {
		return nil, false
	}
	tags, err := s.tagsOf(ctx, groupKey{store.Scope{Account: group.Account, Region: group.Region}, name})
	if err != nil && !errors.Is(err, api.ErrResourceNotFound) {
		s.log.Error("read tags", "group", arn, "error", err)
	}
	if v, ok := tags[tag]; ok {
		return []string{v}, true
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if strings.EqualFold(k, tag) {
			return []string{tags[k]}, true
		}
	}
	return nil, false
}

func namedGroup(ctx context.Context, name *string) groupKey {
	return groupKey{scopeOf(aws.CallFrom(ctx)), *name}
}

// tagged is the group of an ARN. One of another account or region does not exist here.
func tagged(ctx context.Context, arn *string) (groupKey, error) {
	group, name, ok := api.ParseTaggedARN(*arn)
	if !ok {
		return groupKey{}, api.ErrValidation.New("Invalid resourceArn")
	}
	k := namedGroup(ctx, &name)
	if group.Account != k.scope.Account || group.Region != k.scope.Region {
		return groupKey{}, errNoGroup()
	}
	return k, nil
}

// tag gives a group more tags, or answers many if it would have too many.
func (s *Service) tag(ctx context.Context, k groupKey, more map[string]string, many error) error {
	if err := checkTags(more); err != nil {
		return err
	}
	return s.changeTags(ctx, k, func(tags map[string]string) error {
		maps.Copy(tags, more)
		if len(tags) > maxTags {
			return many
		}
		return nil
	})
}

func (s *Service) untag(ctx context.Context, k groupKey, keys []string) error {
	return s.changeTags(ctx, k, func(tags map[string]string) error {
		for _, key := range keys {
			delete(tags, key)
		}
		return nil
	})
}

// changeTags has change work on a copy of a group's tags, which is never nil.
func (s *Service) changeTags(ctx context.Context, k groupKey, change func(tags map[string]string) error) error {
	return s.db.Update(ctx, func(tx store.Tx) error {
		row, err := getGroup(tx, k.scope, k.name)
		if err != nil {
			return err
		}
		tags := map[string]string{}
		maps.Copy(tags, row.Value.Tags)
		if err := change(tags); err != nil {
			return err
		}
		row.Value.Tags = tags
		_, err = groups.Put(tx, k.scope, k.name, row.Value)
		return err
	})
}

// tagsOf is a group's tags, never nil without an error: a group without tags says so.
func (s *Service) tagsOf(ctx context.Context, k groupKey) (tags map[string]string, err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		row, err := getGroup(tx, k.scope, k.name)
		tags = maps.Clone(row.Value.Tags)
		return err
	})
	if err == nil && tags == nil {
		tags = map[string]string{}
	}
	return tags, err
}

// checkTags refuses tags that are AWS's own to give.
func checkTags(tags map[string]string) error {
	for k := range tags {
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return invalid("Tag keys that begin with aws: are reserved: %s", k)
		}
	}
	return nil
}
