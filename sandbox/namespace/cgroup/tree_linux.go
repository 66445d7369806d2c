package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// ErrNone says that this process may make no groups; the text says why and what to do.
var ErrNone = errors.New("cgroup: no control group can be made")

// A Tree is this server's directory, or on v1 its directories, one per controller.
type Tree struct {
	version int
	// dirs are the server's directories by controller. On v2 there is one, under "".
	dirs   map[string]string
	beside bool // the groups are beside the directories, not in them
	kernel dirs
	host   host
	tops   []string // of the file systems
	// Note is what should be known about where the tree is.
	Note string
}

// Open makes this server's directory and removes those of dead servers. It fails with ErrNone.
func Open() (*Tree, error) {
	h := host{proc: "/proc", pid: os.Getpid(), dirs: kernel()}
	name, err := h.name()
	if err != nil {
		return nil, err
	}
	return h.open(name)
}

func (h host) open(name string) (*Tree, error) {
	m, err := h.mounts()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	if m.v2 != "" && hasController(filepath.Join(m.v2Top, "cgroup.controllers"), "memory") {
		return h.openV2(m, name)
	}
	if m.v1["memory"] != "" {
		return h.openV1(m, name)
	}
	return nil, fmt.Errorf("%w: neither cgroup v2 nor v1 has the memory controller here; mount cgroup2 at /sys/fs/cgroup", ErrNone)
}

// weight is the processor share of all sandboxes together where their groups are in one, against one process of the host. The kernel
// divides a group's share among the cores on which it runs: without a weight of its own, all functions together would get half of what
// one process of the server gets, and on a busy host all calls would wait for them. So they have as much as four processes on each core.
func weight() int { return 4 * runtime.NumCPU() }

// Beside says that each sandbox has its processor share beside the server's, not out of one of all sandboxes.
func (t *Tree) Beside() bool { return t.beside }

// place is where a sandbox's group is, of a controller's directory.
func (t *Tree) place(dir, name string) string {
	if t.beside {
		return dir + "." + name
	}
	return filepath.Join(dir, name)
}

// Version is 1 or 2.
func (t *Tree) Version() int { return t.version }

// prefix starts the name of every server's directory.
const prefix = "enfold-"

// name is this server's directory, and how the names of its groups begin: pid namespace, pid and start time, so that it is told apart
// from a later process with the same pid, and a few random letters, since one process may have several trees.
func (h host) name() (string, error) {
	ns, err := h.pidNamespace()
	if err != nil {
		return "", err
	}
	start, err := h.startTime(h.pid)
	if err != nil {
		return "", fmt.Errorf("name our control group: %w", err)
	}
	var salt [4]byte
	if err := random(salt[:]); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s%s-%d-%s-%x", prefix, ns, h.pid, start, salt), nil
}

func (h host) pidNamespace() (string, error) {
	link, err := os.Readlink(filepath.Join(h.proc, "self/ns/pid"))
	if err != nil {
		return "", fmt.Errorf("name our control group: %w", err)
	}
	return strings.Trim(strings.TrimPrefix(link, "pid:"), "[]"), nil
}

// startTime is field 22 of a process's stat: in clock ticks since boot. A process that has ended is not there, though its parent may not
// have taken note of it yet, as a container's first process often never does.
func (h host) startTime(pid int) (string, error) {
	stat, err := os.ReadFile(filepath.Join(h.proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", err
	}
	// The command's name, in parentheses, may have spaces and parentheses itself.
	_, rest, ok := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return "", fmt.Errorf("read the start time of process %d: short stat", pid)
	}
	if state := fields[0]; state == "Z" || state == "X" {
		return "", fmt.Errorf("process %d has ended: %w", pid, os.ErrNotExist)
	}
	return fields[19], nil
}

// stale says that a directory, or a group, is that of a server which is dead. Of servers in other pid namespaces we cannot know.
func (h host) stale(name string) bool {
	name, _, _ = strings.Cut(name, ".")
	parts := strings.Split(strings.TrimPrefix(name, prefix), "-")
	ns, err := h.pidNamespace()
	if err != nil || !strings.HasPrefix(name, prefix) || len(parts) != 4 || parts[0] != ns {
		return false
	}
	pid, err := strconv.Atoi(parts[1])
	if err != nil {
		return false
	}
	start, err := h.startTime(pid)
	return err != nil && errors.Is(err, os.ErrNotExist) || err == nil && start != parts[2]
}

// sweep removes the directories and groups of dead servers below dir, with what is in them. What cannot be removed stays for the next time.
func (h host) sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !h.stale(e.Name()) {
			continue
		}
		old := filepath.Join(dir, e.Name())
		groups, err := os.ReadDir(old)
		if err != nil {
			continue
		}
		for _, g := range groups {
			if g.IsDir() {
				killAll(filepath.Join(old, g.Name()))
				h.dirs.remove(filepath.Join(old, g.Name()), time.Second)
			}
		}
		killAll(old)
		h.dirs.remove(old, time.Second)
	}
}

// Bounds of Sweep: no host that is in order has more.
const (
	sweepDepth = 8
	sweepDirs  = 20_000
)

// Sweep removes what dead servers have left anywhere on the host: one that was started elsewhere had another group than we, and
// Open looks only where our own directory is. It takes some ten milliseconds and stops when stop is closed.
func (t *Tree) Sweep(stop <-chan struct{}) {
	left := sweepDirs
	for _, top := range t.tops {
		t.host.sweepBelow(top, sweepDepth, &left, stop)
	}
}

func (h host) sweepBelow(dir string, depth int, left *int, stop <-chan struct{}) {
	select {
	case <-stop:
		return
	default:
	}
	if *left--; *left < 0 {
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // gone, or not for us
	}
	ours := false
	for _, e := range entries {
		switch {
		case !e.IsDir():
		case strings.HasPrefix(e.Name(), prefix):
			ours = true
		case depth > 1:
			h.sweepBelow(filepath.Join(dir, e.Name()), depth-1, left, stop)
		}
	}
	if ours {
		h.sweep(dir)
	}
}

// killAll kills the processes of a group that belonged to a dead server's sandbox.
func killAll(dir string) {
	for version := 1; version <= 2; version++ {
		_ = unlimit(dir, version) // the group has one of the two files, or none
	}
	procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return
	}
	for _, s := range strings.Fields(string(procs)) {
		if pid, err := strconv.Atoi(s); err == nil && pid > 1 {
			kill(pid)
		}
	}
}

// remove removes a group. The kernel refuses while a dead process is not quite gone, so it is tried for a while.
func (d dirs) remove(dir string, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		err := d.rmdir(dir)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("remove control group %s: %w", dir, err)
		}
		time.Sleep(pause)
	}
}

// Close removes the server's directory. All its groups must have been removed.
func (t *Tree) Close() error {
	var errs []error
	for _, dir := range t.dirs {
		errs = append(errs, t.kernel.remove(dir, time.Second))
	}
	return errors.Join(errs...)
}

func write(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write %s to %s: %w", value, filepath.Join(dir, file), errors.Unwrap(err))
	}
	defer f.Close()
	if _, err := f.WriteString(value); err != nil {
		return fmt.Errorf("write %s to %s: %w", value, filepath.Join(dir, file), errors.Unwrap(err))
	}
	return nil
}
