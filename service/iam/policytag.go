package iam

import (
	"context"
	"iter"
	"strings"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/store"
)

// TagPolicy adds tags or replaces their values.
func (s *Service) TagPolicy(ctx context.Context, in *api.TagPolicyInput) (*api.TagPolicyOutput, error) {
	return answer(&api.TagPolicyOutput{}, s.editPolicy(ctx, *in.PolicyArn, func(_ store.Tx, p *managedRow) (err error) {
		p.Tags, err = withTags(p.Tags, in.Tags)
		return err
	}))
}

// UntagPolicy removes tags.
func (s *Service) UntagPolicy(ctx context.Context, in *api.UntagPolicyInput) (*api.UntagPolicyOutput, error) {
	return answer(&api.UntagPolicyOutput{}, s.editPolicy(ctx, *in.PolicyArn, func(_ store.Tx, p *managedRow) error {
		p.Tags = withoutTags(p.Tags, in.TagKeys)
		return nil
	}))
}

// ListPolicyTags lists tags by key.
func (s *Service) ListPolicyTags(ctx context.Context, in *api.ListPolicyTagsInput) (*api.ListPolicyTagsOutput, error) {
	out := &api.ListPolicyTagsOutput{}
	err := s.readPolicy(ctx, *in.PolicyArn, func(_ store.Tx, p *managedRow, _ string) (err error) {
		out.Tags, out.Marker, err = tagPage(p.Tags, in.Marker, in.MaxItems)
		out.IsTruncated = new(out.Marker != nil)
		return err
	})
	return answer(out, err)
}

// ListEntitiesForPolicy lists who has a managed policy, attached or as a boundary.
func (s *Service) ListEntitiesForPolicy(ctx context.Context, in *api.ListEntitiesForPolicyInput) (*api.ListEntitiesForPolicyOutput, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	how := attachment
	if val(in.PolicyUsageFilter) == api.PolicyUsageTypePermissionsBoundary {
		how = boundary
	}
	only := kind(strings.ToLower(val(in.EntityFilter)))
	out := &api.ListEntitiesForPolicyOutput{PolicyGroups: []*api.PolicyGroup{}, PolicyUsers: []*api.PolicyUser{}, PolicyRoles: []*api.PolicyRole{}}
	err = s.readPolicy(ctx, *in.PolicyArn, func(tx store.Tx, _ *managedRow, _ string) error {
		found, marker, err := collect(usedBy(tx, account(ctx), store.Prefix(*in.PolicyArn, how), p.after), p, func(r store.Row[mark]) (*entity, bool, error) {
			k, name, _ := strings.Cut(r.Key, "\x00")
			if only != "" && only != kind(k) {
				return nil, false, nil
			}
			e, err := find(tx, account(ctx), kind(k), name)
			return e, err == nil && strings.HasPrefix(e.Path, val(in.PathPrefix)), err
		})
		for _, e := range found {
			switch e.Kind {
			case group:
				out.PolicyGroups = append(out.PolicyGroups, &api.PolicyGroup{GroupName: &e.Name, GroupID: &e.ID})
			case user:
				out.PolicyUsers = append(out.PolicyUsers, &api.PolicyUser{UserName: &e.Name, UserID: &e.ID})
			case role:
				out.PolicyRoles = append(out.PolicyRoles, &api.PolicyRole{RoleName: &e.Name, RoleID: &e.ID})
			}
		}
		out.Marker, out.IsTruncated = marker, new(marker != nil)
		return err
	})
	return answer(out, err)
}

// usedBy yields the uses below a prefix, which it takes from their keys: markers must not have it, for ARNs are long.
func usedBy(tx store.Tx, account, prefix, after string) iter.Seq2[store.Row[mark], error] {
	if after != "" {
		after = prefix + after
	}
	return func(yield func(store.Row[mark], error) bool) {
		for row, err := range uses.Scan(tx, scope(account), store.Range{Prefix: prefix, After: after}) {
			row.Key = strings.TrimPrefix(row.Key, prefix)
			if !yield(row, err) {
				return
			}
		}
	}
}
