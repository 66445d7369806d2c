package wire_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/wire"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// TestCapturedRequests decodes requests as boto3 1.43, AWS CLI 1.45 and the Go SDK 1.47 sent them. testdata/requests holds
// a file per client and op, and beside it the input that it means.
func TestCapturedRequests(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "requests", "*.http"))
	if err != nil || len(files) < 30 {
		t.Fatalf("%d requests, %v", len(files), err)
	}
	rt := router()
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".http")
		t.Run(name, func(t *testing.T) {
			r, body := readRequest(t, file)
			m, err := rt.Route(r, signingName(r), formBody(r, body))
			if err != nil {
				t.Fatal(err)
			}
			if _, op, _ := strings.Cut(name, "-"); m.Op.Name != op {
				t.Fatalf("got %s", m.Op.Name)
			}
			in, err := m.Decode(r, body)
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, strings.TrimSuffix(file, ".http")+".json", in)
		})
	}
}

func readRequest(t *testing.T, file string) (*http.Request, []byte) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, body
}

// signingName is the service in the credential scope of the Authorization header.
func signingName(r *http.Request) string {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if p := strings.SplitN(scope, "/", 5); len(p) == 5 {
		return p[3]
	}
	return ""
}

func formBody(r *http.Request, body []byte) []byte {
	if wire.IsForm(r) {
		return body
	}
	return nil
}

func compareGolden(t *testing.T, file string, in any) {
	t.Helper()
	got, err := json.MarshalIndent(in, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}
