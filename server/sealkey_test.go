package server

import (
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store/sqlite"
)

// rootOf is the root key of a start with cfg, whose store has nothing but what sealRoot puts there.
func rootOf(t *testing.T, cfg Config) (*seal.Root, error) {
	t.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(t.Context(), cfg.Data, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return sealRoot(t.Context(), cfg, db)
}

func TestSealRootSources(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdeZ")
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, cfg := range map[string]Config{
		"raw file":    {RootKeyFile: file(string(secret))},
		"hex file":    {RootKeyFile: file(hex.EncodeToString(secret) + "\n")},
		"base64 file": {RootKeyFile: file(base64.StdEncoding.EncodeToString(secret))},
		"command":     {RootKeyCommand: "echo " + hex.EncodeToString(secret)},
	} {
		cfg.Data = t.TempDir()
		root, err := rootOf(t, cfg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sealed := root.Key("x").Seal([]byte("hello"), nil)
		again, err := rootOf(t, cfg)
		if err != nil {
			t.Errorf("%s, again: %v", name, err)
			continue
		}
		if got, err := again.Key("x").Open(sealed, nil); err != nil || string(got) != "hello" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if _, err := os.Stat(filepath.Join(cfg.Data, SealKeyFile)); err == nil {
			t.Errorf("%s: a key was made beside the data", name)
		}
	}
}

func TestSealRootGenerated(t *testing.T) {
	cfg := Config{Data: t.TempDir()}
	if _, err := rootOf(t, cfg); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.Data, SealKeyFile)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("key file: %v, %v", info, err)
	}
	if _, err := rootOf(t, cfg); err != nil {
		t.Fatalf("second start: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := rootOf(t, cfg); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a new key is made for old data: %v", err)
	}
}

func TestSealRootRefusals(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.WriteFile(open, []byte(strings.Repeat("a", 64)), 0o644); err != nil {
		t.Fatal(err)
	}
	other := Config{Data: t.TempDir(), RootKeyCommand: "echo " + strings.Repeat("ab", 32)}
	if _, err := rootOf(t, other); err != nil {
		t.Fatal(err)
	}
	for want, cfg := range map[string]Config{
		"may be read by others": {Data: dir, RootKeyFile: open},
		"must be 32 bytes":      {Data: dir, RootKeyCommand: "echo short"},
		"did not succeed":       {Data: dir, RootKeyCommand: "echo secret-word >&2; exit 3"},
		"not both":              {Data: dir, RootKeyCommand: "true", RootKeyFile: open},
		"is not the one":        {Data: other.Data, RootKeyCommand: "echo " + strings.Repeat("cd", 32)},
		"no such file":          {Data: dir, RootKeyFile: filepath.Join(dir, "absent")},
	} {
		_, err := rootOf(t, cfg)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("error = %v, want %q in it", err, want)
		}
	}
	if _, err := rootOf(t, Config{Data: dir, RootKeyCommand: "yes | head -c 100000"}); err == nil {
		t.Error("an endless key is taken")
	}
}
