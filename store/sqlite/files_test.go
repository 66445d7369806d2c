package sqlite

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

func wantOpenError(t *testing.T, dir string, parts ...string) {
	t.Helper()
	s, err := Open(t.Context(), dir, Options{})
	if err == nil {
		t.Errorf("opened, want an error with %q", parts)
		_ = s.Close()
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
}

func mustClose(t *testing.T, s store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestSecondServer(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	wantOpenError(t, dir, dir, "another Enfold (process ", "stop it, or give this one its own directory")
	mustClose(t, s)
	mustClose(t, openTest(t, dir))
}

func TestForeignFiles(t *testing.T) {
	sqlFile := func(sql string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			f := file{path: path}
			c, err := f.connect()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.script(sql); err != nil {
				t.Fatal(err)
			}
			if err := c.close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name string
		make func(t *testing.T, path string)
		want string
	}{
		{"not a database", func(t *testing.T, path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("a letter to you "), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "is not a database of Enfold: move it away"},
		{"somebody else's database", sqlFile("CREATE TABLE t (x)"), "is not a database of Enfold: move it away"},
		{"somebody else's application id", sqlFile("PRAGMA application_id=7"), "is not a database of Enfold: move it away"},
		{"a newer Enfold's", sqlFile("PRAGMA application_id=0x456e6664; PRAGMA user_version=99; CREATE TABLE t (x)"), "newer Enfold (its format is 99"},
		{"a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "directory"},
		{"the beginning of a database", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(magic), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "is not a database of Enfold: move it away"},
	} {
		for _, name := range []string{"enfold.db", "logs.db"} {
			t.Run(test.name+" for "+name, func(t *testing.T) {
				dir := t.TempDir()
				test.make(t, filepath.Join(dir, name))
				wantOpenError(t, dir, filepath.Join(dir, name), test.want)
			})
		}
	}
	t.Run("a file for a directory", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "data")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		wantOpenError(t, path, "is not a directory")
	})
}

// A directory that has lost its database is not taken for a new one, whatever is left of it. One in which nothing was kept is.
func TestLostDatabase(t *testing.T) {
	for name, use := range map[string]func(s store.Store) error{
		"logs.db": func(s store.Store) error {
			return errors.Join(s.Logs().Append(t.Context(), "l", scope, store.Chunk{}), s.Logs().Sync(t.Context()))
		},
		"blobs": func(s store.Store) error {
			_, err := s.Blobs().Put(t.Context(), strings.NewReader("x"), 9)
			return err
		},
		"": func(store.Store) error { return nil },
	} {
		dir := t.TempDir()
		s := openTest(t, dir)
		if err := use(s); err != nil {
			t.Fatal(err)
		}
		mustClose(t, s)
		lost := filepath.Join(dir, "enfold.db")
		for _, how := range []string{"missing", "empty"} {
			err := os.Remove(lost)
			if how == "empty" {
				err = os.WriteFile(lost, nil, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			if name == "" {
				mustClose(t, openTest(t, dir))
				continue
			}
			wantOpenError(t, dir, lost+" is "+how, filepath.Join(dir, name)+" is there", "backup")
			if info, err := os.Stat(lost); err == nil && info.Size() > 0 {
				t.Errorf("%s: there is a database now", name)
			}
		}
	}
}

// What a crash leaves of logs.db is no stranger's: an empty file, or one whose header is in the write-ahead log still.
func TestLogsAfterCrash(t *testing.T) {
	for name, crash := range map[string]func(t *testing.T, path string){
		"an empty file": func(t *testing.T, path string) {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"a header that is not written yet": func(t *testing.T, path string) {
			made := filepath.Join(t.TempDir(), "logs.db")
			f := file{path: made, schema: logsSchema}
			c, err := f.connect("wal_autocheckpoint=0")
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			if err := c.prepareFile(); err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"", "-wal"} {
				b, err := os.ReadFile(made + part)
				if err != nil || len(b) == 0 {
					t.Fatalf("%d bytes of logs.db%s: %v", len(b), part, err)
				}
				if part == "" && bytes.Contains(b, []byte("Enfd")) {
					t.Fatal("the header is written")
				}
				if err := os.WriteFile(path+part, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mustClose(t, openTest(t, dir))
			crash(t, filepath.Join(dir, "logs.db"))
			for range 2 {
				s := openTest(t, dir)
				if err := s.Logs().Append(t.Context(), "l", scope, store.Chunk{}); err != nil {
					t.Error("append:", err)
				}
				mustClose(t, s)
			}
		})
	}
}

// A full disk at the first start is one error, and not that its transaction could not be taken back either.
func TestCreateOnFullDisk(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir(), Options{maxPages: 3})
	if err == nil {
		mustClose(t, s)
	}
	if !errors.Is(err, store.ErrFull) || strings.Contains(err.Error(), "\n") {
		t.Errorf("a database of three pages: %v", err)
	}
}

// A page overwritten with noise is an error that says so when it is read, and never a wrong answer.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	value := bytes.Repeat([]byte("v"), 500)
	err := s.Update(t.Context(), func(tx store.Tx) error {
		for i := range 2000 {
			if _, err := tx.Put("t", scope, strings.Repeat("k", i%50)+string(rune('a'+i)), value, store.Cond{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	path := filepath.Join(dir, "enfold.db")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 20 * 4096; i < len(b); i++ {
		b[i] = byte(i * 7)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir)
	defer mustClose(t, s)
	err = s.View(t.Context(), func(tx store.Tx) error {
		for r, err := range tx.Scan("t", scope, store.Range{}) {
			if err != nil {
				return err
			}
			if !bytes.Equal(r.Value, value) {
				t.Fatalf("row %q with another value", r.Key)
			}
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "is damaged") || !strings.Contains(err.Error(), path) {
		t.Errorf("scan of a damaged file: %v", err)
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	s := openTest(t, dir)
	defer mustClose(t, s)
	if err := s.Logs().Append(t.Context(), "l", scope, store.Chunk{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Logs().Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blobs().Put(t.Context(), strings.NewReader("x"), 9); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
		n++
		return err
	})
	if err != nil || n < 10 {
		t.Errorf("%d files, %v", n, err)
	}
}

func TestOddPaths(t *testing.T) {
	for _, name := range []string{"a b", "100%", "what?mode=memory", "x#y", "ü;'\"", "%3f", "&_pragma=synchronous(0)"} {
		dir := filepath.Join(t.TempDir(), name)
		s := openTest(t, dir)
		err := s.Update(t.Context(), func(tx store.Tx) error {
			_, err := tx.Put("t", scope, "k", nil, store.Cond{})
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		mustClose(t, s)
		if info, err := os.Stat(filepath.Join(dir, "enfold.db")); err != nil || info.Size() == 0 {
			t.Errorf("%s: the database is elsewhere: %v", name, err)
		}
	}
}

func TestLeftoverBlobs(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, openTest(t, dir))
	half := filepath.Join(dir, "blobs", "incoming", "HALF")
	if err := os.WriteFile(half, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, dir)
	defer mustClose(t, s)
	if _, err := os.Stat(half); err == nil {
		t.Error("a file that a crash left is still there")
	}
	if _, err := s.Blobs().Put(t.Context(), strings.NewReader("123"), 2); err == nil {
		t.Error("a blob over its limit was stored")
	}
	if left, err := os.ReadDir(filepath.Dir(half)); err != nil || len(left) > 0 {
		t.Errorf("a blob that was refused left %v, %v", left, err)
	}
}

// A server has about 10 ms to start, of which opening a store that exists may take a part.
func TestOpenIsFast(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, openTest(t, dir))
	const fast = 20 * time.Millisecond
	best := time.Hour
	for first := time.Now(); best > fast && time.Since(first) < 30*time.Second; { // the machine may have other things to do
		began := time.Now()
		s := openTest(t, dir)
		best = min(best, time.Since(began))
		mustClose(t, s)
	}
	t.Logf("open: %v", best)
	if best > fast {
		t.Errorf("open takes %v", best)
	}
}
