package runtimes

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkWaiting measures a process that waits for its configuration: from there to its request for an event, and to its first
// answer, medians. An operation is the whole life of one.
func BenchmarkWaiting(b *testing.B) {
	for _, f := range []struct {
		family              Family
		file, text, handler string
	}{
		{Python, "app.py", "def handler(event, context):\n    return event\n", "app.handler"},
		{Node, "app.js", "exports.handler = async (event) => event;\n", "app.handler"},
		{Java, "", "", "fn.App$Echo"},
	} {
		for _, r := range served {
			if r.family != f.family {
				continue
			}
			b.Run(r.name, func(b *testing.B) {
				if _, err := hostSet(b).interpreter(context.Background(), r); err != nil {
					b.Skip(err)
				}
				q := Request{Runtime: r.name, Task: b.TempDir(), MemoryMB: 128}
				if f.family == Java {
					q.Task, q.MemoryMB = javac(b, r.name, "testdata/java/fn/App.java"), 512
				} else if err := os.WriteFile(filepath.Join(q.Task, f.file), []byte(f.text), 0o644); err != nil {
					b.Fatal(err)
				}
				benchmarkWaiting(b, q, f.handler)
			})
		}
	}
}

func benchmarkWaiting(b *testing.B, q Request, handler string) {
	l, err := hostSet(b).Launch(context.Background(), q)
	if err != nil {
		b.Fatal(err)
	}
	mounts := append([]Mount{{Source: q.Task, Target: "/var/task"}, {Source: b.TempDir(), Target: "/opt"}}, l.Mounts...)
	l = l.In(func(target string) string { return onHost(mounts, target) })
	var asked, answered []time.Duration
	for b.Loop() {
		a, c := waitingOnce(b, l, handler)
		asked, answered = append(asked, a), append(answered, c)
	}
	for name, of := range map[string][]time.Duration{"µs-to-next": asked, "µs-to-answer": answered} {
		slices.Sort(of)
		b.ReportMetric(float64(of[len(of)/2].Nanoseconds())/1000, name)
	}
}

func waitingOnce(b *testing.B, l Launch, handler string) (asked, answered time.Duration) {
	api, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer api.Close()
	config, stdout, cmd := waitingProcess(b, l, api.Addr().String())
	defer func() { _ = cmd.Wait() }()
	defer cmd.Process.Kill()
	if _, err := io.ReadFull(stdout, make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond) // what the interpreter still does in the background
	env := []string{
		"AWS_LAMBDA_RUNTIME_API=" + api.Addr().String(), "_HANDLER=" + handler, "LANG=en_US.UTF-8", "TZ=:UTC", "AWS_LAMBDA_FUNCTION_NAME=f", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128",
	}
	for k, v := range l.Env {
		env = append(env, k+"="+v)
	}
	for _, entry := range l.Warm.Env {
		if strings.HasPrefix(entry, "LAMBDA_") {
			env = append(env, entry)
		}
	}
	for i := range 8 {
		env = append(env, fmt.Sprintf("VARIABLE_%d=%d", i, i))
	}
	begin := time.Now()
	io.WriteString(config, strings.Join(env, "\x00")+"\x00")
	config.Close()
	conn, err := api.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	read := func() {
		for line := ""; line != "\r\n"; {
			if line, err = r.ReadString('\n'); err != nil {
				b.Fatal(err)
			}
		}
	}
	read()
	asked = time.Since(begin)
	io.WriteString(conn, "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\nLambda-Runtime-Deadline-Ms: 1\r\nContent-Length: 2\r\n\r\n{}")
	read()
	return asked, time.Since(begin)
}

func waitingProcess(b *testing.B, l Launch, endpoint string) (io.WriteCloser, io.Reader, *exec.Cmd) {
	cmd := exec.Command(l.Warm.Args[0], l.Warm.Args[1:]...)
	cmd.Env = append(slices.Clone(l.Warm.Env), "AWS_LAMBDA_RUNTIME_API="+endpoint)
	cmd.Stderr = os.Stderr
	config, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return config, stdout, cmd
}
