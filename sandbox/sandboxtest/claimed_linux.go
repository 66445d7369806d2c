package sandboxtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
)

// A hold is what a process that waited could still do by what it had opened before its sandbox became somebody's.
type hold struct {
	Cwd, Code string   // where it is, and the code as it reads it from there
	Ways      []string // by which it could do what it may not
	FDs       []string
}

// testHeld has the process that waits open what it can, and use it after the claim: no mount of the claim is in place by then.
func testHeld(t *testing.T, e Expect, open func(testing.TB) sandbox.Warmer) {
	d := open(t)
	defer d.Close()
	secret := filepath.Join(t.TempDir(), "host-secret")
	if err := os.WriteFile(secret, []byte("of the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	leak(t, secret)
	leak(t, filepath.Dir(secret))
	dirs := "/,/var,/var/task,/opt,/tmp,/dev/shm,/proc,/etc"
	if e.OwnIDs { // an ordinary user's first process has the host's root there until the claim, for our own code alone
		dirs += ",/mnt"
	}
	task := t.TempDir()
	if err := os.WriteFile(filepath.Join(task, "code.txt"), []byte("the code"), 0o644); err != nil {
		t.Fatal(err)
	}
	testHoldControl(t, t.TempDir(), secret)
	out, _ := claimProbe(t, d, []sandbox.Mount{{Source: task, Target: taskDir}}, []byte(secret), "hold", dirs)
	var got hold
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("the process that waited said %q: %v", out, err)
	}
	if got.Cwd != taskDir || got.Code != "the code" {
		t.Errorf("it is in %q and reads %q there", got.Cwd, got.Code)
	}
	// Its /tmp is there before the claim, and is its own to write to.
	got.Ways = slices.DeleteFunc(got.Ways, func(way string) bool { return strings.Contains(way, " /tmp") })
	if len(got.Ways) > 0 {
		t.Errorf("by what it held it could: %q", got.Ways)
	}
	for _, fd := range got.FDs {
		if strings.Contains(fd, secret) || strings.Contains(fd, filepath.Dir(secret)) {
			t.Errorf("a descriptor of the server came through: %s", fd)
		}
	}
}

// testHoldControl has a process that nothing isolates hold a directory of its own: it must find the ways that testHeld wants shut.
func testHoldControl(t *testing.T, dir, secret string) {
	t.Helper()
	c := exec.Command(mustExe(t), probeArg, "hold", dir)
	c.Stdin = strings.NewReader(secret)
	out, err := c.Output()
	var got hold
	if text, ok := strings.CutPrefix(string(out), "waiting\n"); !ok || err != nil || json.Unmarshal([]byte(text), &got) != nil {
		t.Fatalf("the control said %q: %v", out, err)
	}
	if len(got.Ways) < 4 {
		t.Errorf("where nothing isolates it found only %q: the test is none", got.Ways)
	}
}

// raced are the attempts that a process makes as soon as it has its configuration. The first process may not have given up all of
// its own rights by then.
var raced = []string{
	"first-process-files", "ptrace-neighbour", "neighbour-memory", "process-vm-readv", "pidfd-getfd", "setns", "proc-root", "cwd-leak",
	"write-root", "mount", "neighbour-scheduling", "capset", "become-root",
}

// testClaimRace has processes that waited attack the first process while it finishes the claim.
func testClaimRace(t *testing.T, open func(testing.TB) sandbox.Warmer) {
	d := open(t)
	defer d.Close()
	secret := filepath.Join(t.TempDir(), "host-secret")
	if err := os.WriteFile(secret, []byte("of the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(target{Word: newID(), Secret: "of the host", SecretFile: secret, Server: os.Getpid(), Task: taskDir, Tmp: "/tmp"})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if out, _ := claimProbe(t, d, nil, body, "race"); out != "[]\n" {
			t.Errorf("while the claim was finished it could: %s", out)
		}
	}
}

// testClaimFails has a claim fail for want of a configuration: the process never goes on, and nothing is left of it.
func testClaimFails(t *testing.T, open func(testing.TB) sandbox.Warmer) {
	d := open(t)
	defer d.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	box, err := d.Warm(context.Background(), []sandbox.Mount{{Source: mustExe(t), Target: aheadPath}}, sandbox.Command{
		Args: []string{aheadPath, probeArg, "tell"}, Dir: taskDir, Stdout: w,
	})
	if err != nil {
		t.Fatal(err)
	}
	none, calls := errors.New("there is none"), 0
	_, _, err = box.Claim(context.Background(), sandbox.Spec{ID: newID(), Owner: newID(), Memory: 256 << 20}, func() ([]byte, error) {
		calls++
		return []byte("secret"), none
	})
	if !errors.Is(err, none) || calls != 1 {
		t.Errorf("the claim ended with %v after %d calls", err, calls)
	}
	if err := box.Destroy(); err != nil {
		t.Error(err)
	}
	<-box.Done()
	if out, err := io.ReadAll(r); err != nil || len(out) > 0 {
		t.Errorf("the process went on, with %q: %v", out, err)
	}
}

// probeTell says what it reads, once that has ended.
func probeTell([]string) int {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fail(err)
	}
	fmt.Printf("read %q\n", text)
	return 0
}

