package runtimes

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// bootstraps are the files of /var/runtime, a folder per family.
//
//go:embed python/bootstrap.py python/enfold_*.py python/snapshot_restore_py.py node/*.mjs node/*.cjs java/enfold-runtime.jar
var bootstraps embed.FS

// mountPoints are empty directories in the bootstraps, for what is mounted into /var/runtime.
var mountPoints = []string{"python/sdk", "node/node_modules", "python/__pycache__"}

// bootstrapDir is the directory that holds the bootstraps, written if it is not there or is damaged. Its name contains a hash
// of its content, so that another version of Enfold on the same data directory has its own.
func (s *Set) bootstrapDir() (string, error) {
	return s.unpack.do(func() (string, error) {
		hash, err := bootstrapHash()
		if err != nil {
			return "", err
		}
		dir := filepath.Join(s.dir, "bootstrap-"+hash)
		if intact(dir) {
			return dir, nil
		}
		if err := writeBootstraps(s.dir, dir); err != nil {
			return "", fmt.Errorf("write the runtimes' bootstraps: %w", err)
		}
		return dir, nil
	})
}

func bootstrapHash() (string, error) {
	h := sha256.New()
	err := eachBootstrap(func(name string, data []byte) error {
		fmt.Fprintf(h, "%s %d\n", name, len(data))
		h.Write(data)
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}

func eachBootstrap(f func(name string, data []byte) error) error {
	return fs.WalkDir(bootstraps, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := bootstraps.ReadFile(name)
		if err != nil {
			return err
		}
		return f(name, data)
	})
}

func intact(dir string) bool {
	err := eachBootstrap(func(name string, data []byte) error {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && !bytes.Equal(got, data) {
			err = errors.New("differs")
		}
		return err
	})
	for _, p := range mountPoints {
		info, serr := os.Stat(filepath.Join(dir, p))
		if serr != nil || !info.IsDir() {
			return false
		}
	}
	return err == nil
}

// writeBootstraps makes dir beside itself and renames it into place, so that nobody sees half of it.
func writeBootstraps(parent, dir string) error {
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, ".new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := fillBootstraps(tmp); err != nil {
		return err
	}
	for i := range 10 { // of processes that get here at once, all but one find that another was faster
		if err = os.Rename(filepath.Join(tmp, "files"), dir); err == nil || intact(dir) {
			return nil
		}
		// Damaged: the running sandboxes keep the old files.
		if err := os.Rename(dir, filepath.Join(tmp, "damaged"+strconv.Itoa(i))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

func fillBootstraps(tmp string) error {
	root := filepath.Join(tmp, "files")
	for _, p := range mountPoints {
		if err := os.MkdirAll(filepath.Join(root, p), 0o755); err != nil {
			return err
		}
	}
	err := eachBootstrap(func(name string, data []byte) error {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return writeSynced(path, data)
	})
	if err != nil {
		return err
	}
	// The mode of what MkdirAll and MkdirTemp make depends on the umask, and functions run as other users.
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o755)
	})
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chmod(0o444), f.Sync(), f.Close())
}
