package image

import (
	"context"
	"sync"
)

// places bounds how many pulls go on at a time, and how many of them for one owner: a registry that is slow on purpose holds up its
// owner alone.
type places struct {
	all      chan struct{}
	perOwner int

	mu     sync.Mutex
	owners map[string]*ownerPlaces
}

type ownerPlaces struct {
	places chan struct{}
	users  int
}

func newPlaces(all, perOwner int) *places {
	return &places{all: make(chan struct{}, all), perOwner: perOwner, owners: map[string]*ownerPlaces{}}
}

// enter waits for a place; leave gives it back.
func (p *places) enter(ctx context.Context, owner string) (leave func(), err error) {
	p.mu.Lock()
	o := p.owners[owner]
	if o == nil {
		o = &ownerPlaces{places: make(chan struct{}, p.perOwner)}
		p.owners[owner] = o
	}
	o.users++
	p.mu.Unlock()
	forget := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if o.users--; o.users == 0 {
			delete(p.owners, owner)
		}
	}
	for i, c := range []chan struct{}{o.places, p.all} {
		select {
		case c <- struct{}{}:
		case <-ctx.Done():
			if i > 0 {
				<-o.places
			}
			forget()
			return nil, context.Cause(ctx)
		}
	}
	return func() { <-p.all; <-o.places; forget() }, nil
}

// only lets one caller at a time do what has this name.
func (s *Store) only(ctx context.Context, name string) (leave func(), err error) {
	for {
		s.mu.Lock()
		busy, ok := s.alone[name]
		if !ok {
			done := make(chan struct{})
			s.alone[name] = done
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				delete(s.alone, name)
				s.mu.Unlock()
				close(done)
			}, nil
		}
		s.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
