package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// source is where images come from. What it answers is not verified.
type source interface {
	// manifest is what the reference names. The digest is empty if the reference is none.
	manifest(ctx context.Context) (data []byte, mediaType, digest string, err error)
	// child is a manifest that an index names.
	child(ctx context.Context, d v1.Descriptor) (data []byte, err error)
	// blob is a configuration or a layer, to be closed.
	blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error)
	// pin is the reference of an image by its digest.
	pin(digest string) string
	Close() error
}

// found is an image of which no layer has been read. Its source has to be closed.
type found struct {
	source source
	digest string // of the manifest
	config Config
	layers []layerOf // the lowest first
}

// layerOf is a layer as an image names it.
type layerOf struct {
	sent   v1.Descriptor // what the source has
	diffID string        // hex
	// unnamed layers are held against their diff id alone: the source does not know the digest of what it has.
	unnamed bool
}

func (f *found) image() *Image {
	return &Image{Digest: f.digest, Ref: f.source.pin(f.digest), Config: f.config}
}

// find looks for an image and reads its manifest and configuration, both verified.
func (s *Store) find(ctx context.Context, r Request) (*found, error) {
	src, err := s.open(ctx, r)
	if err != nil {
		return nil, err
	}
	f, err := s.read(ctx, src, r.architecture())
	if err != nil {
		src.Close()
		return nil, err
	}
	return f, nil
}

func (s *Store) read(ctx context.Context, src source, arch string) (*found, error) {
	data, mediaType, digest, err := src.manifest(ctx)
	if err != nil {
		return nil, err
	}
	for range maxNesting + 1 {
		if int64(len(data)) > s.limits.Manifest {
			return nil, fmt.Errorf("%w: a manifest of more than %d bytes", ErrTooLarge, s.limits.Manifest)
		}
		is := digestOf(data)
		if digest != "" && digest != is {
			return nil, fmt.Errorf("%w: the manifest %s has the digest %s", ErrInvalid, clip(digest), is)
		}
		doc, err := parseDocument(data, mediaType, &s.limits)
		if err != nil {
			return nil, err
		}
		if doc.image != nil {
			return s.readConfig(ctx, &found{source: src, digest: is}, doc.image, arch)
		}
		d, err := pick(doc.index, arch)
		if err != nil {
			return nil, err
		}
		if data, err = src.child(ctx, d); err != nil {
			return nil, err
		}
		mediaType, digest = string(d.MediaType), d.Digest.String()
	}
	return nil, fmt.Errorf("%w: indexes in indexes, more than %d deep", ErrInvalid, maxNesting)
}

func (s *Store) readConfig(ctx context.Context, f *found, m *v1.Manifest, arch string) (*found, error) {
	if err := checkManifest(m, &s.limits); err != nil {
		return nil, err
	}
	data, err := readBlob(ctx, f.source, m.Config)
	if err != nil {
		return nil, fmt.Errorf("its configuration: %w", err)
	}
	cfg, diffIDs, err := parseConfig(data, arch)
	if err != nil {
		return nil, err
	}
	if len(diffIDs) != len(m.Layers) {
		return nil, fmt.Errorf("%w: its manifest has %d layers and its configuration %d", ErrInvalid, len(m.Layers), len(diffIDs))
	}
	f.config = *cfg
	_, unnamed := f.source.(*archive)
	for i, d := range m.Layers {
		f.layers = append(f.layers, layerOf{sent: d, diffID: diffIDs[i].Hex, unnamed: unnamed})
	}
	return f, nil
}

// readBlob reads a small blob whole and verifies it.
func readBlob(ctx context.Context, src source, d v1.Descriptor) ([]byte, error) {
	body, err := src.blob(ctx, d)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, d.Size+1))
	if err != nil {
		return nil, err
	}
	if is := digestOf(data); is != d.Digest.String() || int64(len(data)) != d.Size {
		return nil, fmt.Errorf("%w: %s of %d bytes has the digest %s", ErrInvalid, d.Digest, d.Size, is)
	}
	return data, nil
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
