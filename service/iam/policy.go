package iam

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

const maxVersions = 5

func errNoPolicy(arn string) error { return api.ErrNoSuchEntity.Withf("Policy %s was not found.", arn) }

// findPolicy finds a managed policy of the account or of AWS, and tells whose it is: the account or "aws".
func (s *Service) findPolicy(tx store.Tx, account, arn string) (p *managedRow, owner string, err error) {
	if p := s.managed().byARN[arn]; p != nil {
		return p, awsOwner, nil
	}
	if !strings.HasPrefix(arn, "arn:aws:iam::"+account+":policy/") {
		return nil, "", errNoPolicy(arn)
	}
	row, err := policies.Get(tx, scope(account), strings.ToLower(lastSegment(arn)))
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Value.arn(account) != arn {
		return nil, "", errNoPolicy(arn)
	}
	return &row.Value, account, err
}

// editPolicy changes a customer managed policy.
func (s *Service) editPolicy(ctx context.Context, arn string, fn func(tx store.Tx, p *managedRow) error) error {
	id := account(ctx)
	if err := checkARN(arn); err != nil {
		return err
	}
	return s.change(ctx, id, func(tx store.Tx) error {
		p, owner, err := s.findPolicy(tx, id, arn)
		if err != nil {
			return err
		}
		if owner == awsOwner {
			return aws403(arn)
		}
		if err := fn(tx, p); err != nil {
			return err
		}
		_, err = policies.Put(tx, scope(id), strings.ToLower(p.Name), *p)
		return err
	})
}

// readPolicy gives a managed policy of the account or of AWS.
func (s *Service) readPolicy(ctx context.Context, arn string, fn func(tx store.Tx, p *managedRow, owner string) error) error {
	if err := checkARN(arn); err != nil {
		return err
	}
	return s.db.View(ctx, func(tx store.Tx) error {
		p, owner, err := s.findPolicy(tx, account(ctx), arn)
		if err != nil {
			return err
		}
		return fn(tx, p, owner)
	})
}

func checkManaged(document string) error {
	if size(document) > maxManagedPolicy {
		return api.ErrLimitExceeded.Withf("Cannot exceed quota for PolicySize: %d", maxManagedPolicy)
	}
	_, err := parse(document, policy.KindIdentity)
	return err
}

// CreatePolicy makes a managed policy with its first version.
func (s *Service) CreatePolicy(ctx context.Context, in *api.CreatePolicyInput) (*api.CreatePolicyOutput, error) {
	tags, err := withTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	if err := checkManaged(*in.PolicyDocument); err != nil {
		return nil, err
	}
	id, now := account(ctx), s.clock()
	p := managedRow{
		Name: *in.PolicyName, Path: pathOf(in.Path), ID: newID(policyPrefix), Description: val(in.Description), Created: now,
		Updated: now, Default: 1, Last: 1, Versions: []versionRow{{1, *in.PolicyDocument, now}}, Tags: tags,
	}
	err = s.change(ctx, id, func(tx store.Tx) error {
		_, err := policies.Put(tx, scope(id), strings.ToLower(p.Name), p, store.IfAbsent())
		if errors.Is(err, store.ErrExists) {
			return api.ErrEntityAlreadyExists.Withf("A policy called %s already exists. Duplicate names are not allowed.", p.Name)
		}
		if err != nil {
			return err
		}
		return s.counted(tx, id, func(a *accountRow) error { return a.addPolicies(1) })
	})
	if err != nil {
		return nil, err
	}
	out := apiPolicy(&p, id, 0, 0)
	out.Description = nil // as AWS answers it
	return &api.CreatePolicyOutput{Policy: out}, nil
}

func apiPolicy(p *managedRow, owner string, attached, bounding int) *api.Policy {
	return &api.Policy{
		PolicyName: &p.Name, PolicyID: &p.ID, Arn: new(p.arn(owner)), Path: &p.Path, DefaultVersionID: new(versionID(p.Default)),
		AttachmentCount: &attached, PermissionsBoundaryUsageCount: &bounding, IsAttachable: new(true),
		Description: orNil(p.Description), CreateDate: &p.Created, UpdateDate: &p.Updated, Tags: someTags(p.Tags),
	}
}

// useCounts are how many entities have a policy attached, and as their boundary.
func useCounts(tx store.Tx, account, arn string) (attached, bounding int, err error) {
	attached, err = count(tx, uses, scope(account), store.Prefix(arn, attachment))
	if err != nil {
		return 0, 0, err
	}
	bounding, err = count(tx, uses, scope(account), store.Prefix(arn, boundary))
	return attached, bounding, err
}

