package server

import (
	"context"
	"sync"
	"time"

	stsapi "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/service/iam"
	"github.com/enfold-run/enfold/service/sts"
	"github.com/enfold-run/enfold/store"
)

// sessions are those of roles that a service acts in by itself: to tell destinations, to poll queues, to log. A session is used for
// sessionUse and then made anew, so that the role's trust policy keeps its say; what it may do is decided at every call. One of a
// role that was deleted is not used again.
type sessions struct {
	assume assume
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

// assume assumes a role for something of a service: a function, by its name, or a topic, by its ARN.
type assume func(ctx context.Context, account, region, role, what string) (*stsapi.Credentials, error)

func newSessions(a assume, t *sts.Service, i *iam.Service) *sessions {
	return &sessions{assume: a, tokens: t, iam: i, kept: map[sessionKey]keptSession{}}
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
	creds, err := s.assume(ctx, sc.Account, sc.Region, role, function)
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
