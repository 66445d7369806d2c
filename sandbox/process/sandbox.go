package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/enfold-run/enfold/sandbox"
)

// A box is a sandbox.
type box struct {
	d        *Driver
	spec     sandbox.Spec
	dir      string
	listener net.Listener

	mu        sync.Mutex
	process   *process // the last one
	usage     sandbox.Usage
	destroyed bool

	once       sync.Once
	destroyErr error
}

func (s *box) tmp() string { return filepath.Join(s.dir, "tmp") }

// marker is in the environment of every process of the sandbox, and of no other.
func (s *box) marker() string { return "TMPDIR=" + s.tmp() }

// Listener listens on 127.0.0.1.
func (s *box) Listener() net.Listener { return s.listener }

// Endpoint is the listener's address.
func (s *box) Endpoint() string { return s.listener.Addr().String() }

// APIListener is nil: a function is in the server's own network.
func (s *box) APIListener() net.Listener { return nil }

// APIEndpoint is empty.
func (s *box) APIEndpoint() string { return "" }

// Path is where on the host a function finds what is mounted at target, or below it, and /tmp.
func (s *box) Path(target string) string {
	if rest, ok := below(target, "/tmp"); ok {
		return filepath.Join(s.tmp(), rest)
	}
	best, path := -1, target
	for _, m := range s.spec.Mounts {
		if rest, ok := below(target, m.Target); ok && len(m.Target) >= best {
			best, path = len(m.Target), filepath.Join(m.Source, rest)
		}
	}
	return path
}

// below is target without dir, if it is dir or below it.
func below(target, dir string) (string, bool) {
	rest, ok := strings.CutPrefix(target, dir)
	return rest, ok && (rest == "" || rest[0] == '/')
}

// Start runs a process, with TMPDIR in its environment.
func (s *box) Start(ctx context.Context, cmd sandbox.Command) (sandbox.Process, error) {
	defer func() {
		for _, f := range []*os.File{cmd.Stdout, cmd.Stderr} {
			if f != nil {
				f.Close()
			}
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	err := ctx.Err()
	switch {
	case err != nil:
	case s.destroyed:
		err = sandbox.ErrDestroyed
	case len(cmd.Args) == 0:
		err = errors.New("no command")
	case s.process != nil && !s.process.isDone():
		err = errors.New("one is running")
	}
	if err != nil {
		return nil, fmt.Errorf("start a process in sandbox %s: %w", s.spec.ID, err)
	}
	cmd.Env = append(slices.Clone(cmd.Env), s.marker()) // the last of equal names counts
	s.process = start(s, cmd)
	return s.process, nil
}

// EndInit does nothing: there is no limit.
func (s *box) EndInit() {}

// Usage counts first processes only, and what their dead children used.
func (s *box) Usage() sandbox.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.usage
	if p := s.process; p != nil && p.proc != nil && !p.isDone() {
		u.MaxMemory = max(u.MaxMemory, peakMemory(p.proc.Pid))
	}
	return u
}

// MaxMemory is Usage's.
func (s *box) MaxMemory() int64 { return s.Usage().MaxMemory }

// used adds what a dead process has used.
func (s *box) used(st *os.ProcessState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usage.CPUTime += st.UserTime() + st.SystemTime()
	s.usage.MaxMemory = max(s.usage.MaxMemory, maxRSS(st))
}

// Destroy kills what runs and removes the directory.
func (s *box) Destroy() error {
	s.once.Do(func() {
		s.mu.Lock()
		s.destroyed = true
		p := s.process
		s.mu.Unlock()
		if p != nil {
			p.Kill()
			<-p.done
		}
		s.listener.Close() // after the process: it would say in the function's log that it lost its connection
		if s.destroyErr = os.RemoveAll(s.dir); s.destroyErr != nil {
			s.destroyErr = fmt.Errorf("destroy sandbox %s: %w", s.spec.ID, s.destroyErr)
		}
		s.d.forget(s)
	})
	return s.destroyErr
}
