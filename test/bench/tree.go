//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox/namespace/pid1"
)

// A member is a process of a server: the server itself, or one that it or a sandbox of it has started.
type member struct {
	pid, parent int
}

// tree is all processes of a server.
func (s *server) tree() ([]member, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	children := map[int][]member{}
	tree := []member{}
	for _, dir := range dirs {
		m, err := readMember(dir)
		if err != nil {
			continue // it is gone
		}
		children[m.parent] = append(children[m.parent], m)
		if m.pid == s.cmd.Process.Pid {
			tree = append(tree, m)
		}
	}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i].pid]...)
	}
	return tree, nil
}

// readMember reads a directory of /proc.
func readMember(dir string) (m member, err error) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return m, err
	}
	if m.pid, err = strconv.Atoi(filepath.Base(dir)); err != nil {
		return m, err
	}
	_, err = fmt.Sscanf(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " %1s %d", new(string), &m.parent) // a name may hold anything
	return m, err
}

// first says that it is the first process of a sandbox. The kernel's name of it is of no use: it is that of a descriptor.
func (m member) first() bool {
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", m.pid))
	return err == nil && bytes.HasPrefix(args, []byte(pid1.Name+"\x00"))
}

// processorTime is what a process has used so far, its dead threads included: the kernel's own count, not one of ticks.
func (m member) processorTime() (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^m.pid<<3|scheduler), &t); err != nil {
		return 0, fmt.Errorf("read the clock of process %d: %w", m.pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// pss is the memory that a process uses, with its part of what it shares, in bytes.
func (m member) pss() (int64, error) {
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", m.pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(rollup) {
		var kb int64
		if n, _ := fmt.Sscanf(string(line), "Pss: %d kB", &kb); n == 1 {
			return kb << 10, nil
		}
	}
	return 0, fmt.Errorf("process %d: its smaps_rollup has no Pss", m.pid)
}

// shrinks waits until a server has no more than n processes: sandboxes end in the background.
func (s *server) shrinks(ctx context.Context, n int) error {
	for deadline := time.Now().Add(patience); ; {
		tree, err := s.tree()
		if err != nil || len(tree) <= n {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("sandboxes do not end: %d processes, not %d", len(tree), n)
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}
