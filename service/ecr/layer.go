package ecr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/store"
)

// list writes digests as AWS's messages do.
func list(digests []string) string { return "'[" + strings.Join(digests, ", ") + "]'" }

// BatchCheckLayerAvailability says which layers the repository holds.
func (s *Service) BatchCheckLayerAvailability(ctx context.Context, in *api.BatchCheckLayerAvailabilityInput) (*api.BatchCheckLayerAvailabilityOutput, error) {
	out := &api.BatchCheckLayerAvailabilityOutput{Layers: []*api.Layer{}, Failures: []*api.LayerFailure{}}
	err := s.view(ctx, in.RepositoryName, func(tx store.Tx, r *repository) error {
		for _, digest := range in.LayerDigests {
			if !api.IsDigest(digest) {
				out.Failures = append(out.Failures, badLayerDigest(digest))
				continue
			}
			row, err := held.Get(tx, r.scope, store.Key(r.name, digest))
			switch {
			case errors.Is(err, store.ErrNotFound):
				out.Layers = append(out.Layers, &api.Layer{LayerDigest: &digest, LayerAvailability: new(api.LayerAvailabilityUnavailable)})
			case err != nil:
				return err
			default:
				out.Layers = append(out.Layers, &api.Layer{
					LayerDigest: &digest, LayerAvailability: new(api.LayerAvailabilityAvailable), LayerSize: &row.Value.Size,
				})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func badLayerDigest(digest string) *api.LayerFailure {
	f := &api.LayerFailure{
		LayerDigest: &digest, FailureCode: new(api.LayerFailureCodeInvalidLayerDigest),
		FailureReason: new("Invalid request parameters: layer digest should be sha256 and 64 hexadecimal digits"),
	}
	if digest == "" {
		f.FailureCode, f.FailureReason = new(api.LayerFailureCodeMissingLayerDigest), new("Invalid request parameters: layer digest is missing")
	}
	return f
}

// GetDownloadUrlForLayer gives a link that is good for an hour, to whoever has it.
func (s *Service) GetDownloadUrlForLayer(ctx context.Context, in *api.GetDownloadUrlForLayerInput) (*api.GetDownloadUrlForLayerOutput, error) {
	err := s.view(ctx, in.RepositoryName, func(tx store.Tx, r *repository) error {
		_, err := r.layer(tx, *in.LayerDigest)
		return err
	})
	if err != nil {
		return nil, err
	}
	url, err := s.link(ctx, *in.RepositoryName, *in.LayerDigest)
	return &api.GetDownloadUrlForLayerOutput{DownloadURL: &url, LayerDigest: in.LayerDigest}, err
}

// layer is a layer that the repository holds.
func (r *repository) layer(tx store.Tx, digest string) (layerRow, error) {
	_, err := held.Get(tx, r.scope, store.Key(r.name, digest))
	var row store.Row[layerRow]
	if err == nil {
		row, err = layers.Get(tx, r.scope, digest)
	}
	if errors.Is(err, store.ErrNotFound) {
		return layerRow{}, api.ErrLayersNotFound.Withf("The layer with digest '%s' does not exist in the %s", digest, r.where())
	}
	return row.Value, err
}

// open opens a layer of a repository. Who may read it is the caller's to know.
func (s *Service) open(ctx context.Context, sc store.Scope, name, digest string) (*layerFile, error) {
	f := &layerFile{blobs: s.blobs}
	err := s.db.View(ctx, func(tx store.Tx) error {
		r, err := getRepository(tx, sc, name)
		if err != nil {
			return err
		}
		l, err := r.layer(tx, digest)
		f.parts, f.size = l.Parts, l.Size
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// letGo notes that a repository does not hold a layer any more, and answers its blobs if none does.
func letGo(tx store.Tx, sc store.Scope, digest string) (gone []partRow, err error) {
	row, err := layers.Get(tx, sc, digest)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", digest, err)
	}
	if row.Value.Repositories--; row.Value.Repositories > 0 {
		_, err := layers.Put(tx, sc, digest, row.Value)
		return nil, err
	}
	return row.Value.Parts, layers.Delete(tx, sc, digest)
}

// layerFile reads a layer. One part of it is open at a time.
type layerFile struct {
	blobs store.Blobs
	parts []partRow
	size  int64
	at    int64

	part  store.BlobFile // nil if none is open
	first int64          // byte of the layer that part begins with
	end   int64
}

// Seek implements io.Seeker.
func (f *layerFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning of a layer")
	}
	f.at = offset
	return offset, nil
}

// Read implements io.Reader.
func (f *layerFile) Read(p []byte) (int, error) {
	if f.at >= f.size {
		return 0, io.EOF
	}
	if f.part == nil || f.at < f.first || f.at >= f.end {
		if err := f.turn(); err != nil {
			return 0, err
		}
	}
	if rest := f.end - f.at; int64(len(p)) > rest {
		p = p[:rest]
	}
	n, err := f.part.ReadAt(p, f.at-f.first)
	f.at += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

// turn opens the part that byte at is in.
func (f *layerFile) turn() error {
	err := f.Close()
	first := int64(0)
	for _, p := range f.parts {
		if f.at >= first+p.Size {
			first += p.Size
			continue
		}
		file, e := f.blobs.Open(p.Blob)
		if e = errors.Join(err, e); e != nil {
			return fmt.Errorf("open a part of a layer: %w", e)
		}
		f.part, f.first, f.end = file, first, first+p.Size
		return nil
	}
	return errors.Join(err, io.ErrUnexpectedEOF)
}

// Close implements io.Closer.
func (f *layerFile) Close() error {
	if f.part == nil {
		return nil
	}
	err := f.part.Close()
	f.part = nil
	return err
}

var _ io.ReadSeekCloser = (*layerFile)(nil)
