package server

import (
	"context"
	"sync"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/service/iam"
	"github.com/enfold-run/enfold/service/sts"
	"github.com/enfold-run/enfold/store"
)

// sessions are those of roles that Lambda acts in by itself: to tell destinations, to poll queues. A session is used for
// sessionUse and then made anew, so that the role's trust policy keeps its say; what it may do is decided at every call. One of a
// role that was deleted is not used again.
type sessions struct {
	roles  functionRoles
	tokens *sts.Service
	iam    *iam.Service

	mu   sync.Mutex
	kept map[sessionKey]keptSession
}

const (
	sessionUse   = time.Minute
	keptSessions = 10_000
)

type sessionKey struct {
	scope          store.Scope
	role, function string
}

type keptSession struct {
	principal *aws.Principal
	until     time.Time
}

func newSessions(r functionRoles, t *sts.Service, i *iam.Service) *sessions {
	return &sessions{roles: r, tokens: t, iam: i, kept: map[sessionKey]keptSession{}}
}

// Session implements target.Sessions.
func (s *sessions) Session(ctx context.Context, sc store.Scope, role, function string) (*aws.Principal, error) {
	key := sessionKey{sc, role, function}
	now := time.Now()
	s.mu.Lock()
	old := s.kept[key]
	s.mu.Unlock()
	if now.Before(old.until) {
		exists, err := s.iam.IssuerExists(ctx, old.principal)
		if err != nil {
			return nil, err
		}
		if exists {
			return old.principal, nil
		}
	}
	creds, err := s.roles.assume(ctx, sc.Account, sc.Region, role, function)
	if err != nil {
		return nil, err
	}
	_, p, err := s.tokens.Open(*creds.AccessKeyID, *creds.SessionToken)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) >= keptSessions {
		clear(s.kept)
	}
	s.kept[key] = keptSession{p, now.Add(sessionUse)}
	return p, nil
}
