package iam

import (
	"context"
	"errors"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

const maxAttached = 10 // managed policies per user, group or role

// checkARN answers what AWS does for what is no policy's ARN.
func checkARN(arn string) error {
	if a, err := aws.ParseARN(arn); err != nil || a.Service != "iam" {
		return aws.ErrValidation.New("Invalid ARN:  Could not be parsed!")
	}
	return nil
}

// use notes that an entity uses a managed policy, which must exist.
func (s *Service) use(tx store.Tx, account, arn, how string, e *entity) error {
	if err := checkARN(arn); err != nil {
		return err
	}
	if _, _, err := s.findPolicy(tx, account, arn); err != nil {
		if errors.Is(err, api.ErrNoSuchEntity) {
			return api.ErrNoSuchEntity.Withf("Policy %s does not exist or is not attachable.", arn)
		}
		return err
	}
	if strings.Contains(arn, "::aws:policy/aws-service-role/") && e.Service == "" {
		return api.ErrPolicyNotAttachable.Withf("Cannot attach a Service Role Policy to a Customer Role.")
	}
	_, err := uses.Put(tx, scope(account), useKey(arn, how, e), mark{})
	return err
}

func unuse(tx store.Tx, account, arn, how string, e *entity) error {
	return uses.Delete(tx, scope(account), useKey(arn, how, e))
}

// attach gives an entity a managed policy. It may have it already.
func (s *Service) attach(ctx context.Context, k kind, name, arn string) error {
	return s.edit(ctx, k, name, func(tx store.Tx, e *entity) error {
		if err := protected(e); err != nil {
			return err
		}
		if err := s.use(tx, account(ctx), arn, attachment, e); err != nil || slices.Contains(e.Attached, arn) {
			return err
		}
		if len(e.Attached) >= maxAttached {
			return api.ErrLimitExceeded.Withf("Cannot exceed quota for PoliciesPer%s: %d", k.title(), maxAttached)
		}
		e.Attached = append(e.Attached, arn)
		return nil
	})
}

func (s *Service) detach(ctx context.Context, k kind, name, arn string) error {
	return s.edit(ctx, k, name, func(tx store.Tx, e *entity) error {
		if err := protected(e); err != nil {
			return err
		}
		if err := checkARN(arn); err != nil {
			return err
		}
		at := slices.Index(e.Attached, arn)
		if at < 0 {
			return errNoPolicy(arn)
		}
		e.Attached = slices.Delete(e.Attached, at, at+1)
		return unuse(tx, account(ctx), arn, attachment, e)
	})
}

func (s *Service) listAttached(ctx context.Context, k kind, name string, path, marker *string, maxItems *int) ([]*api.AttachedPolicy, *string, error) {
	p, err := pageOf(marker, maxItems)
	if err != nil {
		return nil, nil, err
	}
	e, err := s.read(ctx, k, name)
	if err != nil {
		return nil, nil, err
	}
	arns := slices.DeleteFunc(slices.Clone(e.Attached), func(arn string) bool {
		_, resource, _ := strings.Cut(arn, ":policy")
		return !strings.HasPrefix(resource, val(path))
	})
	arns, next := slicePage(arns, p, func(a string) string { return a })
	return apiAttached(arns), next, nil
}

func apiAttached(arns []string) []*api.AttachedPolicy {
	out := []*api.AttachedPolicy{}
	for _, arn := range arns {
		out = append(out, &api.AttachedPolicy{PolicyName: new(lastSegment(arn)), PolicyArn: new(arn)})
	}
	return out
}

// AttachUserPolicy gives a user a managed policy.
func (s *Service) AttachUserPolicy(ctx context.Context, in *api.AttachUserPolicyInput) (*api.AttachUserPolicyOutput, error) {
	return answer(&api.AttachUserPolicyOutput{}, s.attach(ctx, user, *in.UserName, *in.PolicyArn))
}

// DetachUserPolicy takes a managed policy from a user.
func (s *Service) DetachUserPolicy(ctx context.Context, in *api.DetachUserPolicyInput) (*api.DetachUserPolicyOutput, error) {
	return answer(&api.DetachUserPolicyOutput{}, s.detach(ctx, user, *in.UserName, *in.PolicyArn))
}

// ListAttachedUserPolicies lists the managed policies of a user.
func (s *Service) ListAttachedUserPolicies(ctx context.Context, in *api.ListAttachedUserPoliciesInput) (*api.ListAttachedUserPoliciesOutput, error) {
	out, marker, err := s.listAttached(ctx, user, *in.UserName, in.PathPrefix, in.Marker, in.MaxItems)
	return answer(&api.ListAttachedUserPoliciesOutput{AttachedPolicies: out, IsTruncated: new(marker != nil), Marker: marker}, err)
}

// AttachGroupPolicy gives a group a managed policy.
func (s *Service) AttachGroupPolicy(ctx context.Context, in *api.AttachGroupPolicyInput) (*api.AttachGroupPolicyOutput, error) {
	return answer(&api.AttachGroupPolicyOutput{}, s.attach(ctx, group, *in.GroupName, *in.PolicyArn))
}

// DetachGroupPolicy takes a managed policy from a group.
func (s *Service) DetachGroupPolicy(ctx context.Context, in *api.DetachGroupPolicyInput) (*api.DetachGroupPolicyOutput, error) {
	return answer(&api.DetachGroupPolicyOutput{}, s.detach(ctx, group, *in.GroupName, *in.PolicyArn))
}

// ListAttachedGroupPolicies lists the managed policies of a group.
func (s *Service) ListAttachedGroupPolicies(ctx context.Context, in *api.ListAttachedGroupPoliciesInput) (*api.ListAttachedGroupPoliciesOutput, error) {
	out, marker, err := s.listAttached(ctx, group, *in.GroupName, in.PathPrefix, in.Marker, in.MaxItems)
	return answer(&api.ListAttachedGroupPoliciesOutput{AttachedPolicies: out, IsTruncated: new(marker != nil), Marker: marker}, err)
}

// AttachRolePolicy gives a role a managed policy.
func (s *Service) AttachRolePolicy(ctx context.Context, in *api.AttachRolePolicyInput) (*api.AttachRolePolicyOutput, error) {
	return answer(&api.AttachRolePolicyOutput{}, s.attach(ctx, role, *in.RoleName, *in.PolicyArn))
}

// DetachRolePolicy takes a managed policy from a role.
func (s *Service) DetachRolePolicy(ctx context.Context, in *api.DetachRolePolicyInput) (*api.DetachRolePolicyOutput, error) {
	return answer(&api.DetachRolePolicyOutput{}, s.detach(ctx, role, *in.RoleName, *in.PolicyArn))
}

// ListAttachedRolePolicies lists the managed policies of a role.
func (s *Service) ListAttachedRolePolicies(ctx context.Context, in *api.ListAttachedRolePoliciesInput) (*api.ListAttachedRolePoliciesOutput, error) {
	out, marker, err := s.listAttached(ctx, role, *in.RoleName, in.PathPrefix, in.Marker, in.MaxItems)
	return answer(&api.ListAttachedRolePoliciesOutput{AttachedPolicies: out, IsTruncated: new(marker != nil), Marker: marker}, err)
}
