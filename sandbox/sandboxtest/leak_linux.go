package sandboxtest

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// A census is what there is on the host of what sandboxes are made of. Other programs come and go too, so only what can be told to
// be ours is counted: by our process tree, by our name, or in our own process.
type census map[string]int

func takeCensus() census {
	c := census{}
	for _, pid := range descendants(os.Getpid()) {
		c["process "+fmt.Sprint(pid)]++
		if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)); err == nil {
			c["netns "+ns]++
		}
	}
	for _, fd := range names("/proc/self/fd") {
		if to, err := os.Readlink("/proc/self/fd/" + fd); err == nil && !strings.HasPrefix(to, "/proc/") {
			kind, _, _ := strings.Cut(to, ":[")
			c["fd "+kind]++
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		c["mount "+strings.TrimSpace(line)]++
	}
	filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && strings.Contains(path, "/enfold-") && strings.Contains(path, fmt.Sprintf("-%d-", os.Getpid())) {
			c["cgroup "+path]++
		}
		return nil
	})
	return c
}

// descendants are the processes below pid, dead ones that nobody has waited for included.
func descendants(pid int) []int {
	children := map[string][]int{}
	for _, name := range names("/proc") {
		st := status(filepath.Join("/proc", name, "status"))
		var child int
		if _, err := fmt.Sscan(name, &child); err == nil && st["PPid"] != "" {
			children[st["PPid"]] = append(children[st["PPid"]], child)
		}
	}
	var all []int
	for todo := []int{pid}; len(todo) > 0; {
		next := children[fmt.Sprint(todo[0])]
		todo = append(todo[1:], next...)
		all = append(all, next...)
	}
	return all
}

// beyond is what c has that before has not.
func (c census) beyond(before census) []string {
	var more []string
	for _, k := range slices.Sorted(maps.Keys(c)) {
		if c[k] > before[k] {
			more = append(more, fmt.Sprintf("%s: %d, before %d", k, c[k], before[k]))
		}
	}
	return more
}

// testNothingIsLeft counts before and after: after a sandbox is destroyed, and after the driver is closed with sandboxes that are not.
func testNothingIsLeft(t *testing.T, e Expect, open func(testing.TB) sandbox.Driver) {
	warm := open(t) // what Go's runtime opens once, and keeps, is open then
	use(t, warm, true)
	if err := warm.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	empty := takeCensus()

	d := open(t)
	idle := takeCensus()
	for range 5 {
		use(t, d, true)
	}
	wantNoMore(t, "after five sandboxes were destroyed", idle)

	for range 3 {
		use(t, d, false)
	}
	if e.Isolated && len(takeCensus().beyond(idle)) == 0 {
		t.Error("three living sandboxes are not seen: what is not seen alive is not seen when left")
	}
	if err := d.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	wantNoMore(t, "after the driver was closed", empty)
	if err := d.Close(); err != nil {
		t.Errorf("closing it again: %v", err)
	}
	if box, err := d.Create(context.Background(), sandbox.Spec{ID: newID()}); err == nil {
		box.Destroy()
		t.Error("a closed driver makes a sandbox")
	}
}

// use has a sandbox run something, listen and keep a daemon, and perhaps destroys it.
func use(t *testing.T, d sandbox.Driver, destroy bool) {
	t.Helper()
	box, err := d.Create(context.Background(), sandbox.Spec{
		ID: newID(), Owner: newID(), Mounts: []sandbox.Mount{{Source: mustExe(t), Target: probePath}}, Memory: 256 << 20,
	})
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	h := &host{Sandbox: box, t: t}
	cmd := h.command("write", h.Path("/tmp/x"), "x")
	cmd.Dir = h.Path("/tmp")
	h.begin(cmd).wait()
	cmd = h.command("daemons", "stay", newID())
	cmd.Dir = h.Path("/tmp")
	h.begin(cmd)
	if !destroy {
		return
	}
	if err := box.Destroy(); err != nil {
		t.Errorf("destroy: %v", err)
	}
}

// wantNoMore allows the kernel and the garbage collector a moment.
func wantNoMore(t *testing.T, when string, before census) {
	t.Helper()
	var more []string
	for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if more = takeCensus().beyond(before); len(more) == 0 {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	t.Errorf("%s there is more than before:\n%s", when, strings.Join(more, "\n"))
}
