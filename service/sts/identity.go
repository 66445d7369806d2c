package sts

import (
	"context"
	"strings"

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
)

// GetCallerIdentity answers who signed the request. It needs no permission, and the account is the caller's own.
func (s *Service) GetCallerIdentity(ctx context.Context, _ *api.GetCallerIdentityInput) (*api.GetCallerIdentityOutput, error) {
	p := aws.CallFrom(ctx).Principal
	if p == nil || p.Arn == "" {
		return nil, aws.ErrAccessDenied.New("Cannot call GetCallerIdentity with no principal")
	}
	return &api.GetCallerIdentityOutput{UserID: &p.ID, Account: &p.Account, Arn: &p.Arn}, nil
}

// GetAccessKeyInfo answers whose account an access key is of, whether or not the key still works.
func (s *Service) GetAccessKeyInfo(ctx context.Context, in *api.GetAccessKeyInfoInput) (*api.GetAccessKeyInfoOutput, error) {
	id := *in.AccessKeyID
	if account, ok := accountOfID(id); ok && strings.HasPrefix(id, sessionPrefix) {
		return &api.GetAccessKeyInfoOutput{Account: &account}, nil
	}
	account, err := s.deps.Roles.KeyAccount(ctx, id)
	if err != nil {
		return nil, aws.ErrValidation.Withf("Invalid access key id: %s", id).Because(err)
	}
	return &api.GetAccessKeyInfoOutput{Account: &account}, nil
}

// roleTag is iam:ResourceTag/k and aws:ResourceTag/k of a role.
func (s *Service) roleTag(ctx context.Context, arn, key string) ([]string, bool) {
	prefix, tag, ok := strings.Cut(key, "/")
	if !ok || prefix != "iam:resourcetag" && prefix != "aws:resourcetag" {
		return nil, false
	}
	role, err := s.deps.Roles.Role(ctx, arn)
	if err != nil {
		return nil, false
	}
	for k, v := range role.Tags {
		if strings.EqualFold(k, tag) {
			return []string{v}, true
		}
	}
	return nil, false
}
