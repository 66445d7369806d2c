package worker

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// fullPipe holds 1 MiB, as much as a function can make it hold, and its writer writes no more.
func fullPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	const setPipeSize = 1031 // F_SETPIPE_SZ
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, w.Fd(), setPipeSize, 1<<20); errno != 0 {
		t.Skip("this host does not allow pipes of 1 MiB:", errno)
	}
	if _, err := w.WriteString(strings.Repeat(strings.Repeat("x", 99)+"\n", 10000)); err != nil {
		t.Fatal(err)
	}
	return r, w
}

// The kernel tells of new bytes once: the reading must not stop before the pipe is empty.
func TestFullPipeIsReadWithoutMoreComing(t *testing.T) {
	m := &memory{}
	o := newOutput(m, &LogStream{}, &Function{})
	r, _ := fullPipe(t)
	o.attach(r)
	defer o.close()
	eventually(t, "10,000 lines are read", func() bool { return len(m.all()) == 10000 })
}

// Nobody has read yet what a killed process leaves.
func TestFinishReadsAllOfAFullPipe(t *testing.T) {
	m := &memory{}
	o := newOutput(m, &LogStream{}, &Function{})
	r, _ := fullPipe(t)
	conn, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	o.replace(r, conn) // attach without its goroutine
	o.close()
	if n := len(m.all()); n != 10000 {
		t.Errorf("%d lines of 10,000 are read", n)
	}
}
