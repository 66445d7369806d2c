package guest

import (
	"bufio"
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Who a function is, as on AWS. The driver's /etc/passwd says the same.
const (
	UID = 993
	GID = 990
)

// Main is the first process. It returns when the driver has closed its pipe.
func Main() int {
	if os.Getpid() != 1 {
		os.Stderr.WriteString("this is the first process of a sandbox; only a server starts it\n")
		return 2
	}
	g := &guest{processes: map[uint32]*process{}}
	g.changed = sync.NewCond(&g.mu)
	if err := prepare(); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		return 3
	}
	if err := g.newSpawner(); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		return 4
	}
	g.send(Frame{Kind: KindHello, Body: Number(Version)})
	r := bufio.NewReaderSize(os.NewFile(0, "orders"), 4096)
	for {
		f, err := Read(r)
		if err != nil {
			return 0
		}
		g.handle(f)
	}
}

// prepare shuts out what a function could do to the first process: signals without a handler do not reach it, and Go's runtime has
// handlers for all. It keeps the two that the runtime needs.
func prepare() error {
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		switch sig {
		case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGURG, 32, 33, 34:
		default:
			ignoreDefault(sig)
		}
	}
	syscall.CloseOnExec(0)
	syscall.CloseOnExec(1)
	syscall.CloseOnExec(2)
	syscall.Umask(0o022)
	for _, device := range []string{"/dev/fuse", "/dev/char"} { // gVisor's own, which no function needs
		if err := os.RemoveAll(device); err != nil {
			return err
		}
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

// A guest is the first process.
type guest struct {
	jobs  chan func() // for the thread that starts processes
	spent bool        // that thread shares its directory with a process

	out sync.Mutex // held to write a frame

	mu      sync.Mutex
	changed *sync.Cond
	process *process // the last one, nil before the first
	// processes are those whose output has not ended: beside the last one, those before it whose readers are slow.
	processes map[uint32]*process
}

// A process is the function's, with its output.
type process struct {
	number uint32
	pid    int // 0 once it is reaped
	credit int // bytes of output that may be sent
	stdin  *os.File
	input  chan []byte // what is to go to stdin, nil if there is none

	streams []*stream
}

func (g *guest) send(f Frame) {
	g.out.Lock()
	defer g.out.Unlock()
	for b := f.Append(nil); len(b) > 0; {
		n, err := syscall.Write(1, b)
		if err == syscall.EINTR || err == syscall.EAGAIN {
			continue
		}
		if err != nil {
			os.Exit(0) // the driver is gone
		}
		b = b[n:]
	}
}

func (g *guest) answer(k Kind, process uint32, err error) {
	errno := syscall.Errno(0)
	if err != nil {
		errno = syscall.EIO
		errors.As(err, &errno)
	}
	g.send(Frame{Kind: k, Process: process, Body: Number(uint32(errno))})
}

// handle does what a frame says.
func (g *guest) handle(f Frame) {
	switch f.Kind {
	case KindStart:
		g.start(f)
	case KindKill:
		syscall.Kill(-1, syscall.SIGKILL)
	case KindTerm:
		g.mu.Lock()
		defer g.mu.Unlock()
		if p := g.process; p != nil && p.number == f.Process && p.pid != 0 {
			syscall.Kill(p.pid, syscall.SIGTERM)
		}
	case KindCredit:
		if n, err := f.Number(); err == nil {
			g.lend(f.Process, int(n))
		}
	case KindInput:
		g.mu.Lock()
		p := g.processes[f.Process]
		g.mu.Unlock()
		if p != nil && p.input != nil {
			p.input <- f.Body
		}
	case KindStop:
		syscall.Kill(-1, syscall.SIGSTOP)
	case KindCont:
		syscall.Kill(-1, syscall.SIGCONT)
	case KindLimit:
		n, err := f.Number()
		if err == nil {
			err = limitProcesses(int(n))
		}
		g.answer(KindDone, 0, err)
	case KindFlush:
		g.flush(f)
	case KindEnter:
		g.answer(KindDone, 0, g.enter(string(f.Body)))
	}
}

// enter changes the directory of the spawner's thread, which it shares with the process that it has started. The next process is
// started on another thread, which is made then: now somebody waits.
func (g *guest) enter(dir string) error {
	g.spent = true
	return g.run(func() error { return syscall.Chdir(dir) })
}

// start runs a process.
func (g *guest) start(f Frame) {
	var s Start
	if err := s.Unmarshal(f.Body); err != nil || len(s.Args) == 0 {
		g.answer(KindStarted, f.Process, syscall.EINVAL)
		return
	}
	files, err := openFiles(s)
	if err != nil {
		files.close()
		g.answer(KindStarted, f.Process, err)
		return
	}
	pid, err := g.spawn(s, files)
	files.closeTheirs()
	if err != nil {
		files.close()
		g.answer(KindStarted, f.Process, err)
		return
	}
	p := &process{number: f.Process, pid: pid, credit: Window, stdin: files.stdin, streams: files.streams()}
	if p.stdin != nil {
		p.input = make(chan []byte, 8)
		go p.feed()
	}
	g.mu.Lock()
	g.process, g.processes[p.number] = p, p
	g.mu.Unlock()
	g.answer(KindStarted, f.Process, nil)
	g.relay(p)
	go g.reap(p)
}

// spawn forks on the thread that is for that. The child becomes the function's user, and loses every capability with that.
func (g *guest) spawn(s Start, files stdio) (pid int, err error) {
	limit := syscall.Rlimit{Cur: uint64(s.Files), Max: uint64(s.Files)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if g.spent {
		g.spent = false
		if err := g.newSpawner(); err != nil {
			return 0, err
		}
	}
	flags := uintptr(0)
	if s.Share {
		flags = syscall.CLONE_FS
	}
	err = g.run(func() error {
		program, err := find(s.Args[0], s.Dir, s.Env)
		if err != nil {
			return err
		}
		pid, err = syscall.ForkExec(program, s.Args, &syscall.ProcAttr{
			Dir: s.Dir, Env: s.Env, Files: files.theirs[:],
			Sys: &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: UID, Gid: GID}, Cloneflags: flags},
		})
		return err
	})
	return pid, err
}

