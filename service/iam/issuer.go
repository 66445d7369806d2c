package iam

import (
	"context"
	"errors"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// knownIssuer says whether there is a user or role of an ARN and an ID.
type knownIssuer struct {
	exists  bool
	version uint64
}

// IssuerExists says whether the user or role that a session speaks for is still there: of that ARN, path included, and with
// the ID that it had when the session was made. One made anew under the same name is another, and a user that was renamed
// must make its sessions anew. The access key that a session was made with does not matter. The root user is always there,
// and a principal without a session has no issuer that could be gone. It is answered from memory but for the first time
// after a change of the account.
func (s *Service) IssuerExists(ctx context.Context, p *aws.Principal) (bool, error) {
	if p.Session == nil {
		return true, nil
	}
	key := grantsKey{p.Session.Issuer, p.Session.IssuerID}
	if root := aws.RootOf(p.Account, ""); key == (grantsKey{root.Arn, root.ID}) {
		return true, nil
	}
	version := s.cache.version(p.Account)
	if k, ok := s.cache.issuers.get(key); ok && k.version == version {
		return k.exists, nil
	}
	exists := false
	err := s.db.View(ctx, func(tx store.Tx) error {
		e, owner, err := byARN(tx, key.arn)
		if errors.Is(err, api.ErrNoSuchEntity) || errors.Is(err, aws.ErrValidation) {
			return nil
		}
		exists = err == nil && e.ID == key.id && owner == p.Account
		return err
	})
	if err != nil {
		return false, err
	}
	s.cache.issuers.put(key, knownIssuer{exists, version}, 1)
	return exists, nil
}
