package runtimes

import (
	"errors"
	"reflect"
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
	if h := (&Image{Command: []string{"app.handler", "x"}}).Handler(); h != "app.handler" {
		t.Errorf("handler %q", h)
	}
	if h := (&Image{EntryPoint: []string{"x"}}).Handler(); h != "" {
		t.Errorf("handler %q of an image without a command", h)
	}
}
