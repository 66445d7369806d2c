package iam

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// flushEvery is how old what is known of uses may be after a crash.
const flushEvery = time.Minute

// maxUses bounds the uses in memory; beyond it new ones are not noted until the next flush.
const maxUses = 1 << 18

// lastUse is when, for which service and where a key, user or role was last used.
type lastUse struct {
	At              time.Time
	Service, Region string
}

// usage is what was used since the last flush.
type usage struct {
	mu   sync.RWMutex
	uses map[useOf]*slot
}

type useOf struct{ account, id, service string }

// slot is written by every request that a principal makes, so without locks.
type slot struct {
	at     atomic.Int64 // Unix seconds
	region atomic.Pointer[string]
}

func newUsage() *usage { return &usage{uses: map[useOf]*slot{}} }

// note remembers that the principal was authenticated for the call that ctx belongs to.
func (s *Service) note(ctx context.Context, p *aws.Principal) {
	call := aws.CallFrom(ctx)
	if call.Op == nil || call.Op.Service == nil || p.Account == "" {
		return
	}
	now, service := s.now().Unix(), call.Op.Service.SigningName
	switch {
	case p.Session != nil && p.Session.IssuerID != "":
		s.used.set(useOf{p.Account, p.Session.IssuerID, service}, now, call.Region)
	case p.Type == aws.User || p.Type == aws.Root:
		s.used.set(useOf{p.Account, p.ID, service}, now, call.Region)
		if p.AccessKeyID != "" {
			s.used.set(useOf{p.Account, p.AccessKeyID, service}, now, call.Region)
		}
	}
}

func (u *usage) set(of useOf, now int64, region string) {
	u.mu.RLock()
	sl := u.uses[of]
	u.mu.RUnlock()
	if sl == nil {
		if sl = u.add(of); sl == nil {
			return
		}
	}
	if r := sl.region.Load(); r == nil || *r != region {
		sl.region.Store(&region)
	}
	if sl.at.Load() < now {
		sl.at.Store(now)
	}
}

func (u *usage) add(of useOf) *slot {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.uses[of] == nil && len(u.uses) < maxUses {
		u.uses[of] = &slot{}
	}
	return u.uses[of]
}

func (sl *slot) use(service string) lastUse {
	u := lastUse{At: time.Unix(sl.at.Load(), 0).UTC(), Service: service}
	if r := sl.region.Load(); r != nil {
		u.Region = *r
	}
	return u
}

// take empties the memory.
func (u *usage) take() map[useOf]*slot {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := u.uses
	u.uses = map[useOf]*slot{}
	return all
}

// Run keeps when keys, users and roles were last used, every minute and at the end. It returns when ctx is done.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := s.Flush(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "iam: last uses are not kept", "error", err)
			}
		case <-ctx.Done():
			return s.Flush(context.WithoutCancel(ctx))
		}
	}
}

// Flush makes what is known of uses durable.
func (s *Service) Flush(ctx context.Context) error {
	all := s.used.take()
	if len(all) == 0 {
		return nil
	}
	err := s.db.Update(ctx, func(tx store.Tx) error {
		for of, sl := range all {
			if _, err := lastUses.Put(tx, scope(of.account), store.Key(of.id, of.service), sl.use(of.service)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil { // keep them for the next time
		for of, sl := range all {
			u := sl.use("")
			s.used.set(of, u.At.Unix(), u.Region)
		}
	}
	return err
}

// usesOf are the last uses of a key, user or role by service.
func (s *Service) usesOf(ctx context.Context, account, id string) (map[string]lastUse, error) {
	all := map[string]lastUse{}
	s.used.mu.RLock()
	for of, sl := range s.used.uses {
		if of.account == account && of.id == id {
			all[of.service] = sl.use(of.service)
		}
	}
	s.used.mu.RUnlock()
	err := s.db.View(ctx, func(tx store.Tx) error {
		for row, err := range lastUses.Scan(tx, scope(account), store.Range{Prefix: store.Prefix(id)}) {
			if err != nil {
				return err
			}
			if u := row.Value; u.At.After(all[u.Service].At) {
				all[u.Service] = u
			}
		}
		return nil
	})
	return all, err
}

// lastUse is the last of all; zero if there was none.
func (s *Service) lastUse(ctx context.Context, account, id string) (last lastUse, err error) {
	all, err := s.usesOf(ctx, account, id)
	for _, u := range all {
		if u.At.After(last.At) {
			last = u
		}
	}
	return last, err
}
