//go:build !linux

package image

import (
	"errors"
	"fmt"
)

// Layers are for overlayfs, and paths in them are resolved by what only Linux has.
func unpackTar(*tarStream, string, *budget, *Limits) (*layerRecord, error) {
	return nil, fmt.Errorf("image: %w: layers are unpacked on Linux only", errors.ErrUnsupported)
}

func syncAll(string) error { return errors.ErrUnsupported }
