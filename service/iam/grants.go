package iam

import (
	"context"
	"errors"
	"strings"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

// RoleInfo is what STS and Lambda want to know of a role.
type RoleInfo struct {
	Arn, ID, Name      string
	MaxSessionDuration int // seconds
	Tags               map[string]string
	Trust              *policy.Policy
}

type knownRole struct {
	info    RoleInfo
	version uint64
}

// Role answers NoSuchEntity if there is none of that ARN, path and spelling included. It is answered from memory but for
// the first time after a change of the account.
func (s *Service) Role(ctx context.Context, arn string) (RoleInfo, error) {
	a, err := aws.ParseARN(arn)
	if err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/") {
		return RoleInfo{}, aws.ErrValidation.Withf("%s is invalid", arn)
	}
	version := s.cache.version(a.Account)
	if k, ok := s.cache.roles.get(arn); ok && k.version == version {
		return k.info, nil
	}
	var e *entity
	err = s.db.View(ctx, func(tx store.Tx) (err error) {
		e, _, err = byARN(tx, arn)
		return err
	})
	if err != nil {
		return RoleInfo{}, err
	}
	trust, err := s.cache.compile(e.Trust, policy.KindTrust)
	if err != nil {
		return RoleInfo{}, err
	}
	info := RoleInfo{Arn: arn, ID: e.ID, Name: e.Name, MaxSessionDuration: e.MaxSession, Tags: tagMap(e.Tags), Trust: trust}
	s.cache.roles.put(arn, &knownRole{info, version}, minText+len(e.Trust))
	return info, nil
}

// grantsKey is a user or role by its ARN and its ID: one made anew under an old name has another ID.
type grantsKey struct{ arn, id string }

type knownGrants struct {
	grants  *policy.Grants
	version uint64
}

// nothing is what those have who do not exist any more.
func nothing() *policy.Grants { return &policy.Grants{} }

// Grants are the policies on the principal's side, from memory but for the first time after a change of the account. Who
// does not exist any more, or exists anew under the same name, has none. It notes the use of the principal's key.
func (s *Service) Grants(ctx context.Context, p *aws.Principal) (*policy.Grants, error) {
	s.note(ctx, p)
	g, err := s.ownGrants(ctx, p)
	if err != nil || p.Session == nil {
		return g, err
	}
	limited := p.Type == aws.Federated || len(p.Session.Policies)+len(p.Session.PolicyArns) > 0
	if !limited {
		return g, nil
	}
	both := *g
	both.Limited = true
	both.Session, err = s.sessionPolicies(ctx, p)
	return &both, err
}

