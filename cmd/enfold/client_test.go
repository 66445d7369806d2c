package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/server"
)

// TestWhoActs: on a data directory commands act as root, and say so to who has other credentials in the environment.
func TestWhoActs(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		server.EndpointFile: "http://127.0.0.1:1", server.CredentialsFile: "[default]\naws_access_key_id = AKIAROOT\naws_secret_access_key = secret\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:2")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "other")
	for id, says := range map[string]bool{"AKIAOTHER": true, "AKIAROOT": false, "": false} {
		t.Setenv("AWS_ACCESS_KEY_ID", id)
		said := stderrOf(t, func() {
			to, err := findServer(dataFlag{Data: dataDir(dir)}, "us-east-1")
			if err != nil {
				t.Fatal(err)
			}
			if to.endpoint != "http://127.0.0.1:1" || to.accessKeyID != "AKIAROOT" || to.secret != "secret" {
				t.Errorf("with %q it acts as %s at %s", id, to.accessKeyID, to.endpoint)
			}
		})
		if got := strings.Contains(said, "acting as root of the server on "+dir); got != says {
			t.Errorf("with %q it says %q", id, said)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
	to, err := findServer(dataFlag{}, "us-east-1")
	if err != nil || to.accessKeyID != "AKIAOTHER" || to.endpoint != "http://127.0.0.1:2" {
		t.Errorf("without a directory it is %+v, %v", to, err)
	}
}

// stderrOf is what f writes there.
func stderrOf(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	was := os.Stderr
	os.Stderr = w
	defer func() { os.Stderr = was }()
	f()
	w.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
