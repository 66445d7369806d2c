package lambda

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/enfold-run/enfold/store"
)

// lingering is how long unpacked code stays after the last version that names it is gone: longer than any invocation, so
// that a retired sandbox which still runs keeps its code.
const lingering = 20 * time.Minute

// codeCache keeps deployment packages unpacked, by content: versions and layers of equal content share one directory. It is
// a cache of the store's blobs; whatever is missing is unpacked again.
//
//	code/<sha256>/files    what the archive holds
//	code/<sha256>/size     how many bytes that is
//	layers/<sha256>        several layers merged into one /opt
type codeCache struct {
	dir   string // absolute
	root  *os.Root
	blobs store.Blobs
	slots chan struct{} // bounds how many archives are unpacked at once

	mu     sync.Mutex
	doomed map[string]time.Time // directory -> when it may go
}

// openCodeCache makes the cache's directories and removes what an earlier process left half done.
func openCodeCache(dir string, blobs store.Blobs) (*codeCache, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open code cache: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open code cache: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open code cache: %w", err)
	}
	c := &codeCache{
		dir: dir, root: root, blobs: blobs, slots: make(chan struct{}, runtime.GOMAXPROCS(0)), doomed: map[string]time.Time{},
	}
	for _, d := range []string{"code", "layers"} {
		if err := root.Mkdir(d, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("open code cache: %w", err)
		}
		if info, err := root.Stat(d); err != nil || !info.IsDir() { // a link to nothing, or out of the data directory
			return nil, fmt.Errorf("open code cache: %s is not a directory of the data directory: move it away, and it is made anew", filepath.Join(dir, d))
		}
		// Nobody but us comes in. A sandbox gets a bind of the directory that it needs, which everybody may read.
		if err := root.Chmod(d, 0o700); err != nil {
			return nil, fmt.Errorf("open code cache: %w", err)
		}
		names, err := fs.ReadDir(root.FS(), d)
		if err != nil {
			return nil, fmt.Errorf("open code cache: %w", err)
		}
		for _, n := range names {
			if strings.HasPrefix(n.Name(), ".") {
				if err := root.RemoveAll(path.Join(d, n.Name())); err != nil {
					return nil, fmt.Errorf("open code cache: %w", err)
				}
			}
		}
	}
	return c, nil
}

// code is a deployment package that was checked.
type code struct {
	SHA256   []byte
	Size     int64 // of the archive
	Unzipped int64 // of what is in it
}

func codeDir(sha []byte) string { return "code/" + hex.EncodeToString(sha) }

// check reads a whole archive without keeping anything.
func (c *codeCache) check(ctx context.Context, data []byte) (code, error) {
	entries, err := readZip(data)
	if err != nil {
		return code{}, err
	}
	release, err := c.slot(ctx)
	if err != nil {
		return code{}, err
	}
	defer release()
	n, err := unpackZip(ctx, entries, nil)
	if err != nil {
		return code{}, err
	}
	sum := sha256.Sum256(data)
	return code{SHA256: sum[:], Size: int64(len(data)), Unzipped: n}, nil
}

// add checks an archive and keeps it unpacked. The directory stays at least for lingering; a row must name it by then.
func (c *codeCache) add(ctx context.Context, data []byte) (code, error) {
	if len(data) > maxZipped {
		_, err := readZip(data)
		return code{}, err
	}
	sum := sha256.Sum256(data)
	dir := codeDir(sum[:])
	c.doom(dir)
	if n, ok := c.size(dir); ok {
		return code{SHA256: sum[:], Size: int64(len(data)), Unzipped: n}, nil
	}
	entries, err := readZip(data)
	if err != nil {
		return code{}, err
	}
	release, err := c.slot(ctx)
	if err != nil {
		return code{}, err
	}
	defer release()
	var n int64
	err = c.build(dir, func(tmp string) error {
		if err := c.root.Mkdir(tmp+"/files", 0o755); err != nil {
			return err
		}
		files, err := c.root.OpenRoot(tmp + "/files")
		if err != nil {
			return err
		}
		defer files.Close()
		if err := files.Chmod(".", 0o755); err != nil {
			return err
		}
		if n, err = unpackZip(ctx, entries, files); err != nil {
			return err
		}
		return c.root.WriteFile(tmp+"/size", strconv.AppendInt(nil, n, 10), 0o644)
	})
	if err != nil {
		return code{}, err
	}
	return code{SHA256: sum[:], Size: int64(len(data)), Unzipped: n}, nil
}

