//go:build linux

package main

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
	"strings"
	"syscall"
	"time"

	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/test/floor"
)

// programs are what is measured and what measures.
type programs struct {
	dir          string // temporary
	enfold       string
	interpreters map[runtimes.Family]runtimes.Found
}

// build makes the floor's programs and the function.
func build(ctx context.Context, dir, enfold string) (*programs, error) {
	exe, err := filepath.Abs(enfold)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(exe); err != nil {
		return nil, fmt.Errorf("%w: run make build", err)
	}
	p := &programs{dir: dir, enfold: exe, interpreters: interpreters(dir)}
	const in = "github.com/enfold-run/enfold/test/floor/"
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-tags=lambda.norpc", "-o", dir+"/",
		in+"relay", in+"echo", in+"queue", in+"load", in+"cold", in+"testdata/hello")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the floor: %w\n%s", err, out)
	}
	return p, nil
}

func (p *programs) path(name string) string { return filepath.Join(p.dir, name) }

// server is a process that says on its first line that it is ready.
type server struct {
	name   string
	cmd    *exec.Cmd
	stderr *tail
	line   string
	took   time.Duration // from before the fork to the line
}

// patience is how long a server may take to get ready, and to stop.
const patience = 45 * time.Second

// serve starts a server and waits for its line.
func serve(ctx context.Context, env []string, exe string, args ...string) (*server, error) {
	s := &server{name: filepath.Base(exe), cmd: exec.CommandContext(ctx, exe, args...), stderr: &tail{}}
	s.cmd.Env, s.cmd.Stderr = append(cleanEnv(), env...), s.stderr
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = patience
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	in := bufio.NewReader(out)
	line, err := in.ReadString('\n')
	s.took, s.line = time.Since(begun), strings.TrimSpace(line)
	if err != nil {
		_ = s.cmd.Process.Kill()
		err = errors.Join(errNotReady, s.cmd.Wait())
		return nil, fmt.Errorf("start %s: %w: %s", s.name, err, s.stderr)
	}
	go io.Copy(io.Discard, in)
	return s, nil
}

var errNotReady = errors.New("it ended before it was ready")

// stop ends it and says whether it went well.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w: %s", s.name, err, s.stderr)
	}
	kill := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("stop %s: %w: %s", s.name, err, s.stderr)
	}
	return nil
}

// report runs load or cold.
func (p *programs) report(ctx context.Context, env []string, name string, args ...string) (*floor.Report, error) {
	cmd := exec.CommandContext(ctx, p.path(name), args...)
	stderr := &tail{}
	cmd.Env, cmd.Stderr = append(cleanEnv(), env...), stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w: %s", name, err, stderr)
	}
	var r floor.Report
	if err := json.Unmarshal(out, &r); err != nil {
		return nil, fmt.Errorf("run %s: %w", name, err)
	}
	return &r, nil
}

// cleanEnv is what every program gets, whoever runs the benchmark.
func cleanEnv() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/", "LANG=C.UTF-8"}
}

// tail keeps the end of what a program says.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - 8<<10; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.b) }
