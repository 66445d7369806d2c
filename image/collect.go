package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Freed is what Keep removed.
type Freed struct {
	Images, Layers int
	Bytes          int64 // of files
}

// Keep removes all images but those that named says yes to, by the digest of the manifest, and all layers that no image has any more.
// Who calls it names every image that a function has or a sandbox uses. What was pulled within Limits.Grace stays, named or not.
func (s *Store) Keep(named func(digest string) bool) (Freed, error) {
	hexes, err := s.images()
	if err != nil {
		return Freed{}, err
	}
	doomed := map[string]bool{}
	for _, h := range hexes {
		doomed[h] = !named("sha256:" + h)
	}
	return s.remove(doomed, func(string) bool { return true })
}

// remove takes images out of the store, and those layers that no image has and that may go.
func (s *Store) remove(doomed map[string]bool, may func(hex string) bool) (Freed, error) {
	trash, err := os.MkdirTemp(filepath.Join(s.dir, tmpDir), "gone-")
	if err != nil {
		return Freed{}, fmt.Errorf("remove images: %w", err)
	}
	freed, err := s.unlink(doomed, may, trash)
	return freed, errors.Join(err, os.RemoveAll(trash))
}

// unlink is remove's quick part: it moves the layers to trash.
func (s *Store) unlink(doomed map[string]bool, may func(hex string) bool, trash string) (freed Freed, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	used, err := s.used(doomed, &freed)
	if err != nil {
		return freed, err
	}
	layers, err := os.ReadDir(filepath.Join(s.dir, layersDir))
	if err != nil {
		return freed, fmt.Errorf("list layers: %w", err)
	}
	for _, l := range layers {
		hex := l.Name()
		if used[hex] || s.pinned[hex] > 0 || !may(hex) {
			continue
		}
		rec, err := s.readLayer(hex)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return freed, err
		}
		if err := os.Rename(s.layerPath(hex), filepath.Join(trash, hex)); err != nil {
			return freed, fmt.Errorf("remove layer: %w", err)
		}
		freed.Layers++
		if rec != nil {
			freed.Bytes += rec.Size
		}
	}
	return freed, nil
}

// used removes the doomed images, and answers the layers of the others: of all there are now, which may be more than Keep has seen.
func (s *Store) used(doomed map[string]bool, freed *Freed) (map[string]bool, error) {
	hexes, err := s.images()
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, h := range hexes {
		rec, err := s.readImage(h)
		if err != nil {
			return nil, err
		}
		if doomed[h] && time.Since(rec.Pulled) > s.limits.Grace {
			if err := os.Remove(s.imagePath(h)); err != nil {
				return nil, fmt.Errorf("remove image: %w", err)
			}
			freed.Images++
			continue
		}
		for _, l := range rec.DiffIDs {
			used[l] = true
		}
	}
	return used, nil
}

// images are the digests of what is in the store, in hexadecimal.
func (s *Store) images() ([]string, error) {
	files, err := os.ReadDir(filepath.Join(s.dir, imagesDir))
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var all []string
	for _, f := range files {
		if h, ok := strings.CutSuffix(f.Name(), ".json"); ok {
			all = append(all, h)
		}
	}
	return all, nil
}

// Usage is what the store has.
type Usage struct {
	Images, Layers int
	Bytes          int64 // of files, those of a layer once however many images have it
}

// Usage counts what is on disk.
func (s *Store) Usage() (Usage, error) {
	var u Usage
	hexes, err := s.images()
	if err != nil {
		return u, err
	}
	u.Images = len(hexes)
	layers, err := os.ReadDir(filepath.Join(s.dir, layersDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return u, fmt.Errorf("list layers: %w", err)
	}
	for _, l := range layers {
		rec, err := s.readLayer(l.Name())
		if errors.Is(err, ErrNotFound) {
			continue // it is being removed
		}
		if err != nil {
			return u, err
		}
		u.Layers++
		u.Bytes += rec.Size
	}
	return u, nil
}
