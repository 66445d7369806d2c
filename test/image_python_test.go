package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/enfold-run/enfold/image"
	"github.com/enfold-run/enfold/image/imagetest"
)

// entrypoint is what /lambda-entrypoint.sh of AWS's base images does: outside of Lambda it would start an emulator.
const entrypoint = `#!/bin/sh
export _HANDLER="$1"
if [ -z "$AWS_LAMBDA_RUNTIME_API" ]; then exec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap; fi
exec /var/runtime/bootstrap
`

const pythonHandler = `
import os, sys, pwd, ssl, subprocess, tempfile

def handler(event, context):
    if event["name"] == "fail":
        raise ValueError("I was told to fail")
    print("hello from the log,", event["name"])
    with tempfile.TemporaryFile() as f:
        f.write(b"x")
    return {
        "hello": event["name"], "id": context.aws_request_id, "left": context.get_remaining_time_in_millis() > 0,
        "cwd": os.getcwd(), "root": os.environ["LAMBDA_TASK_ROOT"], "own": os.environ["OWN"],
        "host": os.path.exists("/etc/debian_version") or os.path.exists("/usr/bin/env"),
        "child": subprocess.run(["sh", "-c", "echo child"], capture_output=True, text=True).stdout.strip(),
    }
`

// sharedObject finds the libraries that a program needs.
var sharedObject = regexp.MustCompile(`(/\S+) \(0x`)

func librariesOf(t *testing.T, programs ...string) (files []string) {
	t.Helper()
	for _, p := range programs {
		out, err := exec.Command("ldd", p).CombinedOutput()
		if err != nil && !strings.Contains(string(out), "not a dynamic") {
			t.Skipf("the libraries of %s cannot be found: ldd: %v: %s", p, err, out)
		}
		for _, m := range sharedObject.FindAllStringSubmatch(string(out), -1) {
			if !slices.Contains(files, m[1]) {
				files = append(files, m[1])
			}
		}
	}
	return files
}

// usedModules prints the interpreter, where its library is, and the files of all modules that the client and the function need: an image
// with all of them would be ten times as large.
const usedModules = `
import sys, os, sysconfig, json
sys.path.insert(0, sys.argv[1])
import awslambdaric.__main__, awslambdaric.bootstrap, concurrent.futures.thread, encodings.idna, encodings.ascii, encodings.latin_1, runpy, pwd, ssl, subprocess, tempfile, json.decoder
files = {getattr(m, "__file__", None) for m in list(sys.modules.values())}
library = sysconfig.get_path("stdlib")
print(json.dumps([os.path.realpath(sys.executable), library] + sorted(f for f in files if f and f.startswith(library) and os.path.exists(f))))
`

// pythonImage is like AWS's base image for Python: a shell, the host's Python, AWS's own runtime interface client, and a function.
func pythonImage(t *testing.T) v1.Image {
	t.Helper()
	client := tool(t, "ric")
	out, err := exec.Command(tool(t, "py", "bin", "python"), "-c", usedModules, client).Output()
	var python []string
	if err == nil {
		err = json.Unmarshal(out, &python)
	}
	if err != nil {
		t.Fatal(err)
	}
	program, library, modules := python[0], python[1], python[2:]
	natives, err := filepath.Glob(filepath.Join(client, "*.so"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range modules {
		if strings.HasSuffix(m, ".so") {
			natives = append(natives, m)
		}
	}
	host := append([]string{"/bin/sh", program}, librariesOf(t, append(natives, "/bin/sh", program)...)...)
	programs, err := imagetest.Host(host...)
	if err != nil {
		t.Fatal(err)
	}
	standard, err := imagetest.Host(modules...)
	if err != nil {
		t.Fatal(err)
	}
	ric, err := imagetest.Dir(client, "/var/runtime")
	if err != nil {
		t.Fatal(err)
	}
	own, err := imagetest.Tar(
		imagetest.File("lambda-entrypoint.sh", entrypoint),
		imagetest.File("var/runtime/bootstrap", fmt.Sprintf("#!/bin/sh\nexec %s -m awslambdaric \"$_HANDLER\"\n", program)),
		imagetest.File("var/task/app.py", pythonHandler))
	if err != nil {
		t.Fatal(err)
	}
	img, err := imagetest.New(image.Config{
		Entrypoint: []string{"/lambda-entrypoint.sh"}, Cmd: []string{"app.handler"}, WorkingDir: "/var/task",
		Env: []string{
			"PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONPATH=/var/runtime", "PYTHONHOME=" + filepath.Dir(filepath.Dir(library)),
			"LAMBDA_TASK_ROOT=/var/task", "LAMBDA_RUNTIME_DIR=/var/runtime", "OWN=the image's",
		},
		Architecture: runtime.GOARCH,
	}, programs, standard, ric, own)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// AWS's own runtime interface client works unchanged, started the way AWS's base images start it.
func TestImageRuntimeClient(t *testing.T) {
	dir := t.TempDir()
	if err := imagetest.WriteLayout(dir, "python", pythonImage(t)); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, "--image-dir", dir, "--runtime-images", "python3.13=oci:"+dir+":python")
	if s.health(t).Isolation == "process" {
		t.Skip("functions are plain processes here, which have no container images")
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.createImage(t, "python", "oci:"+dir+":python"); err != nil {
		t.Fatal(refusedAs(err))
	}
	o := s.invoke(t, "python", `{"name":"Ada"}`)
	var got map[string]any
	if err := json.Unmarshal([]byte(o.payload), &got); err != nil || o.failed != "" {
		t.Fatalf("it answers %s %s\n%s", o.failed, o.payload, o.log)
	}
	for k, want := range map[string]any{
		"hello": "Ada", "id": o.id, "left": true, "cwd": "/var/task", "root": "/var/task", "own": "the image's", "host": false, "child": "child",
	} {
		if got[k] != want {
			t.Errorf("%s is %v, want %v", k, got[k], want)
		}
	}
	if !strings.Contains(o.log, "hello from the log, Ada") {
		t.Errorf("the log is\n%s", o.log)
	}
	if o := s.invoke(t, "python", `{"name":"fail"}`); o.failed != "Unhandled" || !strings.Contains(o.payload, `"errorType": "ValueError"`) {
		t.Errorf("a function that fails answers %s %s", o.failed, o.payload)
	}

	// The same image serves functions that bring only their code, with the interpreter that is in it.
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: new("archive"), Runtime: types.RuntimePython313, Handler: new("own.handler"), MemorySize: new(int32(256)),
		Code: &types.FunctionCode{ZipFile: zipOf(t, file{name: "own.py", body: []byte(archiveHandler)})},
	})
	o = s.invoke(t, "archive", `{"name":"Ada"}`)
	if want := `{"hello": "Ada", "host": false, "image": false, "execution": "AWS_Lambda_python3.13"}`; o.payload != want || o.failed != "" {
		t.Errorf("it answers %s %s, want %s\n%s", o.failed, o.payload, want, o.log)
	}
}

const archiveHandler = `
import os

def handler(event, context):
    return {
        "hello": event["name"], "host": os.path.exists("/usr/bin/env"), "image": os.path.exists("/var/task/app.py"),
        "execution": os.environ["AWS_EXECUTION_ENV"],
    }
`
