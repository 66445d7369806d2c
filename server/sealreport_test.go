package server

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sealedData is a data directory that was sealed as cfg says.
func sealedData(t *testing.T, cfg Config) Config {
	t.Helper()
	cfg.Data = t.TempDir()
	if _, err := rootOf(t, cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestReportSeal(t *testing.T) {
	key := hex.EncodeToString([]byte("0123456789abcdef0123456789abcdeZ"))
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	byCommand, byFile := Config{RootKeyCommand: "echo " + key}, Config{RootKeyFile: file}
	inside := sealedData(t, Config{})
	inside.RootKeyFile = filepath.Join(inside.Data, SealKeyFile)
	stale := sealedData(t, byCommand)
	if err := os.WriteFile(filepath.Join(stale.Data, SealKeyFile), []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	loose := sealedData(t, Config{})
	if err := os.Chmod(filepath.Join(loose.Data, SealKeyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name                string
		cfg                 Config
		source, problem, is string // what is in Source, in Problem ("" for none), in Means and Do
	}{
		{"nothing yet", Config{Data: filepath.Join(t.TempDir(), "none")}, "none yet", "", "beside what it seals"},
		{"generated", sealedData(t, Config{}), "made by Enfold beside the data", "", "--root-key-command"},
		{"generated, readable by all", loose, "made by Enfold", "may be read by others", "beside what it seals"},
		{"command", sealedData(t, byCommand), "from --root-key-command", "", "nowhere on this disk"},
		{"command, before the first start", Config{Data: t.TempDir(), RootKeyCommand: "echo " + key}, "from --root-key-command", "", "nowhere"},
		{"command that fails", Config{Data: t.TempDir(), RootKeyCommand: "echo " + key + " >&2; exit 1"}, "command", "did not succeed", "nowhere"},
		{"command, the key still beside the data", stale, "command", "", "Delete " + stale.Data},
		{"file", sealedData(t, byFile), "from --root-key-file " + file, "", "another file system"},
		{"file in the data directory", inside, "from --root-key-file", "", "Move the file"},
		{"another key", Config{Data: sealedData(t, Config{}).Data, RootKeyFile: file}, "file", "is not the one", "Delete"},
		{"sealed from elsewhere, not told", Config{Data: sealedData(t, byFile).Data}, "not told", "not beside it", "option that serve has"},
		{"both", Config{Data: t.TempDir(), RootKeyFile: file, RootKeyCommand: "echo " + key}, "command", "not both", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := names(t, c.cfg.Data)
			r := ReportSeal(t.Context(), c.cfg)
			if !strings.Contains(r.Source, c.source) || !strings.Contains(r.Means+strings.Join(r.Do, "\n"), c.is) {
				t.Errorf("report = %+v", r)
			}
			if c.problem == "" && r.Problem != nil || c.problem != "" && (r.Problem == nil || !strings.Contains(r.Problem.Error(), c.problem)) {
				t.Errorf("problem = %v, want %q", r.Problem, c.problem)
			}
			if all := r.Source + r.Means + strings.Join(r.Do, ""); strings.Contains(all, key) || r.Problem != nil && strings.Contains(r.Problem.Error(), key) {
				t.Error("the key is in the report")
			}
			if after := names(t, c.cfg.Data); after != before {
				t.Errorf("the data directory had %s and has %s", before, after)
			}
		})
	}
}

// names are the files of a directory, which need not exist.
func names(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(files, " ")
}

func TestIsBelow(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	link := filepath.Join(other, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]bool{
		filepath.Join(dir, "x"): true, filepath.Join(dir, "a", "x"): true, filepath.Join(other, "x"): false,
		filepath.Join(dir, "..", filepath.Base(dir)+"..x"): false, filepath.Join(dir, "..x"): true, link: true,
	} {
		if got := isBelow(file, dir); got != want {
			t.Errorf("isBelow(%s, %s) = %v", file, dir, got)
		}
	}
}
