package kms

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"fmt"

	"github.com/enfold-run/enfold/store"
)

// newMaterial makes the secret of a key and seals it.
func (s *Service) newMaterial(ctx context.Context, r ref, sp *spec) (material, error) {
	secret, public, err := s.generate(ctx, sp)
	if err != nil {
		return material{}, err
	}
	defer clear(secret)
	var id [32]byte
	rand.Read(id[:]) // never fails
	m := material{ID: hex.EncodeToString(id[:]), Public: public, Created: s.clock()}
	m.Sealed = s.seal.Seal(secret, sealedFor(r, m.ID))
	return m, nil
}

// generate waits for its turn if the key takes long to make.
func (s *Service) generate(ctx context.Context, sp *spec) (secret, public []byte, err error) {
	if sp.rsaBits > 0 {
		select {
		case s.slow <- struct{}{}:
			defer func() { <-s.slow }()
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	return sp.generate()
}

// sealedFor is the place that sealed material is bound to.
func sealedFor(r ref, materialID string) []byte {
	return []byte(store.Key("kms material", r.scope.Account, r.scope.Region, r.id, materialID))
}

// open is a material's secret. The caller clears it.
func (s *Service) open(k *key, m *material) ([]byte, error) {
	secret, err := s.seal.Open(m.Sealed, sealedFor(k.ref, m.ID))
	if err != nil {
		return nil, fmt.Errorf("open the material of key %s: %w", k.id, err)
	}
	return secret, nil
}

// private is the private key of an asymmetric key.
func (s *Service) private(k *key) (any, error) {
	secret, err := s.open(k, k.current())
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	private, err := x509.ParsePKCS8PrivateKey(secret)
	if err != nil {
		return nil, fmt.Errorf("private key %s does not parse", k.id) // the cause might quote it
	}
	return private, nil
}

// materialByID answers nil if the key has none of that id.
func (k *key) materialByID(id string) *material {
	for i := range k.Materials {
		if k.Materials[i].ID == id {
			return &k.Materials[i]
		}
	}
	return nil
}
