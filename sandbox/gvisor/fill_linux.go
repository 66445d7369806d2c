//go:build amd64 || arm64

package gvisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox/gvisor/guest"
	"github.com/enfold-run/enfold/sandbox/namespace/cgroup"
)

// What a sandbox may have beyond its Spec. Our first process has threads; gVisor keeps a process of the host and some threads for every
// process of the function, memory to keep account of them, and time to serve it.
const (
	guestPids    = 16
	hostPids     = 512
	hostPerPid   = 4
	engineMemory = 32 << 20
	engineCPU    = 100 // thousandths of a core, for gVisor's own threads
)

// fill makes everything of a sandbox. What it has made when it fails, remove removes.
func (s *box) fill(ctx context.Context, from image) (err error) {
	if s.id, err = s.d.ids.Take(); err != nil {
		return err
	}
	if s.keeper, err = newKeeper(); err != nil {
		return err
	}
	if s.d.tree != nil {
		if s.group, err = s.d.tree.New(s.d.nextName()); err != nil {
			return err
		}
		if from.ahead {
			if err := s.group.Weigh(cgroup.Least); err != nil {
				return err
			}
		}
	}
	if err := s.build(); err != nil {
		return err
	}
	if from.dir != "" {
		if err := s.mountImage(from); err != nil {
			return err
		}
	}
	return s.run(ctx, from)
}

// build makes the file system.
func (s *box) build() error {
	mounts, err := s.openMounts()
	defer func() { closeAll(mounts) }()
	if err != nil {
		return err
	}
	layers, err := s.openLayers()
	defer func() { closeAll(layers) }()
	if err != nil {
		return err
	}
	var programs []string
	if s.spec.Root == nil {
		for _, m := range s.d.base {
			if slices.Contains(hostDirs, m.Target) {
				programs = append(programs, m.Target)
			}
		}
	}
	config, err := newBundle(s.id, s.spec.Tmp, programs)
	if err != nil {
		return err
	}
	return s.keeper.do(func() error {
		build := s.d.buildRoot
		if layers != nil {
			build = func() error { return s.d.buildImage(layers, mounts) }
		}
		if err := build(); err != nil {
			return fmt.Errorf("build the file system: %w", err)
		}
		for _, m := range mounts {
			if err := attach(m.fd, m.target); err != nil {
				return err
			}
		}
		return os.WriteFile(bundleDir+"/config.json", config, 0o600)
	})
}

// A mount is a detached one, and where it is to go.
type mount struct {
	fd     int
	target string
}

func closeAll(mounts []mount) {
	for _, m := range mounts {
		unix.Close(m.fd)
	}
}

// openMounts opens the Spec's mounts in the host's mount namespace.
func (s *box) openMounts() (mounts []mount, err error) {
	for _, m := range s.spec.Mounts {
		fd, err := openTree(m.Source)
		if errors.Is(err, unix.ENOENT) && m.Optional {
			continue
		}
		if err != nil {
			return mounts, fmt.Errorf("mount %s: %w", m.Source, err)
		}
		mounts = append(mounts, mount{fd, m.Target})
	}
	return mounts, nil
}

// run starts a gVisor and sets the limits.
func (s *box) run(ctx context.Context, from image) error {
	e, err := s.d.startEngine(ctx, s.keeper, from, func(pid int) error {
		if s.group == nil {
			return nil
		}
		return s.group.Add(pid)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.engine = e
	if p := s.process; from.dir != "" && p != nil {
		p.engine = e
	}
	s.mu.Unlock()
	go s.listen(e)
	return s.limit(from)
}

// limit sets the limits of the Spec. What gVisor has taken by now is not the function's.
func (s *box) limit(from image) error {
	if err := s.limitPids(); err != nil {
		return err
	}
	if s.group == nil {
		return nil
	}
	base := from.stored.Base
	if from.dir == "" {
		var err error
		if base, err = s.group.Current(); err != nil {
			return fmt.Errorf("read the memory in use: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = base
	return s.limitHost()
}

// limitHost sets the limits of the host's. The caller holds s.mu.
func (s *box) limitHost() error {
	if s.group == nil {
		return nil
	}
	l := cgroup.Limits{Memory: s.spec.Memory + s.base + engineMemory, Pids: hostPids + hostPerPid*s.spec.Pids}
	if err := s.group.Limit(l); err != nil {
		return err
	}
	s.throttled = false
	return s.group.LimitCPU(0) // until EndInit
}

func (s *box) limitPids() error {
	err := s.ask(guest.Frame{Kind: guest.KindLimit, Body: guest.Number(uint32(s.spec.Pids + guestPids))})
	if err != nil {
		return fmt.Errorf("limit the number of processes: %w", err)
	}
	return nil
}

// ask says something to the first process, and more after it, and waits for the answer to the first.
func (s *box) ask(f ...guest.Frame) error {
	s.mu.Lock()
	e := s.engine
	s.mu.Unlock()
	if err := e.send(f...); err != nil {
		return err
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case errno := <-s.answers:
		if errno != 0 {
			return errno
		}
		return nil
	case <-late.C:
		e.kill()
		return fmt.Errorf("no answer within %v", patience)
	case <-e.gone:
		return errGone
	}
}

// revive starts another gVisor if the one before has gone.
func (s *box) revive(ctx context.Context) error {
	s.mu.Lock()
	e, p, destroyed := s.engine, s.process, s.destroyed
	s.mu.Unlock()
	if destroyed {
		return nil // prepare says so
	}
	select {
	case <-e.gone:
	default:
		return nil
	}
	if p != nil {
		<-p.done
	}
	err := s.keeper.do(func() error {
		if _, err := os.Stat("/proc/thread-self"); err != nil { // it is that of the pid namespace which has gone
			_ = unix.Unmount("/proc", unix.MNT_DETACH)
		}
		_ = unix.Unmount(stateDir+"/null-netns", unix.MNT_DETACH) // gVisor's, if it got as far
		return errors.Join(os.RemoveAll(stateDir), os.Mkdir(stateDir, 0o755))
	})
	if err != nil {
		return err
	}
	return s.run(ctx, image{})
}

// remove removes all there is of the sandbox. It is gone when remove returns without error.
func (s *box) remove() error {
	var errs []error
	s.mu.Lock()
	e := s.engine
	s.mu.Unlock()
	if e != nil {
		if s.group != nil {
			errs = append(errs, s.group.LimitCPU(0)) // what is to die needs the processor for that
		}
		e.kill()
		select {
		case <-e.gone:
		case <-time.After(patience):
			errs = append(errs, fmt.Errorf("gVisor, process %d, does not die", e.process.Pid))
		}
	}
	if s.keeper != nil {
		s.keeper.close()
	}
	if s.group != nil {
		errs = append(errs, s.group.Remove())
	}
	// An id is used again only if nothing can be left that has it.
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("destroy a sandbox: %w", err)
	}
	if s.id != 0 {
		s.d.ids.Put(s.id)
	}
	return nil
}
