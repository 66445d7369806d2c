// A function without a runtime library, which speaks the Runtime API itself and badly. What it does is its handler's name,
// or the "do" of the event.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

var api = "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/"

func main() {
	if len(os.Args) > 1 {
		daemon(os.Args[1])
	}
	switch os.Getenv("_HANDLER") {
	case "never-next":
		time.Sleep(time.Hour)
	case "init-exit":
		fmt.Println("going already")
		os.Exit(7)
	case "init-error":
		post("init/error", `{"errorType":"My.Init","errorMessage":"no luck"}`)
		os.Exit(1)
	}
	for {
		id, event := next()
		do(id, event)
	}
}

type event struct {
	Do string `json:"do"`
	N  int    `json:"n"`
}

func do(id string, e event) {
	switch e.Do {
	case "echo":
		answer(id, fmt.Sprintf(`{"pid":%d}`, os.Getpid()))
	case "flood":
		line := strings.Repeat("flood ", 200) + "\n"
		for range e.N << 20 / len(line) {
			os.Stdout.WriteString(line)
		}
		answer(id, `"flooded"`)
	case "flood-for":
		line := strings.Repeat("flood ", 200) + "\n"
		for end := time.Now().Add(time.Duration(e.N) * time.Millisecond); time.Now().Before(end); {
			os.Stdout.WriteString(line)
		}
		answer(id, `"flooded"`)
	case "say":
		for i := range e.N {
			fmt.Println("polite", i)
		}
		answer(id, `"said"`)
	case "long-line":
		os.Stdout.WriteString(strings.Repeat("x", e.N) + "\n")
		answer(id, `"said"`)
	case "twice":
		first := answer(id, `"first"`)
		second := answer(id, `"second"`)
		fmt.Printf("first %d second %d\n", first, second)
	case "status":
		answer(id, fmt.Sprintf("%q", lastStatus))
	case "other-id":
		status := answer("12345678-1234-1234-1234-123456789012", `"forged"`)
		answer(id, fmt.Sprintf(`{"status":%d}`, status))
	case "huge":
		body := append(bytes.Repeat([]byte("x"), e.N-2), '"')
		answer(id, `"`+string(body))
	case "daemon":
		cmd := exec.Command("/proc/self/exe", "daemon")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		cmd.Stdout = os.Stdout // the pipe stays open
		if err := cmd.Start(); err != nil {
			answer(id, fmt.Sprintf("%q", err.Error()))
			return
		}
		answer(id, fmt.Sprintf(`{"daemon":%d}`, cmd.Process.Pid))
	case "fill-tmp":
		f, err := os.Create("/tmp/full")
		chunk := make([]byte, 1<<20)
		n := 0
		for err == nil && n < e.N {
			if _, err = f.Write(chunk); err == nil {
				n++
			}
		}
		f.Close()
		answer(id, fmt.Sprintf(`{"written":%d,"error":%q}`, n, fmt.Sprint(err)))
	case "empty-tmp":
		os.Remove("/tmp/full")
		err := os.WriteFile("/tmp/ok", []byte("ok"), 0o600)
		answer(id, fmt.Sprintf(`{"error":%q}`, fmt.Sprint(err)))
	case "ignore-sigterm":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		answer(id, `"deaf"`)
	case "oom":
		var hoard [][]byte
		for {
			b := make([]byte, 8<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1 // or the page is not there
			}
			hoard = append(hoard, b)
			if len(hoard) > 1<<10 {
				answer(id, `"no limit"`)
				return
			}
		}
	case "exit":
		os.Exit(e.N)
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "sleep":
		time.Sleep(time.Duration(e.N) * time.Millisecond)
		answer(id, `"slept"`)
	case "remember":
		os.WriteFile(os.TempDir()+"/memory", []byte("here"), 0o600)
		select {} // until the timeout
	case "recall":
		b, _ := os.ReadFile(os.TempDir() + "/memory")
		answer(id, fmt.Sprintf(`{"tmp":%q,"pid":%d}`, b, os.Getpid()))
	case "fork-bomb":
		answer(id, fmt.Sprintf(`{"forked":%t}`, forkBomb(5000)))
	case "open-files":
		var files []*os.File
		for len(files) < 5000 {
			f, err := os.Open("/dev/null")
			if err != nil {
				break
			}
			files = append(files, f)
		}
		for _, f := range files {
			f.Close()
		}
		answer(id, fmt.Sprintf(`{"opened":%t}`, len(files) >= 5000))
	case "stream":
		stream(id, e.N)
	case "garbage-headers":
		req, _ := http.NewRequest(http.MethodPost, api+"invocation/"+id+"/response", strings.NewReader(`"x"`))
		req.Header.Set("X-Long", strings.Repeat("h", e.N))
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		answer(id, `"survived"`)
	case "error":
		status := post("invocation/"+id+"/error", `{"errorType":"My.Error","errorMessage":"as told"}`)
		lastStatus = fmt.Sprint(status)
	default:
		answer(id, `"unknown"`)
	}
}

var lastStatus string

func next() (id string, e event) {
	resp, err := http.Get(api + "invocation/next")
	if err != nil {
		fmt.Println("next:", err)
		os.Exit(9)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	_ = json.Unmarshal(body, &e)
	return resp.Header.Get("Lambda-Runtime-Aws-Request-Id"), e
}

func answer(id, body string) int {
	return post("invocation/"+id+"/response", body)
}

func post(path, body string) int {
	resp, err := http.Post(api+path, "application/json", strings.NewReader(body))
	if err != nil {
		fmt.Println(path+":", err)
		return 0
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// stream answers n pieces, with some time between them.
func stream(id string, n int) {
	r, w := io.Pipe()
	go func() {
		for i := range n {
			fmt.Fprintf(w, "piece %d\n", i)
			time.Sleep(100 * time.Millisecond)
		}
		w.Close()
	}()
	req, _ := http.NewRequest(http.MethodPost, api+"invocation/"+id+"/response", r)
	req.Header.Set("Lambda-Runtime-Function-Response-Mode", "streaming")
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Println("stream:", err)
		return
	}
	resp.Body.Close()
}

// forkBomb says whether it could make so many processes. They do nothing but exist; then they are killed, because this one
// needs threads to go on.
func forkBomb(n int) bool {
	var children []int
	for len(children) < n {
		pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
		if errno != 0 {
			break
		}
		if pid == 0 {
			for {
				syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
			}
		}
		children = append(children, int(pid))
	}
	for _, pid := range children {
		syscall.Kill(pid, syscall.SIGKILL)
		syscall.Wait4(pid, nil, 0, nil)
	}
	return len(children) >= n
}

// daemon outlives whoever started it, as far as it can.
func daemon(string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	for range 3600 {
		time.Sleep(time.Second)
		fmt.Println("still here")
	}
	os.Exit(0)
}
