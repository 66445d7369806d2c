package sandboxtest

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A view is what a function sees of the world.
type view struct {
	UID, GID, PID, PPID int
	Groups              []int
	Umask               int
	Cwd, Hostname       string
	Env                 []string
	FDs                 map[string]string // number -> what it is
	Status              map[string]string // of /proc/self/status
	Procs               []int
	Root, Etc, Dev      []string
	Interfaces          []string
	Files, Core         uint64 // limits
	Session             int
	Stdin               string
}

func probeLook([]string) int {
	v := view{UID: os.Getuid(), GID: os.Getgid(), PID: os.Getpid(), PPID: os.Getppid(), Env: os.Environ(), FDs: map[string]string{}}
	v.Groups, _ = os.Getgroups()
	v.Umask = syscall.Umask(0)
	v.Cwd, _ = os.Getwd()
	v.Hostname, _ = os.Hostname()
	v.Status = status("/proc/self/status")
	v.Root, v.Etc, v.Dev = names("/"), names("/etc"), names("/dev")
	for _, fd := range names("/proc/self/fd") {
		if to, err := os.Readlink("/proc/self/fd/" + fd); err == nil {
			v.FDs[fd] = to
		}
	}
	for _, p := range names("/proc") {
		if pid, err := strconv.Atoi(p); err == nil {
			v.Procs = append(v.Procs, pid)
		}
	}
	ifs, _ := net.Interfaces()
	for _, i := range ifs {
		v.Interfaces = append(v.Interfaces, i.Name)
	}
	v.Core = limit(syscall.RLIMIT_CORE)
	v.Files, _ = strconv.ParseUint(fileLimit(), 10, 64)
	v.Session = session()
	in, _ := io.ReadAll(os.Stdin)
	v.Stdin = string(in)
	return printJSON(v)
}

func session() int {
	r, _, _ := syscall.RawSyscall(syscall.SYS_GETSID, 0, 0, 0)
	return int(r)
}

func limit(what int) uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(what, &l) != nil {
		return 0
	}
	return l.Max
}

// fileLimit is as the kernel tells it: Go's runtime raises the soft limit.
func fileLimit() string {
	text, _ := os.ReadFile("/proc/self/limits")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			return strings.Fields(rest)[1]
		}
	}
	return ""
}

func status(file string) map[string]string {
	m := map[string]string{}
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(line, ":"); ok {
			m[k] = strings.TrimSpace(v)
		}
	}
	return m
}

func names(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.Name()
	}
	return out
}

// probeEcho writes its arguments, the first to stdout and the second to stderr.
func probeEcho(args []string) int {
	fmt.Print(args[0])
	fmt.Fprint(os.Stderr, args[1])
	return 0
}

func probeExit(args []string) int {
	n, _ := strconv.Atoi(args[0])
	return n
}

// probeRaise kills itself with a signal.
func probeRaise(args []string) int {
	n, _ := strconv.Atoi(args[0])
	signal.Reset()
	// Go's runtime has a handler for nearly all; the kernel's own action is wanted.
	resetSignal(n)
	syscall.Kill(os.Getpid(), syscall.Signal(n))
	time.Sleep(5 * time.Second)
	return 96
}

// probeSleep says that it runs, and sleeps. Its arguments are for others to find.
func probeSleep([]string) int {
	fmt.Println("sleeping")
	time.Sleep(time.Minute)
	return 0
}

// probeTerm exits with 42 when asked to.
func probeTerm([]string) int {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	fmt.Println("sleeping")
	<-c
	return 42
}

// probeDeaf does not listen to SIGTERM.
func probeDeaf([]string) int {
	signal.Ignore(syscall.SIGTERM)
	return probeSleep(nil)
}

// probeDaemons starts processes that try to stay, and says so when they run. With "stay" it sleeps, else it exits.
func probeDaemons(args []string) int {
	for range 3 {
		c := exec.Command(os.Args[0], append([]string{probeArg, "daemon"}, args...)...)
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if out, err := c.CombinedOutput(); err != nil {
			return fail(fmt.Errorf("%w: %s", err, out))
		}
	}
	fmt.Println("sleeping")
	if args[0] == "stay" {
		time.Sleep(time.Minute)
	}
	return 0
}

