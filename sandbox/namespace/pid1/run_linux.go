package pid1

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A process is the first process. The goroutine of Main owns what is not below mu.
type process struct {
	sock     *socket
	stage    stage
	root     int         // O_PATH of the new root, until sealed
	user     bool        // see Enter.User
	hasRun   bool        // a process was started
	outside  bool        // root is an image and not entered yet, which nothing waits for but the next message
	oomScore int         // /proc/self/oom_score_adj
	filter   []byte      // of system calls
	confined chan func() // jobs of the confined thread, between Enter and seal

	mu      sync.Mutex
	started *sync.Cond
	pid     int // of the function's first process, 0 if none runs
	waiting bool
}

// start runs a process, and answers the driver's end of its channel if it wants one and can have it.
func (p *process) start(m Start, files []int) (channel []int, errno syscall.Errno) {
	var ends []int
	if m.Channel {
		var err error
		ends, err = NewChannel()
		m.Channel = err == nil
	}
	if !m.Channel {
		return nil, p.startStage(m, files)
	}
	defer syscall.Close(ends[1])
	if errno := p.startStage(m, append(files, ends[1])); errno != 0 {
		syscall.Close(ends[0])
		return nil, errno
	}
	return ends[:1], 0
}

// startStage runs a process the way that the stage wants. Before it is claimed it reads files[0]; after that its standard input is
// /dev/null. The last of the files is its channel if it has one.
func (p *process) startStage(m Start, files []int) syscall.Errno {
	own := 2
	if m.Channel {
		own = 3
	}
	if p.stage == entered && len(files) == own+1 {
		return p.startConfined(m, files, unix.CLONE_FS)
	}
	if p.stage < claimed || len(files) != own {
		return syscall.EINVAL
	}
	null, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return errnoOf(err)
	}
	defer syscall.Close(null)
	files = append([]int{null}, files...)
	if p.stage == claimed {
		return p.startConfined(m, files, 0)
	}
	return p.spawn(m, files, 0)
}

// spawn runs a process, in a session of its own.
func (p *process) spawn(m Start, files []int, flags uintptr) syscall.Errno {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid != 0 || len(m.Args) == 0 {
		return syscall.EBUSY
	}
	attr := &syscall.ProcAttr{
		Dir: m.Dir,
		Env: m.Env,
		Sys: &syscall.SysProcAttr{Setsid: true, Cloneflags: flags},
	}
	for _, fd := range files {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	if p.user {
		attr.Sys.Credential = &syscall.Credential{Uid: UID, Gid: GID}
	}
	program, errno := find(m.Args[0], m.Dir, m.Env)
	if errno != 0 {
		return errno
	}
	// The function goes first when memory is short, here or on the whole machine: its score is inherited.
	p.setOOMScore("500")
	pid, err := syscall.ForkExec(program, m.Args, attr)
	p.setOOMScore("0")
	if err != nil {
		var st syscall.Stat_t
		if err := syscall.Stat(m.Dir, &st); err != nil {
			return errnoOf(err) | OfDir
		}
		return errnoOf(err)
	}
	p.pid = pid
	return 0
}

func (p *process) setOOMScore(score string) {
	if p.oomScore > 0 {
		syscall.Pwrite(p.oomScore, []byte(score), 0)
	}
}

func errnoOf(err error) syscall.Errno {
	if errno, ok := err.(syscall.Errno); ok {
		return errno
	}
	return syscall.EIO
}

// watch lets the reaper wait for what start has started. Not before Started is sent, so that Exited comes after it.
func (p *process) watch(errno syscall.Errno) {
	if errno != 0 {
		return
	}
	p.mu.Lock()
	p.waiting = true
	p.mu.Unlock()
	p.started.Signal()
}

func (p *process) startReaper() {
	p.started = sync.NewCond(&p.mu)
	go p.reap()
}

// reap waits for the function's processes: orphans come to us. When the first one ends, the rest is killed.
func (p *process) reap() {
	for {
		p.mu.Lock()
		for !p.waiting {
			p.started.Wait()
		}
		pid := p.pid
		p.mu.Unlock()

		status, ok := waitFor(pid)
		killAll()
		waitFor(0)
		if !ok {
			syscall.Exit(1) // somebody else has reaped it: our state is wrong, so the sandbox ends
		}
		p.mu.Lock()
		p.pid, p.waiting = 0, false
		p.mu.Unlock()
		p.sock.send(KindExited, MarshalUint(uint64(status)))
	}
}

// waitFor reaps until pid has ended, or for pid 0 until no child is left.
func waitFor(pid int) (syscall.WaitStatus, bool) {
	for {
		var ws syscall.WaitStatus
		got, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, false
		case got == pid:
			return ws, true
		}
	}
}

// killAll kills every process of the pid namespace but this one. The kernel walks all of them under the lock that fork needs
// too, and a fork that is under way fails because of the signal: none gets away.
func killAll() { syscall.Kill(-1, syscall.SIGKILL) }

func (p *process) terminate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid != 0 {
		syscall.Kill(p.pid, syscall.SIGTERM)
	}
}
