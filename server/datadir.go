package server

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/enfold-run/enfold/store"
)

// ownFiles are the files of the data directory that nobody but the server's user is to read: keys, credentials, and what databases hold.
var ownFiles = []string{
	CredentialsFile, SealKeyFile, sealProbeFile, "enfold.lock",
	"enfold.db", "enfold.db-wal", "enfold.db-shm", "logs.db", "logs.db-wal", "logs.db-shm",
}

// makeDataDir makes the data directory, for us alone. One that others own or may write to is refused: they could put their own
// credentials and functions in. Files in it that others may read are closed to them.
func makeDataDir(dir string, log *slog.Logger) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the data directory: %w", err)
	}
	if owner := ownerOf(info); owner != os.Geteuid() && owner != 0 {
		return fmt.Errorf("data directory %s belongs to user %d, and the server runs as user %d: start it as that user, "+
			"give the directory to this one (chown -R), or name another with --data", dir, owner, os.Geteuid())
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("data directory %s may be written by others (%s): chmod 700 it, or name another with --data", dir, info.Mode())
	}
	var closed []string
	for _, name := range ownFiles {
		did, err := closeToOthers(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if did {
			closed = append(closed, name)
		}
	}
	if len(closed) > 0 {
		log.Warn("files of the data directory might be read by others and have mode 0600 now", "data", dir, "files", closed)
	}
	return nil
}

// closeToOthers gives a file, if there is one, mode 0600, and says whether it had another. What is there and is no file, or is somebody
// else's to close, is refused.
func closeToOthers(path string) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return false, fmt.Errorf("%s is a link to nothing: bring back what it leads to, or remove it", path)
		}
		return false, nil
	}
	switch {
	case err != nil:
		return false, fmt.Errorf("look at the data directory: %w", err)
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("%s is not a file (%s), and the server keeps one there: move it away, or name another data directory with --data", path, info.Mode())
	case ownerOf(info) != os.Geteuid() && ownerOf(info) != 0:
		return false, fmt.Errorf("%s belongs to user %d, who can read it, and the server runs as user %d: give it to that one (chown), or start the server as its owner",
			path, ownerOf(info), os.Geteuid())
	case info.Mode().Perm()&0o077 == 0:
		return false, nil
	case ownerOf(info) != os.Geteuid():
		return false, fmt.Errorf("%s may be read by others (%s) and belongs to user %d: chmod 600 it, and give it to user %d, who the server runs as",
			path, info.Mode(), ownerOf(info), os.Geteuid())
	}
	if err := os.Chmod(path, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) { // another server's -wal and -shm may go
		return false, fmt.Errorf("close the data directory's files to others: %w", err)
	}
	return true, nil
}

// advise adds to an error what to do about a file system that has no room for the data or lets nobody write it.
func advise(dir string, err error) error {
	at, is := errors.AsType[*fs.PathError](err)
	switch {
	case errors.Is(err, store.ErrFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: make room on the disk of %s, or name another directory with --data", err, dir)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: mount the disk of %s for writing, or name another directory with --data", err, dir)
	case errors.Is(err, fs.ErrPermission) && is && (isBelow(at.Path, dir) || isBelow(dir, at.Path)):
		return fmt.Errorf("%w: start the server as a user who may read and write there, or name another directory with --data", err)
	}
	return err
}
