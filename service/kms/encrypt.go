package kms

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // of RSAES_OAEP_SHA_1
	_ "crypto/sha256"
	"crypto/x509"
	"fmt"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
)

// Encrypt encrypts at most 4,096 bytes, with an RSA key less.
func (s *Service) Encrypt(ctx context.Context, in *api.EncryptInput) (*api.EncryptOutput, error) {
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	k, err := s.useNamed(ctx, in.KeyID, "Encrypt", api.KeyUsageTypeEncryptDecrypt)
	if err != nil {
		return nil, err
	}
	algorithm, err := k.pick(in.EncryptionAlgorithm, api.EncryptionAlgorithmSpecSymmetricDefault)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	blob, err := s.encrypt(k, algorithm, in.Plaintext, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return &api.EncryptOutput{CiphertextBlob: blob, KeyID: new(k.arn()), EncryptionAlgorithm: &algorithm}, nil
}

// Decrypt decrypts what Encrypt, GenerateDataKey and their like made. Only what was encrypted with an RSA key needs KeyId.
func (s *Service) Decrypt(ctx context.Context, in *api.DecryptInput) (*api.DecryptOutput, error) {
	if err := noRecipient(in.Recipient); err != nil {
		return nil, err
	}
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	d := decryption{blob: in.CiphertextBlob, context: in.EncryptionContext, algorithm: in.EncryptionAlgorithm, keyID: in.KeyID}
	if len(in.DryRunModifiers) > 0 {
		d.blind = true
		if !value(in.DryRun) || in.KeyID == nil {
			return nil, invalid("DryRunModifiers can only be used with DryRun and KeyId.")
		}
	}
	if err := s.decrypt(ctx, &d, "Decrypt"); err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return &api.DecryptOutput{
		KeyID: new(d.key.arn()), Plaintext: d.plaintext, EncryptionAlgorithm: &d.used, KeyMaterialID: d.materialID,
	}, nil
}

// ReEncrypt decrypts and encrypts again; the plaintext does not leave.
func (s *Service) ReEncrypt(ctx context.Context, in *api.ReEncryptInput) (*api.ReEncryptOutput, error) {
	if len(in.DryRunModifiers) > 0 {
		return nil, aws.ErrNotImplemented.New("DryRunModifiers of ReEncrypt are not implemented.")
	}
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	d := decryption{
		blob: in.CiphertextBlob, context: in.SourceEncryptionContext, algorithm: in.SourceEncryptionAlgorithm, keyID: in.SourceKeyID,
	}
	if err := s.decrypt(ctx, &d, "ReEncrypt"); err != nil {
		return nil, err
	}
	k, err := s.useNamed(ctx, in.DestinationKeyID, "ReEncrypt", api.KeyUsageTypeEncryptDecrypt)
	if err != nil {
		return nil, err
	}
	algorithm, err := k.pick(in.DestinationEncryptionAlgorithm, api.EncryptionAlgorithmSpecSymmetricDefault)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	blob, err := s.encrypt(k, algorithm, d.plaintext, in.DestinationEncryptionContext)
	if err != nil {
		return nil, err
	}
	return &api.ReEncryptOutput{
		CiphertextBlob: blob, SourceKeyID: new(d.key.arn()), KeyID: new(k.arn()), SourceEncryptionAlgorithm: &d.used,
		DestinationEncryptionAlgorithm: &algorithm, SourceKeyMaterialID: d.materialID, DestinationKeyMaterialID: k.shownMaterial(),
	}, nil
}

// encrypt encrypts with a key that may be used for it.
func (s *Service) encrypt(k *key, algorithm string, plaintext []byte, context map[string]string) ([]byte, error) {
	if err := checkContext(context); err != nil {
		return nil, err
	}
	if specs[k.Spec].asymmetric() {
		if len(context) > 0 {
			return nil, invalid("The EncryptionContext parameter is not valid for asymmetric KMS keys.")
		}
		return encryptOAEP(k, algorithm, plaintext)
	}
	secret, err := s.open(k, k.current())
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return sealCiphertext(k.ref, k.current(), secret, plaintext, context)
}

// decryption is one decryption: what is asked, and what came of it.
type decryption struct {
	blob      []byte
	context   map[string]string
	algorithm *string
	keyID     *string
	blind     bool // only check the key

	key        *key
	used       string // algorithm
	plaintext  []byte
	materialID *string
}

func (s *Service) decrypt(ctx context.Context, d *decryption, op string) error {
	if len(d.blob) == 0 && !d.blind {
		return invalid("1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null")
	}
	if err := checkContext(d.context); err != nil {
		return err
	}
	r, err := s.decryptingKey(ctx, d)
	if err != nil {
		return err
	}
	if d.key, err = s.use(ctx, r, op, api.KeyUsageTypeEncryptDecrypt); err != nil {
		return err
	}
	if d.used, err = d.key.pick(d.algorithm, api.EncryptionAlgorithmSpecSymmetricDefault); err != nil || d.blind {
		return err
	}
	if specs[d.key.Spec].asymmetric() {
		return s.decryptOAEP(d)
	}
	return s.decryptSymmetric(d)
}

// decryptingKey is the key that decrypts: the named one, which must be the ciphertext's if the ciphertext names one.
func (s *Service) decryptingKey(ctx context.Context, d *decryption) (ref, error) {
	symmetric := d.algorithm == nil || *d.algorithm == api.EncryptionAlgorithmSpecSymmetricDefault
	if d.keyID == nil && !symmetric {
		return ref{}, invalid("KeyId is required to decrypt with an asymmetric KMS key.")
	}
	call := aws.CallFrom(ctx)
	if d.keyID == nil {
		if r, ok := remembered(call, string(d.blob)); ok {
			return r, nil
		}
		c, err := parseCiphertext(d.blob)
		if err != nil || c.key.scope.Region != call.Region {
			return ref{}, errCiphertext()
		}
		return c.key, own(call, c.key)
	}
	r, err := s.find(ctx, *d.keyID, true)
	if err != nil || !symmetric || d.blind {
		return r, err
	}
	c, err := parseCiphertext(d.blob)
	if err != nil {
		return ref{}, err
	}
	if c.key != r {
		return ref{}, api.ErrIncorrectKey.New("The key ID in the request does not identify a CMK that can perform this operation.")
	}
	return r, nil
}

func (s *Service) decryptSymmetric(d *decryption) error {
	c, err := parseCiphertext(d.blob)
	if err != nil {
		return err
	}
	m := d.key.materialByID(c.material)
	if c.key != d.key.ref || m == nil {
		return errCiphertext()
	}
	secret, err := s.open(d.key, m)
	if err != nil {
		return err
	}
	defer clear(secret)
	d.materialID = &m.ID
	d.plaintext, err = c.open(secret, d.context)
	return err
}

// hashOf is the hash of an RSAES_OAEP algorithm.
func hashOf(algorithm string) crypto.Hash {
	if algorithm == api.EncryptionAlgorithmSpecRsaesOaepSha1 {
		return crypto.SHA1
	}
	return crypto.SHA256
}

func encryptOAEP(k *key, algorithm string, plaintext []byte) ([]byte, error) {
	parsed, err := x509.ParsePKIXPublicKey(k.current().Public)
	if err != nil {
		return nil, fmt.Errorf("public key of %s: %w", k.id, err)
	}
	public, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("public key of %s is a %T", k.id, parsed)
	}
	h := hashOf(algorithm)
	if most := public.Size() - 2*h.Size() - 2; len(plaintext) > most {
		return nil, invalid("Algorithm %s and key spec %s cannot encrypt data larger than %d bytes.", algorithm, k.Spec, most)
	}
	return rsa.EncryptOAEP(h.New(), rand.Reader, public, plaintext, nil)
}

func (s *Service) decryptOAEP(d *decryption) error {
	if len(d.context) > 0 {
		return invalid("The EncryptionContext parameter is not valid for asymmetric KMS keys.")
	}
	private, err := s.private(d.key)
	if err != nil {
		return err
	}
	k, ok := private.(*rsa.PrivateKey)
	if !ok {
		return fmt.Errorf("private key %s is a %T", d.key.id, private)
	}
	if d.plaintext, err = rsa.DecryptOAEP(hashOf(d.used).New(), nil, k, d.blob, nil); err != nil {
		return errCiphertext()
	}
	return nil
}

// shownMaterial is the id of the current material, which AWS tells for symmetric encryption keys.
func (k *key) shownMaterial() *string {
	if k.Spec != api.KeySpecSymmetricDefault {
		return nil
	}
	return new(k.current().ID)
}
