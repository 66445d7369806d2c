package sandboxtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/enfold-run/enfold/sandbox"
	"golang.org/x/sys/unix"
)

// An outcome is how an attempt ended.
type outcome struct {
	Escaped bool
	Detail  string
}

// An attempt is one way out.
type attempt struct {
	name    string
	tries   string // what success would be
	after   string // the published escape, or the class of them, that it stands for
	control control
	run     func(target) outcome
}

// A control says who must succeed where nothing isolates, so that a failure elsewhere means something: anyone or root. Any other text
// says why neither need; one that starts with harms says why it is not even tried there.
type control string

const (
	anyone control = "anyone"
	root   control = "root"
	harms          = "not tried: "
)

// fewestAttempts is less than there are: a list that has lost some is seen.
const fewestAttempts = 120

// testEscape makes every attempt, each in a process of its own, against a neighbour and the host.
func testEscape(t *testing.T, s *suite) {
	tg := aim(t, s)
	setuid := sandbox.Mount{Source: filepath.Dir(tg.Setuid), Target: "/var/setuid"}
	fresh := func(t *testing.T) *host {
		h := s.create(t, func(spec *sandbox.Spec) { spec.Mounts = append(spec.Mounts, setuid) })
		plant(t, h.task, tg)
		return h
	}
	h := fresh(t)
	tg.Task, tg.Tmp = h.Path(taskDir), h.Path("/tmp")
	tg.Setuid = h.Path("/var/setuid/probe")
	body, err := json.Marshal(tg)
	if err != nil {
		t.Fatal(err)
	}
	counts, names := map[result]int{}, map[string]bool{}
	for _, a := range attempts() {
		if names[a.name] || a.tries == "" || a.after == "" || a.control == "" {
			t.Errorf("attempt %q is there twice, or does not say what it is", a.name)
		}
		names[a.name] = true
		t.Run(a.name, func(t *testing.T) {
			if s.expect.ahead { // only the first process in a sandbox is one that has waited
				h = fresh(t)
			}
			counts[s.attempt(t, h, a, string(body))]++
		})
	}
	t.Logf("%d attempts: %v", len(names), counts)
	if len(names) < fewestAttempts {
		t.Errorf("only %d attempts", len(names))
	}
	if s.expect.ahead {
		return // the last sandbox is gone with its attempt
	}
	// The last one is to see that all of it has left the sandbox in order.
	if out := h.run("echo", "calm", ""); out != "calm" {
		t.Errorf("after all attempts the sandbox said %q", out)
	}
}

// A result is what became of an attempt, for the count.
type result string

func (s *suite) attempt(t *testing.T, h *host, a attempt, target string) result {
	if why, harmful := strings.CutPrefix(string(a.control), harms); harmful && !s.expect.Isolated {
		t.Skip("made only where something isolates: ", why)
	}
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
	t.Logf("tried to %s (%s): %s", a.tries, a.after, o.Detail)
	why, harmless := s.expect.Harmless[a.name]
	switch {
	case harmless && o.Escaped:
		t.Log("it gains nothing: ", why)
		return "harmless"
	case harmless:
		t.Error("it fails, and is on the list of attempts that succeed and gain nothing")
		return "failed"
	case o.Escaped && s.expect.Isolated:
		t.Error("ESCAPED")
		return "escaped"
	case o.Escaped:
		return "succeeded without isolation"
	case s.expect.Isolated:
		return "failed"
	case a.control == anyone || a.control == root && os.Geteuid() == 0:
		t.Error("failed where nothing isolates: the attempt is no test")
		return "no test"
	case a.control == root:
		t.Skip("without isolation it takes root, which the test is not: ", o.Detail)
	default:
		t.Skipf("it fails on this host even without isolation (%s): it is not counted as a control: %s", a.control, o.Detail)
	}
	return "" // Skip does not return
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
