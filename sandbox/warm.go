package sandbox

import (
	"context"
	"fmt"
)

// MaxConfig is the longest configuration of a Claim, in bytes: what a pipe takes without a reader.
const MaxConfig = 64 << 10

// Warmer is a Driver that can start a process before anybody knows whose it will be: a language runtime that boots ahead of the
// first invocation. Its sandboxes have a file system and a network of their own: Path is the path itself.
type Warmer interface {
	Driver
	// Endpoints are the Endpoint and APIEndpoint of every sandbox. The first takes connections before the claim, and nobody accepts them
	// until then.
	Endpoints() (runtime, api string)
	// Warm makes a sandbox that is nobody's yet, with Mounts of what cmd needs, and starts cmd in it. cmd may run none but our own
	// code, and waits for its configuration on standard input, file descriptor 0. It has a low share of the processor, and the
	// limits of some other sandbox or none, until the sandbox is claimed.
	Warm(ctx context.Context, mounts []Mount, cmd Command) (Warmed, error)
}

// Warmed is a sandbox that waits to become somebody's.
type Warmed interface {
	// Claim makes it the sandbox of spec, once, and hands what config answers to the process, which ends the process's standard input.
	// The Mounts of spec are bound over what Warm has mounted; a Target is a directory that every sandbox has: /var/task, /opt. They are
	// there, and the limits hold, before the process reads the first byte. config is called at most once, before Claim returns, while
	// others mount: that is the time to make what takes a while. Nil hands over nothing. If Claim fails, with config's error among
	// others, Warmed is to be destroyed.
	Claim(ctx context.Context, spec Spec, config func() ([]byte, error)) (Sandbox, Process, error)
	// Done is closed when the process is dead.
	Done() <-chan struct{}
	// Memory is what it uses now, in bytes, 0 if that is not known.
	Memory() int64
	// Destroy removes it. Idempotent; nothing happens after Claim has succeeded.
	Destroy() error
}

// Configuration is what a Claim hands over: what its config answers.
func Configuration(config func() ([]byte, error)) ([]byte, error) {
	if config == nil {
		return nil, nil
	}
	text, err := config()
	if err == nil && len(text) > MaxConfig {
		err = fmt.Errorf("a configuration of %d bytes is longer than %d", len(text), MaxConfig)
	}
	return text, err
}
