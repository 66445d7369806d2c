package server

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
)

// startOnce starts a server, which makes all that every directory has, and closes it again.
func startOnce(t *testing.T, cfg Config) error {
	t.Helper()
	s, err := New(t.Context(), cfg)
	if err != nil {
		return err
	}
	return s.close()
}

// withoutRow takes the check out of the store: what a server wrote that did not have it there.
func withoutRow(t *testing.T, cfg Config) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), cfg.Data, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(t.Context(), func(tx store.Tx) error { return tx.Delete(checkTable, store.Scope{}, checkKey, store.Cond{}) })
	if err != nil {
		t.Fatal(err)
	}
}

// contents are the files of a directory that keys and credentials are in.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range []string{SealKeyFile, sealProbeFile, CredentialsFile} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			all[name] = string(b)
		}
	}
	return all
}

// TestLostKeys: data never gets another key than its own, whatever of the key and what tells of it is lost.
func TestLostKeys(t *testing.T) {
	const wrong = "abababababababababababababababababababababababababababababababab"
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	without := func(names ...string) func(*testing.T, *Config) {
		return func(t *testing.T, cfg *Config) {
			for _, name := range names {
				if err := os.Remove(filepath.Join(cfg.Data, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	write := func(name, text string) func(*testing.T, *Config) {
		return func(t *testing.T, cfg *Config) {
			if err := os.WriteFile(filepath.Join(cfg.Data, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	older := func(t *testing.T, cfg *Config) { withoutRow(t, *cfg) }
	type edits []func(*testing.T, *Config)
	for _, c := range []struct {
		name string
		edit edits
		want string // in the error; empty if the server starts
	}{
		{"nothing", nil, ""},
		{"the key", edits{without(SealKeyFile)}, "root.key is missing"},
		{"key and check", edits{without(SealKeyFile, sealProbeFile)}, "root.key is missing"},
		{"key, check and credentials", edits{without(SealKeyFile, sealProbeFile, CredentialsFile)}, "root.key is missing"},
		{"key and check of an older server", edits{older, without(SealKeyFile, sealProbeFile)}, "root.key is missing"},
		{"the check", edits{without(sealProbeFile)}, ""},
		{"the check, which is empty", edits{write(sealProbeFile, "")}, ""},
		{"the check, which is garbage", edits{write(sealProbeFile, "garbage")}, ""},
		{"the check of an older server", edits{older, without(sealProbeFile)}, "root.check is missing: put that back"},
		{"the check of an older server, which is empty", edits{older, write(sealProbeFile, "")}, "root.check is damaged: put that back"},
		{"nothing of an older server", edits{older}, ""},
		{"the check, and another key", edits{without(sealProbeFile), write(SealKeyFile, wrong)}, "is not the one that the data in"},
		{"another key", edits{write(SealKeyFile, wrong)}, "is not the one that the data in"},
		{"another key of an older server", edits{older, write(SealKeyFile, wrong)}, "is not the one that the data in"},
		{"the check, and another key from a file", edits{without(sealProbeFile), func(_ *testing.T, cfg *Config) { cfg.RootKeyFile = file }}, "from --root-key-file"},
		{
			"the check of an older server, and another key from a command",
			edits{older, without(sealProbeFile), func(_ *testing.T, cfg *Config) { cfg.RootKeyCommand = "echo " + wrong }},
			"from --root-key-command",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(t)
			if err := startOnce(t, cfg); err != nil {
				t.Fatal(err)
			}
			right := contents(t, cfg.Data)
			for _, edit := range c.edit {
				edit(t, &cfg)
			}
			before := contents(t, cfg.Data)
			report := ReportSeal(t.Context(), cfg)
			_, verify := VerifyTrail(t.Context(), cfg)
			err := startOnce(t, cfg)
			if (c.want == "") != (verify == nil) {
				t.Errorf("the trail is verified with %v", verify)
			}
			if (c.want == "") != (report.Problem == nil) {
				t.Errorf("doctor says %+v", report)
			}
			if c.want == "" {
				if err != nil {
					t.Fatalf("not started: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "--data") || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error = %v, want %q in it, and what to do", err, c.want)
			}
			if after := contents(t, cfg.Data); !maps.Equal(after, before) {
				t.Errorf("had %q and has %q", before, after)
			}
			for name, text := range right { // what was refused has spoilt nothing
				write(name, text)(t, &cfg)
			}
			cfg.RootKeyFile, cfg.RootKeyCommand = "", ""
			if err := startOnce(t, cfg); err != nil {
				t.Errorf("with all put back: %v", err)
			}
		})
	}
}

// A directory whose database is gone is not taken for a new one, even if nothing but the check of the root key tells of it.
func TestLostDatabase(t *testing.T) {
	cfg := config(t)
	if err := startOnce(t, cfg); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(cfg.Data, "enfold.db")
	kept, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"enfold.db", "enfold.db-wal", "enfold.db-shm", "logs.db", "blobs"} {
		if err := os.RemoveAll(filepath.Join(cfg.Data, name)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the first look has made one
		err = startOnce(t, cfg)
		if err == nil || !strings.Contains(err.Error(), "root.check says that it was not") || !strings.Contains(err.Error(), "--data") {
			t.Fatalf("without its database: %v", err)
		}
	}
	for _, name := range []string{"enfold.db-wal", "enfold.db-shm"} {
		os.Remove(filepath.Join(cfg.Data, name))
	}
	if err := os.WriteFile(database, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := startOnce(t, cfg); err != nil {
		t.Errorf("with its database put back: %v", err)
	}
}
