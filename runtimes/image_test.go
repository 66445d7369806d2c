package runtimes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestImageLaunch(t *testing.T) {
	for _, tc := range []struct {
		name  string
		image Image
		want  Launch
	}{
		{
			"all of it",
			Image{
				Layers: []string{"/a", "/b"}, EntryPoint: []string{"/entry.sh", "-v"}, Command: []string{"app.handler"}, WorkingDirectory: "/var/task",
				Env: []string{"PATH=/opt/bin", "EMPTY=", "A=1=2"},
			},
			Launch{
				Args: []string{"/entry.sh", "-v", "app.handler"}, Dir: "/var/task", Root: []string{"/a", "/b"},
				Env: map[string]string{"PATH": "/opt/bin", "EMPTY": "", "A": "1=2"},
			},
		},
		{
			"a command alone",
			Image{Command: []string{"python3", "-m", "awslambdaric", "app.handler"}, Env: []string{"=x", "novalue"}},
			Launch{Args: []string{"python3", "-m", "awslambdaric", "app.handler"}, Dir: "/", Env: map[string]string{"PATH": imagePath}},
		},
		{"a relative directory", Image{EntryPoint: []string{"x"}, WorkingDirectory: "app"}, Launch{Args: []string{"x"}, Dir: "/app", Env: map[string]string{"PATH": imagePath}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := tc.image.Launch(); err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%+v, %v\nwant %+v", got, err, tc.want)
			}
		})
	}
	for name, image := range map[string]Image{"nothing": {}, "an empty word": {EntryPoint: []string{""}, Command: []string{"x"}}} {
		_, err := image.Launch()
		if entry, ok := errors.AsType[*EntrypointError](err); !ok || entry.ErrorType() != "Runtime.InvalidEntrypoint" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, image := range map[string]Image{
		"a long word":    {EntryPoint: []string{"x", strings.Repeat("y", 1<<20)}},
		"many words":     {EntryPoint: []string{"x"}, Command: make([]string, 200_000)},
		"many variables": {EntryPoint: []string{"x"}, Env: make([]string, 200_000)},
	} {
		if _, err := image.Launch(); err == nil || err.Error() != "fork/exec x: argument list too long" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h := (&Image{Command: []string{"app.handler", "x"}}).Handler(); h != "app.handler" {
		t.Errorf("handler %q", h)
	}
	if h := (&Image{EntryPoint: []string{"x"}}).Handler(); h != "" {
		t.Errorf("handler %q of an image without a command", h)
	}
}

// A runtime that the operator gives an image for needs nothing of the host.
func TestRuntimeImages(t *testing.T) {
	base := &Image{Layers: []string{"/a"}, EntryPoint: []string{"/lambda-entrypoint.sh"}, Env: []string{"PATH=/var/lang/bin", "LANG=en_US.UTF-8"}}
	broken := errors.New("registry unreachable")
	set := New(Options{DataDir: t.TempDir(), Image: func(_ context.Context, name string) (*Image, error) {
		switch name {
		case "python3.14", "provided.al2023":
			return base, nil
		case "nodejs24.x":
			return nil, broken
		}
		return nil, nil
	}})
	task := t.TempDir()
	if err := os.WriteFile(filepath.Join(task, "bootstrap"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"PATH": "/var/lang/bin", "LANG": "en_US.UTF-8"}
	python := map[string]string{"PATH": "/var/lang/bin", "LANG": "en_US.UTF-8", "AWS_EXECUTION_ENV": "AWS_Lambda_python3.14"}
	for name, want := range map[string]Launch{
		"python3.14":      {Args: []string{"/var/runtime/bootstrap"}, Dir: "/var/task", Root: []string{"/a"}, Env: python},
		"provided.al2023": {Args: []string{"/var/task/bootstrap"}, Dir: "/var/task", Root: []string{"/a"}, Env: env},
	} {
		if err := set.Check(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := set.Launch(t.Context(), Request{Runtime: name, Task: task}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v\nwant %+v", name, got, err, want)
		}
	}
	_, err := set.Launch(t.Context(), Request{Runtime: "nodejs24.x"})
	if missing, ok := errors.AsType[*MissingError](err); !ok || !strings.Contains(missing.Reason, "registry unreachable") {
		t.Errorf("an image that cannot be had: %v", err)
	}
	if err := set.Check(t.Context(), "nodejs24.x"); err == nil {
		t.Error("a runtime whose image cannot be had is found to be there")
	}
	if got, err := set.Launch(t.Context(), Request{Runtime: "provided.al2", Task: task}); err != nil || got.Root != nil {
		t.Errorf("a runtime without an image: %+v, %v", got, err)
	}
}
