package kms

import (
	"context"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
)

// maxContext bounds an encryption context, in bytes of its keys and values.
// See https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html.
const maxContext = 8192

// usable refuses what a key that is disabled or about to be deleted cannot do.
func (k *key) usable() error {
	if k.State == api.KeyStateDisabled {
		return api.ErrDisabled.Withf("%s is disabled.", k.arn())
	}
	return k.alive()
}

// alive refuses what a key that is about to be deleted cannot do.
func (k *key) alive() error {
	if k.State == api.KeyStatePendingDeletion {
		return api.ErrKMSInvalidState.Withf("%s is pending deletion.", k.arn())
	}
	return nil
}

// use is a key that must be there and usable for op, which is how AWS calls what is done.
func (s *Service) use(ctx context.Context, r ref, op, usage string) (*key, error) {
	k, err := s.key(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := k.usable(); err != nil {
		return nil, err
	}
	if k.Usage != usage {
		return nil, api.ErrInvalidKeyUsage.Withf("%s key usage is %s which is not valid for %s.", k.arn(), k.Usage, op)
	}
	return k, nil
}

// useNamed is use of the key that a KeyId parameter names.
func (s *Service) useNamed(ctx context.Context, keyID *string, op, usage string) (*key, error) {
	r, err := s.find(ctx, *keyID, true)
	if err != nil {
		return nil, err
	}
	return s.use(ctx, r, op, usage)
}

// checkContext bounds an encryption context.
func checkContext(context map[string]string) error {
	size := 0
	for k, v := range context {
		size += len(k) + len(v)
	}
	if size > maxContext {
		return invalid("The encryption context has more than %d bytes.", maxContext)
	}
	return nil
}

// noRecipient refuses a Nitro enclave, to which the plaintext would have to be encrypted.
func noRecipient(r *api.RecipientInfo) error {
	if r != nil {
		return aws.ErrNotImplemented.New("Recipient is not implemented.")
	}
	return nil
}