// probeRace waits for its target and then attacks at once, again and again.
func probeRace([]string) int {
	var tries []attempt
	for _, a := range attempts() {
		if slices.Contains(raced, a.name) {
			tries = append(tries, a)
		}
	}
	if len(tries) != len(raced) {
		return fail(fmt.Errorf("only %d of %d attempts are there", len(tries), len(raced)))
	}
	fmt.Println("waiting")
	var tg target
	if err := json.NewDecoder(os.Stdin).Decode(&tg); err != nil {
		return fail(err)
	}
	found := []string{}
	for range 20 {
		for _, a := range tries {
			if o := a.run(tg); o.Escaped {
				found = append(found, a.name+": "+o.Detail)
			}
		}
	}
	return printJSON(found)
}

// claimProbe warms a probe, waits until it says that it waits, claims it, and is what it says to its end.
func claimProbe(t *testing.T, d sandbox.Warmer, mounts []sandbox.Mount, config []byte, probe string, args ...string) (string, sandbox.Sandbox) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	box, err := d.Warm(context.Background(), []sandbox.Mount{{Source: mustExe(t), Target: aheadPath}}, sandbox.Command{
		Args: append([]string{aheadPath, probeArg, probe}, args...), Dir: taskDir, Stdout: w,
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(r)
	if line, err := lines.ReadString('\n'); line != "waiting\n" {
		t.Fatalf("the process that waits said %q: %v", line, err)
	}
	s, p, err := box.Claim(context.Background(), sandbox.Spec{ID: newID(), Owner: newID(), Mounts: mounts, Memory: 256 << 20},
		func() ([]byte, error) { return config, nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Destroy(); err != nil {
			t.Error(err)
		}
	})
	text, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	return string(text), s
}

// probeHold opens directories, waits for its configuration, which names a file of the host, and tries what it can by them.
func probeHold(args []string) int {
	held := map[string]int{}
	for dir := range strings.SplitSeq(args[0], ",") {
		for kind, flags := range map[string]int{"": unix.O_RDONLY, " as a path": unix.O_PATH} {
			if fd, err := unix.Open(dir, flags|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
				held[dir+kind] = fd
			}
		}
	}
	fmt.Println("waiting")
	config, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fail(err)
	}
	var h hold
	h.Cwd, _ = os.Getwd()
	code, _ := os.ReadFile("code.txt")
	h.Code = string(code)
	for name, fd := range held {
		h.Ways = append(h.Ways, tryHeld(name, fd, string(config))...)
	}
	for _, fd := range names("/proc/self/fd") {
		to, _ := os.Readlink("/proc/self/fd/" + fd)
		h.FDs = append(h.FDs, to)
	}
	slices.Sort(h.Ways)
	return printJSON(h)
}

// tryHeld tries to write, to mount and to leave by a directory that was opened before the claim.
func tryHeld(name string, fd int, secret string) (ways []string) {
	if !strings.HasPrefix(name, "/dev/shm") { // which is its own
		ways = changesHeld(name, fd)
	}
	for _, path := range []string{secret[1:], strings.Repeat("../", 40) + secret[1:]} {
		if f, err := unix.Openat(fd, path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			unix.Close(f)
			ways = append(ways, "read "+path+" from "+name)
		}
	}
	if _, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.AT_EMPTY_PATH); err == nil {
		ways = append(ways, "clone the mount of "+name)
	}
	if unix.Fchdir(fd) == nil {
		if f, err := os.Open(strings.Repeat("../", 40) + secret[1:]); err == nil {
			f.Close()
			ways = append(ways, "leave from "+name)
		}
	}
	return ways
}

func changesHeld(name string, fd int) (ways []string) {
	if f, err := unix.Openat(fd, "written", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600); err == nil {
		unix.Close(f)
		ways = append(ways, "write into "+name)
	}
	if unix.Mkdirat(fd, "made", 0o700) == nil {
		ways = append(ways, "make a directory in "+name)
	}
	if unix.Fchmod(fd, 0o777) == nil || os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), 0o777) == nil {
		ways = append(ways, "change the mode of "+name)
	}
	return ways
}

