package kms

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha512"
	"crypto/x509"
	"fmt"
	"strings"

	api "github.com/enfold-run/enfold/api/kms"
)

// Sign signs a message of at most 4,096 bytes, or the digest of a longer one.
func (s *Service) Sign(ctx context.Context, in *api.SignInput) (*api.SignOutput, error) {
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	k, err := s.useNamed(ctx, in.KeyID, "Sign", api.KeyUsageTypeSignVerify)
	if err != nil {
		return nil, err
	}
	signed, opts, err := signing(k, in.SigningAlgorithm, in.MessageType, in.Message)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	private, err := s.private(k)
	if err != nil {
		return nil, err
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key %s is a %T", k.id, private)
	}
	signature, err := signer.Sign(rand.Reader, signed, opts)
	if err != nil {
		return nil, fmt.Errorf("sign with key %s: %w", k.id, err)
	}
	return &api.SignOutput{KeyID: new(k.arn()), Signature: signature, SigningAlgorithm: in.SigningAlgorithm}, nil
}

// Verify answers KMSInvalidSignatureException unless the signature is right.
func (s *Service) Verify(ctx context.Context, in *api.VerifyInput) (*api.VerifyOutput, error) {
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	k, err := s.useNamed(ctx, in.KeyID, "Verify", api.KeyUsageTypeSignVerify)
	if err != nil {
		return nil, err
	}
	signed, opts, err := signing(k, in.SigningAlgorithm, in.MessageType, in.Message)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	public, err := x509.ParsePKIXPublicKey(k.current().Public)
	if err != nil {
		return nil, fmt.Errorf("public key of %s: %w", k.id, err)
	}
	if !verify(public, signed, in.Signature, opts) {
		return nil, api.ErrKMSInvalidSignature.New("")
	}
	return &api.VerifyOutput{KeyID: new(k.arn()), SignatureValid: new(true), SigningAlgorithm: in.SigningAlgorithm}, nil
}

// signing is what is signed, a message or its digest, and how.
func signing(k *key, algorithm, messageType *string, message []byte) ([]byte, crypto.SignerOpts, error) {
	a, err := k.pick(algorithm, "")
	if err != nil {
		return nil, nil, err
	}
	digest := value(messageType) == api.MessageTypeDigest
	if value(messageType) == api.MessageTypeExternalMu {
		return nil, nil, invalid("Message type EXTERNAL_MU is not valid for algorithm %s.", a)
	}
	if a == api.SigningAlgorithmSpecEd25519Sha512 {
		if digest {
			return nil, nil, invalid("Message type DIGEST is not valid for algorithm %s.", a)
		}
		return message, &ed25519.Options{}, nil
	}
	if a == api.SigningAlgorithmSpecEd25519PhSha512 && !digest {
		return nil, nil, invalid("Message type RAW is not valid for algorithm %s.", a)
	}
	h := signingHash(a)
	switch {
	case !digest:
		sum := h.New()
		sum.Write(message)
		message = sum.Sum(nil)
	case len(message) != h.Size():
		return nil, nil, invalid("Digest is invalid length for algorithm %s.", a)
	}
	switch {
	case strings.HasPrefix(a, "RSASSA_PSS"):
		return message, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}, nil
	case a == api.SigningAlgorithmSpecEd25519PhSha512:
		return message, &ed25519.Options{Hash: h}, nil
	}
	return message, h, nil
}

// signingHash is the hash that an algorithm's name ends with.
func signingHash(algorithm string) crypto.Hash {
	switch {
	case strings.HasSuffix(algorithm, "SHA_256"):
		return crypto.SHA256
	case strings.HasSuffix(algorithm, "SHA_384"):
		return crypto.SHA384
	}
	return crypto.SHA512
}

func verify(public any, signed, signature []byte, opts crypto.SignerOpts) bool {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(public, pss.Hash, signed, signature, pss) == nil
		}
		return rsa.VerifyPKCS1v15(public, opts.HashFunc(), signed, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, signed, signature)
	case ed25519.PublicKey:
		o, ok := opts.(*ed25519.Options)
		return ok && ed25519.VerifyWithOptions(public, signed, signature, o) == nil
	}
	return false
}

// GetPublicKey answers the public key of a key pair as a DER-encoded SubjectPublicKeyInfo.
func (s *Service) GetPublicKey(ctx context.Context, in *api.GetPublicKeyInput) (*api.GetPublicKeyOutput, error) {
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	r, err := s.find(ctx, *in.KeyID, true)
	if err != nil {
		return nil, err
	}
	k, err := s.key(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := k.usable(); err != nil {
		return nil, err
	}
	if !specs[k.Spec].asymmetric() {
		return nil, api.ErrUnsupportedOperation.Withf("%s key spec is %s which is not valid for GetPublicKey.", k.arn(), k.Spec)
	}
	out := &api.GetPublicKeyOutput{
		KeyID: new(k.arn()), PublicKey: k.current().Public, CustomerMasterKeySpec: &k.Spec, KeySpec: &k.Spec, KeyUsage: &k.Usage,
	}
	algorithms := specs[k.Spec].algorithms(k.Usage)
	switch k.Usage {
	case api.KeyUsageTypeEncryptDecrypt:
		out.EncryptionAlgorithms = algorithms
	case api.KeyUsageTypeSignVerify:
		out.SigningAlgorithms = algorithms
	case api.KeyUsageTypeKeyAgreement:
		out.KeyAgreementAlgorithms = algorithms
	}
	return out, nil
}

// DeriveSharedSecret agrees on a secret with the owner of another key of the same curve.
func (s *Service) DeriveSharedSecret(ctx context.Context, in *api.DeriveSharedSecretInput) (*api.DeriveSharedSecretOutput, error) {
	if err := noRecipient(in.Recipient); err != nil {
		return nil, err
	}
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	k, err := s.useNamed(ctx, in.KeyID, "DeriveSharedSecret", api.KeyUsageTypeKeyAgreement)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	private, err := s.private(k)
	if err != nil {
		return nil, err
	}
	secret, err := agree(private, in.PublicKey)
	if err != nil {
		return nil, err
	}
	return &api.DeriveSharedSecretOutput{
		KeyID: new(k.arn()), SharedSecret: secret, KeyAgreementAlgorithm: in.KeyAgreementAlgorithm, KeyOrigin: new(api.OriginTypeAwsKms),
	}, nil
}
