package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/sandbox/namespace"
)

func TestMain(m *testing.M) {
	namespace.MaybeInit()
	os.Exit(m.Run())
}

func config(t *testing.T) Config {
	return Config{
		Listen: "127.0.0.1:0", Data: t.TempDir(), Isolation: "process", Log: slog.New(slog.DiscardHandler),
	}
}

// start runs a server until the test ends, and fails the test if it does not end in good order.
func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, time.Second, nil) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error("serve:", err)
		}
		if _, err := os.Stat(filepath.Join(cfg.Data, EndpointFile)); !errors.Is(err, os.ErrNotExist) {
			t.Error("the endpoint file is still there:", err)
		}
	})
	return s
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Config)
		want string // in the error; empty for none
	}{
		{"defaults", func(*Config) {}, ""},
		{"IPv6 loopback", func(c *Config) { c.Listen = "[::1]:0" }, ""},
		{"localhost", func(c *Config) { c.Listen = "localhost:0" }, ""},
		{"every address without TLS", func(c *Config) { c.Listen = ":4566" }, "--tls-cert"},
		{"another machine's without TLS", func(c *Config) { c.Listen = "0.0.0.0:4566" }, "--insecure-plaintext"},
		{"a name that is no loopback", func(c *Config) { c.Listen = "example.com:4566" }, "--tls-cert"},
		{"plain text if it is wanted", func(c *Config) { c.Listen = "0.0.0.0:0"; c.InsecurePlaintext = true }, ""},
		{"no port", func(c *Config) { c.Listen = "127.0.0.1" }, "HOST:PORT"},
		{"half a certificate", func(c *Config) { c.TLSCert = "x" }, "go together"},
		{"short account", func(c *Config) { c.Account = "123" }, "12 digits"},
		{"a private issuer", func(c *Config) { c.PrivateIssuers = []string{"id.corp", "10.0.0.5:8443", "[fd00::5]"} }, ""},
		{"a private issuer's URL", func(c *Config) { c.PrivateIssuers = []string{"https://id.corp/realm"} }, "--private-issuers"},
		{"a private issuer without a host", func(c *Config) { c.PrivateIssuers = []string{":8443"} }, "--private-issuers"},
		{"region", func(c *Config) { c.Region = "Mars" }, "region"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(t)
			c.edit(&cfg)
			err := cfg.check()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("check answers %v, want %q", err, c.want)
			}
		})
	}
}