// testPriorClaim claims one, which leaves its secret wherever it can, and then others, one of which has waited meanwhile.
func testPriorClaim(t *testing.T, open func(testing.TB) sandbox.Warmer) {
	d := open(t)
	defer d.Close()
	secret := newID() + newID()
	first, s := claimProbe(t, d, nil, []byte("SECRET="+secret+"\x00"), "leave")
	if first != "left\n" {
		t.Fatalf("the first one said %q", first)
	}
	if err := s.Destroy(); err != nil {
		t.Fatal(err)
	}
	// The secret is told backwards, or the search would find itself.
	backwards := []byte(secret)
	slices.Reverse(backwards)
	for range 2 {
		if out, _ := claimProbe(t, d, nil, backwards, "search"); out != "[]\n" {
			t.Errorf("the next one found the first one's secret in %s", out)
		}
	}
	own, _ := claimProbe(t, d, nil, backwards, "search", "leave")
	if !strings.Contains(own, "memory") || !strings.Contains(own, "/tmp") {
		t.Errorf("one that has left the secret itself found it only in %s: the search is none", own)
	}
}

// priorKey is of a System V segment: in a namespace of its own it is nobody else's.
const priorKey = 0x5ec8e7

// probeLeave leaves its secret wherever it can.
func probeLeave([]string) int {
	fmt.Println("waiting")
	config, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fail(err)
	}
	_, secret, _ := strings.Cut(strings.TrimSuffix(string(config), "\x00"), "=")
	if err := leavePrior(secret); err != nil {
		return fail(err)
	}
	fmt.Println("left")
	return 0
}

func leavePrior(secret string) error {
	for _, dir := range []string{"/tmp", "/dev/shm"} {
		if err := os.WriteFile(filepath.Join(dir, "prior"), []byte(secret), 0o644); err != nil {
			return err
		}
	}
	id, err := unix.SysvShmGet(priorKey, 4096, unix.IPC_CREAT|0o666)
	if err != nil {
		return err
	}
	mem, err := unix.SysvShmAttach(id, 0, 0)
	if err != nil {
		return err
	}
	copy(mem, secret)
	return nil
}

// probeSearch looks for a secret, of which it knows only the reverse, in all that it can read.
func probeSearch(args []string) int {
	fmt.Println("waiting")
	backwards, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fail(err)
	}
	if len(args) > 0 { // the control: it leaves the secret itself
		forwards := slices.Clone(backwards)
		slices.Reverse(forwards)
		if err := leavePrior(string(forwards)); err != nil {
			return fail(err)
		}
	}
	found := []string{}
	for _, root := range []string{"/tmp", "/dev/shm", "/run", "/var/task", "/home"} {
		filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil
			}
			if text, err := os.ReadFile(path); err == nil && holds(text, backwards) {
				found = append(found, path)
			}
			return nil
		})
	}
	if _, err := unix.SysvShmGet(priorKey, 0, 0); err == nil && len(args) == 0 {
		found = append(found, "a shared memory segment")
	}
	if memoryHolds(backwards) {
		found = append(found, "memory")
	}
	return printJSON(found)
}

// holds says whether text has the reverse of backwards, without making it.
func holds(text, backwards []byte) bool {
	n := len(backwards)
	for i := 0; i+n <= len(text); i++ {
		j := 0
		for j < n && text[i+j] == backwards[n-1-j] {
			j++
		}
		if j == n {
			return true
		}
	}
	return false
}

// memoryHolds searches every readable mapping of this process.
func memoryHolds(backwards []byte) bool {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(maps)) {
		bounds, rest, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(rest, "r") || strings.Contains(rest, "[v") || strings.Contains(rest, aheadPath) {
			continue
		}
		from, to, _ := strings.Cut(bounds, "-")
		a, _ := strconv.ParseUint(from, 16, 64)
		b, _ := strconv.ParseUint(to, 16, 64)
		if b-a > 64<<20 { // what Go has reserved
			continue
		}
		if memoryBetween(uintptr(a), int(b-a), backwards) {
			return true
		}
	}
	return false
}

// memoryBetween searches a copy that the kernel makes, which does not mind a mapping that has gone.
func memoryBetween(at uintptr, n int, backwards []byte) bool {
	mem, err := unix.Open("/proc/self/mem", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(mem)
	text, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return false
	}
	defer unix.Munmap(text)
	got, err := unix.Pread(mem, text, int64(at))
	return err == nil && holds(text[:got], backwards)
}
