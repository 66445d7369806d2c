// Function is a Lambda function that speaks the Runtime API by hand, so that it can misbehave in every way that a function
// can: as the INIT variable says when it starts, and as the event says when it is invoked.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// event is what an invocation asks for.
type event struct {
	Do    string
	N     int
	Text  string
	Print string // written to stdout before anything else
}

// function is the state of the process.
type function struct {
	conn  net.Conn
	in    *bufio.Reader
	calls int
	told  []string // status lines that earlier events asked to keep
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "daemon" {
		daemon()
	}
	initialize(os.Getenv("INIT"))
	f := &function{}
	if how := os.Getenv("SNAP"); how != "" {
		f.snap(how)
	} else {
		f.dial()
	}
	for {
		id, header, body := f.next()
		f.calls++
		var e event
		if err := json.Unmarshal(body, &e); err != nil {
			f.post(id, "error", `{"errorType":"BadEvent","errorMessage":"`+err.Error()+`"}`)
			continue
		}
		if e.Print != "" {
			fmt.Print(e.Print)
		}
		f.do(id, e, header, body)
	}
}

// initialize misbehaves before the first next.
func initialize(how string) {
	how, arg, _ := strings.Cut(how, ":")
	n, _ := strconv.Atoi(arg)
	first := firstTime()
	if strings.HasSuffix(how, "-once") && !first {
		return
	}
	switch strings.TrimSuffix(how, "-once") {
	case "":
	case "print":
		fmt.Println("static code")
	case "sleep":
		time.Sleep(time.Duration(n) * time.Millisecond)
	case "hang":
		fmt.Println("hanging")
		hang()
	case "exit":
		fmt.Println("about to exit")
		os.Exit(n)
	case "error":
		f := &function{}
		f.dial()
		f.request("POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: x\r\nLambda-Runtime-Function-Error-Type: Runtime.BadInit\r\n",
			`{"errorMessage":"no luck","errorType":"BadInit","requestId":"","stackTrace":[]}`)
		if n > 0 {
			os.Exit(n)
		}
		f.readResponse()
		os.Exit(1)
	default:
		panic("unknown INIT " + how)
	}
}

// hang is select {} without Go's runtime calling it a deadlock.
func hang() {
	for {
		time.Sleep(time.Hour)
	}
}

func tmp(name string) string { return filepath.Join(os.TempDir(), name) }

// firstTime says whether no process of this sandbox has called it before.
func firstTime() bool {
	err := os.Mkdir(tmp("started"), 0o755)
	return err == nil
}

func (f *function) dial() {
	var err error
	if f.conn, err = net.Dial("tcp", os.Getenv("AWS_LAMBDA_RUNTIME_API")); err != nil {
		panic(err)
	}
	f.in = bufio.NewReader(f.conn)
}

