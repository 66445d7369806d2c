//go:build amd64 || arm64

package gvisor

import (
	"fmt"
	"time"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/gvisor/guest"
)

var _ sandbox.Freezer = (*box)(nil)

// How long a sandbox should be idle before it is frozen: by its control group where that can, else by signals, which take
// some hundred microseconds in gVisor.
const (
	freezeAfter = 20 * time.Millisecond
	stopAfter   = 200 * time.Millisecond
)

// FreezeAfter is how long it should be idle.
func (s *box) FreezeAfter() time.Duration {
	if s.group != nil && s.group.Freezes() {
		return freezeAfter
	}
	return stopAfter
}

// Freeze stops every process.
func (s *box) Freeze() error {
	s.starting.Lock()
	defer s.starting.Unlock()
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

// thaw lets the processes go on, if they stand still. The caller holds s.mu.
func (s *box) thaw() error {
	if !s.frozen {
		return nil
	}
	s.frozen = false
	if err := s.stop(false); err != nil {
		return fmt.Errorf("thaw sandbox %s: %w", s.spec.ID, err)
	}
	return nil
}

// stop stops gVisor as a whole where the host's cgroups can, else the function's processes by signals: orders are obeyed one after the
// other, so nobody waits for the answer. The caller holds s.mu.
func (s *box) stop(stop bool) error {
	if s.group != nil && s.group.Freezes() {
		return s.group.Freeze(stop)
	}
	k := guest.KindCont
	if stop {
		k = guest.KindStop
	}
	return s.engine.send(guest.Frame{Kind: k})
}

// Reclaim gives memory back.
func (s *box) Reclaim() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.destroyed || s.group == nil {
		return sandbox.ErrDestroyed
	}
	return s.group.Reclaim()
}
