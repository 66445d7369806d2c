package sandboxtest

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
)

// greeds are what a function can take as much of as it gets, and what the kernel counts by user. The release gives one back.
func greeds() map[string]func() (release func(), err error) {
	return map[string]func() (func(), error){
		"inotify instances": func() (func(), error) {
			fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
			return func() { unix.Close(fd) }, err
		},
		"message queues": func() (func(), error) {
			name := newID()
			attr := [8]int64{1: 10, 2: 8192} // as many and as long messages as an ordinary user may have
			fd, _, errno := syscall.Syscall6(unix.SYS_MQ_OPEN, str(name), unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600,
				uintptr(unsafe.Pointer(&attr[0])), 0, 0)
			if errno != 0 {
				return nil, errno
			}
			return func() {
				unix.Close(int(fd))
				syscall.Syscall(unix.SYS_MQ_UNLINK, str(name), 0, 0)
			}, nil
		},
		"timers": func() (func(), error) { // each holds a signal
			var id int32
			_, _, errno := syscall.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&id)))
			if errno != 0 {
				return nil, errno
			}
			return func() { syscall.Syscall(unix.SYS_TIMER_DELETE, uintptr(id), 0, 0) }, nil
		},
		"pipes": func() (func(), error) {
			var p [2]int
			if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
				return nil, err
			}
			_, err := unix.FcntlInt(uintptr(p[0]), unix.F_SETPIPE_SZ, 1<<20)
			return func() {
				unix.Close(p[0])
				unix.Close(p[1])
			}, err
		},
	}
}

// probeGrab takes as many of something as it is told, or gets, says how many that were, and keeps them.
func probeGrab(args []string) int {
	grab := greeds()[args[0]]
	most, err := strconv.Atoi(args[1])
	if grab == nil || err != nil {
		return fail(fmt.Errorf("cannot grab %v", args))
	}
	n := 0
	for n < most {
		if _, err = grab(); err != nil {
			break
		}
		n++
	}
	fmt.Println(n, err)
	time.Sleep(time.Minute)
	return 0
}

// testShares has one sandbox take all it gets of what the kernel counts by user, and then another, and the host, take a few: where
// each has a user id of its own, nobody lacks anything.
func testShares(t *testing.T, s *suite) {
	if !s.expect.OwnIDs {
		t.Skip("all sandboxes are one user of the host here: what the kernel counts by user, they share")
	}
	for name, grab := range greeds() {
		t.Run(name, func(t *testing.T) {
			greedy := s.create(t, nil)
			r := greedy.begin(greedy.command("grab", name, "200000"))
			for deadline := time.Now().Add(30 * time.Second); r.out.String() == ""; time.Sleep(time.Millisecond) {
				if s.expect.OwnKernel && r.isOver() && r.Exit().OOM {
					break // what its kernel keeps for it counts as its memory
				}
				if r.isOver() || time.Now().After(deadline) {
					t.Fatalf("the greedy one takes nothing: %s", r.err.String())
				}
			}
			t.Logf("the greedy one took %s", strings.TrimSpace(r.out.String()))
			other := s.create(t, func(spec *sandbox.Spec) { spec.Memory = 256 << 20 })
			if got := strings.TrimSpace(other.beginSleeping("grab", name, "3").out.String()); got != "3 <nil>" {
				t.Errorf("another sandbox took %s of 3", got)
			}
			release, err := grab()
			if err != nil {
				t.Fatalf("the host lacks %s: %v", name, err)
			}
			release()
		})
	}
}
