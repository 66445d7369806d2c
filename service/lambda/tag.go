package lambda

import (
	"context"
	"maps"
	"strings"
	"unicode/utf8"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
)

// Limits of tags. See https://docs.aws.amazon.com/lambda/latest/dg/configuration-tags.html.
const (
	maxTags     = 50
	maxTagKey   = 128 // characters
	maxTagValue = 256
)

// isolationTag is a tag of ours: the least isolation that a function wants. It has a part in which sandboxes it gets, so whoever may tag
// a function may make it slower, and never less safe.
const isolationTag = "enfold:isolation"

// taggablePattern is what the service answers when a resource cannot have tags.
const taggablePattern = `arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:` +
	`(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|code-signing-config:csc-[a-z0-9]{17}|` +
	`event-source-mapping:[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}|capacity-provider:[a-zA-Z0-9-_]+)`

// TagResource adds tags to a function.
// See https://docs.aws.amazon.com/lambda/latest/api/API_TagResource.html.
func (s *Service) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	r, err := taggable(ctx, in.Resource)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, invalid("An error occurred and the request cannot be processed.")
	}
	if r.name == "" {
		if err := s.setMappingTags(ctx, *in.Resource, func(tags map[string]string) { maps.Copy(tags, in.Tags) }); err != nil {
			return nil, err
		}
		return &api.TagResourceOutput{}, nil
	}
	if _, err := s.getFunction(ctx, r, notFound(r.arn())); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := s.checkIsolation(in.Tags); err != nil {
		return nil, err
	}
	err = s.setFunction(ctx, r, notFound(r.arn()), func(_ *edit, f *function) error {
		tags := maps.Clone(f.Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		maps.Copy(tags, in.Tags)
		f.Tags = tags
		return checkTags(tags)
	})
	if err != nil {
		return nil, err
	}
	return &api.TagResourceOutput{}, nil
}

// UntagResource removes tags from a function. Those that it has not are no error.
// See https://docs.aws.amazon.com/lambda/latest/api/API_UntagResource.html.
func (s *Service) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	r, err := taggable(ctx, in.Resource)
	if err != nil {
		return nil, err
	}
	if len(in.TagKeys) == 0 {
		return nil, aws.ErrValidation.New("1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: Member must not be null")
	}
	if r.name == "" {
		if err := s.setMappingTags(ctx, *in.Resource, func(tags map[string]string) {
			for _, k := range in.TagKeys {
				delete(tags, k)
			}
		}); err != nil {
			return nil, err
		}
		return &api.UntagResourceOutput{}, nil
	}
	err = s.setFunction(ctx, r, notFound(r.arn()), func(_ *edit, f *function) error {
		tags := maps.Clone(f.Tags)
		for _, k := range in.TagKeys {
			delete(tags, k)
		}
		f.Tags = tags
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.UntagResourceOutput{}, nil
}

// ListTags lists a function's tags.
// See https://docs.aws.amazon.com/lambda/latest/api/API_ListTags.html.
func (s *Service) ListTags(ctx context.Context, in *api.ListTagsInput) (*api.ListTagsOutput, error) {
	r, err := taggable(ctx, in.Resource)
	if err != nil {
		return nil, err
	}
	if r.name == "" {
		tags, err := s.mappingTags(ctx, *in.Resource)
		if err != nil {
			return nil, err
		}
		return &api.ListTagsOutput{Tags: tags}, nil
	}
	f, err := s.getFunction(ctx, r, notFound(r.arn()))
	if err != nil {
		return nil, err
	}
	tags := f.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	return &api.ListTagsOutput{Tags: tags}, nil
}

// taggable is the function that an ARN means, or an empty ref for an event source mapping. Other resources of Lambda that AWS
// tags are not there.
func taggable(ctx context.Context, resource *string) (ref, error) {
	given := str(resource)
	arn, err := aws.ParseARN(given)
	kind, rest, ok := strings.Cut(arn.Resource, ":")
	if err != nil || !ok || arn.Service != "lambda" || !isPartition(arn.Partition) || !isRegion(arn.Region) || !isAccount(arn.Account) {
		return ref{}, mismatch(given, "resource", taggablePattern)
	}
	switch kind {
	case "function":
		r, err := parseRef(ctx, resource, nil)
		if err == nil && r.qualifier != "" {
			err = invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")
		}
		return r, err
	case "event-source-mapping":
		if call := aws.CallFrom(ctx); isUUID(rest) && (arn.Account != call.Account || arn.Region != call.Region) {
			return ref{}, noMappingARN(given)
		} else if isUUID(rest) {
			return ref{}, nil
		}
	case "capacity-provider":
		if isName(rest) {
			return ref{}, api.ErrResourceNotFound.Withf("Capacity provider not found: %s", given)
		}
	case "code-signing-config":
		if id, ok := strings.CutPrefix(rest, "csc-"); ok && len(id) == 17 && isName(id) {
			return ref{}, api.ErrResourceNotFound.Withf("The Lambda code signing configuration %s can not be found.", given)
		}
	}
	return ref{}, mismatch(given, "resource", taggablePattern)
}

// isUUID accepts 8-4-4-4-12 hexadecimal digits.
func isUUID(s string) bool {
	parts := strings.Split(s, "-")
	if len(parts) != 5 {
		return false
	}
	for i, n := range [...]int{8, 4, 4, 4, 12} {
		if len(parts[i]) != n || strings.Trim(parts[i], "0123456789abcdefABCDEF") != "" {
			return false
		}
	}
	return true
}

// checkIsolation refuses a tag that wants what the host does not have: every invocation would fail.
func (s *Service) checkIsolation(tags map[string]string) error {
	tier, ok := tags[isolationTag]
	if !ok || s.deps.CanIsolate == nil {
		return nil
	}
	if err := s.deps.CanIsolate(tier); err != nil {
		return api.ErrInvalidParameterValue.New("The tag " + isolationTag + "=" + tier + " is not available on this host: " + err.Error()).Because(err)
	}
	return nil
}

// checkTags checks all tags that a function would have.
func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return invalid("Number of tags exceeds resource tag limit.")
	}
	for k, v := range tags {
		switch {
		case k == "" || utf8.RuneCountInString(k) > maxTagKey:
			return invalid("A tag key must have 1 to %d characters: %s", maxTagKey, quote(k))
		case utf8.RuneCountInString(v) > maxTagValue:
			return invalid("The value of tag %s must have at most %d characters.", quote(k), maxTagValue)
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return invalid("Tag keys that begin with aws: are reserved: %s", quote(k))
		case k == isolationTag && v != "namespace" && v != "gvisor":
			return invalid("The tag %s has the value namespace or gvisor: a function can be isolated better than the server does it for all, "+
				"and no worse.", isolationTag)
		}
	}
	return nil
}
