package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// errLocked is what lockFile answers when another process has the lock.
var errLocked = errors.New("locked")

// lock keeps a second server off the directory. The kernel drops it with the process, however that ends.
type lock struct{ f *os.File }

func takeLock(dir string) (*lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "enfold.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	err = lockFile(f)
	if errors.Is(err, errLocked) {
		err = fmt.Errorf("another Enfold%s is using %s: stop it, or give this one its own directory", owner(f), dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	// Who holds it is a courtesy to the person who reads the message above: a failure to write it is none of ours.
	if f.Truncate(0) == nil {
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return &lock{f}, nil
}

// owner names the process that has the lock, as far as the file tells.
func owner(f *os.File) string {
	b := make([]byte, 20)
	n, _ := f.ReadAt(b, 0)
	if pid := strings.TrimSpace(string(b[:n])); pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}

func (l *lock) release() error { return l.f.Close() }
