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
	"path/filepath"
	"strings"
)

// ensureLayers is the host directory that becomes /opt: the one layer's, or all of them merged, later ones over earlier
// ones. It is empty if there are none.
func (c *codeCache) ensureLayers(ctx context.Context, layers []layerRef) (string, error) {
	if len(layers) == 0 {
		return "", nil
	}
	dirs := make([]string, len(layers))
	for i, l := range layers {
		host, err := c.ensure(ctx, l.Code)
		if err != nil {
			return "", err
		}
		if len(layers) == 1 {
			return host, nil
		}
		dirs[i] = codeDir(l.Code.SHA256) + "/files"
	}
	dir := mergedDir(layers)
	c.touch(dir)
	if _, err := c.root.Lstat(dir); err == nil {
		return filepath.Join(c.dir, filepath.FromSlash(dir)), nil
	}
	release, err := c.slot(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	err = c.build(dir, func(tmp string) error {
		for _, from := range dirs {
			if err := c.overlay(ctx, from, tmp); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("merge layers: %w", err)
	}
	return filepath.Join(c.dir, filepath.FromSlash(dir)), nil
}

// mergedDir names the merged directory of two or more layers by their contents, in order.
func mergedDir(layers []layerRef) string {
	h := sha256.New()
	for _, l := range layers {
		h.Write(l.Code.SHA256)
	}
	return "layers/" + hex.EncodeToString(h.Sum(nil))
}

// overlay puts a tree over another: what is in the way is replaced, directories are merged. Files are hard links.
func (c *codeCache) overlay(ctx context.Context, from, to string) error {
	return fs.WalkDir(c.root.FS(), from, func(p string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || p == from {
			return err
		}
		dst := to + strings.TrimPrefix(p, from)
		there, err := c.root.Lstat(dst)
		if err == nil && d.IsDir() && there.IsDir() {
			return nil
		}
		if err == nil {
			if err := c.root.RemoveAll(dst); err != nil {
				return err
			}
		}
		switch {
		case d.IsDir():
			if err := c.root.Mkdir(dst, 0o755); err != nil {
				return err
			}
			return c.root.Chmod(dst, 0o755)
		case d.Type() == fs.ModeSymlink:
			target, err := c.root.Readlink(p)
			if err != nil {
				return err
			}
			return c.root.Symlink(target, dst)
		}
		if c.root.Link(p, dst) == nil {
			return nil
		}
		return c.copy(p, dst)
	})
}

// copy is for file systems without hard links, or with too many of one file.
func (c *codeCache) copy(from, to string) error {
	src, err := c.root.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	fi, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := c.root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Chmod(fi.Mode().Perm()), dst.Close())
}
