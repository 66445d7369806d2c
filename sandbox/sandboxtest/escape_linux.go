package sandboxtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
)

// A target is what attempts are aimed at.
type target struct {
	Word       string // in the neighbour's arguments
	Secret     string // in the neighbour's environment and /tmp, and what the host's services say
	SecretFile string // on the host
	NearFile   string // the neighbour's /tmp/secret, where a process of the host finds it
	Service    string // on the host's loopback
	Abstract   string // unix socket of the host
	Unix       string // unix socket of the host with a path
	Shm        int    // System V segment of the host
	ShmFile    string // POSIX segment of the host
	Leak       string // what a descriptor of the server that is not closed on exec is called
	Server     int    // the test's process id
	HostName   string
	Cgroup     string // a group of the host
	Setuid     string // a program that belongs to root and is setuid
	Task       string // the sandbox's code
	Tmp        string
}

// An outcome is how an attempt ended.
type outcome struct {
	Escaped bool
	Detail  string
}

// An attempt is one way out.
type attempt struct {
	name  string
	tries string
	// control says that it must succeed where nothing isolates and the server is root, so that its failure elsewhere means
	// something. The others need what a host may lack, or fail for another reason there.
	control bool
	run     func(target) outcome
}

// testEscape makes every attempt, each in a process of its own, against a neighbour and the host.
func testEscape(t *testing.T, s *suite) {
	tg := aim(t, s)
	h := s.create(t, func(spec *sandbox.Spec) {
		spec.Mounts = append(spec.Mounts, sandbox.Mount{Source: filepath.Dir(tg.Setuid), Target: "/var/setuid"})
	})
	tg.Task, tg.Tmp = h.Path(taskDir), h.Path("/tmp")
	tg.Setuid = h.Path("/var/setuid/probe")
	body, err := json.Marshal(tg)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, a := range attempts() {
		if names[a.name] {
			t.Errorf("two attempts are called %s", a.name)
		}
		names[a.name] = true
		t.Run(a.name, func(t *testing.T) { s.attempt(t, h, a, string(body)) })
	}
	t.Logf("%d attempts", len(names))
	// The last one is to see that all of it has left the sandbox in order.
	if out := h.run("echo", "calm", ""); out != "calm" {
		t.Errorf("after all attempts the sandbox said %q", out)
	}
}

func (s *suite) attempt(t *testing.T, h *host, a attempt, target string) {
	r := h.begin(h.command("attempt", a.name, target))
	e := r.wait()
	var o outcome
	text := r.out.all(t)
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		o.Detail = fmt.Sprintf("the process was ended: %+v", e)
		if e.Signal == "" || e.Err != nil {
			t.Fatalf("tried to %s, and said %q %q: %+v", a.tries, text, r.err.all(t), e)
		}
	}
	t.Logf("tried to %s: %s", a.tries, o.Detail)
	root := os.Geteuid() == 0
	switch {
	case s.expect.Isolated && o.Escaped:
		t.Error("ESCAPED")
	case !s.expect.Isolated && a.control && root && !o.Escaped:
		t.Error("failed where nothing isolates: the attempt is no test")
	case !s.expect.Isolated && !o.Escaped:
		t.Skip("it fails on this host even without isolation: it is not counted as a control: ", o.Detail)
	}
}

// aim makes the host and the neighbour that attempts are aimed at.
func aim(t *testing.T, s *suite) target {
	dir := t.TempDir()
	tg := target{
		Word: newID(), Secret: "secret-" + newID(), SecretFile: filepath.Join(dir, "host-secret"), Abstract: "@enfold-test-" + newID(),
		Unix: filepath.Join(dir, "sock"), Shm: 0x5e1f0000 | int(time.Now().UnixNano()&0xffff), Server: os.Getpid(),
		ShmFile: "/dev/shm/enfold-test-" + newID(),
	}
	tg.HostName, _ = os.Hostname()
	for _, file := range []string{tg.SecretFile, tg.ShmFile} {
		if err := os.WriteFile(file, []byte(tg.Secret), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.Remove(tg.ShmFile) })
	serveSecret(t, tg.Secret, "tcp", "127.0.0.1:0", &tg.Service)
	serveSecret(t, tg.Secret, "unix", tg.Abstract, nil)
	serveSecret(t, tg.Secret, "unix", tg.Unix, nil)
	leak(t, tg.SecretFile)
	tg.Leak = tg.SecretFile
	shareMemory(t, tg)
	tg.Cgroup = someCgroup()
	tg.Setuid = setuidProbe(t)

	near := s.create(t, nil)
	cmd := near.command("sleep", tg.Word)
	cmd.Env = append(cmd.Env, "PASSWORD="+tg.Secret)
	near.run("write", near.Path("/tmp/secret"), tg.Secret)
	tg.NearFile = near.Path("/tmp/secret")
	near.begin(cmd)
	for deadline := time.Now().Add(10 * time.Second); len(hostPids(tg.Word)) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the neighbour does not come up")
		}
	}
	return tg
}

