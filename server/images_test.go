package server

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestParseRegistries(t *testing.T) {
	r, err := parseRegistries([]string{"public.ecr.aws", "https://ghcr.io", "docker.io", "http://10.0.0.1:5000"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string][2]bool{
		"public.ecr.aws": {true, false}, "ghcr.io": {true, false}, "index.docker.io": {true, false}, "10.0.0.1:5000": {true, true},
		"10.0.0.1": {false, false}, "evil.example": {false, false}, "": {false, false},
	} {
		if got := [2]bool{r.allow(host), r.isPlain(host)}; got != want {
			t.Errorf("%q: allowed and plain %v, want %v", host, got, want)
		}
	}
	for _, bad := range []string{"", "http://", "host/path", "user@host", "ftp://host"} {
		if _, err := parseRegistries([]string{bad}); err == nil || !strings.Contains(err.Error(), "--image-registries") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestImageConfigIsChecked(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := errors.Join(os.Mkdir("images", 0o700), os.WriteFile("file", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	c := Config{Data: t.TempDir(), ImageDirs: []string{"images"}}
	if err := c.check(); err != nil || !strings.HasPrefix(c.ImageDirs[0], "/") {
		t.Errorf("%v, %q", err, c.ImageDirs)
	}
	for flag, c := range map[string]Config{
		`--image-dir "nowhere"`: {Data: "x", ImageDirs: []string{"images", "nowhere"}},
		`--image-dir "file"`:    {Data: "x", ImageDirs: []string{"file"}},
		"--image-allow":         {Data: "x", ImageAllow: []string{"10.0.0.0/99"}},
		"--image-registries":    {Data: "x", ImageRegistries: []string{"a/b"}},
	} {
		if err := c.check(); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}
