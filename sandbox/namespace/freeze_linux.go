//go:build amd64 || arm64

package namespace

import (
	"fmt"
	"time"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/namespace/pid1"
)

var _ sandbox.Freezer = (*box)(nil)

// How long a sandbox should be idle before it is frozen: a control group takes some 10 µs, and signals by the first process,
// where there is none that can, some 50 µs each way.
const (
	freezeAfter = 20 * time.Millisecond
	stopAfter   = 100 * time.Millisecond
)

// FreezeAfter is how long it should be idle.
func (s *box) FreezeAfter() time.Duration {
	if s.freezes() {
		return freezeAfter
	}
	return stopAfter
}

func (s *box) freezes() bool {
	g := s.blank.group
	return g != nil && g.Freezes()
}

// Freeze stops every process.
func (s *box) Freeze() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.destroyed {
		return sandbox.ErrDestroyed
	}
	if err := s.stop(true); err != nil {
		return fmt.Errorf("freeze sandbox %s: %w", s.spec.ID, err)
	}
	s.frozen = true
	return nil
}

// Thaw lets them go on.
func (s *box) Thaw() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.thaw()
}

// thaw is for whoever holds s.mu and wants something of the processes.
func (s *box) thaw() error {
	if !s.frozen {
		return nil
	}
	if err := s.stop(false); err != nil {
		return fmt.Errorf("thaw sandbox %s: %w", s.spec.ID, err)
	}
	s.frozen = false
	return nil
}

// stop stops all or lets them go on.
func (s *box) stop(stop bool) error {
	if s.freezes() {
		return s.blank.group.Freeze(stop)
	}
	kind := pid1.KindCont
	if stop {
		kind = pid1.KindStop
	}
	return s.blank.control.send(kind, nil)
}

// Reclaim gives memory back.
func (s *box) Reclaim() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.destroyed || s.blank.group == nil {
		return sandbox.ErrDestroyed
	}
	return s.blank.group.Reclaim()
}
