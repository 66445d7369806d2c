package examples_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/examples"
	"github.com/enfold-run/enfold/runtimes"
)

// patience is how long compiling or running an example may take on a busy machine.
const patience = 2 * time.Minute

func TestExamples(t *testing.T) {
	set := runtimes.New(runtimes.Options{DataDir: t.TempDir()})
	for _, e := range append(examples.List(), examples.Conformance()...) {
		t.Run(e.Name, func(t *testing.T) {
			answer := run(t, set, e, string(e.Event()))
			switch e.Kind {
			case "hello":
				want := map[string]any{"message": "Hello, Enfold!", "function": "example", "requestId": "r1"}
				if got := fmt.Sprint(answer); got != fmt.Sprint(want) {
					t.Errorf("answer %v, want %v", answer, want)
				}
			case "thumbnail":
				checkThumbnail(t, e, answer)
			case "conformance":
				if fmt.Sprint(answer["event"]) != "map[name:Enfold]" || answer["context"].(map[string]any)["functionName"] != "example" || answer["env"].(map[string]any)["AWS_LAMBDA_FUNCTION_NAME"] != "example" {
					t.Errorf("answer %v", answer)
				}
			}
		})
	}
}

func checkThumbnail(t *testing.T, e examples.Example, answer map[string]any) {
	config, err := jpeg.DecodeConfig(bytes.NewReader(examples.Photo()))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"format": "JPEG", "width": float64(config.Width), "height": float64(config.Height), "bytes": float64(len(examples.Photo())), "color": "YCbCr",
	} {
		if answer[name] != want {
			t.Errorf("%s is %v, want %v", name, answer[name], want)
		}
	}
	if e.Language != "go" {
		if answer["process"] != "baseline" || answer["bits"] != 8.0 {
			t.Errorf("process %v, bits %v", answer["process"], answer["bits"])
		}
		return
	}
	for name, longest := range map[string]int{"web": 120, "mobile": 64} {
		var size struct {
			Width, Height, Bytes int
			Image                []byte
		}
		data, err := json.Marshal(answer[name])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &size); err != nil {
			t.Fatal(err)
		}
		got, err := jpeg.Decode(bytes.NewReader(size.Image))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b := got.Bounds(); b.Dx() != longest || b.Dx() != size.Width || b.Dy() != size.Height || b.Dy() != longest*config.Height/config.Width {
			t.Errorf("%s is %v, said to be %d × %d", name, b, size.Width, size.Height)
		}
	}
}

func TestBadPhotos(t *testing.T) {
	set := runtimes.New(runtimes.Options{DataDir: t.TempDir()})
	for _, e := range examples.List() {
		if e.Kind != "thumbnail" {
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			for _, event := range []string{`{"image":"AAAA"}`, `{"image":"/9j/4AAQ"}`, `{"image":"/9g="}`} {
				if answer := run(t, set, e, event); answer["errorMessage"] == nil {
					t.Errorf("%s: answer %v, want an error", event, answer)
				}
			}
		})
	}
}

// run runs one event in the example's process, with no platform around it.
func run(t *testing.T, set *runtimes.Set, e examples.Example, event string) map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	task := unzip(t, e)
	var l runtimes.Launch
	err := errors.New("the example names no runtime")
	for _, r := range e.Runtimes {
		if l, err = set.Launch(ctx, runtimes.Request{Runtime: r, Task: task, MemoryMB: e.MemoryMB}); err == nil {
			break
		}
	}
	if err != nil {
		t.Skip(err)
	}
	mounts := append([]runtimes.Mount{{Source: task, Target: "/var/task"}}, l.Mounts...)
	onHost := func(path string) string {
		best := runtimes.Mount{}
		for _, m := range mounts {
			if (path == m.Target || strings.HasPrefix(path, m.Target+"/")) && len(m.Target) > len(best.Target) {
				best = m
			}
		}
		return best.Source + strings.TrimPrefix(path, best.Target)
	}
	l = l.In(onHost)
	answers := make(chan []byte, 1)
	api := httptest.NewServer(runtimeAPI(ctx, event, answers))
	defer api.Close()
	defer api.CloseClientConnections()
	cmd := exec.CommandContext(ctx, l.Args[0], l.Args[1:]...)
	cmd.Dir = task
	cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + api.Listener.(*net.TCPListener).Addr().String(), "_HANDLER=" + e.Handler,
		"LAMBDA_TASK_ROOT=" + task, "LAMBDA_RUNTIME_DIR=" + onHost("/var/runtime"), "AWS_LAMBDA_FUNCTION_NAME=example",
	}
	for k, v := range l.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() //nolint:errcheck // it is killed
		close(ended)
	}()
	var body []byte
	select {
	case body = <-answers:
	case <-ended:
	}
	cmd.Process.Kill()
	<-ended
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("answer %q: %v; log:\n%s", body, err, log.String())
	}
	return answer
}

// runtimeAPI hands out one event and takes one answer.
func runtimeAPI(ctx context.Context, event string, answers chan<- []byte) http.HandlerFunc {
	events := make(chan string, 1)
	events <- event
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			select {
			case answers <- body:
			default:
			}
			w.WriteHeader(http.StatusAccepted)
			return
		}
		select {
		case e := <-events:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "r1")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(patience).UnixMilli()))
			io.WriteString(w, e)
		case <-r.Context().Done():
		case <-ctx.Done():
		}
	}
}

// unzip unpacks the example's deployment package into a directory.
func unzip(t *testing.T, e examples.Example) string {
	t.Helper()
	data, err := e.Zip(t.Context(), "../bin/examples")
	var skip *examples.SkipError
	if errors.As(err, &skip) {
		t.Skip(skip)
	}
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, z); err != nil {
		t.Fatal(err)
	}
	if e.Language == "go" {
		if err := os.Chmod(filepath.Join(dir, "bootstrap"), 0o755); err != nil {
			t.Fatal(err)
		}
		if mode := z.File[0].Mode(); mode.Perm() != 0o755 {
			t.Errorf("bootstrap has mode %v in the zip", mode)
		}
	}
	return dir
}

func TestZipIsTheSameEveryTime(t *testing.T) {
	for _, e := range examples.List() {
		if e.Language == "go" {
			continue
		}
		one, err := e.Zip(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		two, err := e.Zip(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, two) {
			t.Errorf("%s: two zips differ", e.Name)
		}
	}
}

// TestNoToolchain checks that a Go example which cannot be made here is skipped with a reason, and does not fail.
func TestNoToolchain(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := examples.List()[0].Zip(t.Context(), t.TempDir())
	var skip *examples.SkipError
	if !errors.As(err, &skip) || !strings.Contains(skip.Reason, "make build") {
		t.Errorf("error %v, want a SkipError that says what to do", err)
	}
}

// TestJars checks that the committed jars are what their sources give.
func TestJars(t *testing.T) {
	const pinned = "17" // compilers of different versions write different bytes
	out, err := exec.Command("javac", "-version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "javac "+pinned+".") {
		t.Skipf("the jars are compiled by javac %s; here is: %s %v", pinned, out, err)
	}
	dir := t.TempDir()
	if out, err := exec.Command("./build-java.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("build-java.sh: %v\n%s", err, out)
	}
	jars, err := filepath.Glob("*/java/function.jar")
	if err != nil || len(jars) != 3 {
		t.Fatalf("jars %v, error %v", jars, err)
	}
	for _, jar := range jars {
		want, err := os.ReadFile(filepath.Join(dir, jar))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(jar)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what its source gives: run make gen", jar)
		}
	}
}
