package kms

import (
	"context"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/store"
)

const maxTags = 50 // of one key

// TagResource adds tags or changes their values.
func (s *Service) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	_, err := s.change(ctx, *in.KeyID, func(_ store.Tx, k *key) (err error) {
		if err := k.alive(); err != nil {
			return err
		}
		k.Tags, err = addTags(k.Tags, in.Tags)
		return err
	})
	return &api.TagResourceOutput{}, err
}

// addTags is old with more over it, by key.
func addTags(old []tag, more []*api.Tag) ([]tag, error) {
	all := slices.Clone(old)
	seen := map[string]bool{}
	for _, t := range more {
		name := *t.TagKey
		if seen[name] {
			return nil, api.ErrTag.New("Duplicate tag keys")
		}
		if err := checkTagKey(name); err != nil {
			return nil, err
		}
		seen[name] = true
		if i := slices.IndexFunc(all, func(o tag) bool { return o.Key == name }); i >= 0 {
			all[i].Value = *t.TagValue
			continue
		}
		all = append(all, tag{name, *t.TagValue})
	}
	if len(all) > maxTags {
		return nil, api.ErrTag.New("Too many tags")
	}
	slices.SortFunc(all, func(a, b tag) int { return strings.Compare(a.Key, b.Key) })
	return all, nil
}

func checkTagKey(name string) error {
	if strings.HasPrefix(strings.ToLower(name), "aws:") {
		return api.ErrTag.New("Tags beginning with aws: are reserved")
	}
	return nil
}

// UntagResource removes tags; a key that has them not is no error.
func (s *Service) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	_, err := s.change(ctx, *in.KeyID, func(_ store.Tx, k *key) error {
		if err := k.alive(); err != nil {
			return err
		}
		for _, name := range in.TagKeys {
			if err := checkTagKey(name); err != nil {
				return err
			}
		}
		k.Tags = slices.DeleteFunc(k.Tags, func(t tag) bool { return slices.Contains(in.TagKeys, t.Key) })
		return nil
	})
	return &api.UntagResourceOutput{}, err
}

// ListResourceTags lists a key's tags by key.
func (s *Service) ListResourceTags(ctx context.Context, in *api.ListResourceTagsInput) (*api.ListResourceTagsOutput, error) {
	k, err := s.named(ctx, *in.KeyID)
	if err != nil {
		return nil, err
	}
	p, err := newPage("tags "+k.id, in.Marker, in.Limit, 50, 50)
	if err != nil {
		return nil, err
	}
	out := &api.ListResourceTagsOutput{Tags: []*api.Tag{}}
	for _, t := range k.Tags {
		if t.Key <= p.after {
			continue
		}
		if !p.take(t.Key) {
			break
		}
		out.Tags = append(out.Tags, &api.Tag{TagKey: &t.Key, TagValue: &t.Value})
	}
	out.NextMarker, out.Truncated = p.next()
	return out, nil
}
