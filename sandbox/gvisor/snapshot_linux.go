//go:build amd64 || arm64

package gvisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/gvisor/guest"
)

var _ sandbox.Snapshotter = (*Driver)(nil)

// An image is what a gVisor comes up as: with nothing in it if it has no directory, or as it was stored there.
type image struct {
	ahead          bool // it is nobody's yet, and has time
	dir            string
	stored         stored
	stdout, stderr *os.File // of the process that was stored
}

// stored is what we have to know of what gVisor has stored.
type stored struct {
	Version int    // of the frames
	Process uint32 // the number of the process that ran
	Base    int64  // memory that gVisor used before it did
}

// The files of a snapshot: ours, and gVisor's by the names that it gives them.
const storedFile = "enfold.json"

var savedFiles = []string{"checkpoint.img", "pages_meta.img", "pages.img"}

// maxStored is how many bytes of storedFile are read.
const maxStored = 4 << 10

// Snapshot stores what runs in a sandbox, and destroys it.
func (d *Driver) Snapshot(ctx context.Context, box_ sandbox.Sandbox, dir string) error {
	s, ok := box_.(*box)
	if !ok || s.d != d {
		return errors.New("store a sandbox: it is not this driver's")
	}
	err := s.store(ctx, dir)
	if err != nil {
		err = fmt.Errorf("store sandbox %s: %w", s.spec.ID, err)
	}
	return errors.Join(err, s.Destroy())
}

func (s *box) store(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p, err := s.quiet()
	if err != nil {
		return err
	}
	files, err := createAll(dir, savedFiles)
	defer closeFiles(files)
	if err != nil {
		return err
	}
	ask := map[string]any{"metadata": map[string]string{"compression": "none"}, "have_pages_file": true}
	kills := s.oomKills()
	if err := s.keeper.call("containerManager.Checkpoint", ask, nil, files...); err != nil {
		if s.oomKills() > kills { // it is counted before anything dies of it
			return fmt.Errorf("%w (%d MiB): %w", sandbox.ErrSnapshotMemory, s.spec.Memory>>20, err)
		}
		return err
	}
	note, err := json.Marshal(stored{guest.Version, p.number, s.base})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, storedFile), note, 0o600)
}

// quiet waits until all that the process has written has been passed on, and is the process. From then on it is dead for us.
func (s *box) quiet() (*process, error) {
	s.mu.Lock()
	p := s.process
	err := s.thaw()
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if p == nil || p.isDone() {
		return nil, errors.New("nothing runs in it")
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if err := s.limitPids(); err != nil { // the answer comes after all that was written before
			return nil, err
		}
		if p.out.isEmpty() && p.err.isEmpty() {
			break
		}
		if time.Now().After(deadline) {
			return nil, errors.New("its output is not read")
		}
	}
	p.mu.Lock()
	p.killed = true
	p.mu.Unlock()
	return p, nil
}

func createAll(dir string, names []string) (files []*os.File, err error) {
	for _, name := range names {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

// Restore makes a sandbox of what was stored.
func (d *Driver) Restore(ctx context.Context, spec sandbox.Spec, dir string, stdout, stderr *os.File) (sandbox.Sandbox, sandbox.Process, error) {
	from := image{dir: dir, stdout: stdout, stderr: stderr}
	err := from.read()
	if err != nil {
		closeOutputs(sandbox.Command{Stdout: stdout, Stderr: stderr})
		return nil, nil, fmt.Errorf("restore sandbox %q: %w", spec.ID, err)
	}
	s, err := d.create(ctx, spec, from)
	if err != nil {
		return nil, nil, fmt.Errorf("restore sandbox %q: %w", spec.ID, err)
	}
	return s, s.process, nil
}

func (i *image) read() error {
	f, err := os.Open(filepath.Join(i.dir, storedFile))
	if err != nil {
		return err
	}
	defer f.Close()
	note := make([]byte, maxStored)
	n, err := f.Read(note)
	if err != nil {
		return fmt.Errorf("read %s: %w", storedFile, err)
	}
	if err := json.Unmarshal(note[:n], &i.stored); err != nil {
		return fmt.Errorf("read %s: %w", storedFile, err)
	}
	if i.stored.Version != guest.Version {
		return fmt.Errorf("the snapshot is of version %d, the driver of %d: publish the version anew", i.stored.Version, guest.Version)
	}
	return nil
}

// imageDir is where gVisor finds a snapshot's directory, in the keeper's mount namespace.
const imageDir = stage + "/image"

// mountImage makes a snapshot's directory visible to gVisor.
func (s *box) mountImage(from image) error {
	fd, err := openTree(from.dir)
	if err != nil {
		return fmt.Errorf("open %s: %w", from.dir, err)
	}
	defer unix.Close(fd)
	return s.keeper.do(func() error {
		if err := os.Mkdir(imageDir, 0o700); err != nil {
			return err
		}
		return unix.MoveMount(fd, "", unix.AT_FDCWD, imageDir, unix.MOVE_MOUNT_F_EMPTY_PATH)
	})
}

// resume makes the process that a snapshot has: it is there, and goes on as soon as gVisor is.
func (s *box) resume(from image) *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number = from.stored.Process - 1
	p := s.newProcess(from.stdout, from.stderr)
	p.endInitIn(initTime)
	return p
}
