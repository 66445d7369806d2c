// Package gvisor is the driver that puts a kernel of its own between a function and the host: gVisor's, one for each sandbox. It wants
// Linux on amd64 or arm64, root, and the program enfold-gvisor beside the server.
package gvisor