// build makes a directory whole or not at all: fill fills a temporary one, which then takes its name.
func (c *codeCache) build(dir string, fill func(tmp string) error) error {
	tmp := path.Join(path.Dir(dir), "."+uuid.NewString())
	err := c.root.Mkdir(tmp, 0o755)
	if err == nil {
		err = c.root.Chmod(tmp, 0o755)
	}
	if err == nil {
		err = fill(tmp)
	}
	if err == nil {
		if err = c.root.Rename(tmp, dir); err == nil {
			return nil
		}
		// Somebody else made it meanwhile, with the same content.
		if _, statErr := c.root.Lstat(dir); statErr == nil {
			err = nil
		}
	}
	if rmErr := c.root.RemoveAll(tmp); rmErr != nil && err == nil {
		err = fmt.Errorf("remove %s: %w", tmp, rmErr)
	}
	return err
}

// size is what an unpacked archive holds, if it is here.
func (c *codeCache) size(dir string) (int64, bool) {
	b, err := c.root.ReadFile(dir + "/size")
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	return n, err == nil
}

// extension is the name of the first external extension in an unpacked layer: Lambda starts whatever is in /opt/extensions. It is empty if
// there is none.
func (c *codeCache) extension(sha []byte) string {
	files, err := fs.ReadDir(c.root.FS(), codeDir(sha)+"/files/extensions")
	if err != nil {
		return "" // hardly any layer has that directory
	}
	for _, f := range files {
		if !f.IsDir() {
			return f.Name()
		}
	}
	return ""
}

// ensure is the host directory of a package, unpacked from its blob if it is not here.
func (c *codeCache) ensure(ctx context.Context, p pkg) (string, error) {
	dir := codeDir(p.SHA256)
	c.touch(dir)
	if _, ok := c.size(dir); !ok {
		data, err := c.read(p)
		if err != nil {
			return "", fmt.Errorf("read deployment package %s: %w", p.Blob, err)
		}
		if _, err := c.add(ctx, data); err != nil {
			return "", fmt.Errorf("unpack deployment package %s: %w", p.Blob, err)
		}
	}
	return filepath.Join(c.dir, filepath.FromSlash(dir), "files"), nil
}

func (c *codeCache) read(p pkg) ([]byte, error) {
	f, err := c.blobs.Open(p.Blob)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxZipped+1))
}

func (c *codeCache) slot(ctx context.Context) (release func(), err error) {
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// doom lets a directory go after lingering, unless a row names it by then.
func (c *codeCache) doom(dir string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doomed[dir] = time.Now().Add(lingering)
}

// touch puts off the end of a directory that is doomed.
func (c *codeCache) touch(dir string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.doomed[dir]; ok {
		c.doomed[dir] = time.Now().Add(lingering)
	}
}

// due lists the directories whose time has come.
func (c *codeCache) due(now time.Time) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var dirs []string
	for dir, at := range c.doomed {
		if !at.After(now) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// sweep removes those of the directories that are not named and were not touched meanwhile.
func (c *codeCache) sweep(dirs []string, named map[string]bool, now time.Time) error {
	var errs []error
	for _, dir := range dirs {
		tmp := path.Join(path.Dir(dir), "."+uuid.NewString())
		c.mu.Lock()
		at, ok := c.doomed[dir]
		if !ok || at.After(now) {
			c.mu.Unlock()
			continue
		}
		delete(c.doomed, dir)
		var err error
		if !named[dir] {
			// Under the lock, so that whoever touches the directory next finds it whole or not at all.
			err = c.root.Rename(dir, tmp)
		}
		c.mu.Unlock()
		if err == nil && !named[dir] {
			err = c.root.RemoveAll(tmp)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("sweep %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

// sweepAll removes every directory that is not named. Only for start-up, when nothing runs.
func (c *codeCache) sweepAll(named map[string]bool) error {
	var errs []error
	for _, parent := range []string{"code", "layers"} {
		names, err := fs.ReadDir(c.root.FS(), parent)
		errs = append(errs, err)
		for _, n := range names {
			if dir := path.Join(parent, n.Name()); !named[dir] {
				errs = append(errs, c.root.RemoveAll(dir))
			}
		}
	}
	return errors.Join(errs...)
}

func (c *codeCache) close() error { return c.root.Close() }
