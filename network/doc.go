// Package network makes the networks that sandboxes live in.
//
// A sandbox has a network namespace of its own with nothing in it but a loopback device, on which the Runtime API and the AWS API
// listen: sockets that were made inside and that the server holds. There is no way from it to the host's loopback services, to
// another sandbox or outside. What a sandbox may reach beyond itself (veth pairs, nftables) is to be added here.
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
	// CredentialsAPI is the same listener, where functions with SnapStart are sent for their credentials: the SDKs take them by plain
	// HTTP from a loopback address only.
	CredentialsAPI = "127.0.0.1:9001"
)

// Where the AWS API is: at the same address as a server that listens where it does by default, so that a URL which was made
// outside, of a queue for one, is good inside.
const (
	AWSPort = 4566
	AWSAPI  = "127.0.0.1:4566"
)
