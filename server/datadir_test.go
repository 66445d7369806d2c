package server

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/enfold-run/enfold/store"
)

// TestOthersDataDir: who owns a directory decides what is in it.
func TestOthersDataDir(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	cfg := config(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(cfg.Data, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(cfg.Data, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	for _, cfg.Data = range []string{cfg.Data, link} {
		err := startOnce(t, cfg)
		if err == nil || !strings.Contains(err.Error(), "belongs to user 65534") || !strings.Contains(err.Error(), "--data") {
			t.Errorf("%s, which is another user's: %v", cfg.Data, err)
		}
	}
	if err := os.Chown(cfg.Data, 0, 65534); err != nil {
		t.Fatal(err)
	}
	if err := startOnce(t, cfg); err != nil {
		t.Errorf("a link to a directory of one's own: %v", err)
	}
}

// TestLooseFiles: what others may read of the data directory is closed to them, and the log says so.
func TestLooseFiles(t *testing.T) {
	cfg := config(t)
	var said bytes.Buffer
	cfg.Log = slog.New(slog.NewTextHandler(&said, nil))
	if err := startOnce(t, cfg); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(said.String(), "0600") {
		t.Errorf("a first start says %s", &said)
	}
	loose := []string{CredentialsFile, SealKeyFile, sealProbeFile, "enfold.lock", "enfold.db"}
	chmod := func(mode fs.FileMode) {
		t.Helper()
		for _, name := range loose {
			if err := os.Chmod(filepath.Join(cfg.Data, name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	chmod(0o644)
	if err := startOnce(t, cfg); err != nil {
		t.Fatal(err)
	}
	for _, name := range loose {
		info, err := os.Stat(filepath.Join(cfg.Data, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		if !strings.Contains(said.String(), name) {
			t.Errorf("the log does not name %s: %s", name, &said)
		}
	}
	if os.Geteuid() != 0 {
		return
	}
	for _, mode := range []fs.FileMode{0o644, 0o600} { // who owns a file reads it
		chmod(mode)
		if err := os.Chown(filepath.Join(cfg.Data, SealKeyFile), 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if err := startOnce(t, cfg); err == nil || !strings.Contains(err.Error(), SealKeyFile+" belongs to user 65534, who can read it") {
			t.Errorf("a key of somebody else, mode %o: %v", mode, err)
		}
	}
}

// TestNoFiles: a directory or a dead link where a file is kept is told by its name, and what to do.
func TestNoFiles(t *testing.T) {
	for _, name := range []string{CredentialsFile, SealKeyFile, sealProbeFile, "enfold.db", "enfold.lock", "logs.db"} {
		for kind, make := range map[string]func(path string) error{
			"is not a file":        func(path string) error { return os.Mkdir(path, 0o700) },
			"is a link to nothing": func(path string) error { return os.Symlink("nowhere", path) },
		} {
			cfg := config(t)
			path := filepath.Join(cfg.Data, name)
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			err := startOnce(t, cfg)
			if err == nil || !strings.HasPrefix(err.Error(), path+" "+kind) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s %s: %v", name, kind, err)
			}
		}
	}
}

func TestAdvise(t *testing.T) {
	dir := t.TempDir()
	at := func(path string, err error) error { return &fs.PathError{Op: "open", Path: path, Err: err} }
	other := errors.New("other")
	for _, c := range []struct {
		err  error
		want string
	}{
		{at(filepath.Join(dir, "enfold.lock"), syscall.EROFS), "mount the disk of " + dir + " for writing"},
		{at(filepath.Join(dir, "enfold.lock"), syscall.ENOSPC), "make room on the disk of " + dir},
		{store.ErrFull, "make room on the disk of " + dir},
		{at(filepath.Join(dir, "enfold.lock"), syscall.EACCES), "start the server as a user who may"},
		{at(filepath.Dir(dir), syscall.EACCES), "start the server as a user who may"},
		{at("/etc/key", syscall.EACCES), ""},
		{other, ""},
	} {
		got := advise(dir, c.err)
		if !errors.Is(got, c.err) || !strings.Contains(got.Error(), c.want) || c.want == "" && got.Error() != c.err.Error() {
			t.Errorf("advise(%v) = %v, want %q in it", c.err, got, c.want)
		}
	}
}
