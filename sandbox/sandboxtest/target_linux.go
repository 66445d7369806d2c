package sandboxtest

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
	Shm        int    // key of a System V segment, and a message queue, of the host
	ShmFile    string // POSIX segment of the host
	Queue      string // POSIX message queue of the host
	Leak       string // what a descriptor of the server that is not closed on exec is called
	Server     int    // the test's process id
	HostName   string
	Cgroup     string // a group of the host
	Setuid     string // a program that belongs to root and is setuid
	Task       string // the sandbox's code
	Tmp        string
}

// aim makes the host and the neighbour that attempts are aimed at.
func aim(t *testing.T, s *suite) target {
	dir := t.TempDir()
	tg := target{
		Word: newID(), Secret: "secret-" + newID(), SecretFile: filepath.Join(dir, "host-secret"), Abstract: "@enfold-test-" + newID(),
		Unix: filepath.Join(dir, "sock"), Shm: 0x5e1f0000 | int(time.Now().UnixNano()&0xffff), Server: os.Getpid(),
		ShmFile: "/dev/shm/enfold-test-" + newID(), Queue: "enfold-test-" + newID(),
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
	leak(t, dir)
	tg.Leak = tg.SecretFile
	shareMemory(t, tg)
	shareQueues(t, tg)
	shareKey(t, tg)
	tg.Cgroup = someCgroup()
	tg.Setuid = setuidProbe(t)

	near := s.create(t, nil)
	cmd := near.command("sleep", tg.Word)
	cmd.Env = append(cmd.Env, "PASSWORD="+tg.Secret)
	near.run("write", near.Path("/tmp/secret"), tg.Secret)
	tg.NearFile = near.Path("/tmp/secret")
	near.begin(cmd)
	for deadline := time.Now().Add(10 * time.Second); len(s.pids(tg.Word)) == 0; time.Sleep(time.Millisecond) {
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

// shareQueues makes a POSIX message queue with the secret, and a System V one.
func shareQueues(t *testing.T, tg target) {
	id, _, errno := syscall.Syscall(unix.SYS_MSGGET, uintptr(tg.Shm), unix.IPC_CREAT|unix.IPC_EXCL|0o666, 0)
	if errno != 0 {
		t.Fatalf("make a message queue: %v", errno)
	}
	t.Cleanup(func() { syscall.Syscall(unix.SYS_MSGCTL, id, unix.IPC_RMID, 0) })
	fd, _, errno := syscall.Syscall6(unix.SYS_MQ_OPEN, str(tg.Queue), unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o666, 0, 0, 0)
	if errno != 0 {
		t.Fatalf("make a POSIX message queue: %v", errno)
	}
	t.Cleanup(func() {
		syscall.Close(int(fd))
		syscall.Syscall(unix.SYS_MQ_UNLINK, str(tg.Queue), 0, 0)
	})
	if _, _, errno := syscall.Syscall6(unix.SYS_MQ_TIMEDSEND, fd, str(tg.Secret), uintptr(len(tg.Secret)), 0, 0, 0); errno != 0 {
		t.Fatalf("send to a POSIX message queue: %v", errno)
	}
}

// shareKey leaves a key with the secret in the user's keyring, where the kernel has keys and lets us.
func shareKey(t *testing.T, tg target) {
	id, err := unix.AddKey("user", tg.Word, []byte(tg.Secret), unix.KEY_SPEC_USER_KEYRING)
	if err != nil {
		t.Logf("no key is there to find: %v", err)
		return
	}
	t.Cleanup(func() { unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_USER_KEYRING, 0, 0) })
}

// plant is what a stranger's archive would bring: links to the host, a device, and a file that nobody needs.
func plant(t *testing.T, task string, tg target) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(task, "spare.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	// Whose it is protects nothing of it: what is to do that is the mount.
	for name, mode := range map[string]os.FileMode{"": 0o777, "spare.txt": 0o666, "code.txt": 0o666} {
		if err := os.Chmod(filepath.Join(task, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 { // as a careless unpacker run by root would
		path := filepath.Join(task, "device")
		err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) // zero
		if err == nil {
			err = os.Chmod(path, 0o666)
		}
		if err != nil {
			t.Logf("no device could be planted: %v", err)
		}
	}
	dir := filepath.Join(task, "links")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"absolute": tg.SecretFile, "relative": strings.Repeat("../", 40) + tg.SecretFile[1:],
		"by-proc": "/proc/1/root" + tg.SecretFile, "by-self": "/proc/self/root" + tg.SecretFile, "by-cwd": "/proc/1/cwd/" + tg.SecretFile,
	} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
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
