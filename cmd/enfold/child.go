package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// answers says whether the server is there.
func (t *target) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.endpoint+"/_enfold/health", nil)
	if err != nil {
		return false
	}
	client, err := httpClient()
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// startServer runs `enfold serve` on a data directory as a child, on a free port. stop ends it in good order and waits.
func startServer(ctx context.Context, data, region string) (t *target, stop func(), err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find the enfold binary: %w", err)
	}
	cmd := exec.Command(exe, "serve", "--data", data, "--listen", "127.0.0.1:0", "--region", region, "--log-level", "warn")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = ownGroup()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("start a server: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start a server: %w", err)
	}
	stop = func() {
		_ = interrupt(cmd.Process) // it may have ended by itself
		_ = cmd.Wait()             // and how it ended it has said
	}
	ready := bufio.NewScanner(out)
	if !ready.Scan() {
		stop()
		return nil, nil, errors.New("the server did not start: it says why above")
	}
	fmt.Println(ready.Text())
	for { // the endpoint file follows the ready line
		if t, err = serverOf(data, region); err == nil && t.answers(ctx) {
			return t, stop, nil
		}
		if ctx.Err() != nil {
			stop()
			return nil, nil, ctx.Err()
		}
		time.Sleep(time.Millisecond)
	}
}
