package runtimes

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestBootstrapDir(t *testing.T) {
	data := t.TempDir()
	dirs := make([]string, 8)
	var wg sync.WaitGroup
	for i := range dirs { // eight servers on one data directory
		wg.Go(func() {
			dir, err := New(Options{DataDir: data}).bootstrapDir()
			if err != nil {
				t.Error(err)
			}
			dirs[i] = dir
		})
	}
	wg.Wait()
	for _, d := range dirs {
		if d != dirs[0] || !intact(d) {
			t.Fatalf("%s and %s", d, dirs[0])
		}
	}
	left, err := filepath.Glob(data + "/runtimes/.new-*")
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
	info, err := os.Stat(dirs[0] + "/python/bootstrap.py")
	if err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("bootstrap.py: %v %v", info, err)
	}
}

func TestDamagedBootstrapsAreWrittenAgain(t *testing.T) {
	data := t.TempDir()
	dir, err := New(Options{DataDir: data}).bootstrapDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []func() error{
		func() error { return os.Remove(dir + "/node/index.cjs") },
		func() error { return os.Remove(dir + "/python/bootstrap.py") },
		func() error { return os.RemoveAll(dir + "/node/node_modules") },
		func() error {
			if err := os.Chmod(dir+"/java/enfold-runtime.jar", 0o644); err != nil {
				return err
			}
			return os.Truncate(dir+"/java/enfold-runtime.jar", 10)
		},
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if intact(dir) {
			t.Fatal("the damage was not seen")
		}
		again, err := New(Options{DataDir: data}).bootstrapDir()
		if err != nil || again != dir || !intact(dir) {
			t.Errorf("after damage: %s, %v", again, err)
		}
	}
}

func TestDataDirCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "x", 0o644)
	if _, err := New(Options{DataDir: file}).bootstrapDir(); err == nil {
		t.Error("a file was taken for a directory")
	}
}
