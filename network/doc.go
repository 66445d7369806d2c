// Package network makes the networks that sandboxes live in.
//
// A sandbox has a network namespace of its own with nothing in it but a loopback device, on which the Runtime API listens. There
// is no way from it to the host's loopback services, to another sandbox or outside. What a sandbox may reach beyond itself (veth
// pairs, nftables) is to be added here.
//
// A namespace belongs to a thread, so Unshare and Enter are for goroutines that are locked to theirs. The package imports next to
// nothing because the first process of a sandbox uses it too.
package network

// Where the Runtime API is, as on AWS.
const (
	RuntimeIP   = "169.254.100.1"
	RuntimePort = 9001
	// RuntimeAPI is the value of AWS_LAMBDA_RUNTIME_API.
	RuntimeAPI = "169.254.100.1:9001"
)
