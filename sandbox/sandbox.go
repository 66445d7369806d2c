package sandbox

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// Driver makes sandboxes. All methods are safe for concurrent use.
type Driver interface {
	// Name is "process", "namespace", …
	Name() string
	// Create makes an empty environment: file system, network, limits. Nothing runs in it yet, but its listeners listen.
	Create(ctx context.Context, spec Spec) (Sandbox, error)
	// Close removes whatever the driver still has on the host: processes, mounts, namespaces, cgroups, directories.
	Close() error
}

// Spec is what a sandbox is. The zero value of a limit means the driver's default, never "none".
type Spec struct {
	ID string // unique on this host, [a-z0-9-]{1,64}
	// Owner is who the code belongs to, "account/region/function/version". Sandboxes of different owners never share a host user
	// id at the same time; a driver may give every sandbox its own.
	Owner string

	// Root is the file system of a container image. Nil is the host's own programs and libraries.
	Root *Root

	Mounts []Mount // read-only binds, later ones over earlier ones
	// Tmp is the size of /tmp in bytes.
	Tmp int64
	// Memory is the limit of all processes together, in bytes. Beyond it one is killed (Usage.OOMKills).
	Memory int64
	// CPU is the share of one core in thousandths: 1769 MB of memory give 1000.
	CPU int
	// Pids and Files limit processes and threads, and open files of one process: 1,024 each by default.
	Pids, Files int
}

// Root is a file system made of layers, which the sandbox sees read-only; /proc, /dev and /tmp are the sandbox's own. A driver that
// has only the host's file system answers ErrUnsupported.
type Root struct {
	// Layers are directories of the host, the lowest first. What an upper one removes is marked as overlayfs with userxattr has it:
	// a character device 0/0, or the attribute user.overlay.opaque on a directory. The same layers may be in use many times.
	Layers []string
}

// Mount binds a file or directory of the host into the sandbox, read-only, nosuid, nodev.
type Mount struct {
	Source string // absolute, on the host
	Target string // absolute, in the sandbox
	// Optional mounts are left out if Source does not exist.
	Optional bool
}

// Sandbox is one execution environment.
type Sandbox interface {
	// Listener listens inside the sandbox's own network, for the Runtime API. The function reaches it at Endpoint.
	Listener() net.Listener
	// Endpoint is host:port as the function sees it, for AWS_LAMBDA_RUNTIME_API.
	Endpoint() string
	// APIListener listens inside the sandbox's own network, for the AWS API. The function reaches it at APIEndpoint. Nil if the
	// sandbox has no network of its own: its function reaches the server's own address.
	APIListener() net.Listener
	// APIEndpoint is host:port as the function sees it, empty without an APIListener.
	APIEndpoint() string
	// Path is where a function finds what the Spec has mounted at target, and "/tmp". It is target itself wherever the sandbox has
	// a file system of its own; under the process driver, which can mount nothing, it is a path of the host.
	Path(target string) string
	// Start runs a process. A second one only after the first is dead. ctx is for the start alone and does not end the process. The
	// error is about us; a command that cannot be run is a Process that is done, with Exit.Err.
	Start(ctx context.Context, cmd Command) (Process, error)
	// EndInit applies Spec.CPU. Until then, and for at most ten seconds from each Start, a function has at least a whole core, as
	// in AWS's init phase. It costs some 20 µs; a second call does nothing.
	EndInit()
	// Usage is what the processes have used so far.
	Usage() Usage
	// MaxMemory is Usage's alone, for the end of every invocation: it is cheaper.
	MaxMemory() int64
	// Destroy kills every process and removes everything. Idempotent; after it nothing of the sandbox is left on the host.
	Destroy() error
}

// Freezer is a Sandbox that can stand still.
type Freezer interface {
	// FreezeAfter is how long a sandbox should be idle before it pays to freeze it, 0 if this host cannot.
	FreezeAfter() time.Duration
	// Freeze stops every process in the sandbox until Thaw, Start, Process.Kill, Process.Terminate or Destroy. Time goes on.
	Freeze() error
	Thaw() error
	// Reclaim gives memory back to the host that the sandbox can do without.
	Reclaim() error
}

// Pinner is a Sandbox whose processes can be kept to one core.
type Pinner interface {
	// Pin keeps every thread of the sandbox, and what they start from then on, to one core, by its number on the host, or lets them use
	// what they had at first if core is AnyCore. Threads that have chosen cores themselves are left alone. It takes microseconds for
	// each thread. ErrUnsupported if this host cannot, for this sandbox.
	Pin(core int) error
	// CPUTime is Usage's alone.
	CPUTime() time.Duration
}

// AnyCore is no core in particular.
const AnyCore = -1

// Command is a process to run. Paths are those of the sandbox.
type Command struct {
	Args []string // Args[0] is an absolute path; in a sandbox with a Root also one from Dir, or a name that is looked for in Env's PATH
	Env  []string // the whole environment; nothing is added
	Dir  string
	// Stdout and Stderr get what every process in the sandbox writes. Start owns them: it closes them, even when it fails, so that
	// the reading ends, which belong to the caller, see the end. Nil is /dev/null. They may be the same file.
	Stdout, Stderr *os.File
	// Channel asks for a connection that is there when the process starts: a stream socket, its descriptor 3, the other end of which is
	// Channeled's, and takes no descriptors. Where there is none the descriptor is closed.
	Channel bool
}

// Process is the first process of a sandbox with all its descendants.
type Process interface {
	// Done is closed when the first process is dead and all its descendants are killed.
	Done() <-chan struct{}
	// Exit is how the first process ended. Valid after Done.
	Exit() Exit
	// Kill kills the process and all its descendants at once.
	Kill()
	// Terminate sends SIGTERM to the first process.
	Terminate()
}

// Channeled is a Process that may have the connection which its Command has asked for.
type Channeled interface {
	// Channel is our end, nil if there is none. It is the caller's to use and to close, and is closed with the sandbox.
	Channel() net.Conn
}

// Flusher is a Process whose output takes a way of its own to Command.Stdout and Stderr, beside that of what it says to others.
type Flusher interface {
	// Flush waits until what it has written so far is there, and no longer than patience.
	Flush(patience time.Duration)
}

// Exit is how a process ended.
type Exit struct {
	Code   int    // exit status if Signal is empty
	Signal string // "killed", "segmentation fault", … as syscall.Signal prints it
	OOM    bool   // the kernel killed it for want of memory
	Err    error  // it could not be started: no such file, permission denied; an *os.PathError with Op "chdir" if Command.Dir is why and the driver can tell
}

// Usage is what a sandbox has used.
type Usage struct {
	MaxMemory int64 // bytes, the highest so far
	CPUTime   time.Duration
	OOMKills  int64
}

// Errors of every driver.
var (
	// ErrUnsupported says that this host cannot do it; the error's text says what is missing and what to do.
	ErrUnsupported = errors.New("sandbox: not supported on this host")
	ErrDestroyed   = errors.New("sandbox: destroyed")
)

// Report is what a driver can say about this host, for `enfold doctor`.
type Report struct {
	Driver string
	OK     bool
	Checks []Check
}

// Check is one line of a Report.
type Check struct {
	Name   string // "user namespaces"
	OK     bool
	Detail string // what was found
	Fix    string // what to do if not OK
}

var _ io.Closer = Driver(nil)