// ownGrants are those of the user or role that the principal is or is a session of.
func (s *Service) ownGrants(ctx context.Context, p *aws.Principal) (*policy.Grants, error) {
	key := grantsKey{p.Arn, p.ID}
	if p.Session != nil && p.Session.Issuer != "" {
		key = grantsKey{p.Session.Issuer, p.Session.IssuerID}
	}
	switch {
	case p.Type == aws.Root || p.Type == aws.ServiceType || p.Type == aws.Anonymous:
		return nothing(), nil
	case p.Type == aws.Federated && strings.HasSuffix(key.arn, ":root"):
		return s.everything()
	}
	version := s.cache.version(p.Account)
	if k, ok := s.cache.grants.get(key); ok && k.version == version {
		return k.grants, nil
	}
	var g *policy.Grants
	weight := minText
	err := s.db.View(ctx, func(tx store.Tx) error {
		e, owner, err := byARN(tx, key.arn)
		if errors.Is(err, api.ErrNoSuchEntity) || err == nil && (e.ID != key.id || owner != p.Account) {
			g = nothing()
			return nil
		}
		if err != nil {
			return err
		}
		g, weight, err = s.compileGrants(tx, owner, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.cache.grants.put(key, &knownGrants{g, version}, weight)
	return g, nil
}

// everything is what the root user can pass on.
func (s *Service) everything() (*policy.Grants, error) {
	p, err := s.cache.compile(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`, policy.KindIdentity)
	if err != nil {
		return nil, err
	}
	return &policy.Grants{Identity: []policy.Named{named("root", p)}}, nil
}

// compileGrants are the policies of a user and its groups, or of a role, and what they weigh in the cache.
func (s *Service) compileGrants(tx store.Tx, account string, e *entity) (g *policy.Grants, weight int, err error) {
	g, weight = &policy.Grants{Born: e.born()}, minText
	sources, err := s.sources(tx, account, e)
	if err != nil {
		return nil, 0, err
	}
	for _, src := range sources {
		p, err := s.cache.compile(src.document, policy.KindIdentity)
		if err != nil {
			return nil, 0, err
		}
		g.Identity = append(g.Identity, named(src.name, p))
		weight += len(src.document)
	}
	if e.Boundary == "" {
		return g, weight, nil
	}
	row, _, err := s.findPolicy(tx, account, e.Boundary)
	if err != nil {
		return nil, 0, err
	}
	p, size, err := s.compileManaged(row)
	if err != nil {
		return nil, 0, err
	}
	g.Boundary = new(named(e.Boundary, p))
	return g, weight + size, nil
}

// compileManaged answers also how long the policy's text is, in bytes.
func (s *Service) compileManaged(row *managedRow) (p *policy.Policy, size int, err error) {
	document, err := row.document()
	if err != nil {
		return nil, 0, err
	}
	p, err = s.cache.compile(document, policy.KindIdentity)
	return p, len(document), err
}

// source is a policy document and where it comes from.
type source struct {
	name     string // in explanations
	policy   string // its own name
	arn      string // of a managed one
	owner    *entity
	document string
}

// sources are the documents that say what a user with its groups, a group or a role may do.
func (s *Service) sources(tx store.Tx, account string, e *entity) (all []source, err error) {
	owners := []*entity{e}
	for _, name := range e.Groups {
		g, err := find(tx, account, group, name)
		if err != nil {
			return nil, err
		}
		owners = append(owners, g)
	}
	for _, o := range owners {
		for name, document := range sortedMap(o.Inline) {
			all = append(all, source{"inline policy " + name + " of " + o.arn(account), name, "", o, document})
		}
		for _, arn := range o.Attached {
			row, _, err := s.findPolicy(tx, account, arn)
			if err != nil {
				return nil, err
			}
			document, err := row.document()
			if err != nil {
				return nil, err
			}
			all = append(all, source{arn, row.Name, arn, o, document})
		}
	}
	return all, nil
}

// sessionPolicies are those that were given when the session was made.
func (s *Service) sessionPolicies(ctx context.Context, p *aws.Principal) (all []policy.Named, err error) {
	for _, document := range p.Session.Policies {
		compiled, err := s.cache.compile(document, policy.KindSession)
		if err != nil {
			return nil, err
		}
		all = append(all, named("session policy", compiled))
	}
	for _, arn := range p.Session.PolicyArns {
		compiled, err := s.managedPolicy(ctx, p.Account, arn)
		if errors.Is(err, api.ErrNoSuchEntity) {
			return nil, nil // what it denied cannot be told any more: nothing is allowed
		}
		if err != nil {
			return nil, err
		}
		all = append(all, named(arn, compiled))
	}
	return all, nil
}

type knownPolicy struct {
	policy  *policy.Policy
	version uint64
}

// managedPolicy is a managed policy compiled.
func (s *Service) managedPolicy(ctx context.Context, account, arn string) (p *policy.Policy, err error) {
	version := s.cache.version(account)
	key, size := store.Key(account, arn), 0
	if k, ok := s.cache.managed.get(key); ok && k.version == version {
		return k.policy, nil
	}
	err = s.db.View(ctx, func(tx store.Tx) error {
		row, _, err := s.findPolicy(tx, account, arn)
		if err != nil {
			return err
		}
		p, size, err = s.compileManaged(row)
		return err
	})
	if err == nil {
		s.cache.managed.put(key, &knownPolicy{p, version}, minText+size)
	}
	return p, err
}
