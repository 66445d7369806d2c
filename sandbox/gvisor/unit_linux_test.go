//go:build amd64 || arm64

package gvisor

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/gvisor/guest"
	"github.com/enfold-run/enfold/sandbox/namespace/seccomp"
)

// The filter refuses where the namespace driver's kills, and is the same otherwise.
func TestRefuseOnly(t *testing.T) {
	filter, err := seccomp.Filter()
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	got := refuseOnly(filter)
	for i := 0; i < len(filter); i += 8 {
		before, after := string(filter[i:i+8]), got[i:i+8]
		k := binary.NativeEndian.Uint32(after[4:])
		if k == unix.SECCOMP_RET_KILL_PROCESS && binary.NativeEndian.Uint16(after) == unix.BPF_RET|unix.BPF_K {
			t.Errorf("instruction %d still kills", i/8)
		}
		if before != string(after) {
			changed++
		}
	}
	if changed == 0 || changed > 4 || len(got) != len(filter) {
		t.Errorf("%d of %d instructions were changed", changed, len(filter)/8)
	}
}

func TestStoredNote(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "no JSON": "{", "another version": `{"Version":1000,"Process":1,"Base":1}`, "too long": strings.Repeat(" ", 2*maxStored) + "{}",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, storedFile), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := (&image{dir: dir}).read(); err == nil {
				t.Error("was read")
			}
		})
	}
	if err := (&image{dir: t.TempDir()}).read(); err == nil {
		t.Error("a directory without one was read")
	}
}

// A reader that is slow holds up nobody, and more than was asked for is not taken.
func TestSink(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	credit := make(chan int, 1000)
	s := newSink(w, func(n int) { credit <- n })
	block := make([]byte, 32<<10)
	sent := 0
	for ; sent < 100 && s.put(block); sent++ { // a pipe takes some of them
	}
	if sent < guest.Window/len(block) || sent == 100 {
		t.Errorf("%d blocks of %d were taken", sent, len(block))
	}
	if s.isEmpty() {
		t.Error("it says that all is written")
	}
	s.end()
	got := 0
	for buf := make([]byte, 64<<10); ; {
		n, err := r.Read(buf)
		got += n
		if err != nil {
			break
		}
	}
	if got != sent*len(block) {
		t.Errorf("%d bytes came, want %d", got, sent*len(block))
	}
	back := 0
	for back < got {
		back += <-credit
	}
	if s.put(block) {
		t.Error("it takes something after its end")
	}
}

// gVisor is believed no more than it has to be.
func TestBadAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"none": "", "no JSON": "x", "torn": `{"success":tr`, "an error": `{"success":false,"err":"no"}`, "another result": `{"success":true,"result":"x"}`,
		"endless": `{"success":true,"err":"` + strings.Repeat("x", maxAnswer) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
			c, err := net.FileConn(ours)
			ours.Close()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			go func() {
				defer theirs.Close()
				_, _ = theirs.Read(make([]byte, 1000))
				_, _ = theirs.WriteString(answer)
			}()
			var result []string
			if err := converse(c.(*net.UnixConn), "x.Y", struct{}{}, &result, nil); err == nil {
				t.Errorf("it was believed: %q", result)
			}
		})
	}
}

// What answers a function's system calls has next to nothing on the host.
func TestConfinement(t *testing.T) {
	d := open(t)
	defer d.Close()
	made, err := d.Create(t.Context(), sandbox.Spec{ID: "confined"})
	if err != nil {
		t.Fatal(err)
	}
	all := processesOf(made.(*box).id)
	if len(all) < 2 {
		t.Fatalf("only %d processes have the sandbox's user id", len(all))
	}
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"\nNoNewPrivs:\t1\n", "\nSeccomp:\t2\n"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s has not %q:\n%s", file, want, text)
			}
		}
		dir := filepath.Dir(file)
		for _, ns := range []string{"user", "mnt", "pid", "net", "ipc", "uts"} {
			theirs, err := os.Readlink(dir + "/ns/" + ns)
			ours, err2 := os.Readlink("/proc/self/ns/" + ns)
			if err != nil || err2 != nil || theirs == ours {
				t.Errorf("%s is in our %s namespace: %s %v %v", file, ns, theirs, err, err2)
			}
		}
		for _, path := range []string{"/root/root", "/root/boot", "/root/var/lib"} {
			if _, err := os.Lstat(dir + path); err == nil {
				t.Errorf("%s has the host's %s", file, path)
			}
		}
	}
}

// A gVisor that does not start is told at once, and leaves nothing behind.
func TestProgramThatFails(t *testing.T) {
	open(t).Close() // skips where there is no driver
	for _, program := range []string{"/bin/false", "/bin/cat", "/nowhere/at/all"} {
		d, err := New(Options{Program: program, Log: slog.New(slog.DiscardHandler)})
		if !errors.Is(err, sandbox.ErrUnsupported) {
			t.Errorf("%s: %v", program, err)
		}
		if err == nil {
			d.Close()
		}
	}
	if left := groupsOf(os.Getpid()); len(left) > 0 {
		t.Errorf("control groups are left: %v", left)
	}
}