func (f *function) request(head, body string) {
	fmt.Fprintf(f.conn, "%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
}

func (f *function) readResponse() (*http.Response, []byte) {
	resp, err := http.ReadResponse(f.in, nil)
	if err != nil {
		panic(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(err)
	}
	return resp, body
}

const getNext = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"

func (f *function) next() (id string, header http.Header, body []byte) {
	io.WriteString(f.conn, getNext)
	resp, body := f.readResponse()
	if resp.StatusCode != 200 {
		panic(resp.Status)
	}
	return resp.Header.Get("Lambda-Runtime-Aws-Request-Id"), resp.Header, body
}

// send posts an answer and does not wait for the acknowledgement.
func (f *function) send(id, kind, body string) {
	f.request("POST /2018-06-01/runtime/invocation/"+id+"/"+kind+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
		"Lambda-Runtime-Function-Error-Type: "+map[string]string{"error": "Function.Oops"}[kind]+"\r\n", body)
}

func (f *function) post(id, kind, body string) (status, answer string) {
	f.send(id, kind, body)
	resp, b := f.readResponse()
	return resp.Status, string(b)
}

func (f *function) ok(id string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	f.post(id, "response", string(b))
}

// get is what a server answers.
func get(url string) string {
	resp, err := http.Get(url)
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

// crowd holds n connections to the AWS API at once and is how many of them were answered.
func crowd(n int) int {
	at := strings.TrimPrefix(os.Getenv("AWS_ENDPOINT_URL"), "http://")
	var answered atomic.Int64
	var all sync.WaitGroup
	for range n {
		c, err := net.DialTimeout("tcp", at, 4*time.Second)
		if err != nil {
			continue
		}
		defer c.Close()
		all.Go(func() {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			c.SetReadDeadline(time.Now().Add(4 * time.Second))
			if _, err := c.Read(make([]byte, 1)); err == nil {
				answered.Add(1)
			}
		})
	}
	all.Wait()
	return int(answered.Load())
}

func (f *function) do(id string, e event, header http.Header, body []byte) {
	if strings.HasPrefix(e.Do, "stream") {
		f.stream(id, e)
		return
	}
	if f.die(id, e) {
		return
	}
	switch e.Do {
	case "echo":
		f.post(id, "response", string(body))
	case "headers":
		f.ok(id, header)
	case "env":
		f.ok(id, os.Environ())
	case "state":
		f.ok(id, map[string]int{"calls": f.calls, "disk": f.disk(), "pid": os.Getpid()})
	case "get":
		f.ok(id, get(os.Getenv("AWS_ENDPOINT_URL")+e.Text))
	case "credentials":
		f.ok(id, credentials())
	case "crowd":
		f.ok(id, crowd(e.N))
	case "sleep":
		time.Sleep(time.Duration(e.N) * time.Millisecond)
		f.ok(id, os.Getenv("AWS_LAMBDA_LOG_STREAM_NAME")) // names the sandbox
	case "hang":
		f.disk()
		hang()
	case "ignore-term":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		hang()
	case "error":
		f.post(id, "error", e.Text)
	case "large":
		status, answer := f.post(id, "response", strings.Repeat("x", e.N))
		f.told = append(f.told, status, answer)
	case "twice":
		for range 2 {
			status, answer := f.post(id, "response", `"one"`)
			f.told = append(f.told, status, answer)
		}
	case "other-id":
		status, answer := f.post("00000000-0000-0000-0000-000000000000", "response", `"stolen"`)
		f.told = append(f.told, status, answer)
		f.ok(id, "mine")
	case "told":
		f.ok(id, f.told)
	case "never-next":
		f.ok(id, "answered")
		hang()
	case "flood":
		go func() {
			b := []byte(strings.Repeat("flood ", 1000) + "\n")
			for {
				os.Stdout.Write(b)
			}
		}()
		time.Sleep(10 * time.Millisecond)
		f.ok(id, "flooding")
	case "big-pipe":
		// As much as a pipe can be made to hold, with nobody reading in time.
		syscall.Syscall(syscall.SYS_FCNTL, 1, 1031, 1<<20)
		os.Stdout.WriteString(e.Text + strings.Repeat(strings.Repeat("y", 99)+"\n", e.N))
		os.Stdout.WriteString("last line\n")
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "daemon":
		f.daemons(id, e)
	default:
		panic("unknown event " + e.Do)
	}
}

// die is for events that end the process.
func (f *function) die(id string, e event) bool {
	switch e.Do {
	case "exit":
		os.Exit(e.N)
	case "signal":
		// Go's runtime has ideas of its own about signals.
		panic(syscall.Exec("/bin/sh", []string{"sh", "-c", "kill -" + strconv.Itoa(e.N) + " $$; sleep 60"}, os.Environ()))
	case "oom":
		var keep [][]byte
		for {
			b := make([]byte, 8<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			keep = append(keep, b)
			if len(keep) > 1<<10 {
				panic("8 GiB and alive")
			}
		}
	case "answer-exit":
		f.send(id, "response", `"`+strings.Repeat("z", e.N)+`"`)
		os.Exit(3)
	case "error-exit":
		f.post(id, "error", e.Text)
		os.Exit(1)
	case "next-exit":
		f.ok(id, "going")
		io.WriteString(f.conn, getNext)
		time.Sleep(time.Duration(e.N) * time.Millisecond)
		fmt.Println("gone while idle")
		os.Exit(9)
	default:
		return false
	}
	return true
}

// disk counts in /tmp.
func (f *function) disk() int {
	b, _ := os.ReadFile(tmp("count"))
	n, _ := strconv.Atoi(string(b))
	if err := os.WriteFile(tmp("count"), []byte(strconv.Itoa(n+1)), 0o644); err != nil {
		panic(err)
	}
	return n + 1
}

// daemons starts processes that try to outlive this one, and ends as told.
func (f *function) daemons(id string, e event) {
	for range e.N {
		self, err := os.Executable()
		if err != nil {
			panic(err)
		}
		c := exec.Command(self, "daemon")
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := c.Start(); err != nil {
			panic(err)
		}
	}
	if e.Text == "exit" {
		os.Exit(0)
	}
	if e.Text == "hang" {
		hang()
	}
	f.ok(id, "started")
}

func daemon() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	hang()
}

// stream answers in pieces: "stream-end" well, the others not.
func (f *function) stream(id string, e event) {
	mode := "streaming"
	if e.Do == "stream-mode" {
		mode = "sideways"
	}
	fmt.Fprintf(f.conn, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"+
		"Lambda-Runtime-Function-Response-Mode: %s\r\nTransfer-Encoding: chunked\r\n"+
		"Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n", id, mode)
	for range e.N {
		fmt.Fprintf(f.conn, "%x\r\n%s\r\n", len(e.Text), e.Text)
		time.Sleep(5 * time.Millisecond)
	}
	switch e.Do {
	case "stream-hang":
		hang()
	case "stream-exit":
		os.Exit(5)
	case "stream-fail":
		body := base64.StdEncoding.EncodeToString([]byte(`{"errorType":"Midway","errorMessage":"half done"}`))
		fmt.Fprintf(f.conn, "0\r\nLambda-Runtime-Function-Error-Type: Function.Midway\r\nLambda-Runtime-Function-Error-Body: %s\r\n\r\n", body)
	default:
		io.WriteString(f.conn, "0\r\n\r\n")
	}
	f.readResponse()
}
