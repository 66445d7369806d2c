package kms

import (
	"context"
	"errors"
	"time"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// The tables of this service, in the scope of account and Region. Keys are the parts named beside them, joined by store.Key.
var (
	keys          = store.Table[keyRow]{Name: "kms.key"}                // key id
	aliases       = store.Table[aliasRow]{Name: "kms.alias"}            // "alias/name"
	grants        = store.Table[grantRow]{Name: "kms.grant"}            // key id, grant id
	grantees      = store.Table[struct{}]{Name: "kms.grantee"}          // key id, grantee, grant id
	aliasesOfKeys = store.Table[struct{}]{Name: "kms.alias-of-key"}     // key id, "alias/name"
	retirables    = store.Table[struct{}]{Name: "kms.retiring"}         // retiring principal, key id, grant id
	counts        = store.Table[countRow]{Name: "kms.count"}            // countKey, or key id
	expiring      = store.Table[struct{}]{Name: "kms.pending-deletion"} // key id
	rotating      = store.Table[struct{}]{Name: "kms.rotating"}         // key id
)

// keyRow is a key.
type keyRow struct {
	ID          string
	Spec        string
	Usage       string
	Description string
	State       string // KeyStateEnabled, KeyStateDisabled or KeyStatePendingDeletion
	Manager     string // KeyManagerTypeAws or KeyManagerTypeCustomer
	Service     string `json:",omitempty"` // of a managed key: "lambda"
	MultiRegion bool   `json:",omitempty"`
	Created     time.Time
	DeleteAt    time.Time `json:",omitzero"`
	Policy      string
	PolicySet   time.Time `json:",omitzero"` // when the policy was put
	Tags        []tag     `json:",omitempty"`
	Rotation    rotation
	Materials   []material // the last one is current
}

type tag struct{ Key, Value string }

// rotation is how a symmetric key gets new material.
type rotation struct {
	Enabled    bool      `json:",omitempty"`
	PeriodDays int       `json:",omitempty"`
	Next       time.Time `json:",omitzero"`
	OnDemand   int       `json:",omitempty"` // rotations on demand so far
}

// material is one generation of a key's secret.
type material struct {
	ID      string // 64 hexadecimal digits
	Sealed  []byte // raw bytes of a symmetric or HMAC key, PKCS #8 of a private key
	Public  []byte `json:",omitempty"` // SubjectPublicKeyInfo
	Created time.Time
	Type    string `json:",omitempty"` // of the rotation that made it; empty for a key's first material
}

type aliasRow struct {
	Key              string
	Created, Updated time.Time
}

// countRow counts what a limit bounds.
type countRow struct{ Keys, Aliases, Grants int }

const countKey = "count"

// ref names a key, which need not exist.
type ref struct {
	scope store.Scope
	id    string
}

func (r ref) arn() string {
	return aws.NewARN("kms", r.scope.Region, r.scope.Account, "key/"+r.id).String()
}

func (r ref) notFound() error { return api.ErrNotFound.Withf("Key '%s' does not exist", r.arn()) }

// key is a key that exists.
type key struct {
	ref
	keyRow
}

func (k *key) current() *material { return &k.Materials[len(k.Materials)-1] }

// getKey answers nil if there is no such key, or not any more.
func getKey(tx store.Tx, r ref, now time.Time) (*key, error) {
	row, err := keys.Get(tx, r.scope, r.id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k := &key{r, row.Value}
	if k.State == api.KeyStatePendingDeletion && !now.Before(k.DeleteAt) {
		return nil, nil
	}
	return k, nil
}

func (k *key) put(tx store.Tx) error {
	_, err := keys.Put(tx, k.scope, k.id, k.keyRow)
	return err
}

// key reads a key that must exist. A key of an AWS service comes into being if it does not.
func (s *Service) key(ctx context.Context, r ref) (*key, error) {
	var k *key
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		k, err = getKey(tx, r, s.now())
		return err
	})
	if err != nil || k != nil {
		return k, err
	}
	if service := managedService(r); service != "" {
		return s.makeManaged(ctx, r, service)
	}
	return nil, r.notFound()
}

// change runs fn on a customer's key in a transaction and stores what became of it. fn may run twice.
func (s *Service) change(ctx context.Context, keyID string, fn func(tx store.Tx, k *key) error) (*key, error) {
	r, err := s.find(ctx, keyID, false)
	if err != nil {
		return nil, err
	}
	if managedService(r) != "" {
		return nil, notForManaged(ctx, r)
	}
	var k *key
	err = s.db.Update(ctx, func(tx store.Tx) (err error) {
		if k, err = getKey(tx, r, s.now()); err != nil {
			return err
		}
		if k == nil {
			return r.notFound()
		}
		if err := fn(tx, k); err != nil {
			return err
		}
		return k.put(tx)
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// count changes what a row counts and answers what it counts now.
func count(tx store.Tx, sc store.Scope, row string, fn func(c *countRow)) (countRow, error) {
	c, err := counts.Get(tx, sc, row)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return countRow{}, err
	}
	fn(&c.Value)
	if c.Value == (countRow{}) {
		if err := counts.Delete(tx, sc, row); err != nil && !errors.Is(err, store.ErrNotFound) {
			return c.Value, err
		}
		return c.Value, nil
	}
	_, err = counts.Put(tx, sc, row, c.Value)
	return c.Value, err
}

// deleteIfThere deletes a row that may be gone already.
func deleteIfThere[T any](tx store.Tx, t store.Table[T], sc store.Scope, key string) error {
	if err := t.Delete(tx, sc, key); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

// collectKeys is the keys of the rows of a scan.
func collectKeys[T any](rows func(func(store.Row[T], error) bool)) ([]string, error) {
	var all []string
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		all = append(all, row.Key)
	}
	return all, nil
}