func TestRootKey(t *testing.T) {
	cfg := config(t)
	first, err := rootKey(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(first.AccessKeyID, "AKIA") || len(first.AccessKeyID) != 20 || len(first.SecretAccessKey) != 40 {
		t.Errorf("made key %q with a secret of %d characters", first.AccessKeyID, len(first.SecretAccessKey))
	}
	info, err := os.Stat(filepath.Join(cfg.Data, CredentialsFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the credentials file: %v, %v", info, err)
	}
	if again, err := rootKey(cfg); err != nil || again != first {
		t.Errorf("the second start has another key: %v", err)
	}
	cfg.RootAccessKeyID, cfg.RootSecretAccessKey = "test", "test"
	if fixed, err := rootKey(cfg); err != nil || fixed != (RootKey{"test", "test"}) {
		t.Errorf("a fixed key is %v, %v", fixed, err)
	}
	if read, err := ReadRootKey(cfg.Data); err != nil || read != (RootKey{"test", "test"}) {
		t.Errorf("`enfold env` reads %v, %v", read, err)
	}
	cfg.RootSecretAccessKey = ""
	if _, err := rootKey(cfg); err == nil {
		t.Error("an access key id without a secret is accepted")
	}
}

func TestHealthAndMetrics(t *testing.T) {
	s := start(t, config(t))
	var h health
	if err := json.Unmarshal([]byte(get(t, s.URL()+"/_enfold/health", 200)), &h); err != nil || h.Status != "ok" || h.Isolation != "process" {
		t.Errorf("health is %+v, %v", h, err)
	}
	if m := get(t, s.URL()+"/_enfold/metrics", 200); !strings.Contains(m, "enfold_sandboxes_idle 0") {
		t.Errorf("metrics are %.200s", m)
	}
	get(t, s.URL()+"/2015-03-31/functions", 403)
	get(t, s.URL()+"/", 403)
}

func TestCodeLinks(t *testing.T) {
	s := start(t, config(t))
	blob, err := s.store.Blobs().Put(t.Context(), strings.NewReader("the package"), 100)
	if err != nil {
		t.Fatal(err)
	}
	links := newCodeLinks(s.store.Blobs(), "us-east-1")
	front := &http.Server{Handler: links}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go front.Serve(l)
	defer front.Close()
	ctx := aws.WithCall(t.Context(), &aws.Call{BaseURL: "http://" + l.Addr().String()})
	link := links.link(ctx, blob.ID)
	if got := get(t, link, 200); got != "the package" {
		t.Errorf("downloaded %q", got)
	}
	get(t, strings.Replace(link, blob.ID, "another", 1), 403)
	last := "0"
	if strings.HasSuffix(link, last) {
		last = "1"
	}
	get(t, link[:len(link)-1]+last, 403)
	get(t, strings.SplitN(link, "?", 2)[0], 403)
	get(t, links.link(ctx, "../enfold.db"), 404)
	// A link of an earlier process, or of another server, opens nothing here.
	get(t, newCodeLinks(s.store.Blobs(), "us-east-1").link(ctx, blob.ID), 403)
}

// What a crash left that no row names is gone at the next start; after an orderly stop nobody looks.
func TestSweepAfterCrash(t *testing.T) {
	cfg := config(t)
	s, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := s.store.Blobs().Put(t.Context(), strings.NewReader("half an upload"), 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	there := func() bool {
		s, err := New(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		f, err := s.store.Blobs().Open(blob.ID)
		if err == nil {
			f.Close()
		}
		return err == nil
	}
	if !there() {
		t.Error("swept after an orderly stop")
	}
	if err := os.WriteFile(filepath.Join(cfg.Data, EndpointFile), []byte("http://127.0.0.1:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if there() {
		t.Error("an abandoned upload is still there after a crash")
	}
}

// lines are what a log says, as far as there is room.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	select {
	case l <- string(b):
	default:
	}
	return len(b), nil
}

// TestServesWithoutEndpointFile is what a full disk does to it: nothing can be written in its place.
func TestServesWithoutEndpointFile(t *testing.T) {
	cfg := config(t)
	said := make(lines, 100)
	cfg.Log = slog.New(slog.NewTextHandler(said, nil))
	if err := os.Mkdir(filepath.Join(cfg.Data, EndpointFile+".new"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Data, EndpointFile), []byte("http://127.0.0.1:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, cfg)
	for warned := false; !warned; {
		select {
		case line := <-said:
			warned = strings.Contains(line, "enfold env") && strings.Contains(line, s.URL())
		case <-time.After(time.Minute):
			t.Fatal("the log does not say what will not work")
		}
	}
	get(t, s.URL()+"/_enfold/health", http.StatusOK)
	if _, err := os.Stat(filepath.Join(cfg.Data, EndpointFile)); !errors.Is(err, os.ErrNotExist) {
		t.Error("commands are still sent where an earlier server was:", err)
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	cfg := config(t)
	s := start(t, cfg)
	second := cfg
	if _, err := New(t.Context(), second); err == nil || !strings.Contains(err.Error(), cfg.Data) {
		t.Errorf("a second server on the data directory: %v", err)
	}
	open := config(t)
	if err := os.Chmod(open.Data, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), open); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("a data directory that others may write to: %v", err)
	}
	taken := config(t)
	taken.Listen = s.listener.Addr().String()
	if _, err := New(t.Context(), taken); err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("a port that is taken: %v", err)
	}
	noCert := config(t)
	noCert.TLSCert, noCert.TLSKey = filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	if _, err := New(t.Context(), noCert); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that is not there: %v", err)
	}
}

func get(t *testing.T, url string, status int) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Errorf("GET %s: %s, want %d: %.200s", strings.SplitN(url, "?", 2)[0], resp.Status, status, b)
	}
	return string(b)
}
