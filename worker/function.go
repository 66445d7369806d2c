package worker

import (
	"context"
	"io"
	"time"

	"github.com/enfold-run/enfold/runtimes"
)

// Function is everything a sandbox must know to run one revision of one function version.
type Function struct {
	Key      string // unique per revision of code and configuration: sandboxes are pooled by it
	Owner    string // "account/region/function/version": sandbox.Spec.Owner
	Account  string
	Region   string
	Name     string
	Version  string // "$LATEST" or a number
	Role     string // ARN of the execution role
	Runtime  string // "python3.12", "provided.al2023"
	Handler  string
	MemoryMB int
	Timeout  time.Duration
	TmpMB    int
	Env      map[string]string // the customer's
	Task     string            // host directory that becomes /var/task
	Layers   []string          // host directories merged into /opt, in order
	Image    *Image            // a container image, instead of Runtime, Handler, Task and Layers

	// RuntimeVersion and RuntimeVersionArn are for the INIT_START line: "python:3.12.v1". Empty for custom runtimes.
	RuntimeVersion, RuntimeVersionArn string

	// Isolation is the least that keeps the function from others: the name of a driver, empty for the server's own.
	Isolation string

	// SnapStart says that the function is stored after its Init phase, and its sandboxes are restored from there: see Pool.Snapshot.
	SnapStart bool
	// Snapshot is the host directory of that. Without one that can be restored from, the function has ordinary cold starts.
	Snapshot string
	// Spoilt, if not nil, is called when a snapshot has turned out to be one that cannot be restored from. It is to be made anew. It must
	// not block.
	Spoilt func()

	LogGroup  string
	LogFormat string // "Text" or "JSON"
	LogLevel  string // application log level, JSON only
	SystemLog string // system log level, JSON only
}

// Image is a container image as a function uses it.
type Image = runtimes.Image

// Request is one invocation.
type Request struct {
	RequestID       string
	InvokedArn      string
	Payload         []byte
	ContentType     string
	ClientContext   string // decoded JSON
	CognitoIdentity string
	TraceID         string
	TenantID        string
	Tail            bool      // the caller wants the last 4 KB of the log
	Cut             func()    // ends a Write of Stream that waits for its reader; nil if nothing can
	Stream          io.Writer // for InvokeWithResponseStream, else nil
}

// Response is what the function answered. A function that failed is not an error.
type Response struct {
	Payload       []byte
	ContentType   string
	FunctionError string // "Unhandled", or empty if it succeeded
	ErrorType     string // what failed, for metrics: "Sandbox.Timedout", "Runtime.ExitError", …
	LogTail       []byte // last 4,096 bytes of START…REPORT and of what its Init phase wrote, if Request.Tail
	Streamed      bool   // the payload went to Request.Stream
	StreamError   []byte // a streamed response failed midway: the error's JSON

	Duration  time.Duration
	Init      time.Duration // zero if warm; of a provisioned sandbox's first invocation, what the Init phase took long before
	Restore   time.Duration // what it took to restore the sandbox from its snapshot, zero if that was not done
	MaxMemory int64         // bytes

	Provisioned bool // it ran in a sandbox that Provision had made
}

// Logger takes what functions write. It must not block for the disk and must bound its memory.
type Logger interface {
	// Log is called once per event, in order for one stream. The event is only valid during the call.
	Log(s *LogStream, at time.Time, event []byte)
	// LogPlatform is Log for the platform's own lines. There are few of them however much a function writes, and they say what
	// its invocations came to: they stay where the function's own do not.
	LogPlatform(s *LogStream, at time.Time, event []byte)
}

// LogStream is one CloudWatch log stream: one per sandbox.
type LogStream struct {
	Account, Region string
	Group, Name     string
	Function        string // whose it is: several may write to one group
}

// Runner runs invocations: the Pool, or a fake in tests.
type Runner interface {
	// Run waits for the function's answer. The error is about us (no sandbox could be made), never about the function.
	// If ctx ends, the sandbox is killed.
	Run(ctx context.Context, f *Function, r *Request) (*Response, error)
	// Retire lets go of all sandboxes of a Function key: idle ones now, busy ones when they are done.
	Retire(key string)
	// Provision sets how many sandboxes of f are kept ready for its invocations, Init phase done; 0 ends that, as Retire does.
	// They are made in the background, are used first, do not end for being idle, and are made anew when they die or age.
	// It is forgotten with the process.
	Provision(f *Function, n int)
	// Provisioned is how many there are, ready or busy, and why the last one could not be made, nil if it could: the error
	// wraps ErrInit if the function is to blame. It is tried again, after a while that doubles up to five minutes.
	Provisioned(key string) (allocated int, err error)
	// Expect says that a first invocation of f is likely soon: it was just created or changed, or the server has just started.
	// f need not be complete: Env, Task and Layers may be missing. It never blocks.
	Expect(f *Function)
}
