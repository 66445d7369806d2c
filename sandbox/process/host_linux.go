package process

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// ownSession makes the process a leader that is killed with us, however we end.
func ownSession(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// killAll kills what the dead first process left behind: its group, and whatever carries the sandbox's mark in its
// environment, until there is none.
func (p *process) killAll() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // nobody may be left
	for range 10 {
		if !p.killMarked() {
			return
		}
	}
}

func (p *process) killMarked() (found bool) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	mark := append([]byte(p.mark), 0)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err == nil && bytes.Contains(env, mark) && !zombie(pid) {
			found = true
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be dead by now
		}
	}
	return found
}

func zombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || bytes.Contains(stat, []byte(") Z "))
}

// peak is the most memory that the first process has had, in bytes.
func (p *process) peak() int64 {
	if p.dead() || p.cmd.Process == nil {
		return 0
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	kb, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseInt(kb, 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

func maxRSS(s *os.ProcessState) int64 {
	if ru, ok := s.SysUsage().(*syscall.Rusage); ok {
		return ru.Maxrss << 10 // kilobytes
	}
	return 0
}
