package pid1

import (
	"errors"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// hostDir is where the host's root stays between Enter and Claim if the driver cannot open what is to be mounted itself.
const hostDir = "/mnt"

// enter builds what is known ahead and goes in. The right to mount the rest is kept until claim.
func (p *process) enter(m Seal, files []int) error {
	if p.stage != blank {
		return syscall.EALREADY
	}
	if err := p.build(m.Ops, files); err != nil {
		return err
	}
	if err := p.enterAhead(m.User); err != nil {
		return err
	}
	if err := p.limit(m); err != nil {
		return err
	}
	if err := dropBounding(); err != nil {
		return err
	}
	dieWithServer()
	p.filter = m.Filter
	p.stage = entered
	p.startReaper()
	return nil
}

// enterAhead makes the new root the root and keeps the host's where an ordinary user's driver leaves it to us to open what is
// to be mounted.
func (p *process) enterAhead(privileged bool) error {
	if !privileged {
		if err := p.enterRoot(hostDir[1:]); err != nil {
			return err
		}
		return failed(unix.Chdir("/"), "enter the root")
	}
	if err := p.enterRoot("."); err != nil {
		return err
	}
	return leaveHost(".")
}

// startAhead runs a process before it is known whose it will be. Files are its descriptors 0, 1 and 2. It is started by a thread
// that has no right left, while the others may still mount: so it is as confined as it will ever be.
//
// It shares its current directory with us: that is how it gets into a directory that is mounted only when it already runs.
func (p *process) startAhead(m Start, files []int) syscall.Errno {
	errno := make(chan syscall.Errno)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err := p.confineThread(); err != nil {
			errno <- errnoOf(errors.Unwrap(err))
			return
		}
		errno <- p.spawn(m, files, unix.CLONE_FS)
	}()
	return <-errno
}

func (p *process) confineThread() error {
	if err := dropBounding(); err != nil {
		return err
	}
	if err := p.dropRights(thisThread); err != nil {
		return err
	}
	return setFilter(p.filter, 0)
}

// claim mounts what the sandbox's owner has and takes the process there.
func (p *process) claim(m Seal, files []int) error {
	if p.stage != entered {
		return syscall.EALREADY
	}
	if !m.User {
		m.Ops = fromHostDir(m.Ops)
	}
	if err := p.build(m.Ops, files); err != nil {
		return err
	}
	if err := unix.Chdir(taskDir); err != nil {
		return failed(err, "enter", taskDir)
	}
	if !m.User {
		if err := unix.Unmount(hostDir, unix.MNT_DETACH); err != nil {
			return failed(err, "unmount the host's root")
		}
	}
	p.stage = sealed
	return nil
}

// taskDir is where a function starts.
const taskDir = "/var/task"

func fromHostDir(ops []Op) []Op {
	for i := range ops {
		if ops[i].Kind == OpBind && ops[i].File < 0 {
			ops[i].Source = hostDir + ops[i].Source
		}
	}
	return ops
}

// finishClaim gives up every right to change anything. The function may run by then: nothing of it can reach this process,
// which is our own code, so it need not wait. A first process that cannot do it ends, and the sandbox with it.
func (p *process) finishClaim() {
	syscall.Close(p.root)
	err := failed(unix.Unshare(unix.CLONE_FS), "have a current directory of our own")
	if err == nil {
		err = onAllThreads(p.dropRights)
	}
	if err == nil {
		err = p.filterAll()
	}
	if err != nil {
		syscall.Exit(1)
	}
}

// filterAll puts the system call filter on all threads. The one that has started the process, with a filter of its own, may take
// a moment to end.
func (p *process) filterAll() (err error) {
	for range 10_000 {
		err = setFilter(p.filter, unix.SECCOMP_FILTER_FLAG_TSYNC)
		if !errors.Is(err, errThread) {
			break
		}
		time.Sleep(100 * time.Microsecond)
	}
	return err
}
