package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// leftovers names what of the server is still on the host: processes of its functions, mounts, network namespaces,
// cgroups. A stopped server has five seconds to be gone.
func (s *server) leftovers() (left []string) {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left = slices.Concat(s.functionProcesses(), s.mounts(), s.cgroups(), s.sandboxDirs())
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

// A process is told from a later one with the same id by when it started.
type process struct {
	pid   int
	start string
}

// processOf is the process with an id, false if there is none that lives.
func processOf(pid int) (process, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	// The name, in parentheses, may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return process{pid, fields[19]}, fields[0] != "Z"
}

// processes are those below the server.
func (s *server) processes() (found []process) {
	for _, pid := range s.descendants() {
		if p, ok := processOf(pid); ok {
			found = append(found, p)
		}
	}
	return found
}

// functionProcesses finds the processes that were below the server when it was told to end, and those whose environment has its
// mark, or whose command line has its directory.
func (s *server) functionProcesses() (found []string) {
	for _, p := range s.family {
		if now, ok := processOf(p.pid); ok && now == p {
			cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
			found = append(found, fmt.Sprintf("process %d: %s", p.pid, bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
		}
	}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	self := strconv.Itoa(os.Getpid())
	for _, dir := range dirs {
		pid := filepath.Base(dir)
		if pid == self || pid == strconv.Itoa(s.cmd.Process.Pid) {
			continue
		}
		cmdline, err := os.ReadFile(dir + "/cmdline")
		if err != nil {
			continue
		}
		environ, _ := os.ReadFile(dir + "/environ")
		if bytes.Contains(environ, []byte("ENFOLD_TEST_MARK="+s.mark+"\x00")) || bytes.Contains(cmdline, []byte(s.dir)) {
			found = append(found, fmt.Sprintf("process %s: %s", pid, bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// mounts finds what is mounted under the server's directory in our own mount namespace.
func (s *server) mounts() (found []string) {
	table, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(table)) {
		if strings.Contains(line, filepath.Dir(s.dir)) {
			found = append(found, "mount "+strings.TrimSpace(line))
		}
	}
	return found
}

// cgroups finds the groups that are named after the server's process, in every hierarchy.
func (s *server) cgroups() (found []string) {
	of := fmt.Sprintf("-%d-", s.cmd.Process.Pid)
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "enfold-") && strings.Contains(d.Name(), of) {
			found = append(found, "cgroup "+path)
			return filepath.SkipDir
		}
		return nil
	})
	return found
}

// sandboxDirs finds what sandboxes left in the server's directory.
func (s *server) sandboxDirs() (found []string) {
	entries, _ := os.ReadDir(filepath.Join(s.dir, "sandboxes"))
	for _, e := range entries {
		inside, _ := os.ReadDir(filepath.Join(s.dir, "sandboxes", e.Name()))
		if e.IsDir() && len(inside) > 0 {
			found = append(found, "directory "+e.Name())
		}
	}
	return found
}

// usage is what a running server holds.
type usage struct{ files, threads, children int }

func (s *server) usage(t testing.TB) usage {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d", s.cmd.Process.Pid)
	count := func(dir string) int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	return usage{files: count(proc + "/fd"), threads: count(proc + "/task"), children: len(s.descendants())}
}

// steady is what the server holds once it has finished what it does by itself after a start or a burst of calls, as keeping
// a few empty sandboxes ready.
func (s *server) steady(t testing.TB) usage {
	t.Helper()
	transport.CloseIdleConnections()
	was, same := s.usage(t), 0
	for deadline := time.Now().Add(10 * time.Second); same < 5 && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
		if now := s.usage(t); now == was {
			same++
		} else {
			was, same = now, 0
		}
	}
	return was
}

// descendants are the processes below the server.
func (s *server) descendants() (pids []int) {
	parents := map[int][]int{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue
		}
		// The name, in parentheses, may hold anything.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(dir))
		parent, _ := strconv.Atoi(fields[1])
		parents[parent] = append(parents[parent], pid)
	}
	for queue := []int{s.cmd.Process.Pid}; len(queue) > 0; queue = queue[1:] {
		pids = append(pids, parents[queue[0]]...)
		queue = append(queue, parents[queue[0]]...)
	}
	return pids
}

// settle waits until the server holds no more than before, but for slack files and threads: the runtime's own vary.
func (s *server) settle(t testing.TB, before usage) {
	t.Helper()
	const slack = 12
	transport.CloseIdleConnections()
	var now usage
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		now = s.usage(t)
		if now.files <= before.files+slack && now.threads <= before.threads+slack && now.children <= before.children {
			return
		}
	}
	t.Errorf("the server holds %+v, before it was %+v", now, before)
	proc := fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid)
	entries, _ := os.ReadDir(proc)
	kinds := map[string]int{}
	for _, e := range entries {
		target, _ := os.Readlink(filepath.Join(proc, e.Name()))
		kind, _, _ := strings.Cut(target, "[")
		kinds[kind]++
	}
	t.Logf("its files: %v", kinds)
}
