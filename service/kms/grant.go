package kms

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// Bounds of grants.
// See https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html.
const (
	maxGrants          = 50_000 // of one key
	maxConstraintPairs = 8
	maxConstraint      = 384 // characters of keys and values
)

// grantRow lets a principal do some things with one key.
type grantRow struct {
	ID         string
	Key        string
	Name       string `json:",omitempty"`
	Grantee    string
	Retiring   string `json:",omitempty"`
	Issuer     string // root user of the account that made it
	Operations []string
	Equals     map[string]string `json:",omitzero"` // nil for no constraint
	Subset     map[string]string `json:",omitzero"`
	Created    time.Time
	Renewed    time.Time `json:",omitzero"` // when it was last asked for again: it means who had the grantee's name then
}

// same tells a repeated request: AWS answers it with the first one's grant if it has a name.
func (g *grantRow) same(o *grantRow) bool {
	return g.Name == o.Name && g.Grantee == o.Grantee && g.Retiring == o.Retiring && slices.Equal(g.Operations, o.Operations) &&
		sameMap(g.Equals, o.Equals) && sameMap(g.Subset, o.Subset)
}

func sameMap(a, b map[string]string) bool { return (a == nil) == (b == nil) && maps.Equal(a, b) }

// CreateGrant lets a principal do some things with a key, at once.
func (s *Service) CreateGrant(ctx context.Context, in *api.CreateGrantInput) (*api.CreateGrantOutput, error) {
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	r, err := s.find(ctx, *in.KeyID, false)
	if err != nil {
		return nil, err
	}
	k, err := s.key(ctx, r) // makes the key of a service
	if err != nil {
		return nil, err
	}
	g, err := s.newGrant(aws.CallFrom(ctx), k, in)
	if err != nil {
		return nil, err
	}
	for _, p := range []string{g.Grantee, g.Retiring} {
		if ok, err := s.principalsExist(ctx, p); !ok {
			return nil, cmp.Or[error](err, api.ErrInvalidArn.Withf("ARN does not refer to a valid principal: %s", p))
		}
	}
	if err := k.usable(); err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	id := g.ID
	err = s.db.Update(ctx, func(tx store.Tx) error {
		id = g.ID
		k, err := getKey(tx, r, s.now())
		if err != nil {
			return err
		}
		if k == nil {
			return r.notFound()
		}
		if err := k.usable(); err != nil {
			return err
		}
		if g.Name != "" {
			if id, err = renewGrant(tx, r, g); err != nil || id != "" {
				return err
			}
			id = g.ID
		}
		return putGrant(tx, r, g)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateGrantOutput{GrantID: &id, GrantToken: new(s.token(r, id))}, nil
}

func (s *Service) newGrant(call *aws.Call, k *key, in *api.CreateGrantInput) (*grantRow, error) {
	g := &grantRow{
		ID: newGrantID(), Key: k.id, Name: value(in.Name), Grantee: *in.GranteePrincipal, Retiring: value(in.RetiringPrincipal),
		Issuer: rootARN(call.Principal.Account), Operations: slices.Compact(slices.Sorted(slices.Values(in.Operations))),
		Created: s.clock(),
	}
	if call.Principal.Account == "" {
		g.Issuer = rootARN(call.Account)
	}
	if c := in.Constraints; c != nil {
		g.Equals, g.Subset = c.EncryptionContextEquals, c.EncryptionContextSubset
	}
	for _, p := range []string{g.Grantee, g.Retiring} {
		if p != "" && !isPrincipal(p) {
			return nil, api.ErrInvalidArn.Withf("Invalid principal: %s", p)
		}
	}
	if len(g.Operations) == 0 {
		return nil, invalid("A grant needs at least one operation.")
	}
	for _, op := range g.Operations {
		if !slices.Contains(k.grantable(), op) {
			return nil, invalid("Grant operation %s is not valid for key %s.", op, k.arn())
		}
	}
	return g, checkConstraints(k, g)
}

func checkConstraints(k *key, g *grantRow) error {
	if (g.Equals != nil || g.Subset != nil) && k.Spec != api.KeySpecSymmetricDefault {
		return invalid("Grant constraints are only valid for symmetric encryption keys.")
	}
	for _, c := range []map[string]string{g.Equals, g.Subset} {
		size := 0
		for k, v := range c {
			size += len(k) + len(v)
		}
		if len(c) > maxConstraintPairs || size > maxConstraint {
			return invalid("A grant constraint has at most %d pairs and %d characters.", maxConstraintPairs, maxConstraint)
		}
	}
	return nil
}

// grantable are the operations that a grant on the key may name.
func (k *key) grantable() []string {
	ops := []string{api.GrantOperationCreateGrant, api.GrantOperationRetireGrant, api.GrantOperationDescribeKey}
	if specs[k.Spec].asymmetric() {
		ops = append(ops, api.GrantOperationGetPublicKey)
	}
	switch k.Usage {
	case api.KeyUsageTypeEncryptDecrypt:
		ops = append(ops, api.GrantOperationEncrypt, api.GrantOperationDecrypt, api.GrantOperationReEncryptFrom, api.GrantOperationReEncryptTo)
		if k.Spec == api.KeySpecSymmetricDefault {
			ops = append(ops, api.GrantOperationGenerateDataKey, api.GrantOperationGenerateDataKeyWithoutPlaintext,
				api.GrantOperationGenerateDataKeyPair, api.GrantOperationGenerateDataKeyPairWithoutPlaintext)
		}
	case api.KeyUsageTypeSignVerify:
		ops = append(ops, api.GrantOperationSign, api.GrantOperationVerify)
	case api.KeyUsageTypeGenerateVerifyMac:
		ops = append(ops, api.GrantOperationGenerateMac, api.GrantOperationVerifyMac)
	case api.KeyUsageTypeKeyAgreement:
		ops = append(ops, api.GrantOperationDeriveSharedSecret)
	}
	return ops
}

// isPrincipal tells the ARN of an account, user, role or session, or the DNS name of a service.
func isPrincipal(p string) bool {
	if isService(p) {
		return true
	}
	arn, err := aws.ParseARN(p)
	if err != nil || len(arn.Account) != accountSize || strings.Trim(arn.Account, "0123456789") != "" || arn.Region != "" {
		return false
	}
	kind, name, _ := strings.Cut(arn.Resource, "/")
	switch {
	case arn.Service == "iam" && kind == "root":
		return name == "" && arn.Resource == "root"
	case arn.Service == "iam":
		return (kind == "user" || kind == "role") && name != ""
	case arn.Service == "sts":
		return (kind == "assumed-role" || kind == "federated-user") && name != ""
	}
	return false
}

func isService(p string) bool {
	return strings.HasSuffix(p, ".amazonaws.com") && !strings.ContainsAny(p, ":/")
}

func newGrantID() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// renewGrant is the id of the grant that the same request made before; empty if there is none.
func renewGrant(tx store.Tx, r ref, g *grantRow) (string, error) {
	old, err := sameGrant(tx, r, g)
	if old == nil || err != nil {
		return "", err
	}
	old.Renewed = g.Created
	_, err = grants.Put(tx, r.scope, store.Key(r.id, old.ID), *old)
	return old.ID, err
}

// set is when the grant was last given to who has the grantee's name.
func (g *grantRow) set() time.Time {
	if g.Renewed.After(g.Created) {
		return g.Renewed
	}
	return g.Created
}

// sameGrant answers nil if there is none.
func sameGrant(tx store.Tx, r ref, g *grantRow) (*grantRow, error) {
	for row, err := range grantees.Scan(tx, r.scope, store.Range{Prefix: store.Prefix(r.id, g.Grantee)}) {
		if err != nil {
			return nil, err
		}
		old, err := grants.Get(tx, r.scope, store.Key(r.id, lastPart(row.Key)))
		if err != nil {
			return nil, err
		}
		if old.Value.same(g) {
			return &old.Value, nil
		}
	}
	return nil, nil
}

func lastPart(key string) string { return key[strings.LastIndexByte(key, 0)+1:] }

func putGrant(tx store.Tx, r ref, g *grantRow) error {
	c, err := count(tx, r.scope, r.id, func(c *countRow) { c.Grants++ })
	if err != nil {
		return err
	}
	if c.Grants > maxGrants {
		return api.ErrLimitExceeded.Withf("You have reached the limit of %d grants for key %s.", maxGrants, r.arn())
	}
	if _, err := grantees.Put(tx, r.scope, store.Key(r.id, g.Grantee, g.ID), struct{}{}); err != nil {
		return err
	}
	if g.Retiring != "" {
		if _, err := retirables.Put(tx, r.scope, store.Key(g.Retiring, r.id, g.ID), struct{}{}); err != nil {
			return err
		}
	}
	_, err = grants.Put(tx, r.scope, store.Key(r.id, g.ID), *g)
	return err
}

func deleteGrant(tx store.Tx, r ref, g *grantRow) error {
	_, err := count(tx, r.scope, r.id, func(c *countRow) { c.Grants-- })
	err = errors.Join(err, grants.Delete(tx, r.scope, store.Key(r.id, g.ID)),
		grantees.Delete(tx, r.scope, store.Key(r.id, g.Grantee, g.ID)))
	if g.Retiring != "" {
		err = errors.Join(err, retirables.Delete(tx, r.scope, store.Key(g.Retiring, r.id, g.ID)))
	}
	return err
}

// describe is a grant as AWS shows it.
func (g *grantRow) describe(r ref) *api.GrantListEntry {
	e := &api.GrantListEntry{
		KeyID: new(r.arn()), GrantID: &g.ID, CreationDate: &g.Created, GranteePrincipal: &g.Grantee, IssuingAccount: &g.Issuer,
		Operations: g.Operations, Name: &g.Name,
	}
	if g.Retiring != "" {
		e.RetiringPrincipal = &g.Retiring
	}
	if g.Equals != nil || g.Subset != nil {
		e.Constraints = &api.GrantConstraints{EncryptionContextEquals: g.Equals, EncryptionContextSubset: g.Subset}
	}
	return e
}

// ListGrants lists the grants of a key.
func (s *Service) ListGrants(ctx context.Context, in *api.ListGrantsInput) (*api.ListGrantsOutput, error) {
	k, err := s.named(ctx, *in.KeyID)
	if err != nil {
		return nil, err
	}
	if err := k.alive(); err != nil {
		return nil, err
	}
	p, err := newPage("grants "+k.id, in.Marker, in.Limit, 50, 100)
	if err != nil {
		return nil, err
	}
	out := &api.ListGrantsOutput{Grants: []*api.GrantListEntry{}}
	prefix := store.Prefix(k.id)
	err = s.db.View(ctx, func(tx store.Tx) error {
		for row, err := range grants.Scan(tx, k.scope, store.Range{Prefix: prefix, After: afterPart(prefix, p.after)}) {
			if err != nil {
				return err
			}
			g := row.Value
			if in.GrantID != nil && g.ID != *in.GrantID || in.GranteePrincipal != nil && g.Grantee != *in.GranteePrincipal {
				continue
			}
			if !p.take(g.ID) {
				return nil
			}
			out.Grants = append(out.Grants, g.describe(k.ref))
		}
		return nil
	})
	out.NextMarker, out.Truncated = p.next()
	return out, err
}

func afterPart(prefix, after string) string {
	if after == "" {
		return ""
	}
	return prefix + after
}

// ListRetirableGrants lists the grants of the account and Region that a principal may retire.
func (s *Service) ListRetirableGrants(
	ctx context.Context, in *api.ListRetirableGrantsInput,
) (*api.ListRetirableGrantsOutput, error) {
	sc := scopeOf(aws.CallFrom(ctx))
	p, err := newPage("retirable", in.Marker, in.Limit, 50, 100)
	if err != nil {
		return nil, err
	}
	out := &api.ListRetirableGrantsOutput{Grants: []*api.GrantListEntry{}}
	prefix := store.Prefix(*in.RetiringPrincipal)
	err = s.db.View(ctx, func(tx store.Tx) error {
		for row, err := range retirables.Scan(tx, sc, store.Range{Prefix: prefix, After: afterPart(prefix, p.after)}) {
			if err != nil {
				return err
			}
			place := strings.TrimPrefix(row.Key, prefix)
			if !p.take(place) {
				return nil
			}
			g, err := grants.Get(tx, sc, place)
			if err != nil {
				return err
			}
			out.Grants = append(out.Grants, g.Value.describe(ref{sc, g.Value.Key}))
		}
		return nil
	})
	out.NextMarker, out.Truncated = p.next()
	return out, err
}

// RevokeGrant ends a grant at once, for who administers the key.
func (s *Service) RevokeGrant(ctx context.Context, in *api.RevokeGrantInput) (*api.RevokeGrantOutput, error) {
	r, err := s.find(ctx, *in.KeyID, false)
	if err != nil {
		return nil, err
	}
	return &api.RevokeGrantOutput{}, s.endGrant(ctx, r, *in.GrantID, in.DryRun)
}

// RetireGrant ends a grant at once, for who may use it or was named to retire it.
func (s *Service) RetireGrant(ctx context.Context, in *api.RetireGrantInput) (*api.RetireGrantOutput, error) {
	r, id, err := s.retired(ctx, in)
	if err != nil {
		return nil, err
	}
	return &api.RetireGrantOutput{}, s.endGrant(ctx, r, id, in.DryRun)
}

// retired is the grant that a request names by its token, or by key and id.
func (s *Service) retired(ctx context.Context, in *api.RetireGrantInput) (ref, string, error) {
	if in.GrantToken == nil {
		if in.KeyID == nil || in.GrantID == nil {
			return ref{}, "", invalid("Please specify a GrantToken, or a KeyId and a GrantId.")
		}
		r, err := s.find(ctx, *in.KeyID, false)
		return r, *in.GrantID, err
	}
	if in.KeyID != nil || in.GrantID != nil {
		return ref{}, "", invalid("Please specify either a GrantToken, or a KeyId and a GrantId.")
	}
	call := aws.CallFrom(ctx)
	r, id, err := s.openToken(*in.GrantToken)
	if err != nil {
		return ref{}, "", err
	}
	if _, ok := remembered(call, *in.GrantToken); ok {
		return r, id, nil
	}
	return r, id, own(call, r)
}

func (s *Service) endGrant(ctx context.Context, r ref, id string, dry *bool) error {
	return s.db.Update(ctx, func(tx store.Tx) error {
		k, err := getKey(tx, r, s.now())
		if err != nil {
			return err
		}
		if k == nil {
			return r.notFound()
		}
		if err := k.alive(); err != nil {
			return err
		}
		row, err := grants.Get(tx, r.scope, store.Key(r.id, id))
		if errors.Is(err, store.ErrNotFound) {
			return api.ErrNotFound.Withf("Grant ID %s not found", id)
		}
		if err != nil {
			return err
		}
		if err := dryRun(dry); err != nil {
			return err
		}
		return deleteGrant(tx, r, &row.Value)
	})
}
