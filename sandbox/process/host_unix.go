//go:build unix

package process

import (
	"errors"
	"os"
	"runtime"
	"syscall"

	"github.com/enfold-run/enfold/sandbox"
)

func killGroup(p *os.Process) { syscall.Kill(-p.Pid, syscall.SIGKILL) }

func terminate(p *os.Process) { p.Signal(syscall.SIGTERM) }

// alive is true in doubt.
func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func exitOf(st *os.ProcessState) sandbox.Exit {
	ws, ok := st.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return sandbox.Exit{Code: 128 + int(ws.Signal()), Signal: ws.Signal().String()}
	}
	return sandbox.Exit{Code: st.ExitCode()}
}

// maxRSS is in bytes; Linux and the BSDs count kilobytes, macOS bytes.
func maxRSS(st *os.ProcessState) int64 {
	ru, ok := st.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(ru.Maxrss)
	}
	return int64(ru.Maxrss) << 10
}
