package kms

import (
	"context"
	"crypto"
	"crypto/hmac"

	api "github.com/enfold-run/enfold/api/kms"
)

// GenerateMac authenticates a message with an HMAC key.
func (s *Service) GenerateMac(ctx context.Context, in *api.GenerateMacInput) (*api.GenerateMacOutput, error) {
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	k, err := s.useNamed(ctx, in.KeyID, "GenerateMac", api.KeyUsageTypeGenerateVerifyMac)
	if err != nil {
		return nil, err
	}
	mac, err := s.mac(k, in.MacAlgorithm, in.Message)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return &api.GenerateMacOutput{Mac: mac, MacAlgorithm: in.MacAlgorithm, KeyID: new(k.arn())}, nil
}

// VerifyMac answers KMSInvalidMacException unless the code is right.
func (s *Service) VerifyMac(ctx context.Context, in *api.VerifyMacInput) (*api.VerifyMacOutput, error) {
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	k, err := s.useNamed(ctx, in.KeyID, "VerifyMac", api.KeyUsageTypeGenerateVerifyMac)
	if err != nil {
		return nil, err
	}
	mac, err := s.mac(k, in.MacAlgorithm, in.Message)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	if !hmac.Equal(mac, in.Mac) {
		return nil, api.ErrKMSInvalidMac.New("")
	}
	return &api.VerifyMacOutput{KeyID: new(k.arn()), MacValid: new(true), MacAlgorithm: in.MacAlgorithm}, nil
}

func (s *Service) mac(k *key, algorithm *string, message []byte) ([]byte, error) {
	a, err := k.pick(algorithm, "")
	if err != nil {
		return nil, err
	}
	secret, err := s.open(k, k.current())
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	m := hmac.New(macHash(a).New, secret)
	m.Write(message)
	return m.Sum(nil), nil
}

func macHash(algorithm string) crypto.Hash {
	switch algorithm {
	case api.MacAlgorithmSpecHmacSha224:
		return crypto.SHA224
	case api.MacAlgorithmSpecHmacSha256:
		return crypto.SHA256
	case api.MacAlgorithmSpecHmacSha384:
		return crypto.SHA384
	}
	return crypto.SHA512
}
