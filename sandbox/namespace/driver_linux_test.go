//go:build amd64 || arm64

package namespace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// waitForStock waits until n sandboxes wait.
func waitForStock(t *testing.T, d *Driver, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(d.stock) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d sandboxes wait, want %d", len(d.stock), n)
		}
	}
}

// run runs a shell command in a sandbox and is its exit.
func run(t testing.TB, s sandbox.Sandbox, script string) sandbox.Exit {
	t.Helper()
	p, err := s.Start(context.Background(), sandbox.Command{
		Args: []string{"/bin/sh", "-c", script}, Dir: "/tmp", Env: []string{"PATH=/usr/bin:/bin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	return p.Exit()
}

func TestStockIsUsedAndRefilled(t *testing.T) {
	d := openWith(t, 3)
	defer d.Close()
	for round := range 3 {
		waitForStock(t, d, 2)
		s, err := d.Create(context.Background(), sandbox.Spec{ID: fmt.Sprint("s", round), Owner: "o"})
		if err != nil {
			t.Fatal(err)
		}
		if e := run(t, s, "exit 5"); e.Code != 5 {
			t.Errorf("exit %+v", e)
		}
	}
}

// The stock follows how fast sandboxes are taken, within a bound, and comes back to what it is when nothing happens.
func TestStockFollowsDemand(t *testing.T) {
	t0 := time.Now()
	p := &sandbox.Pace{}
	p.Make(50 * time.Millisecond) // the mean of that and nothing
	if n := goal(p, 3, t0); n != 3 {
		t.Errorf("without demand %d, want 3", n)
	}
	for range 500 {
		p.Take(t0)
	}
	if n := goal(p, 3, t0); n != 8 {
		t.Errorf("at 50 a second of 50 ms each %d, want 3 and 5", n)
	}
	if n := goal(p, 3, t0.Add(time.Minute)); n != 3 {
		t.Errorf("a minute later %d, want 3", n)
	}
	for range 100_000 {
		p.Take(t0)
	}
	if n := goal(p, 3, t0); n != stockAtMost {
		t.Errorf("%d, want no more than %d", n, stockAtMost)
	}
	if n := goal(p, 50, t0); n != 50 {
		t.Errorf("%d, want the 50 that were asked for", n)
	}
}

// A waiting sandbox whose first process has died, as by the host's OOM killer, is not handed out.
func TestDeadStockIsReplaced(t *testing.T) {
	d := openWith(t, 3)
	defer d.Close()
	waitForStock(t, d, 2)
	var dead []*blank
	for range 2 {
		b := <-d.stock
		b.process.Kill()
		<-b.gone
		dead = append(dead, b)
	}
	for _, b := range dead {
		d.stock <- b
	}
	s, err := d.Create(context.Background(), sandbox.Spec{ID: "a", Owner: "o"})
	if err != nil {
		t.Fatal(err)
	}
	if e := run(t, s, "exit 5"); e.Code != 5 {
		t.Errorf("exit %+v", e)
	}
}

// When the first process dies, so does the function, and the sandbox says so.
func TestFirstProcessDies(t *testing.T) {
	d := openWith(t, -1)
	defer d.Close()
	s, err := d.Create(context.Background(), sandbox.Spec{ID: "a", Owner: "o"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Start(context.Background(), sandbox.Command{Args: []string{"/bin/sleep", "60"}, Dir: "/tmp"})
	if err != nil {
		t.Fatal(err)
	}
	s.(*box).blank.process.Kill()
	<-p.Done()
	if e := p.Exit(); e.Signal != "killed" || e.OOM {
		t.Errorf("exit %+v", e)
	}
	if _, err := s.Start(context.Background(), sandbox.Command{Args: []string{"/bin/true"}}); err == nil {
		t.Error("a process was started in a dead sandbox")
	}
	if err := s.Destroy(); err != nil {
		t.Error(err)
	}
}

// Closing the driver while sandboxes are being made leaves none.
func TestCloseDuringCreate(t *testing.T) {
	d := openWith(t, 2)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			s, err := d.Create(context.Background(), sandbox.Spec{ID: fmt.Sprint("s", i), Owner: "o"})
			if err != nil && !errors.Is(err, sandbox.ErrDestroyed) {
				t.Error(err)
			}
			_ = s
		})
	}
	time.Sleep(5 * time.Millisecond)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// What a waiting sandbox was given ahead does not outlive the claim: the whole machine is no limit.
func TestInitShare(t *testing.T) {
	all := 1000 * runtime.NumCPU()
	for cpu, want := range map[int]int{72: min(1000, all) % all, all - 1: max(all-1, 1000) % all, all: 0, all + 500: 0} {
		if got := initShare(sandbox.Spec{CPU: cpu}); got != want {
			t.Errorf("a sandbox of %d thousandths of a core initializes with %d, want %d", cpu, got, want)
		}
	}
}

// A program that holds the driver's name without being a first process is sent away.
func TestInitRefusesOthers(t *testing.T) {
	p, err := os.StartProcess("/proc/self/exe", []string{"enfold-init"}, &os.ProcAttr{Files: []*os.File{nil, nil, nil}})
	if err != nil {
		t.Fatal(err)
	}
	st, err := p.Wait()
	if err != nil || st.ExitCode() != 2 {
		t.Errorf("ended with %v %v, want code 2", st, err)
	}
}

// Both kinds of first process work: the embedded one and this binary.
func TestPrograms(t *testing.T) {
	for _, name := range []string{"embedded", "own", "from disk"} {
		t.Run(name, func(t *testing.T) {
			d := openWith(t, -1)
			defer d.Close()
			code, err := embedded.ReadFile("embedded/enfold-init-" + runtime.GOARCH)
			switch name {
			case "own":
				d.program.close()
				d.program = program{}
			case "embedded":
				if d.program.file == nil {
					t.Skip("no first process is embedded: run build-init.sh")
				}
			case "from disk":
				if err != nil {
					t.Skip("no first process is embedded: run build-init.sh")
				}
				dir := filepath.Join(t.TempDir(), "state")
				f, err := diskFile(dir, bytes.NewReader(code))
				if err != nil {
					t.Fatal(err)
				}
				if left, _ := os.ReadDir(dir); len(left) > 0 {
					t.Errorf("%v is left in the directory", left)
				}
				d.program.close()
				d.program = program{file: f}
			}
			s, err := d.Create(context.Background(), sandbox.Spec{ID: "a", Owner: "o"})
			if err != nil {
				t.Fatal(err)
			}
			if e := run(t, s, "exit 5"); e.Code != 5 {
				t.Errorf("exit %+v", e)
			}
		})
	}
}

func TestReport(t *testing.T) {
	r := Report()
	if r.Driver != "namespace" || len(r.Checks) < 4 {
		t.Fatalf("report %+v", r)
	}
	var text strings.Builder
	for _, c := range r.Checks {
		fmt.Fprintf(&text, "%-20s %-5v %s\n", c.Name, c.OK, c.Detail)
		if !c.OK && c.Fix == "" {
			t.Errorf("%s is not OK and does not say what to do", c.Name)
		}
	}
	t.Logf("OK: %v\n%s", r.OK, &text)
}

func TestKernelVersion(t *testing.T) {
	if major, _ := kernelVersion(); major < 3 {
		t.Errorf("this kernel is of version %d", major)
	}
}
