//go:build !unix

package process

import (
	"os"
	"syscall"

	"github.com/enfold-run/enfold/sandbox"
)

func sysProcAttr() *syscall.SysProcAttr { return nil }

func killGroup(p *os.Process) { p.Kill() }

// terminate has no gentler way here.
func terminate(p *os.Process) { p.Kill() }

func killRest(int, string) {}

func peakMemory(int) int64 { return 0 }

func startTime(int) string { return "" }

// alive is true in doubt: where a process cannot be asked, directories stay.
func alive(int) bool { return true }

func exitOf(st *os.ProcessState) sandbox.Exit { return sandbox.Exit{Code: st.ExitCode()} }

func maxRSS(*os.ProcessState) int64 { return 0 }
