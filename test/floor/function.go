package floor

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/enfold-run/enfold/runtimeapi"
)

// Function is one process of a function and its Runtime API, with nothing around it.
type Function struct {
	session *runtimeapi.Session
	cmd     *exec.Cmd
	exited  chan struct{}
	n       int
}

// Start listens and execs the function's binary in a clean environment. It does not wait until the function is ready.
func Start(path string) (*Function, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the Runtime API: %w", err)
	}
	f := &Function{session: runtimeapi.NewSession(l), exited: make(chan struct{})}
	f.cmd = exec.Command(path)
	f.cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + l.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME=floor", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128", "AWS_REGION=us-east-1", "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=en_US.UTF-8", "TZ=:UTC",
	}
	f.cmd.Stderr = os.Stderr
	if err := f.cmd.Start(); err != nil {
		f.session.Close()
		return nil, fmt.Errorf("start function: %w", err)
	}
	go func() {
		_ = f.cmd.Wait()
		f.session.Close() // ends an Invoke that waits for it
		close(f.exited)
	}()
	return f, nil
}

// Invoke answers the event, or says that the function failed. One at a time.
func (f *Function) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	f.n++
	a, err := f.session.Run(ctx, &runtimeapi.Invocation{
		RequestID: strconv.Itoa(f.n), Payload: event, Deadline: time.Now().Add(time.Minute),
		FunctionArn: "arn:aws:lambda:us-east-1:000000000000:function:floor",
	})
	if err != nil {
		return nil, err
	}
	if a.Failed {
		return nil, fmt.Errorf("the function failed: %s", a.Payload)
	}
	return a.Payload, nil
}

// Stop kills the process and waits until it is gone.
func (f *Function) Stop() {
	_ = f.cmd.Process.Kill()
	<-f.exited
}
