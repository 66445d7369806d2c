//go:build amd64 || arm64

package gvisor

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// ids are the host user ids of sandboxes: no two sandboxes have one at the same time, nor have two drivers on this host.
type ids struct {
	lock int // a socket whose name says which block of ids is ours
	end  int

	mu   sync.Mutex
	next int
	free []int
}

// A block is as long as the namespace driver's: both take from the same range.
const (
	idBlock  = 1 << 15
	idBlocks = 1000
)

// newIDs takes the first block, from first on, that no other driver has. A block is taken by an abstract unix socket's name, which
// the kernel frees when the process dies.
func newIDs(first int) (*ids, error) {
	if first <= 0 {
		first = defaultID
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("take a block of user ids: %w", err)
	}
	for i := range idBlocks {
		start := first + i*idBlock
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@enfold-ids-%d", start)})
		if err == nil {
			return &ids{lock: fd, next: start, end: start + idBlock}, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			break
		}
	}
	unix.Close(fd)
	return nil, fmt.Errorf("take a block of user ids from %d on: %w", first, err)
}

// take is an id.
func (s *ids) take() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		id := s.free[n-1]
		s.free = s.free[:n-1]
		return id, nil
	}
	if s.next >= s.end {
		return 0, fmt.Errorf("all %d user ids for sandboxes are in use", idBlock)
	}
	id := s.next
	s.next++
	return id, nil
}

func (s *ids) put(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, id)
}

func (s *ids) close() error { return unix.Close(s.lock) }
