//go:build amd64 || arm64

package gvisor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Where an image is put together: the layer above all others, which is ours, and the image's. The names are short because all of them
// go into one mount option of a page.
const (
	topDir    = stage + "/top"
	layersDir = stage + "/l"
)

// openLayers opens the Spec's layers in the host's mount namespace, the highest first. There are none without a Root.
func (s *box) openLayers() (layers []mount, err error) {
	if s.spec.Root == nil {
		return nil, nil
	}
	for i, dir := range slices.Backward(s.spec.Root.Layers) {
		fd, err := openTree(dir)
		if err != nil {
			return layers, fmt.Errorf("open layer %s: %w", dir, err)
		}
		layers = append(layers, mount{fd, layersDir + "/" + strconv.Itoa(i)})
	}
	return layers, nil
}

// buildImage makes the root out of an image's layers. It cannot be written to, so what is to be mounted on it has its place in the layer
// above all others: whatever the image has there, a link or a file, it is not in the way.
func (d *Driver) buildImage(layers, mounts []mount) error {
	if err := d.skeleton(topDir, imageDirs, hostFiles()); err != nil {
		return err
	}
	for _, m := range mounts {
		var st unix.Stat_t
		if err := unix.Fstat(m.fd, &st); err != nil {
			return err
		}
		fd, err := makeTarget(topDir, m.target, st.Mode&unix.S_IFMT == unix.S_IFDIR)
		if err != nil {
			return fmt.Errorf("make a place for %s: %w", m.target, err)
		}
		unix.Close(fd)
	}
	lower := []string{topDir}
	for _, l := range layers {
		if err := os.MkdirAll(l.target, 0o755); err != nil {
			return err
		}
		if err := unix.MoveMount(l.fd, "", unix.AT_FDCWD, l.target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("mount a layer: %w", err)
		}
		lower = append(lower, l.target)
	}
	options := "userxattr,lowerdir=" + strings.Join(lower, ":")
	err := unix.Mount("overlay", rootDir, "overlay", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, options)
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("mount the image: this kernel has no overlay file system (modprobe overlay): %w", err)
	}
	if err != nil {
		return fmt.Errorf("mount the image's %d layers: %w", len(layers), err)
	}
	return nil
}