// serveSecret tells everybody the secret who connects.
func serveSecret(t *testing.T, secret, network, addr string, at *string) {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if at != nil {
		*at = l.Addr().String()
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, secret)
			c.Close()
		}
	}()
}

// leak opens a file without close-on-exec, as a careless parent does.
func leak(t *testing.T, file string) {
	fd, err := syscall.Open(file, syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
}

// shareMemory makes a System V segment with the secret, which every user may read.
func shareMemory(t *testing.T, tg target) {
	id, err := unix.SysvShmGet(tg.Shm, 4096, unix.IPC_CREAT|unix.IPC_EXCL|0o666)
	if err != nil {
		t.Fatalf("make a shared memory segment: %v", err)
	}
	t.Cleanup(func() { unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
	mem, err := unix.SysvShmAttach(id, 0, 0)
	if err != nil {
		t.Fatalf("attach a shared memory segment: %v", err)
	}
	copy(mem, tg.Secret)
	unix.SysvShmDetach(mem)
}

// someCgroup is a control group of the host in which an unlimited process could make another.
func someCgroup() string {
	for _, dir := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
			return dir
		}
	}
	return "/sys/fs/cgroup"
}

// setuidProbe is a copy of the test binary that is setuid and, where the test is root, root's.
func setuidProbe(t *testing.T) string {
	dir, err := os.MkdirTemp("", "enfold-setuid") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "probe")
	code, err := os.ReadFile(mustExe(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, code, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(to, 0o755|os.ModeSetuid|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	return to
}

// probeAttempt makes one attempt.
func probeAttempt(args []string) int {
	var tg target
	if err := json.Unmarshal([]byte(args[1]), &tg); err != nil {
		return fail(err)
	}
	for _, a := range attempts() {
		if a.name == args[0] {
			return printJSON(a.run(tg))
		}
	}
	return fail(fmt.Errorf("no attempt is called %s", args[0]))
}

// tried is the outcome of something that is an escape if it does not fail.
func tried(err error) outcome {
	if err == nil {
		return outcome{true, "it worked"}
	}
	return outcome{false, err.Error()}
}

// call is the outcome of a system call that is an escape if it does not fail.
func call(trap uintptr, args ...uintptr) outcome {
	var a [6]uintptr
	copy(a[:], args)
	r, _, errno := syscall.Syscall6(trap, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return tried(errno)
	}
	return outcome{true, fmt.Sprintf("it returned %d", r)}
}

// reached is the outcome of a system call with arguments that are wrong on purpose: it is an escape if the kernel got as far as to
// notice.
func reached(trap uintptr, args ...uintptr) outcome {
	o := call(trap, args...)
	if !o.Escaped && o.Detail != unix.EPERM.Error() && o.Detail != unix.ENOSYS.Error() && o.Detail != unix.EACCES.Error() {
		return outcome{true, "the kernel looked at the arguments: " + o.Detail}
	}
	return o
}

func str(s string) uintptr {
	b, err := syscall.BytePtrFromString(s)
	if err != nil {
		return 0
	}
	keep = append(keep, b)
	return uintptr(unsafe.Pointer(b))
}

// keep holds what the kernel was given the address of, until the process ends after its one attempt.
var keep []*byte

// reads is the outcome of reading a file: an escape if it has the secret, or anything at all if secret is empty.
func reads(file, secret string) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	type got struct {
		text []byte
		err  error
	}
	c := make(chan got, 1)
	go func() {
		f, err := os.Open(file)
		if err != nil {
			c <- got{nil, err}
			return
		}
		defer f.Close()
		text := make([]byte, 64<<10)
		n, err := f.Read(text)
		c <- got{text[:n], err}
	}()
	select {
	case <-ctx.Done():
		return outcome{false, "nothing came"}
	case g := <-c:
		return found(file, string(g.text), secret, g.err)
	}
}
