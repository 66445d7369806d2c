package sqlite

import (
	"errors"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// newSync is a function that makes what was written to a file durable, and as much about the file as is needed to read it. It is for one
// caller at a time.
func newSync() func(*os.File) error { return new(syncer).sync }

// syncer syncs without waiting for more than the disk. The server's threads wait for their turn when they wake up (SCHED_BATCH). A
// sync sleeps three times, and where others compute on every core each turn takes milliseconds: a send to a queue took 12 ms there, and
// takes 0.2. So once a sync took long, those after it are done by a thread that need not wait. Not all, because to change what a
// thread is takes a hundredth of a quick sync.
type syncer struct {
	attentive int // so many syncs to come
}

const (
	slowSync     = time.Millisecond
	attentiveFor = 1000
)

func (s *syncer) sync(f *os.File) error {
	if s.attentive > 0 {
		s.attentive--
		return attentively(func() error { return dataSync(f) })
	}
	began := time.Now()
	err := dataSync(f)
	if time.Since(began) > slowSync {
		s.attentive = attentiveFor
	}
	return err
}

func dataSync(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// attentively runs fn on a thread that goes on as soon as what it waits for is there.
func attentively(fn func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	was, err := unix.SchedGetAttr(0, 0)
	if err != nil || was.Policy != unix.SCHED_BATCH {
		return fn()
	}
	if unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: was.Nice}, 0) == nil {
		defer func() {
			// A policy that may be left may be taken up again. If not, this thread wakes up sooner than others.
			_ = unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_BATCH, Nice: was.Nice}, 0)
		}()
	}
	return fn()
}
