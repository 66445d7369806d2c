package pid1

import (
	"errors"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A stage is how far a sandbox has come.
type stage byte

const (
	blank   stage = iota
	entered       // in its root; what its owner has may still be mounted
	claimed       // with all that it has; a process may have been started by the confined thread
	sealed        // this process has no right left to change anything, and starts further processes itself
)

// hostDir is where the host's root stays until Claim if the driver cannot open what is to be mounted itself.
const hostDir = "/mnt"

// taskDir is where a function starts.
const taskDir = "/var/task"

// enter makes the new root the root, and readies the thread that starts the first process.
func (p *process) enter(m Enter) error {
	if p.stage != blank {
		return syscall.EALREADY
	}
	p.user, p.filter = m.User, m.Filter
	if err := p.enterRoot(); err != nil {
		return err
	}
	syscall.Umask(0o022)
	// One byte is too little for a core dump, and the one limit by which the kernel does not run the host's crash handler either. The
	// filter sees to it that it stays.
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: 1, Max: 1}); err != nil {
		return failed(err, "forbid core dumps")
	}
	if err := dropBounding(); err != nil {
		return err
	}
	dieWithServer()
	p.startReaper()
	if err := p.startConfine(); err != nil {
		return err
	}
	p.stage = entered
	return nil
}

// startConfine readies the thread that starts the first process.
func (p *process) startConfine() error {
	p.confined = make(chan func())
	ready := make(chan error)
	go p.confine(ready, p.confined)
	return <-ready
}

// enterRoot makes the new root the root and lets go of the host's, or keeps it in hostDir where an ordinary user's driver leaves
// it to us to open what is to be mounted.
func (p *process) enterRoot() error {
	if err := unix.Fchdir(p.root); err != nil {
		return failed(err, "enter the root")
	}
	old := "."
	if !p.user {
		old = hostDir[1:]
	}
	if err := unix.PivotRoot(".", old); err != nil {
		return failed(err, "pivot_root")
	}
	if p.user { // both roots are now at "/"; the one on top is the host's
		if err := leaveHost("."); err != nil {
			return err
		}
	}
	return failed(unix.Chdir("/"), "enter the root")
}

func leaveHost(at string) error {
	return failed(unix.Unmount(at, unix.MNT_DETACH), "unmount the host's root")
}

// confine is the thread that starts the first process: it has no right left, while the others may still mount, so the process
// is as confined as it will ever be, whenever it is started. The thread ends with the goroutine.
func (p *process) confine(ready chan<- error, jobs <-chan func()) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() { // Go never ends its first thread: it is held here until another one has taken the task
		taken := make(chan error)
		go p.confine(taken, jobs)
		ready <- <-taken
		runtime.UnlockOSThread()
		return
	}
	err := seclude()
	if err == nil {
		err = dropBounding()
	}
	if err == nil {
		err = p.dropRights(thisThread)
	}
	if err == nil {
		err = restrict()
	}
	if err == nil {
		err = setFilter(p.filter, 0)
	}
	ready <- err
	for job := range jobs {
		job()
	}
}

// startConfined runs a process on the confined thread.
func (p *process) startConfined(m Start, files []int, flags uintptr) syscall.Errno {
	errno := make(chan syscall.Errno)
	p.confined <- func() { errno <- p.spawn(m, files, flags) }
	return <-errno
}

// mount mounts more.
func (p *process) mount(m Mounts, files []int) error {
	if p.stage != entered {
		return syscall.EALREADY
	}
	if !p.user {
		for _, ops := range [][]Op{m.Image, m.Ops} {
			for i := range ops {
				if ops[i].Kind == OpBind && ops[i].File < 0 {
					ops[i].Source = hostDir + ops[i].Source
				}
			}
		}
	}
	if len(m.Image) > 0 {
		if err := p.mountImage(m, files); err != nil {
			return err
		}
	}
	if err := p.build(m.Ops, files); err != nil {
		return err
	}
	if m.Files == 0 {
		return nil
	}
	limit := syscall.Rlimit{Cur: uint64(m.Files), Max: uint64(m.Files)}
	return failed(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit), "limit open files")
}

// claim mounts what the sandbox's owner has, and takes the process there that may wait for it: it shares its current directory
// with us. The root is read-only from then on.
func (p *process) claim(m Mounts, files []int) error {
	if err := p.mount(m, files); err != nil {
		return err
	}
	ro := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	if err := unix.MountSetattr(p.root, "", unix.AT_EMPTY_PATH, &ro); err != nil {
		return failed(err, "make the root read-only")
	}
	if len(m.Image) > 0 {
		p.stage, p.outside = claimed, true
		return nil
	}
	if err := unix.Chdir(taskDir); err != nil {
		return failed(err, "enter", taskDir)
	}
	if !p.user {
		if err := leaveHost(hostDir); err != nil {
			return err
		}
	}
	p.stage = claimed
	return nil
}

// configure hands a process that waits its configuration over. The driver need not be told first that all is mounted: that would
// cost the function two changes of tasks.
func (p *process) configure(config []byte, files []int) {
	if p.stage == claimed && p.hasRun && len(files) == 1 {
		for len(config) > 0 {
			n, err := syscall.Write(files[0], config)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			if err != nil {
				break // it is dead, which is told
			}
			clear(config[:n]) // there are secrets in it
			config = config[n:]
		}
	}
	clear(config)
	closeAll(files)
	if p.stage == claimed && p.hasRun {
		p.seal()
	}
}

// sealAfter is how long the function has the processor for itself.
const sealAfter = 5 * time.Millisecond

// seal gives up every right to change anything. The function may run by then: nothing of it can reach this process, which is our
// own code, so it need not wait. A first process that cannot do it ends, and the sandbox with it.
func (p *process) seal() {
	// The function that starts now needs the processor more. A sleep of Go's would wake threads up to sleep.
	syscall.Nanosleep(&syscall.Timespec{Nsec: int64(sealAfter)}, nil)
	close(p.confined)
	syscall.Close(p.root)
	err := failed(unix.Unshare(unix.CLONE_FS), "have a current directory of our own")
	if err == nil {
		err = onAllThreads(p.dropRights)
	}
	if err == nil {
		err = restrict()
	}
	if err == nil {
		err = p.filterAll()
	}
	if err != nil {
		syscall.Exit(1)
	}
	p.stage = sealed
}

// filterAll puts the system call filter on all threads. The confined one, which has one of its own, may take a moment to end.
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