// GetPolicy shows a managed policy without its document.
func (s *Service) GetPolicy(ctx context.Context, in *api.GetPolicyInput) (*api.GetPolicyOutput, error) {
	out := &api.GetPolicyOutput{}
	err := s.readPolicy(ctx, *in.PolicyArn, func(tx store.Tx, p *managedRow, owner string) error {
		attached, bounding, err := useCounts(tx, account(ctx), *in.PolicyArn)
		out.Policy = apiPolicy(p, owner, attached, bounding)
		if out.Policy.Tags == nil {
			out.Policy.Tags = []*api.Tag{}
		}
		return err
	})
	return answer(out, err)
}

// DeletePolicy deletes a managed policy that nobody has and that has one version.
func (s *Service) DeletePolicy(ctx context.Context, in *api.DeletePolicyInput) (*api.DeletePolicyOutput, error) {
	id := account(ctx)
	if err := checkARN(*in.PolicyArn); err != nil {
		return nil, err
	}
	err := s.change(ctx, id, func(tx store.Tx) error {
		p, owner, err := s.findPolicy(tx, id, *in.PolicyArn)
		if err != nil {
			return err
		}
		if owner == awsOwner {
			return aws403(*in.PolicyArn)
		}
		attached, bounding, err := useCounts(tx, id, *in.PolicyArn)
		switch {
		case err != nil:
			return err
		case attached+bounding > 0:
			return conflict("Cannot delete a policy attached to entities.")
		case len(p.Versions) > 1:
			return conflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		if err := policies.Delete(tx, scope(id), strings.ToLower(p.Name)); err != nil {
			return err
		}
		return s.counted(tx, id, func(a *accountRow) error { return a.addPolicies(-1) })
	})
	return answer(&api.DeletePolicyOutput{}, err)
}

// ListPolicies lists AWS's policies and then the account's own, each by name.
func (s *Service) ListPolicies(ctx context.Context, in *api.ListPoliciesInput) (*api.ListPoliciesOutput, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &api.ListPoliciesOutput{}
	err = s.db.View(ctx, func(tx store.Tx) (err error) {
		out.Policies, out.Marker, err = collect(s.allPolicies(tx, account(ctx), val(in.Scope), p.after), p,
			func(r store.Row[managedRow]) (*api.Policy, bool, error) { return s.listed(tx, in, account(ctx), r) })
		return err
	})
	out.IsTruncated = new(out.Marker != nil)
	return answer(out, err)
}

// listed shows a policy that ListPolicies is asked for.
func (s *Service) listed(tx store.Tx, in *api.ListPoliciesInput, account string, r store.Row[managedRow]) (*api.Policy, bool, error) {
	owner := account
	if strings.HasPrefix(r.Key, store.Prefix(awsOwner)) {
		owner = awsOwner
	}
	if !strings.HasPrefix(r.Value.Path, val(in.PathPrefix)) {
		return nil, false, nil
	}
	attached, bounding, err := useCounts(tx, account, r.Value.arn(owner))
	used := attached
	switch {
	case in.PolicyUsageFilter == nil:
	case *in.PolicyUsageFilter == api.PolicyUsageTypePermissionsBoundary:
		used = bounding
	}
	if err != nil || used == 0 && (val(in.OnlyAttached) || in.PolicyUsageFilter != nil) {
		return nil, false, err
	}
	out := apiPolicy(&r.Value, owner, attached, bounding)
	out.Description, out.Tags = nil, nil // lists leave them out
	return out, true, nil
}

// allPolicies yields AWS's policies and then the account's own, under keys that begin with "aws" and "local".
func (s *Service) allPolicies(tx store.Tx, account, which, after string) iter.Seq2[store.Row[managedRow], error] {
	const local = "local"
	return func(yield func(store.Row[managedRow], error) bool) {
		for _, p := range s.managed().sorted {
			key := store.Key(awsOwner, strings.ToLower(p.Name))
			if which != api.PolicyScopeTypeLocal && key > after && !yield(store.Row[managedRow]{Key: key, Value: *p}, nil) {
				return
			}
		}
		if which == api.PolicyScopeTypeAws {
			return
		}
		from, _ := strings.CutPrefix(after, store.Prefix(local))
		if !strings.HasPrefix(after, store.Prefix(local)) {
			from = ""
		}
		for row, err := range policies.Scan(tx, scope(account), store.Range{After: from}) {
			row.Key = store.Key(local, row.Key)
			if !yield(row, err) {
				return
			}
		}
	}
}

func versionID(number int) string { return "v" + strconv.Itoa(number) }

// version finds a version by its id.
func (p *managedRow) version(id string) (*versionRow, int) {
	for i := range p.Versions {
		if versionID(p.Versions[i].Number) == id {
			return &p.Versions[i], i
		}
	}
	return nil, -1
}

// document is the default version's.
func (p *managedRow) document() (string, error) {
	if v, _ := p.version(versionID(p.Default)); v != nil {
		return v.Document, nil
	}
	return "", fmt.Errorf("policy %s has no version %d", p.Name, p.Default)
}

func errNoVersion(arn, version string) error {
	return api.ErrNoSuchEntity.Withf("Policy %s version %s does not exist or is not attachable.", arn, version)
}

func apiVersion(p *managedRow, v *versionRow) *api.PolicyVersion {
	return &api.PolicyVersion{VersionID: new(versionID(v.Number)), IsDefaultVersion: new(v.Number == p.Default), CreateDate: new(v.Created)}
}

// CreatePolicyVersion adds a version, and makes it the one that holds if that is asked for.
func (s *Service) CreatePolicyVersion(ctx context.Context, in *api.CreatePolicyVersionInput) (*api.CreatePolicyVersionOutput, error) {
	if err := checkManaged(*in.PolicyDocument); err != nil {
		return nil, err
	}
	out := &api.CreatePolicyVersionOutput{}
	err := s.editPolicy(ctx, *in.PolicyArn, func(_ store.Tx, p *managedRow) error {
		if len(p.Versions) >= maxVersions {
			return api.ErrLimitExceeded.New("A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.")
		}
		p.Last++
		p.Updated = s.clock()
		p.Versions = append(p.Versions, versionRow{p.Last, *in.PolicyDocument, p.Updated})
		if val(in.SetAsDefault) {
			p.Default = p.Last
		}
		out.PolicyVersion = apiVersion(p, &p.Versions[len(p.Versions)-1])
		return nil
	})
	return answer(out, err)
}

// GetPolicyVersion shows a version with its document.
func (s *Service) GetPolicyVersion(ctx context.Context, in *api.GetPolicyVersionInput) (*api.GetPolicyVersionOutput, error) {
	out := &api.GetPolicyVersionOutput{}
	err := s.readPolicy(ctx, *in.PolicyArn, func(_ store.Tx, p *managedRow, _ string) error {
		v, _ := p.version(*in.VersionID)
		if v == nil {
			return errNoVersion(*in.PolicyArn, *in.VersionID)
		}
		out.PolicyVersion = apiVersion(p, v)
		out.PolicyVersion.Document = encoded(v.Document)
		return nil
	})
	return answer(out, err)
}

// ListPolicyVersions lists versions, the newest first.
func (s *Service) ListPolicyVersions(ctx context.Context, in *api.ListPolicyVersionsInput) (*api.ListPolicyVersionsOutput, error) {
	pg, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &api.ListPolicyVersionsOutput{Versions: []*api.PolicyVersion{}}
	err = s.readPolicy(ctx, *in.PolicyArn, func(_ store.Tx, p *managedRow, _ string) error {
		versions, marker := slicePage(p.Versions, pg, func(v versionRow) string { return fmt.Sprintf("%020d", 1<<62-v.Number) })
		for i := range versions {
			out.Versions = append(out.Versions, apiVersion(p, &versions[i]))
		}
		out.Marker, out.IsTruncated = marker, new(marker != nil)
		return nil
	})
	return answer(out, err)
}

// SetDefaultPolicyVersion makes another version the one that holds.
func (s *Service) SetDefaultPolicyVersion(ctx context.Context, in *api.SetDefaultPolicyVersionInput) (*api.SetDefaultPolicyVersionOutput, error) {
	err := s.editPolicy(ctx, *in.PolicyArn, func(_ store.Tx, p *managedRow) error {
		v, _ := p.version(*in.VersionID)
		if v == nil {
			return errNoVersion(*in.PolicyArn, *in.VersionID)
		}
		p.Default, p.Updated = v.Number, s.clock()
		return nil
	})
	return answer(&api.SetDefaultPolicyVersionOutput{}, err)
}

// DeletePolicyVersion deletes a version that is not the default.
func (s *Service) DeletePolicyVersion(ctx context.Context, in *api.DeletePolicyVersionInput) (*api.DeletePolicyVersionOutput, error) {
	err := s.editPolicy(ctx, *in.PolicyArn, func(_ store.Tx, p *managedRow) error {
		v, at := p.version(*in.VersionID)
		switch {
		case v == nil:
			return errNoVersion(*in.PolicyArn, *in.VersionID)
		case v.Number == p.Default:
			return conflict("Cannot delete the default version of a policy.")
		}
		p.Versions, p.Updated = slices.Delete(p.Versions, at, at+1), s.clock()
		return nil
	})
	return answer(&api.DeletePolicyVersionOutput{}, err)
}
