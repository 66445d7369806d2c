//go:build !unix

package server

// maxSandboxConns is 0, no limit: open files are not counted here.
func maxSandboxConns() int { return 0 }
