package kms

import (
	"context"
	"strconv"
	"time"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/store"
)

const (
	defaultPeriodDays = 365
	maxOnDemand       = 25 // rotations on demand in a key's life
)

// EnableKeyRotation gives a symmetric key new material again and again.
func (s *Service) EnableKeyRotation(ctx context.Context, in *api.EnableKeyRotationInput) (*api.EnableKeyRotationOutput, error) {
	_, err := s.change(ctx, *in.KeyID, func(tx store.Tx, k *key) error {
		if err := k.rotates(); err != nil {
			return err
		}
		days := defaultPeriodDays
		if in.RotationPeriodInDays != nil {
			days = *in.RotationPeriodInDays
		}
		k.Rotation.Enabled, k.Rotation.PeriodDays, k.Rotation.Next = true, days, s.clock().AddDate(0, 0, days)
		_, err := rotating.Put(tx, k.scope, k.id, struct{}{})
		return err
	})
	return &api.EnableKeyRotationOutput{}, err
}

// DisableKeyRotation ends that; the material stays.
func (s *Service) DisableKeyRotation(ctx context.Context, in *api.DisableKeyRotationInput) (*api.DisableKeyRotationOutput, error) {
	_, err := s.change(ctx, *in.KeyID, func(tx store.Tx, k *key) error {
		if err := k.rotates(); err != nil {
			return err
		}
		k.Rotation.Enabled, k.Rotation.Next = false, time.Time{}
		return deleteIfThere(tx, rotating, k.scope, k.id)
	})
	return &api.DisableKeyRotationOutput{}, err
}

// rotates refuses a key that cannot be rotated.
func (k *key) rotates() error {
	if err := k.usable(); err != nil {
		return err
	}
	return k.canRotate()
}

func (k *key) canRotate() error {
	if k.Spec != api.KeySpecSymmetricDefault {
		return api.ErrUnsupportedOperation.Withf("%s key spec is %s which does not support rotation.", k.arn(), k.Spec)
	}
	return nil
}

// GetKeyRotationStatus says whether and when a key rotates.
func (s *Service) GetKeyRotationStatus(
	ctx context.Context, in *api.GetKeyRotationStatusInput,
) (*api.GetKeyRotationStatusOutput, error) {
	k, err := s.named(ctx, *in.KeyID)
	if err != nil {
		return nil, err
	}
	if err := k.canRotate(); err != nil {
		return nil, err
	}
	on := k.Rotation.Enabled && k.State != api.KeyStatePendingDeletion
	out := &api.GetKeyRotationStatusOutput{KeyID: new(k.arn()), KeyRotationEnabled: &on}
	if on {
		out.RotationPeriodInDays, out.NextRotationDate = &k.Rotation.PeriodDays, &k.Rotation.Next
	}
	return out, nil
}

// RotateKeyOnDemand gives a symmetric key new material now. The old goes on decrypting.
func (s *Service) RotateKeyOnDemand(ctx context.Context, in *api.RotateKeyOnDemandInput) (*api.RotateKeyOnDemandOutput, error) {
	k, err := s.change(ctx, *in.KeyID, func(_ store.Tx, k *key) error {
		if err := k.rotates(); err != nil {
			return err
		}
		if k.Rotation.OnDemand >= maxOnDemand {
			return api.ErrLimitExceeded.Withf("The on-demand rotations limit has been reached for the given keyId. "+
				"No more on-demand rotations can be performed for this key: %s", k.arn())
		}
		k.Rotation.OnDemand++
		return s.rotate(ctx, k, api.RotationTypeOnDemand)
	})
	if err != nil {
		return nil, err
	}
	return &api.RotateKeyOnDemandOutput{KeyID: new(k.arn())}, nil
}

// rotate adds new material, which is current from now on.
func (s *Service) rotate(ctx context.Context, k *key, why string) error {
	m, err := s.newMaterial(ctx, k.ref, specs[k.Spec])
	if err != nil {
		return err
	}
	m.Type = why
	k.Materials = append(k.Materials, m)
	return nil
}

// ListKeyRotations lists the rotations that were, and the first material too if that is asked for.
func (s *Service) ListKeyRotations(ctx context.Context, in *api.ListKeyRotationsInput) (*api.ListKeyRotationsOutput, error) {
	k, err := s.named(ctx, *in.KeyID)
	if err != nil {
		return nil, err
	}
	if err := k.canRotate(); err != nil {
		return nil, err
	}
	p, err := newPage("rotations "+k.id, in.Marker, in.Limit, 100, 1000)
	if err != nil {
		return nil, err
	}
	after, err := p.number()
	if err != nil {
		return nil, err
	}
	out := &api.ListKeyRotationsOutput{Rotations: []*api.RotationsListEntry{}}
	for i := range k.Materials {
		m := &k.Materials[i]
		if i <= after || m.Type == "" && value(in.IncludeKeyMaterial) != api.IncludeKeyMaterialAllKeyMaterial {
			continue
		}
		if !p.take(strconv.Itoa(i)) {
			break
		}
		out.Rotations = append(out.Rotations, k.describeMaterial(m))
	}
	out.NextMarker, out.Truncated = p.next()
	return out, nil
}

func (k *key) describeMaterial(m *material) *api.RotationsListEntry {
	e := &api.RotationsListEntry{
		KeyID: new(k.arn()), KeyMaterialID: &m.ID, KeyMaterialState: new(api.KeyMaterialStateNonCurrent),
	}
	if m.ID == k.current().ID {
		e.KeyMaterialState = new(api.KeyMaterialStateCurrent)
	}
	if m.Type != "" {
		e.RotationDate, e.RotationType = &m.Created, &m.Type
	}
	return e
}

// number is the marker of a list that is numbered; -1 at its beginning.
func (p *page) number() (int, error) {
	if p.after == "" {
		return -1, nil
	}
	n, err := strconv.Atoi(p.after)
	if err != nil || n < 0 {
		return 0, api.ErrInvalidMarker.New("Invalid marker")
	}
	return n, nil
}
