//go:build unix

package server

import "syscall"

// maxSandboxConns is worker.Deps.MaxConns: a quarter of the files that this process may open, so that functions leave enough for everybody
// else. Go has raised the soft limit to the hard one before main. It is 0, no limit, if the system does not say.
func maxSandboxConns() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	return shareOf(uint64(l.Cur))
}

// fewConns is what sandboxes may have where there are few files: less would be felt by functions that mean no harm.
const fewConns = 256

// shareOf is the sandboxes' part of so many files.
func shareOf(files uint64) int { return int(min(max(files/4, fewConns), 1<<20)) }
