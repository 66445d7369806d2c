package hostid

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// First is where ids begin, unless the operator says otherwise: beyond those of a host's users and of most containers.
const First = 2_000_000

// IDs are the host user and group ids of a driver's sandboxes: no two sandboxes have one at the same time, nor have two drivers on this
// host. Its methods are safe for concurrent use.
type IDs struct {
	lock int // a socket whose name says which block of ids is ours
	end  int
	each int

	mu   sync.Mutex
	next int
	free []int
}

// A block is enough for 16,384 sandboxes at a time.
const (
	idBlock  = 1 << 15
	idBlocks = 1000
)

// Open takes the first block, from first on, or First if that is zero, that no other driver has. Every sandbox gets so many of it. A block is taken by an abstract unix socket's name, which
// the kernel frees when the process dies.
func Open(first, each int) (*IDs, error) {
	if first <= 0 {
		first = First
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("take a block of user ids: %w", err)
	}
	for i := range idBlocks {
		start := first + i*idBlock
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@enfold-ids-%d", start)})
		if err == nil {
			return &IDs{lock: fd, next: start, end: start + idBlock, each: each}, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			break
		}
	}
	unix.Close(fd)
	return nil, fmt.Errorf("take a block of user ids from %d on: %w", first, err)
}

// Take is a sandbox's first id; those behind it are the caller's too, as many as Open was told.
func (s *IDs) Take() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		id := s.free[n-1]
		s.free = s.free[:n-1]
		return id, nil
	}
	if s.next+s.each > s.end {
		return 0, fmt.Errorf("all %d user ids for sandboxes are in use", idBlock)
	}
	id := s.next
	s.next += s.each
	return id, nil
}

// Put gives back what Take gave. Nothing that has one of these ids may be left on the host.
func (s *IDs) Put(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, id)
}

// Close lets others have the block.
func (s *IDs) Close() error { return unix.Close(s.lock) }
