//go:build amd64 || arm64

package namespace

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
)

var _ sandbox.Pinner = (*box)(nil)

// mostPinned is how many threads a sandbox may have to be pinned: there would be microseconds for each of them, at an invocation's expense.
const mostPinned = 64

// cores are those that this process may use, and what it starts.
var cores = sync.OnceValues(func() (set unix.CPUSet, err error) {
	err = unix.SchedGetaffinity(0, &set)
	return set, err
})

// Pin keeps every thread to a core, or to none.
func (s *box) Pin(core int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.destroyed:
		return sandbox.ErrDestroyed
	case s.blank.group == nil:
		return fmt.Errorf("%w: sandbox %s has no control group", sandbox.ErrUnsupported, s.spec.ID)
	}
	all, err := cores()
	if err != nil {
		return fmt.Errorf("%w: %w", sandbox.ErrUnsupported, err)
	}
	before, after := all, all
	if s.pinned {
		before = only(s.core)
	}
	if core != sandbox.AnyCore {
		if !all.IsSet(core) {
			return fmt.Errorf("%w: core %d is not ours", sandbox.ErrUnsupported, core)
		}
		after = only(core)
	}
	s.pinned, s.core = core != sandbox.AnyCore, core
	most := mostPinned
	if core == sandbox.AnyCore {
		most = math.MaxInt // none is to stay behind
	}
	if err := repin(s.blank.group.Threads, before, after, most); err != nil {
		return fmt.Errorf("pin sandbox %s: %w", s.spec.ID, err)
	}
	return nil
}

func only(core int) (set unix.CPUSet) {
	set.Set(core)
	return set
}

// passes is how often threads are looked for that were made meanwhile: a function may make them for ever.
const passes = 4

// repin moves the threads that may use the cores before to those after, unless there are more than most, and again while it finds new
// ones: a thread that is made meanwhile has its maker's, which may be those before.
func repin(threads func() ([]int, error), before, after unix.CPUSet, most int) error {
	seen := map[int]bool{}
	for range passes {
		all, err := threads()
		if err != nil {
			return err
		}
		if len(all) > most {
			return fmt.Errorf("%w: it has %d threads", sandbox.ErrUnsupported, len(all))
		}
		known := len(seen)
		for _, id := range all {
			if seen[id] {
				continue
			}
			seen[id] = true
			if err := move(id, before, after); err != nil {
				return err
			}
		}
		if len(seen) == known {
			break
		}
	}
	return nil
}

// move gives a thread other cores if it has not chosen its own. One that has chosen the very core to which it was pinned looks like all.
func move(thread int, before, after unix.CPUSet) error {
	var has unix.CPUSet
	err := unix.SchedGetaffinity(thread, &has)
	if err == nil && has == before {
		err = unix.SchedSetaffinity(thread, &after)
	}
	switch {
	case errors.Is(err, unix.ESRCH): // it has ended
		return nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: %w", sandbox.ErrUnsupported, err)
	}
	return err
}

// CPUTime is what its processes have used.
func (s *box) CPUTime() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.destroyed || s.blank.group == nil {
		return 0
	}
	used, _ := s.blank.group.CPUTime() // unknown is none
	return used
}
