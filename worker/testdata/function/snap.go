package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// restored is in the environment of a process that the tests' driver has made of what it has stored.
const restored = "RESTORED"

// snap is what a runtime with SnapStart does before its first next. how names what goes wrong.
func (f *function) snap(how string) {
	if os.Getenv(restored) == "" {
		fmt.Println("before the snapshot")
		if how == "before-error" {
			f.dial()
			f.request("POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: x\r\nLambda-Runtime-Function-Error-Type: Runtime.BeforeSnapshotError\r\n", "{}")
			f.readResponse()
			os.Exit(64)
		}
	}
	stream := restoreNext()
	fmt.Println("after the restore in " + stream)
	os.Setenv("AWS_LAMBDA_LOG_STREAM_NAME", stream)
	f.dial()
	switch how {
	case "after-error":
		f.request("POST /2018-06-01/runtime/restore/error HTTP/1.1\r\nHost: x\r\nLambda-Runtime-Function-Error-Type: Runtime.AfterRestoreError\r\n", "{}")
		f.readResponse()
		os.Exit(65)
	case "after-exit":
		os.Exit(3)
	case "after-hang":
		hang()
	}
}

// restoreNext waits to be restored, if it is to be, and answers the name of the log stream.
func restoreNext() string {
	for {
		c, err := net.Dial("tcp", os.Getenv("AWS_LAMBDA_RUNTIME_API"))
		if err == nil {
			io.WriteString(c, "GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			c.Close()
			if err == nil && resp.StatusCode == 200 {
				return resp.Header.Get("Enfold-Log-Stream")
			}
		}
		for range 1000 {
			if _, err := os.Stat(os.Getenv("_ENFOLD_RESTORED")); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// credentials are those that the container's endpoint has.
func credentials() string {
	req, err := http.NewRequest(http.MethodGet, os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"), nil)
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Authorization", os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return resp.Status + " " + string(body)
}
