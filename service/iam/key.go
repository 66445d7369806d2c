package iam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

const maxKeysPerUser = 2

// ErrUnknownKey is LookupKey's answer for an access key that does not exist or is inactive.
var ErrUnknownKey = errors.New("iam: unknown access key")

func errNoKey(id string) error {
	return api.ErrNoSuchEntity.Withf("The Access Key with id %s cannot be found.", id)
}

// keyring changes the list of the access key ids of a user, or of the root user if name is empty.
func (s *Service) keyring(tx store.Tx, account, name string, fn func(ids []string, userID string) ([]string, error)) error {
	if name == "" {
		return s.counted(tx, account, func(a *accountRow) (err error) {
			a.Keys, err = fn(a.Keys, "")
			return err
		})
	}
	u, err := find(tx, account, user, name)
	if err != nil {
		return err
	}
	if u.Keys, err = fn(u.Keys, u.ID); err != nil {
		return err
	}
	return put(tx, account, u)
}

// CreateAccessKey makes an access key and tells its secret, for the only time.
func (s *Service) CreateAccessKey(ctx context.Context, in *api.CreateAccessKeyInput) (*api.CreateAccessKeyOutput, error) {
	name, err := callerName(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	id, secret, created := newKeyID(account(ctx)), newSecret(), s.clock()
	err = s.change(ctx, account(ctx), func(tx store.Tx) error {
		return s.keyring(tx, account(ctx), name, func(ids []string, userID string) ([]string, error) {
			if len(ids) >= maxKeysPerUser {
				return nil, api.ErrLimitExceeded.Withf("Cannot exceed quota for AccessKeysPerUser: %d", maxKeysPerUser)
			}
			row := keyRow{Account: account(ctx), User: name, UserID: userID, Sealed: s.seal.Seal([]byte(secret), []byte(id)), Created: created}
			_, err := keys.Put(tx, everywhere, id, row, store.IfAbsent())
			return append(ids, id), err
		})
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateAccessKeyOutput{AccessKey: &api.AccessKey{
		UserName: &name, AccessKeyID: &id, Status: new(api.StatusTypeActive), SecretAccessKey: &secret, CreateDate: &created,
	}}, nil
}

// UpdateAccessKey makes a key inactive, or active again. It holds for the next request.
func (s *Service) UpdateAccessKey(ctx context.Context, in *api.UpdateAccessKeyInput) (*api.UpdateAccessKeyOutput, error) {
	name, err := callerName(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	if *in.Status == api.StatusTypeExpired {
		return nil, aws.ErrValidation.New("1 validation error detected: Value at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]")
	}
	err = s.change(ctx, account(ctx), func(tx store.Tx) error {
		return s.keyring(tx, account(ctx), name, func(ids []string, _ string) ([]string, error) {
			if !slices.Contains(ids, *in.AccessKeyID) {
				return nil, errNoKey(*in.AccessKeyID)
			}
			row, err := keys.Get(tx, everywhere, *in.AccessKeyID)
			if err != nil {
				return nil, err
			}
			row.Value.Inactive = *in.Status == api.StatusTypeInactive
			_, err = keys.Put(tx, everywhere, *in.AccessKeyID, row.Value)
			return ids, err
		})
	})
	return answer(&api.UpdateAccessKeyOutput{}, err)
}

// DeleteAccessKey deletes a key. It holds for the next request.
func (s *Service) DeleteAccessKey(ctx context.Context, in *api.DeleteAccessKeyInput) (*api.DeleteAccessKeyOutput, error) {
	name, err := callerName(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, account(ctx), func(tx store.Tx) error {
		return s.keyring(tx, account(ctx), name, func(ids []string, _ string) ([]string, error) {
			at := slices.Index(ids, *in.AccessKeyID)
			if at < 0 {
				return nil, errNoKey(*in.AccessKeyID)
			}
			return slices.Delete(ids, at, at+1), keys.Delete(tx, everywhere, *in.AccessKeyID)
		})
	})
	return answer(&api.DeleteAccessKeyOutput{}, err)
}

// ListAccessKeys lists keys by id, without secrets.
func (s *Service) ListAccessKeys(ctx context.Context, in *api.ListAccessKeysInput) (*api.ListAccessKeysOutput, error) {
	name, err := callerName(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &api.ListAccessKeysOutput{AccessKeyMetadata: []*api.AccessKeyMetadata{}}
	err = s.db.View(ctx, func(tx store.Tx) error {
		ids, err := s.keysOf(tx, account(ctx), name)
		if err != nil {
			return err
		}
		ids, out.Marker = slicePage(ids, p, func(id string) string { return id })
		for _, id := range ids {
			row, err := keys.Get(tx, everywhere, id)
			if err != nil {
				return err
			}
			out.AccessKeyMetadata = append(out.AccessKeyMetadata, &api.AccessKeyMetadata{
				UserName: orNil(row.Value.User), AccessKeyID: &id, Status: new(row.Value.status()), CreateDate: &row.Value.Created,
			})
		}
		return nil
	})
	out.IsTruncated = new(out.Marker != nil)
	return answer(out, err)
}

func (k *keyRow) status() string {
	if k.Inactive {
		return api.StatusTypeInactive
	}
	return api.StatusTypeActive
}

// keysOf are the key ids of a user, or of the root user if name is empty.
func (s *Service) keysOf(tx store.Tx, account, name string) ([]string, error) {
	if name == "" {
		a, err := getAccount(tx, account)
		return a.Keys, err
	}
	u, err := find(tx, account, user, name)
	if err != nil {
		return nil, err
	}
	return u.Keys, nil
}

// GetAccessKeyLastUsed tells whose a key is and when, for what and where it was last used.
func (s *Service) GetAccessKeyLastUsed(ctx context.Context, in *api.GetAccessKeyLastUsedInput) (*api.GetAccessKeyLastUsedOutput, error) {
	row, err := s.keyRow(ctx, *in.AccessKeyID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err != nil || row.Account != account(ctx) {
		return nil, errNoKey(*in.AccessKeyID)
	}
	last, err := s.lastUse(ctx, row.Account, *in.AccessKeyID)
	if err != nil {
		return nil, err
	}
	used := &api.AccessKeyLastUsed{ServiceName: new("N/A"), Region: new("N/A")}
	if !last.At.IsZero() {
		used = &api.AccessKeyLastUsed{LastUsedDate: new(last.At.Truncate(time.Second)), ServiceName: &last.Service, Region: &last.Region}
	}
	return &api.GetAccessKeyLastUsedOutput{UserName: orNil(row.User), AccessKeyLastUsed: used}, nil
}

// keyRow answers store.ErrNotFound if there is no such key.
func (s *Service) keyRow(ctx context.Context, id string) (keyRow, error) {
	var row store.Row[keyRow]
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		row, err = keys.Get(tx, everywhere, id)
		return err
	})
	return row.Value, err
}

// knownKey is a looked up key; without secret, one that there is not or that is inactive.
type knownKey struct {
	secret    []byte
	principal *aws.Principal
	account   string
	version   uint64 // of the account when it was looked up; of all keys for those that there are not
}

// LookupKey is the secret of a long-term access key and whom it speaks for, or ErrUnknownKey. It is answered from memory
// but for the first time after a change of the account.
func (s *Service) LookupKey(ctx context.Context, accessKeyID string) (secret []byte, p *aws.Principal, err error) {
	if k, ok := s.cache.keys.get(accessKeyID); ok && k.version == s.cache.version(k.account) {
		return k.answer()
	}
	if k, ok := s.cache.noKeys.get(accessKeyID); ok && k.version == s.cache.version(k.account) {
		return k.answer()
	}
	if len(accessKeyID) > 128 {
		return nil, nil, ErrUnknownKey
	}
	k, err := s.loadKey(ctx, accessKeyID)
	if err != nil {
		return nil, nil, err
	}
	if k.secret == nil {
		s.cache.keys.drop(accessKeyID) // the secret has no business in memory any more
		s.cache.noKeys.put(accessKeyID, k, 1)
	} else {
		s.cache.keys.put(accessKeyID, k, 1)
	}
	return k.answer()
}

func (k *knownKey) answer() ([]byte, *aws.Principal, error) {
	if k.secret == nil {
		return nil, nil, ErrUnknownKey
	}
	return k.secret, k.principal, nil
}

func (s *Service) loadKey(ctx context.Context, id string) (*knownKey, error) {
	anyKey := s.cache.version(anyAccount) // before the row is read: a change after it makes what was read void
	row, err := s.keyRow(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return &knownKey{account: anyAccount, version: anyKey}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up access key: %w", err)
	}
	k := &knownKey{account: row.Account, version: s.cache.version(row.Account)}
	err = s.db.View(ctx, func(tx store.Tx) error {
		again, err := keys.Get(tx, everywhere, id) // what it was before the version was read does not count
		if errors.Is(err, store.ErrNotFound) || err == nil && again.Value.Inactive {
			return nil
		}
		if err != nil {
			return err
		}
		return s.fillKey(tx, id, again.Value, k)
	})
	if err != nil {
		return nil, fmt.Errorf("look up access key: %w", err)
	}
	return k, nil
}

func (s *Service) fillKey(tx store.Tx, id string, row keyRow, k *knownKey) error {
	secret, err := s.seal.Open(row.Sealed, []byte(id))
	if err != nil {
		return err
	}
	if row.User == "" {
		k.secret, k.principal = secret, aws.RootOf(row.Account, id)
		return nil
	}
	u, err := find(tx, row.Account, user, row.User)
	if err != nil {
		return err
	}
	if u.ID != row.UserID {
		return nil
	}
	k.secret = secret
	k.principal = &aws.Principal{
		Type: aws.User, Account: row.Account, Arn: u.arn(row.Account), ID: u.ID, AccessKeyID: id, Tags: tagMap(u.Tags),
	}
	return nil
}
