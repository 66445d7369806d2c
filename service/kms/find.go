package kms

import (
	"context"
	"errors"
	"strings"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// found is what the authorizer of one call was told: which key each name in the request means.
type found struct {
	input any // the request's; a copy of the call for another request starts anew
	keys  map[string]ref
}

// remember keeps what a name means for the rest of the call.
func remember(call *aws.Call, name string, r ref) {
	f, ok := call.Resolved.(*found)
	if !ok || f.input != call.Input {
		f = &found{input: call.Input, keys: map[string]ref{}}
		call.Resolved = f
	}
	f.keys[name] = r
}

func remembered(call *aws.Call, name string) (ref, bool) {
	f, ok := call.Resolved.(*found)
	if !ok || f.input != call.Input {
		return ref{}, false
	}
	r, ok := f.keys[name]
	return r, ok
}

// FindKey implements [api.Finder].
func (s *Service) FindKey(ctx context.Context, keyID string, aliases bool) (string, error) {
	r, err := s.lookup(ctx, keyID, aliases)
	return tell(ctx, keyID, r, err)
}

// FindCiphertext implements [api.Finder].
func (s *Service) FindCiphertext(ctx context.Context, blob []byte) (string, error) {
	c, err := parseCiphertext(blob)
	if err != nil || c.key.scope.Region != aws.CallFrom(ctx).Region {
		return "", errCiphertext()
	}
	return tell(ctx, string(blob), c.key, nil)
}

// FindAlias implements [api.Finder].
func (s *Service) FindAlias(ctx context.Context, name string) (string, error) {
	r, err := s.lookupAlias(ctx, scopeOf(aws.CallFrom(ctx)), name)
	return tell(ctx, name, r, err)
}

// FindGrant implements [api.Finder].
func (s *Service) FindGrant(ctx context.Context, token string) (string, error) {
	r, _, err := s.openToken(token)
	if err == nil && r.scope.Region != aws.CallFrom(ctx).Region {
		err = errToken()
	}
	return tell(ctx, token, r, err)
}

func tell(ctx context.Context, name string, r ref, err error) (string, error) {
	if err != nil {
		return "", err
	}
	remember(aws.CallFrom(ctx), name, r)
	return r.arn(), nil
}

// lookup is the key that a KeyId parameter means. Only an alias must exist for that.
func (s *Service) lookup(ctx context.Context, keyID string, aliases bool) (ref, error) {
	call := aws.CallFrom(ctx)
	n, err := api.ParseKeyName(keyID)
	if err != nil {
		return ref{}, err
	}
	sc := scopeOf(call)
	if n.Account != "" {
		if n.Region != call.Region {
			return ref{}, api.ErrNotFound.Withf("Invalid arn %s", n.Region)
		}
		sc.Account = n.Account
	}
	if n.Key != "" {
		return ref{sc, n.Key}, nil
	}
	if !aliases {
		return ref{}, api.ErrNotFound.Withf("Invalid keyId '%s'", n.Alias)
	}
	return s.lookupAlias(ctx, sc, n.Alias)
}

func (s *Service) lookupAlias(ctx context.Context, sc store.Scope, name string) (ref, error) {
	if service, ok := strings.CutPrefix(name, managedPrefix); ok {
		if r := managedRef(sc, service); managedService(r) != "" {
			return r, nil
		}
	}
	r := ref{scope: sc}
	err := s.db.View(ctx, func(tx store.Tx) error {
		row, err := aliases.Get(tx, sc, name)
		r.id = row.Value.Key
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return ref{}, api.ErrNotFound.Withf("Alias %s is not found.", aliasARN(sc, name))
	}
	return r, err
}

// find is the key that a request's parameter means: the one that the call was authorized for, if it was. A key of another
// account is found by no other way.
func (s *Service) find(ctx context.Context, keyID string, aliases bool) (ref, error) {
	call := aws.CallFrom(ctx)
	if r, ok := remembered(call, keyID); ok {
		return r, nil
	}
	r, err := s.lookup(ctx, keyID, aliases)
	if err != nil {
		return ref{}, err
	}
	return r, own(call, r)
}

// own refuses a key of another account, for which the call was not authorized.
func own(call *aws.Call, r ref) error {
	if r.scope.Account == call.Account {
		return nil
	}
	action := ""
	if call.Op != nil {
		action = call.Op.Action
	}
	return aws.ErrAccessDenied.Withf("User: %s is not authorized to perform: %s on resource: %s because the resource does not "+
		"exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
		call.Principal.Arn, action, r.arn())
}

func aliasARN(sc store.Scope, name string) string {
	return aws.NewARN("kms", sc.Region, sc.Account, name).String()
}
