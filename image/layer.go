package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Names in the directory of a layer.
const (
	layerRoot = "fs"
	layerFile = "layer.json"
)

// layerRecord says what a layer on disk is.
type layerRecord struct {
	Size    int64 `json:"size"` // bytes of its files
	Entries int64 `json:"entries"`
	// Opaque layers hide everything below them.
	Opaque bool `json:"opaque,omitempty"`
	// Owners have brought its bytes.
	Owners []string `json:"owners"`
}

// sideBySide is how many layers of an image are fetched at a time; attempts is how often one is.
const (
	sideBySide = 3
	attempts   = 3
)

// fetching is the work of one Pull: what is fetched, for whom, and what it may use up.
type fetching struct {
	source source
	layers map[string]*layerOf // by diff id
	owner  string
	budget *budget
}

// fetch brings an image's layers to disk, and then the image.
func (s *Store) fetch(ctx context.Context, f *found, owner string) (*Image, error) {
	rec := &imageRecord{Image: *f.image(), Pulled: time.Now().UTC()}
	w := &fetching{source: f.source, layers: map[string]*layerOf{}, owner: owner, budget: newBudget(&s.limits)}
	for i, l := range f.layers {
		// A layer that comes twice is as good as its uppermost: that one says again whatever the lower one said.
		if w.layers[l.diffID] != nil {
			rec.DiffIDs = slices.DeleteFunc(rec.DiffIDs, func(hex string) bool { return hex == l.diffID })
		}
		w.layers[l.diffID] = &f.layers[i]
		rec.DiffIDs = append(rec.DiffIDs, l.diffID)
	}
	unpin := s.pin(rec.DiffIDs)
	img, err := s.fetchAll(ctx, w, rec)
	unpin()
	if err != nil {
		// What of it is whole stays only if others have it.
		_, e := s.remove(nil, func(hex string) bool { return w.layers[hex] != nil })
		return nil, errors.Join(err, e)
	}
	return img, nil
}

// fetchAll brings the layers, and writes the image down.
func (s *Store) fetchAll(ctx context.Context, w *fetching, rec *imageRecord) (*Image, error) {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(sideBySide)
	for _, l := range w.layers {
		g.Go(func() error {
			if err := s.ensure(gctx, l, w); err != nil {
				return fmt.Errorf("layer sha256:%s: %w", l.diffID, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	rec.Size = s.limits.Size - w.budget.size.Load()
	if err := s.writeImage(rec); err != nil {
		return nil, err
	}
	img, err := s.complete(rec)
	if err != nil {
		return nil, err
	}
	img.Ref = rec.Ref
	return img, nil
}

// pin keeps layers from being removed until the answer is called.
func (s *Store) pin(hexes []string) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range hexes {
		s.pinned[h]++
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, h := range hexes {
			if s.pinned[h]--; s.pinned[h] == 0 {
				delete(s.pinned, h)
			}
		}
	}
}

// ensure has a layer on disk, and its owner among those who have brought it.
func (s *Store) ensure(ctx context.Context, l *layerOf, f *fetching) error {
	leave, err := s.only(ctx, f.owner+" "+l.diffID)
	if err != nil {
		return err
	}
	defer leave()
	if rec, err := s.readLayer(l.diffID); err == nil && slices.Contains(rec.Owners, f.owner) {
		return errors.Join(take(&f.budget.size, rec.Size, "bytes"), take(&f.budget.entries, rec.Entries, "entries"))
	}
	for try := 1; ; try++ {
		err = s.bring(ctx, l, f)
		if err == nil || try == attempts || !errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(time.Duration(try) * 500 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// bring reads a layer. If it is on disk already its bytes are proof enough, else it is unpacked.
func (s *Store) bring(ctx context.Context, l *layerOf, f *fetching) error {
	body, err := f.source.blob(ctx, l.sent)
	if err != nil {
		return err
	}
	defer body.Close()
	t, err := newTarStream(ctx, body, l, f.budget)
	if err != nil {
		return err
	}
	defer t.Close()
	if _, err := s.readLayer(l.diffID); err == nil {
		if err := t.verify(); err != nil {
			t.refund()
			return err
		}
		return s.share(l.diffID, f)
	}
	rec, dir, err := s.unpack(t, f.budget)
	if err != nil {
		t.refund()
		return err
	}
	rec.Owners = []string{f.owner}
	err = s.settle(l.diffID, dir, rec)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) {
		// Somebody else was faster.
		f.budget.size.Add(rec.Size)
		f.budget.entries.Add(rec.Entries)
		err = s.share(l.diffID, f)
	}
	if e := os.RemoveAll(dir); e != nil {
		s.log.ErrorContext(ctx, "an unpacked layer that nobody needs stays until the next start", "error", e)
	}
	return err
}

// unpack unpacks a layer in a temporary directory, which is gone again if that fails.
func (s *Store) unpack(t *tarStream, b *budget) (rec *layerRecord, dir string, err error) {
	if dir, err = os.MkdirTemp(filepath.Join(s.dir, tmpDir), "layer-"); err != nil {
		return nil, "", fmt.Errorf("unpack: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	root := filepath.Join(dir, layerRoot)
	if err := os.Mkdir(root, 0o755); err != nil {
		return nil, dir, fmt.Errorf("unpack: %w", err)
	}
	if rec, err = unpackTar(t, root, b, &s.limits); err != nil {
		return nil, dir, err
	}
	if err = t.verify(); err != nil {
		b.size.Add(rec.Size)
		b.entries.Add(rec.Entries)
		return nil, dir, err
	}
	return rec, dir, nil
}

// settle makes a layer in a temporary directory durable and gives it its name.
func (s *Store) settle(hex, dir string, rec *layerRecord) error {
	if err := os.Chmod(dir, 0o711); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if err := writeJSON(filepath.Join(dir, layerFile), rec); err != nil {
		return err
	}
	if err := syncAll(dir); err != nil {
		return err
	}
	s.mu.Lock()
	err := os.Rename(dir, s.layerPath(hex))
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return syncDir(filepath.Join(s.dir, layersDir))
}

// share adds an owner to a layer, and takes it from the budget.
func (s *Store) share(hex string, f *fetching) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, err := s.readLayer(hex)
	if err != nil {
		return err
	}
	if err := errors.Join(take(&f.budget.size, rec.Size, "bytes"), take(&f.budget.entries, rec.Entries, "entries")); err != nil {
		return err
	}
	if slices.Contains(rec.Owners, f.owner) {
		return nil
	}
	rec.Owners = append(rec.Owners, f.owner)
	return s.replace(filepath.Join(s.layerPath(hex), layerFile), rec)
}

// readLayer is what is known of a layer, ErrNotFound if it is not on disk.
func (s *Store) readLayer(hex string) (*layerRecord, error) {
	data, err := os.ReadFile(filepath.Join(s.layerPath(hex), layerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the layer sha256:%s is not on disk", ErrNotFound, hex)
	}
	if err != nil {
		return nil, fmt.Errorf("read layer: %w", err)
	}
	rec := new(layerRecord)
	if err := json.Unmarshal(data, rec); err != nil {
		return nil, fmt.Errorf("read layer sha256:%s: %w", hex, err)
	}
	return rec, nil
}

func (s *Store) writeImage(rec *imageRecord) error {
	hex, ok := digestHex(rec.Digest)
	if !ok {
		return fmt.Errorf("%w: %q is no digest", ErrInvalid, clip(rec.Digest))
	}
	return s.replace(s.imagePath(hex), rec)
}
