package kms

import (
	"context"
	"crypto/rand"

	api "github.com/enfold-run/enfold/api/kms"
)

// GenerateDataKey makes a key for use outside, in the clear and encrypted.
func (s *Service) GenerateDataKey(ctx context.Context, in *api.GenerateDataKeyInput) (*api.GenerateDataKeyOutput, error) {
	if err := noRecipient(in.Recipient); err != nil {
		return nil, err
	}
	w := wrapping{op: "GenerateDataKey", keyID: in.KeyID, context: in.EncryptionContext, tokens: in.GrantTokens, dryRun: in.DryRun}
	secret, err := randomKey(in.KeySpec, in.NumberOfBytes)
	if err != nil {
		return nil, err
	}
	if err := s.wrap(ctx, &w, func(*key) ([]byte, error) { return secret, nil }); err != nil {
		return nil, err
	}
	return &api.GenerateDataKeyOutput{
		CiphertextBlob: w.blob, Plaintext: secret, KeyID: new(w.key.arn()), KeyMaterialID: w.key.shownMaterial(),
	}, nil
}

// GenerateDataKeyWithoutPlaintext makes a key for later use outside, encrypted only.
func (s *Service) GenerateDataKeyWithoutPlaintext(
	ctx context.Context, in *api.GenerateDataKeyWithoutPlaintextInput,
) (*api.GenerateDataKeyWithoutPlaintextOutput, error) {
	w := wrapping{
		op: "GenerateDataKeyWithoutPlaintext", keyID: in.KeyID, context: in.EncryptionContext, tokens: in.GrantTokens, dryRun: in.DryRun,
	}
	secret, err := randomKey(in.KeySpec, in.NumberOfBytes)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	if err := s.wrap(ctx, &w, func(*key) ([]byte, error) { return secret, nil }); err != nil {
		return nil, err
	}
	return &api.GenerateDataKeyWithoutPlaintextOutput{
		CiphertextBlob: w.blob, KeyID: new(w.key.arn()), KeyMaterialID: w.key.shownMaterial(),
	}, nil
}

// GenerateDataKeyPair makes a key pair for use outside, the private key in the clear (PKCS #8) and encrypted.
func (s *Service) GenerateDataKeyPair(ctx context.Context, in *api.GenerateDataKeyPairInput) (*api.GenerateDataKeyPairOutput, error) {
	if err := noRecipient(in.Recipient); err != nil {
		return nil, err
	}
	w := wrapping{op: "GenerateDataKeyPair", keyID: in.KeyID, context: in.EncryptionContext, tokens: in.GrantTokens, dryRun: in.DryRun}
	private, public, err := s.wrapPair(ctx, &w, *in.KeyPairSpec)
	if err != nil {
		return nil, err
	}
	return &api.GenerateDataKeyPairOutput{
		PrivateKeyCiphertextBlob: w.blob, PrivateKeyPlaintext: private, PublicKey: public, KeyID: new(w.key.arn()),
		KeyPairSpec: in.KeyPairSpec, KeyMaterialID: w.key.shownMaterial(),
	}, nil
}

// GenerateDataKeyPairWithoutPlaintext makes a key pair for later use outside, the private key encrypted only.
func (s *Service) GenerateDataKeyPairWithoutPlaintext(
	ctx context.Context, in *api.GenerateDataKeyPairWithoutPlaintextInput,
) (*api.GenerateDataKeyPairWithoutPlaintextOutput, error) {
	w := wrapping{
		op: "GenerateDataKeyPairWithoutPlaintext", keyID: in.KeyID, context: in.EncryptionContext, tokens: in.GrantTokens,
		dryRun: in.DryRun,
	}
	private, public, err := s.wrapPair(ctx, &w, *in.KeyPairSpec)
	if err != nil {
		return nil, err
	}
	clear(private)
	return &api.GenerateDataKeyPairWithoutPlaintextOutput{
		PrivateKeyCiphertextBlob: w.blob, PublicKey: public, KeyID: new(w.key.arn()), KeyPairSpec: in.KeyPairSpec,
		KeyMaterialID: w.key.shownMaterial(),
	}, nil
}

// GenerateRandom answers random bytes.
func (s *Service) GenerateRandom(_ context.Context, in *api.GenerateRandomInput) (*api.GenerateRandomOutput, error) {
	if err := noRecipient(in.Recipient); err != nil {
		return nil, err
	}
	if in.CustomKeyStoreID != nil {
		return nil, api.ErrCustomKeyStoreNotFound.Withf("Custom key store %s is not found.", *in.CustomKeyStoreID)
	}
	if in.NumberOfBytes == nil {
		return nil, invalid("NumberOfBytes is required.")
	}
	b := make([]byte, *in.NumberOfBytes)
	rand.Read(b) // never fails
	return &api.GenerateRandomOutput{Plaintext: b}, nil
}

// wrapping is one encryption of something new.
type wrapping struct {
	op      string
	keyID   *string
	context map[string]string
	tokens  []string
	dryRun  *bool

	key  *key
	blob []byte
}

// wrap encrypts what fresh makes. fresh is not asked unless the key can be used.
func (s *Service) wrap(ctx context.Context, w *wrapping, fresh func(*key) ([]byte, error)) error {
	if err := s.checkTokens(w.tokens); err != nil {
		return err
	}
	k, err := s.useNamed(ctx, w.keyID, w.op, api.KeyUsageTypeEncryptDecrypt)
	if err != nil {
		return err
	}
	algorithm, err := k.pick(nil, api.EncryptionAlgorithmSpecSymmetricDefault)
	if err != nil {
		return err
	}
	if err := checkContext(w.context); err != nil {
		return err
	}
	if err := dryRun(w.dryRun); err != nil {
		return err
	}
	secret, err := fresh(k)
	if err != nil {
		return err
	}
	w.key = k
	w.blob, err = s.encrypt(k, algorithm, secret, w.context)
	return err
}

func (s *Service) wrapPair(ctx context.Context, w *wrapping, name string) (private, public []byte, err error) {
	sp, err := specNamed(name)
	if err != nil {
		return nil, nil, err
	}
	err = s.wrap(ctx, w, func(*key) (_ []byte, err error) {
		private, public, err = s.generate(ctx, sp)
		return private, err
	})
	return private, public, err
}

// randomKey makes a data key of a spec or of a number of bytes.
func randomKey(keySpec *string, bytes *int) ([]byte, error) {
	if (keySpec == nil) == (bytes == nil) {
		return nil, invalid("Please specify either number of bytes or key spec.")
	}
	size := value(bytes)
	if keySpec != nil {
		size = 32
		if *keySpec == api.DataKeySpecAes128 {
			size = 16
		}
	}
	b := make([]byte, size)
	rand.Read(b) // never fails
	return b, nil
}

// specNamed is a key spec, refused if it is one that Enfold does not have.
func specNamed(name string) (*spec, error) {
	if sp := specs[name]; sp != nil {
		return sp, nil
	}
	return nil, api.ErrUnsupportedOperation.Withf("KeySpec %s is not supported.", name)
}