// reap waits for the function's processes: orphans come to us. When the first one ends, the rest is killed.
func (g *guest) reap(p *process) {
	status := waitFor(p.pid)
	g.mu.Lock()
	p.pid = 0
	g.mu.Unlock()
	killRest()
	g.send(Frame{Kind: KindExited, Process: p.number, Body: Number(uint32(status))})
}

// waitFor reaps until pid has ended.
func waitFor(pid int) syscall.WaitStatus {
	for {
		var ws syscall.WaitStatus
		got, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			os.Exit(1) // somebody else has reaped it: our state is wrong, so the sandbox ends
		case got == pid:
			return ws
		}
	}
}

// killRest kills until nobody is left. A process that forks meanwhile has a child that the signal has missed, so it is sent again.
func killRest() {
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		syscall.Kill(-1, syscall.SIGKILL)
		for {
			got, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if err == syscall.ECHILD {
				return
			}
			if err == nil && got == 0 {
				break
			}
		}
		time.Sleep(pause)
	}
}

// newSpawner makes the thread that starts all processes, whose children can get no right. The one before ends.
func (g *guest) newSpawner() error {
	if g.jobs != nil {
		close(g.jobs)
	}
	g.jobs = make(chan func())
	ready := make(chan error)
	go spawner(g.jobs, ready)
	return <-ready
}

// spawner never unlocks its thread, which ends with it. Its current directory and umask are its own.
func spawner(jobs <-chan func(), ready chan<- error) {
	runtime.LockOSThread()
	err := unix.Unshare(unix.CLONE_FS)
	if err == nil {
		err = dropRights()
	}
	if err == nil {
		err = setFilter()
	}
	ready <- err
	for job := range jobs {
		job()
	}
}

// run does something on the thread that starts processes.
func (g *guest) run(do func() error) error {
	done := make(chan error)
	g.jobs <- func() { done <- do() }
	return <-done
}