// probeDaemon forks once more, into a session of its own, and exits: its child is an orphan.
func probeDaemon(args []string) int {
	c := exec.Command(os.Args[0], append([]string{probeArg, "deaf"}, args...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return fail(err)
	}
	return 0
}

// probeOrphans starts many short processes whose parents die first, and says how many could be started.
func probeOrphans(args []string) int {
	n, _ := strconv.Atoi(args[0])
	for i := range n {
		if err := exec.Command("/bin/sh", "-c", "/bin/true & exit 0").Run(); err != nil {
			return fail(fmt.Errorf("orphan %d: %w", i, err))
		}
	}
	fmt.Println(n)
	return 0
}

// probeAllocate uses as many megabytes as it is told.
func probeAllocate(args []string) int {
	n, _ := strconv.Atoi(args[0])
	var keep [][]byte
	for range n {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		keep = append(keep, b)
	}
	fmt.Println(len(keep))
	runtime.KeepAlive(keep)
	return 0
}

// probeBurn computes for so many milliseconds and says how many of them it had the processor.
func probeBurn(args []string) int {
	runtime.LockOSThread()
	ms, _ := strconv.Atoi(args[0])
	fmt.Println("burning")
	io.ReadAll(io.LimitReader(os.Stdin, 1))
	start, used := time.Now(), cpuTime()
	for time.Since(start) < time.Duration(ms)*time.Millisecond {
	}
	fmt.Println((cpuTime() - used).Milliseconds())
	return 0
}

func cpuTime() time.Duration {
	var ru syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// probeThreads starts processes until it may not, and says how many.
func probeThreads(args []string) int {
	most, _ := strconv.Atoi(args[0])
	n := 0
	for ; n < most; n++ {
		if err := exec.Command("/bin/sleep", "60").Start(); err != nil {
			break
		}
	}
	fmt.Println(n)
	return 0
}

// probeOpen opens files until it may not, and says how many it has.
func probeOpen(args []string) int {
	most, _ := strconv.Atoi(args[0])
	for n := 0; n < most; n++ {
		if _, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0); err != nil {
			break
		}
	}
	fmt.Println(len(openFDs(most)))
	return 0
}

// openFDs are the descriptors in use below most; there may be none left to list a directory with.
func openFDs(most int) []int {
	var fds []int
	for fd := range most {
		var st syscall.Stat_t
		if syscall.Fstat(fd, &st) == nil {
			fds = append(fds, fd)
		}
	}
	return fds
}

// probeFill writes into a directory until it is full or most megabytes are written, and says how many bytes went in.
func probeFill(args []string) int {
	most, _ := strconv.Atoi(args[1])
	f, err := os.Create(filepath.Join(args[0], "fill"))
	if err != nil {
		return fail(err)
	}
	total := 0
	block := make([]byte, 64<<10)
	for total < most<<20 {
		n, err := f.Write(block)
		total += n
		if err != nil {
			break
		}
	}
	fmt.Println(total)
	return 0
}

func probeWrite(args []string) int {
	if err := os.WriteFile(args[0], []byte(args[1]), 0o600); err != nil {
		return fail(err)
	}
	return 0
}

func probeRead(args []string) int {
	b, err := os.ReadFile(args[0])
	if err != nil {
		return fail(err)
	}
	os.Stdout.Write(b)
	return 0
}

// probeFlood writes so many bytes to stdout.
func probeFlood(args []string) int {
	n, _ := strconv.Atoi(args[0])
	block := []byte(strings.Repeat("x", 1<<10))
	for ; n > 0; n -= len(block) {
		m, err := syscall.Write(1, block)
		if err != nil || m != len(block) {
			return fail(fmt.Errorf("wrote %d: %w", m, err))
		}
	}
	return 0
}

// probeFetch connects, sends a line and prints what comes.
func probeFetch(args []string) int {
	c, err := net.DialTimeout("tcp", args[0], 2*time.Second)
	if err != nil {
		return fail(err)
	}
	defer c.Close()
	fmt.Fprintln(c, "hello from inside")
	io.Copy(os.Stdout, c)
	return 0
}

// probeRefused connects to its arguments and prints those that answer.
func probeRefused(args []string) int {
	for _, at := range args {
		if c, err := net.DialTimeout("tcp", at, time.Second); err == nil {
			c.Close()
			fmt.Println(at)
		}
	}
	return 0
}

// probeForkBomb starts itself, twice, for ever.
func probeForkBomb([]string) int {
	fmt.Println("sleeping")
	for {
		c := exec.Command(os.Args[0], probeArg, "forkbomb")
		if c.Start() == nil {
			go c.Wait()
		}
	}
}

func probeEUID([]string) int {
	fmt.Println(os.Geteuid(), status("/proc/self/status")["CapEff"])
	return 0
}

func probeRights([]string) int {
	st := status("/proc/self/status")
	fmt.Println("CapEff", st["CapEff"], "NoNewPrivs", st["NoNewPrivs"], "Seccomp", st["Seccomp"])
	return 0
}
