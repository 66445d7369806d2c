package examples

import (
	"archive/zip"
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed */python/*.py */node/*.mjs */java/function.jar photo.jpeg
var files embed.FS

// Example is a function that can be deployed.
type Example struct {
	Name     string // "thumbnail-python"
	Kind     string // "hello", "thumbnail", "conformance"
	Language string // "go", "python", "node", "java"
	// Runtimes are those that it runs on, the preferred one first.
	Runtimes []string
	Handler  string
	MemoryMB int
}

// SkipError says why an example cannot be deployed here.
type SkipError struct{ Reason string }

func (e *SkipError) Error() string { return e.Reason }

var languages = []struct {
	name     string
	runtimes []string
	memory   int
}{
	{"go", []string{"provided.al2023", "provided.al2"}, 128},
	{"python", []string{"python3.13", "python3.12", "python3.14", "python3.11", "python3.10", "python3.9", "python3.8"}, 128},
	{"node", []string{"nodejs22.x", "nodejs24.x", "nodejs20.x", "nodejs18.x"}, 128},
	{"java", []string{"java21", "java25", "java17", "java11"}, 512},
}

// List is what `enfold demo` deploys: hello and thumbnail in every language.
func List() []Example {
	var out []Example
	for _, kind := range []string{"hello", "thumbnail"} {
		for _, l := range languages {
			out = append(out, example(kind, l.name))
		}
	}
	return out
}

// Conformance are the functions that tell all that they are given, a function per language with a managed runtime.
func Conformance() []Example {
	return []Example{example("conformance", "python"), example("conformance", "node"), example("conformance", "java")}
}

func example(kind, language string) Example {
	e := Example{Name: kind + "-" + language, Kind: kind, Language: language}
	for _, l := range languages {
		if l.name == language {
			e.Runtimes, e.MemoryMB = l.runtimes, l.memory
		}
	}
	switch language {
	case "go":
		e.Handler = "bootstrap"
	case "python":
		e.Handler = "lambda_function.lambda_handler"
	case "node":
		e.Handler = "index.handler"
	case "java":
		e.Handler = "example." + strings.ToUpper(kind[:1]) + kind[1:]
	}
	return e
}

// Event is an event for the example: JSON.
func (e Example) Event() []byte {
	var event any = map[string]string{"name": "Enfold"}
	if e.Kind == "thumbnail" {
		event = map[string][]byte{"image": Photo()}
	}
	data, err := json.Marshal(event)
	if err != nil {
		panic(err) // strings and bytes are always JSON
	}
	return data
}

// Photo is the photograph that thumbnail functions look at: a JPEG of 150 × 103 pixels.
func Photo() []byte {
	data, err := files.ReadFile("photo.jpeg")
	if err != nil {
		panic(err) // it is in the binary
	}
	return data
}

// Zip is the function's deployment package. binaries is where make has put the compiled Go examples,
// <binaries>/hello-go/bootstrap; if one is not there it is compiled, which needs a Go toolchain and the sources. A *SkipError
// says that neither works.
func (e Example) Zip(ctx context.Context, binaries string) ([]byte, error) {
	switch e.Language {
	case "go":
		binary, err := e.binary(ctx, binaries)
		if err != nil {
			return nil, err
		}
		return zipped(map[string][]byte{"bootstrap": binary})
	case "java":
		data, err := files.ReadFile(e.Kind + "/java/function.jar")
		if err != nil {
			return nil, fmt.Errorf("read example %s: %w", e.Name, err)
		}
		return data, nil
	}
	dir := e.Kind + "/" + e.Language
	contents := map[string][]byte{}
	err := fs.WalkDir(files, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		contents[path.Base(name)], err = files.ReadFile(name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read example %s: %w", e.Name, err)
	}
	return zipped(contents)
}

// binary is the compiled Go example.
func (e Example) binary(ctx context.Context, binaries string) ([]byte, error) {
	built := filepath.Join(binaries, e.Name, "bootstrap")
	data, err := os.ReadFile(built)
	if err == nil {
		return data, nil
	}
	root := sources(binaries)
	tool, lookErr := exec.LookPath("go")
	if root == "" || lookErr != nil {
		return nil, &SkipError{Reason: fmt.Sprintf("%s is not there, and compiling it needs Go and Enfold's sources: run make build", built)}
	}
	tmp, err := os.MkdirTemp("", "enfold-example-*")
	if err != nil {
		return nil, fmt.Errorf("make a directory to compile in: %w", err)
	}
	defer os.RemoveAll(tmp)
	out := filepath.Join(tmp, "bootstrap")
	cmd := exec.CommandContext(ctx, tool, "build", "-trimpath", "-ldflags=-s -w", "-tags=lambda.norpc", "-o", out, "./examples/"+e.Kind+"/go")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	cmd.WaitDelay = time.Second
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, &SkipError{Reason: fmt.Sprintf("go build of example %s failed: %v: %.500s", e.Name, err, text)}
	}
	data, err = os.ReadFile(out)
	if err != nil {
		return nil, fmt.Errorf("read compiled example: %w", err)
	}
	return data, nil
}

// sources is the root of Enfold's module, above the binaries or the working directory, or "".
func sources(binaries string) string {
	wd, err := os.Getwd()
	if err != nil {
		return ""
	}
	for _, start := range []string{binaries, wd} {
		dir, err := filepath.Abs(start)
		for err == nil {
			mod, readErr := os.ReadFile(filepath.Join(dir, "go.mod"))
			if readErr == nil && bytes.HasPrefix(mod, []byte("module github.com/enfold-run/enfold\n")) {
				return dir
			}
			parent := filepath.Dir(dir)
			if parent == dir {
				break
			}
			dir = parent
		}
	}
	return ""
}

// zipped is a zip of files that may be run, the same bytes every time.
func zipped(contents map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 2, 1, 0, 0, 0, 0, time.UTC)}
		h.SetMode(0o755)
		w, err := z.CreateHeader(h)
		if err != nil {
			return nil, fmt.Errorf("zip %s: %w", name, err)
		}
		if _, err := w.Write(contents[name]); err != nil {
			return nil, fmt.Errorf("zip %s: %w", name, err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("close zip: %w", err)
	}
	return out.Bytes(), nil
}
