//go:build unix && !linux

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// ownSession makes the process a leader, so that its group can be killed.
func ownSession(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// killAll kills what the dead first process left in its group.
func (p *process) killAll() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // nobody may be left
}

// peak is not known while the process runs.
func (p *process) peak() int64 { return 0 }

func maxRSS(s *os.ProcessState) int64 {
	if ru, ok := s.SysUsage().(*syscall.Rusage); ok {
		return ru.Maxrss // bytes
	}
	return 0
}
