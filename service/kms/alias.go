package kms

import (
	"context"
	"errors"
	"strings"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// maxAliases is how many aliases one key may have, maxAllAliases an account in a Region.
const (
	maxAliases    = 50
	maxAllAliases = 10_000
)

// CreateAlias names a key.
func (s *Service) CreateAlias(ctx context.Context, in *api.CreateAliasInput) (*api.CreateAliasOutput, error) {
	name := *in.AliasName
	if err := checkAlias(name); err != nil {
		return nil, err
	}
	r, err := s.find(ctx, *in.TargetKeyID, false)
	if err != nil {
		return nil, err
	}
	now := s.clock()
	err = s.db.Update(ctx, func(tx store.Tx) error {
		if err := s.checkTarget(tx, r, aws.CallFrom(ctx)); err != nil {
			return err
		}
		err := putAlias(tx, r, name, aliasRow{Key: r.id, Created: now, Updated: now})
		if errors.Is(err, store.ErrExists) {
			return api.ErrAlreadyExists.Withf("An alias with the name %s already exists", aliasARN(r.scope, name))
		}
		return err
	})
	return &api.CreateAliasOutput{}, err
}

// checkAlias refuses what no customer's alias may be called.
func checkAlias(name string) error {
	switch {
	case !strings.HasPrefix(name, "alias/"):
		return invalid(`Alias must start with the prefix "alias/". Please see ` +
			"https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html")
	case strings.HasPrefix(name, managedPrefix), name == "alias/", strings.Contains(name, ":"):
		return api.ErrInvalidAliasName.Withf("Alias name %s is not valid.", name)
	}
	return nil
}

// checkTarget refuses a key that cannot get an alias: none, an AWS service's, another account's.
func (s *Service) checkTarget(tx store.Tx, r ref, call *aws.Call) error {
	if r.scope != scopeOf(call) {
		return own(call, r)
	}
	k, err := getKey(tx, r, s.now())
	if err != nil {
		return err
	}
	if k == nil {
		return r.notFound()
	}
	if k.Manager == api.KeyManagerTypeAws {
		return invalid("Aliases cannot be made for AWS managed keys.")
	}
	return k.alive()
}

// putAlias stores a new alias, or answers ErrExists.
func putAlias(tx store.Tx, r ref, name string, row aliasRow) error {
	if _, err := aliases.Put(tx, r.scope, name, row, store.IfAbsent()); err != nil {
		return err
	}
	if err := pointAlias(tx, r, name); err != nil {
		return err
	}
	c, err := count(tx, r.scope, countKey, func(c *countRow) { c.Aliases++ })
	if err == nil && c.Aliases > maxAllAliases {
		err = api.ErrLimitExceeded.Withf("You have reached the limit of %d aliases.", maxAllAliases)
	}
	return err
}

// pointAlias notes at the key that it has an alias.
func pointAlias(tx store.Tx, r ref, name string) error {
	others, err := collectKeys(aliasesOfKeys.Scan(tx, r.scope, store.Range{Prefix: store.Prefix(r.id), Limit: maxAliases}))
	if err != nil {
		return err
	}
	if len(others) >= maxAliases {
		return api.ErrLimitExceeded.Withf("You have reached the limit of %d aliases for key %s.", maxAliases, r.arn())
	}
	_, err = aliasesOfKeys.Put(tx, r.scope, store.Key(r.id, name), struct{}{})
	return err
}

func deleteAlias(tx store.Tx, r ref, name string) error {
	_, err := count(tx, r.scope, countKey, func(c *countRow) { c.Aliases-- })
	return errors.Join(err, aliases.Delete(tx, r.scope, name), aliasesOfKeys.Delete(tx, r.scope, store.Key(r.id, name)))
}

// UpdateAlias moves an alias to another key of the same kind.
func (s *Service) UpdateAlias(ctx context.Context, in *api.UpdateAliasInput) (*api.UpdateAliasOutput, error) {
	name := *in.AliasName
	if err := checkAlias(name); err != nil {
		return nil, err
	}
	r, err := s.find(ctx, *in.TargetKeyID, false)
	if err != nil {
		return nil, err
	}
	err = s.db.Update(ctx, func(tx store.Tx) error {
		row, err := s.ownAlias(tx, aws.CallFrom(ctx), name)
		if err != nil {
			return err
		}
		if err := s.checkTarget(tx, r, aws.CallFrom(ctx)); err != nil {
			return err
		}
		if row.Key == r.id {
			return nil
		}
		if err := s.sameKind(tx, ref{r.scope, row.Key}, r); err != nil {
			return err
		}
		if err := aliasesOfKeys.Delete(tx, r.scope, store.Key(row.Key, name)); err != nil {
			return err
		}
		row.Key, row.Updated = r.id, s.clock()
		if _, err := aliases.Put(tx, r.scope, name, row); err != nil {
			return err
		}
		return pointAlias(tx, r, name)
	})
	return &api.UpdateAliasOutput{}, err
}

// ownAlias is an alias of the caller's, still for the key that the call was authorized on.
func (s *Service) ownAlias(tx store.Tx, call *aws.Call, name string) (aliasRow, error) {
	sc := scopeOf(call)
	row, err := aliases.Get(tx, sc, name)
	if errors.Is(err, store.ErrNotFound) {
		return aliasRow{}, api.ErrNotFound.Withf("Alias %s is not found.", aliasARN(sc, name))
	}
	if err != nil {
		return aliasRow{}, err
	}
	if r, ok := remembered(call, name); ok && r.id != row.Value.Key {
		return aliasRow{}, api.ErrConflict.Withf("Alias %s is being changed by another request.", aliasARN(sc, name))
	}
	return row.Value, nil
}

// sameKind refuses to move an alias to a key that does something else.
func (s *Service) sameKind(tx store.Tx, from, to ref) error {
	a, err := getKey(tx, from, s.now())
	if err != nil || a == nil {
		return err
	}
	b, err := getKey(tx, to, s.now())
	if err != nil || b == nil {
		return err
	}
	if a.Usage != b.Usage || specs[a.Spec].asymmetric() != specs[b.Spec].asymmetric() {
		return invalid("The current and the new KMS key of an alias must both be symmetric or both be asymmetric or HMAC keys, " +
			"and have the same key usage.")
	}
	return nil
}

// DeleteAlias takes an alias away; its key stays.
func (s *Service) DeleteAlias(ctx context.Context, in *api.DeleteAliasInput) (*api.DeleteAliasOutput, error) {
	name := *in.AliasName
	if err := checkAlias(name); err != nil {
		return nil, err
	}
	err := s.db.Update(ctx, func(tx store.Tx) error {
		row, err := s.ownAlias(tx, aws.CallFrom(ctx), name)
		if err != nil {
			return err
		}
		return deleteAlias(tx, ref{scopeOf(aws.CallFrom(ctx)), row.Key}, name)
	})
	return &api.DeleteAliasOutput{}, err
}

// ListAliases lists the aliases of the account and Region, or of one key, by name.
func (s *Service) ListAliases(ctx context.Context, in *api.ListAliasesInput) (*api.ListAliasesOutput, error) {
	call := aws.CallFrom(ctx)
	sc := scopeOf(call)
	only := ""
	if in.KeyID != nil {
		r, err := s.lookup(ctx, *in.KeyID, false)
		if err == nil {
			err = own(call, r)
		}
		if err == nil {
			_, err = s.key(ctx, r)
		}
		if err != nil {
			return nil, err
		}
		only = r.id
	}
	p, err := newPage("aliases "+only, in.Marker, in.Limit, 50, 100)
	if err != nil {
		return nil, err
	}
	out := &api.ListAliasesOutput{Aliases: []*api.AliasListEntry{}}
	err = s.db.View(ctx, func(tx store.Tx) error {
		for row, err := range aliases.Scan(tx, sc, store.Range{After: p.after}) {
			if err != nil {
				return err
			}
			if only != "" && row.Value.Key != only {
				continue
			}
			if !p.take(row.Key) {
				return nil
			}
			out.Aliases = append(out.Aliases, &api.AliasListEntry{
				AliasName: &row.Key, AliasArn: new(aliasARN(sc, row.Key)), TargetKeyID: &row.Value.Key,
				CreationDate: &row.Value.Created, LastUpdatedDate: &row.Value.Updated,
			})
		}
		return nil
	})
	out.NextMarker, out.Truncated = p.next()
	return out, err
}
