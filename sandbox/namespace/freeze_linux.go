//go:build amd64 || arm64

package namespace

import (
	"fmt"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

var _ sandbox.Freezer = (*box)(nil)

// How long a sandbox should be idle before it is frozen: on cgroup v2 that costs some 10 µs, on v1 over 100, and as much again to
// go on.
const (
	freezeAfterV2 = 20 * time.Millisecond
	freezeAfterV1 = 200 * time.Millisecond
)

// FreezeAfter is 0 without a control group that can.
func (s *box) FreezeAfter() time.Duration {
	g := s.blank.group
	switch {
	case g == nil || !g.Freezes():
		return 0
	case g.Version() == 2:
		return freezeAfterV2
	}
	return freezeAfterV1
}

// Freeze stops every process, ours too.
func (s *box) Freeze() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.destroyed {
		return sandbox.ErrDestroyed
	}
	if err := s.blank.group.Freeze(true); err != nil {
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
	if err := s.blank.group.Freeze(false); err != nil {
		return fmt.Errorf("thaw sandbox %s: %w", s.spec.ID, err)
	}
	s.frozen = false
	return nil
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
