package iam

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/store"
)

// sortedMap yields a map in key order.
func sortedMap[K cmp.Ordered, V any](m map[K]V) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// detail is one item of GetAccountAuthorizationDetails: an entity or a policy.
type detail struct {
	entity *entity
	policy *managedRow
	owner  string
}

// GetAccountAuthorizationDetails shows users, groups, roles and policies with all that says what they may do.
func (s *Service) GetAccountAuthorizationDetails(ctx context.Context, in *api.GetAccountAuthorizationDetailsInput) (*api.GetAccountAuthorizationDetailsOutput, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &api.GetAccountAuthorizationDetailsOutput{
		UserDetailList: []*api.UserDetail{}, GroupDetailList: []*api.GroupDetail{}, RoleDetailList: []*api.RoleDetail{},
		Policies: []*api.ManagedPolicyDetail{},
	}
	id := account(ctx)
	var roles []*entity
	err = s.db.View(ctx, func(tx store.Tx) error {
		items, marker, err := collect(s.details(tx, id, in.Filter, p.after), p, func(r store.Row[detail]) (detail, bool, error) {
			if r.Value.owner != awsOwner || len(in.Filter) > 0 {
				return r.Value, true, nil
			}
			attached, bounding, err := useCounts(tx, id, r.Value.policy.arn(awsOwner))
			return r.Value, attached+bounding > 0, err // AWS's policies are shown where they are used
		})
		if err != nil {
			return err
		}
		out.Marker, out.IsTruncated = marker, new(marker != nil)
		for _, d := range items {
			if err := addDetail(tx, id, out, d); err != nil {
				return err
			}
			if d.entity != nil && d.entity.Kind == role {
				roles = append(roles, d.entity)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, r := range roles { // reads the store, so not inside the transaction
		if out.RoleDetailList[i].RoleLastUsed, err = s.roleLastUsed(ctx, r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// details yields what the filter asks for: groups, roles, users, then policies.
func (s *Service) details(tx store.Tx, account string, filter []string, after string) iter.Seq2[store.Row[detail], error] {
	wanted := func(what string) bool { return len(filter) == 0 || slices.Contains(filter, what) }
	return func(yield func(store.Row[detail], error) bool) {
		const entitiesFirst, policiesThen = "e", "p"
		from, inPolicies := strings.CutPrefix(after, store.Prefix(policiesThen))
		if !inPolicies {
			from, _ = strings.CutPrefix(after, store.Prefix(entitiesFirst))
			for row, err := range entities.Scan(tx, scope(account), store.Range{After: from}) {
				if err == nil && !wanted(row.Value.Kind.title()) {
					continue
				}
				if !yield(store.Row[detail]{Key: store.Key(entitiesFirst, row.Key), Value: detail{entity: &row.Value}}, err) {
					return
				}
			}
			from = ""
		}
		for row, err := range s.allPolicies(tx, account, api.PolicyScopeTypeAll, from) {
			owner, what := account, api.EntityTypeLocalManagedPolicy
			if strings.HasPrefix(row.Key, store.Prefix(awsOwner)) {
				owner, what = awsOwner, api.EntityTypeAWSManagedPolicy
			}
			if err == nil && !wanted(what) {
				continue
			}
			if !yield(store.Row[detail]{Key: store.Key(policiesThen, row.Key), Value: detail{policy: &row.Value, owner: owner}}, err) {
				return
			}
		}
	}
}

func addDetail(tx store.Tx, account string, out *api.GetAccountAuthorizationDetailsOutput, d detail) error {
	e := d.entity
	if e == nil {
		p, err := policyDetail(tx, account, d)
		out.Policies = append(out.Policies, p)
		return err
	}
	arn, inline, attached := e.arn(account), apiInline(e), apiAttached(e.Attached)
	switch e.Kind {
	case user:
		out.UserDetailList = append(out.UserDetailList, &api.UserDetail{
			Path: &e.Path, UserName: &e.Name, UserID: &e.ID, Arn: &arn, CreateDate: &e.Created, UserPolicyList: inline,
			GroupList: list0(e.Groups), AttachedManagedPolicies: attached, PermissionsBoundary: apiBoundary(e), Tags: apiTags(e.Tags),
		})
	case group:
		out.GroupDetailList = append(out.GroupDetailList, &api.GroupDetail{
			Path: &e.Path, GroupName: &e.Name, GroupID: &e.ID, Arn: &arn, CreateDate: &e.Created, GroupPolicyList: inline,
			AttachedManagedPolicies: attached,
		})
	case role:
		trust, err := shownTrust(tx, e.Trust)
		if err != nil {
			return err
		}
		out.RoleDetailList = append(out.RoleDetailList, &api.RoleDetail{
			Path: &e.Path, RoleName: &e.Name, RoleID: &e.ID, Arn: &arn, CreateDate: &e.Created, RolePolicyList: inline,
			AssumeRolePolicyDocument: encoded(trust), InstanceProfileList: []*api.InstanceProfile{}, AttachedManagedPolicies: attached,
			PermissionsBoundary: apiBoundary(e), Tags: apiTags(e.Tags),
		})
	}
	return nil
}

func apiInline(e *entity) []*api.PolicyDetail {
	out := []*api.PolicyDetail{}
	for name, document := range sortedMap(e.Inline) {
		out = append(out, &api.PolicyDetail{PolicyName: &name, PolicyDocument: encoded(document)})
	}
	return out
}

func policyDetail(tx store.Tx, account string, d detail) (*api.ManagedPolicyDetail, error) {
	arn := d.policy.arn(d.owner)
	attached, bounding, err := useCounts(tx, account, arn)
	if err != nil {
		return nil, err
	}
	p := apiPolicy(d.policy, d.owner, attached, bounding)
	out := &api.ManagedPolicyDetail{
		PolicyName: p.PolicyName, PolicyID: p.PolicyID, Arn: p.Arn, Path: p.Path, DefaultVersionID: p.DefaultVersionID,
		AttachmentCount: p.AttachmentCount, PermissionsBoundaryUsageCount: p.PermissionsBoundaryUsageCount, IsAttachable: p.IsAttachable,
		Description: p.Description, CreateDate: p.CreateDate, UpdateDate: p.UpdateDate,
	}
	for i := range d.policy.Versions {
		v := apiVersion(d.policy, &d.policy.Versions[i])
		v.Document = encoded(d.policy.Versions[i].Document)
		out.PolicyVersionList = append(out.PolicyVersionList, v)
	}
	return out, nil
}
