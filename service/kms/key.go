package kms

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// maxKeys is how many keys an account may have in a Region.
// See https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html.
const maxKeys = 100_000

// CreateKey makes a key with its first material.
func (s *Service) CreateKey(ctx context.Context, in *api.CreateKeyInput) (*api.CreateKeyOutput, error) {
	call := aws.CallFrom(ctx)
	sp, usage, err := specAndUsage(in)
	if err != nil {
		return nil, err
	}
	k := &key{ref{scopeOf(call), newKeyID(value(in.MultiRegion))}, keyRow{
		Spec: sp.name, Usage: usage, Description: value(in.Description), State: api.KeyStateEnabled,
		Manager: api.KeyManagerTypeCustomer, MultiRegion: value(in.MultiRegion), Created: s.clock(),
		Policy: defaultPolicy(call.Account),
	}}
	k.keyRow.ID = k.ref.id
	if k.Tags, err = addTags(nil, in.Tags); err != nil {
		return nil, err
	}
	if in.Policy != nil {
		k.Policy, k.PolicySet = *in.Policy, s.clock()
		if err := s.checkPolicy(ctx, k.ref, *in.Policy, value(in.BypassPolicyLockoutSafetyCheck)); err != nil {
			return nil, err
		}
	}
	m, err := s.newMaterial(ctx, k.ref, sp)
	if err != nil {
		return nil, err
	}
	k.Materials = []material{m}
	err = s.db.Update(ctx, func(tx store.Tx) error {
		c, err := count(tx, k.scope, countKey, func(c *countRow) { c.Keys++ })
		if err != nil {
			return err
		}
		if c.Keys > maxKeys {
			return api.ErrLimitExceeded.Withf("You have reached the limit of %d KMS keys.", maxKeys)
		}
		return k.put(tx)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateKeyOutput{KeyMetadata: k.metadata()}, nil
}

// specAndUsage is what kind of key is asked for.
func specAndUsage(in *api.CreateKeyInput) (*spec, string, error) {
	if origin := value(in.Origin); origin != "" && origin != api.OriginTypeAwsKms || in.CustomKeyStoreID != nil || in.XksKeyID != nil {
		return nil, "", api.ErrUnsupportedOperation.New("Only keys of origin AWS_KMS are supported.")
	}
	if in.KeySpec != nil && in.CustomerMasterKeySpec != nil {
		return nil, "", invalid("You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.")
	}
	name := api.KeySpecSymmetricDefault
	if in.CustomerMasterKeySpec != nil {
		name = *in.CustomerMasterKeySpec
	}
	if in.KeySpec != nil {
		name = *in.KeySpec
	}
	sp, err := specNamed(name)
	if err != nil {
		return nil, "", err
	}
	usage := api.KeyUsageTypeEncryptDecrypt
	switch {
	case in.KeyUsage != nil:
		usage = *in.KeyUsage
	case name != api.KeySpecSymmetricDefault:
		return nil, "", invalid("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
	}
	if !slices.Contains(sp.usages, usage) {
		return nil, "", invalid("KeyUsage %s is not compatible with KeySpec %s", usage, name)
	}
	return sp, usage, nil
}

func newKeyID(multiRegion bool) string {
	id := uuid.New()
	if multiRegion {
		return "mrk-" + hex.EncodeToString(id[:])
	}
	return id.String()
}

// metadata is a key as AWS shows it.
func (k *key) metadata() *api.KeyMetadata {
	m := &api.KeyMetadata{
		AWSAccountID: &k.scope.Account, KeyID: &k.id, Arn: new(k.arn()), CreationDate: &k.Created,
		Enabled: new(k.State == api.KeyStateEnabled), Description: &k.Description, KeyUsage: &k.Usage, KeyState: &k.State,
		Origin: new(api.OriginTypeAwsKms), KeyManager: &k.Manager, CustomerMasterKeySpec: &k.Spec, KeySpec: &k.Spec,
		MultiRegion: &k.MultiRegion, CurrentKeyMaterialID: k.shownMaterial(),
	}
	algorithms := specs[k.Spec].algorithms(k.Usage)
	switch k.Usage {
	case api.KeyUsageTypeEncryptDecrypt:
		m.EncryptionAlgorithms = algorithms
	case api.KeyUsageTypeSignVerify:
		m.SigningAlgorithms = algorithms
	case api.KeyUsageTypeGenerateVerifyMac:
		m.MacAlgorithms = algorithms
	case api.KeyUsageTypeKeyAgreement:
		m.KeyAgreementAlgorithms = algorithms
	}
	if k.State == api.KeyStatePendingDeletion {
		m.DeletionDate = &k.DeleteAt
	}
	if k.MultiRegion {
		m.MultiRegionConfiguration = &api.MultiRegionConfiguration{
			MultiRegionKeyType: new(api.MultiRegionKeyTypePrimary),
			PrimaryKey:         &api.MultiRegionKey{Arn: new(k.arn()), Region: &k.scope.Region},
			ReplicaKeys:        []*api.MultiRegionKey{},
		}
	}
	return m
}

// DescribeKey shows a key.
func (s *Service) DescribeKey(ctx context.Context, in *api.DescribeKeyInput) (*api.DescribeKeyOutput, error) {
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
	return &api.DescribeKeyOutput{KeyMetadata: k.metadata()}, nil
}

// ListKeys lists the keys of the account and Region by id.
func (s *Service) ListKeys(ctx context.Context, in *api.ListKeysInput) (*api.ListKeysOutput, error) {
	sc := scopeOf(aws.CallFrom(ctx))
	p, err := newPage("keys", in.Marker, in.Limit, 100, 1000)
	if err != nil {
		return nil, err
	}
	out := &api.ListKeysOutput{Keys: []*api.KeyListEntry{}}
	err = s.db.View(ctx, func(tx store.Tx) error {
		for row, err := range keys.Scan(tx, sc, store.Range{After: p.after}) {
			if err != nil {
				return err
			}
			k := key{ref{sc, row.Key}, row.Value}
			if k.State == api.KeyStatePendingDeletion && !s.now().Before(k.DeleteAt) {
				continue
			}
			if !p.take(row.Key) {
				return nil
			}
			out.Keys = append(out.Keys, &api.KeyListEntry{KeyID: &k.id, KeyArn: new(k.arn())})
		}
		return nil
	})
	out.NextMarker, out.Truncated = p.next()
	return out, err
}

// EnableKey lets a disabled key be used again.
func (s *Service) EnableKey(ctx context.Context, in *api.EnableKeyInput) (*api.EnableKeyOutput, error) {
	_, err := s.change(ctx, *in.KeyID, func(_ store.Tx, k *key) error {
		if err := k.alive(); err != nil {
			return err
		}
		k.State = api.KeyStateEnabled
		return nil
	})
	return &api.EnableKeyOutput{}, err
}

// DisableKey keeps a key from being used.
func (s *Service) DisableKey(ctx context.Context, in *api.DisableKeyInput) (*api.DisableKeyOutput, error) {
	_, err := s.change(ctx, *in.KeyID, func(_ store.Tx, k *key) error {
		if err := k.alive(); err != nil {
			return err
		}
		k.State = api.KeyStateDisabled
		return nil
	})
	return &api.DisableKeyOutput{}, err
}

// UpdateKeyDescription replaces the description.
func (s *Service) UpdateKeyDescription(
	ctx context.Context, in *api.UpdateKeyDescriptionInput,
) (*api.UpdateKeyDescriptionOutput, error) {
	_, err := s.change(ctx, *in.KeyID, func(_ store.Tx, k *key) error {
		if err := k.alive(); err != nil {
			return err
		}
		k.Description = *in.Description
		return nil
	})
	return &api.UpdateKeyDescriptionOutput{}, err
}

// The waiting period before a key is deleted, in days.
const (
	minWindow     = 7
	defaultWindow = 30
)

// ScheduleKeyDeletion makes a key unusable at once and deletes it when the waiting period is over.
func (s *Service) ScheduleKeyDeletion(
	ctx context.Context, in *api.ScheduleKeyDeletionInput,
) (*api.ScheduleKeyDeletionOutput, error) {
	days := defaultWindow
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	if days < minWindow || days > defaultWindow {
		return nil, invalid("1 validation error detected: Value '%d' at 'pendingWindowInDays' failed to satisfy constraint: "+
			"Member must have value between %d and %d", days, minWindow, defaultWindow)
	}
	k, err := s.change(ctx, *in.KeyID, func(tx store.Tx, k *key) error {
		if err := k.alive(); err != nil {
			return err
		}
		k.State, k.DeleteAt = api.KeyStatePendingDeletion, s.clock().Add(time.Duration(days)*24*time.Hour)
		_, err := expiring.Put(tx, k.scope, k.id, struct{}{})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.ScheduleKeyDeletionOutput{
		KeyID: new(k.arn()), DeletionDate: &k.DeleteAt, KeyState: &k.State, PendingWindowInDays: &days,
	}, nil
}

// CancelKeyDeletion saves a key in its waiting period; it is disabled then.
func (s *Service) CancelKeyDeletion(ctx context.Context, in *api.CancelKeyDeletionInput) (*api.CancelKeyDeletionOutput, error) {
	k, err := s.change(ctx, *in.KeyID, func(tx store.Tx, k *key) error {
		if k.State != api.KeyStatePendingDeletion {
			return api.ErrKMSInvalidState.Withf("%s is not pending deletion.", k.arn())
		}
		k.State, k.DeleteAt = api.KeyStateDisabled, time.Time{}
		return deleteIfThere(tx, expiring, k.scope, k.id)
	})
	if err != nil {
		return nil, err
	}
	return &api.CancelKeyDeletionOutput{KeyID: new(k.arn())}, nil
}

// erase deletes a key with all that belongs to it.
func (k *key) erase(tx store.Tx) error {
	prefix := store.Range{Prefix: store.Prefix(k.id)}
	names, err := collectKeys(aliasesOfKeys.Scan(tx, k.scope, prefix))
	if err != nil {
		return err
	}
	for _, row := range names {
		if err := deleteAlias(tx, k.ref, strings.TrimPrefix(row, prefix.Prefix)); err != nil {
			return err
		}
	}
	var all []grantRow
	for row, err := range grants.Scan(tx, k.scope, prefix) {
		if err != nil {
			return err
		}
		all = append(all, row.Value)
	}
	for i := range all {
		if err := deleteGrant(tx, k.ref, &all[i]); err != nil {
			return err
		}
	}
	_, err = count(tx, k.scope, countKey, func(c *countRow) { c.Keys-- })
	return errors.Join(err, deleteIfThere(tx, expiring, k.scope, k.id), deleteIfThere(tx, rotating, k.scope, k.id),
		deleteIfThere(tx, keys, k.scope, k.id))
}
