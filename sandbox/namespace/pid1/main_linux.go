package pid1

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Name is the argument zero by which a program knows that it has been started as a first process.
const Name = "enfold-init"

// Main is the first process. It never returns.
func Main() {
	if syscall.Getpid() != 1 || !isSocket(controlFD) {
		const usage = Name + " is the first process of a sandbox; only a server starts it\n"
		syscall.Write(2, []byte(usage))
		syscall.Exit(2)
	}
	// Namespaces, credentials and keyrings belong to a thread: all of it happens on this one.
	runtime.LockOSThread()
	p := &process{sock: new(socket)}
	p.oomScore, _ = syscall.Open("/proc/self/oom_score_adj", syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	p.keepAlone()
	p.sock.send(KindHello, MarshalUint(Version))
	for {
		k, body, files, err := p.sock.receive()
		if err != nil {
			syscall.Exit(0)
		}
		p.handle(k, body, files)
	}
}

// keepAlone lets go of what came from the server and shuts out what could come from the function.
func (p *process) keepAlone() {
	keep := uint(controlFD)
	if p.oomScore > controlFD {
		keep = uint(p.oomScore)
		unix.CloseRange(controlFD+1, keep-1, 0)
	}
	unix.CloseRange(keep+1, ^uint(0)>>1, 0)
	syscall.CloseOnExec(controlFD)
	dieWithServer()
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	syscall.Umask(0)
	// The kernel drops signals to a first process from inside its namespace unless it has a handler for them. Go's runtime has
	// handlers for all, so they go; what the runtime itself needs stays.
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		switch sig {
		case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGURG, sigPerThread:
		default:
			resetSignal(sig)
		}
	}
}

// sigPerThread is by what Go's runtime has all threads make a call; SIGURG is by what it preempts goroutines.
const sigPerThread = 33

// dieWithServer asks for SIGKILL when the thread that started us ends. Changing user ids undoes it.
func dieWithServer() { unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0, 0, 0) }

func resetSignal(sig syscall.Signal) {
	var dfl [4]uint64 // struct sigaction of amd64 and arm64: SIG_DFL, no flags, no mask
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&dfl)), 0, 8, 0, 0)
}

func isSocket(fd int) bool {
	var st syscall.Stat_t
	return syscall.Fstat(fd, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFSOCK
}

// handle does what a message says. What cannot be done is answered, not fatal: the driver decides.
func (p *process) handle(k Kind, body []byte, files []int) {
	switch k {
	case KindBase:
		var m Base
		err := m.Unmarshal(body)
		var listeners []int
		if err == nil {
			listeners, err = p.base(m)
		}
		p.done(err, listeners)
		closeAll(listeners)
	case KindEnter:
		var m Enter
		err := m.Unmarshal(body)
		if err == nil {
			err = p.enter(m)
		}
		p.done(err, nil)
	case KindMount, KindClaim:
		var m Mounts
		err := m.Unmarshal(body)
		if err == nil {
			err = p.settle(k, m, files)
		}
		closeAll(files)
		p.done(err, nil)
		if p.outside { // the driver has something to do meanwhile
			p.enterImage()
		}
	case KindConfig:
		p.configure(body, files)
	case KindStart:
		var m Start
		errno := syscall.EINVAL
		var channel []int
		if m.Unmarshal(body) == nil {
			channel, errno = p.start(m, files)
		}
		closeAll(files)
		p.sock.send(KindStarted, MarshalUint(uint64(errno)), channel...)
		closeAll(channel)
		p.watch(errno)
		p.hasRun = p.hasRun || errno == 0
		if p.stage == claimed {
			p.seal()
		}
	case KindKill:
		killAll()
	case KindTerm:
		p.terminate()
	case KindStop:
		syscall.Kill(-1, syscall.SIGSTOP)
	case KindCont:
		syscall.Kill(-1, syscall.SIGCONT)
	}
}

func (p *process) settle(k Kind, m Mounts, files []int) error {
	if k == KindClaim {
		return p.claim(m, files)
	}
	return p.mount(m, files)
}

func (p *process) done(err error, files []int) {
	if err != nil {
		p.sock.send(KindDone, []byte(err.Error()))
		return
	}
	p.sock.send(KindDone, nil, files...)
}

func closeAll(files []int) {
	for _, fd := range files {
		syscall.Close(fd)
	}
}
