package ecr

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/store"
)

// partSize is how large clients are asked to make their parts, in bytes. Others are taken too.
const partSize = 10 << 20

// InitiateLayerUpload begins the upload of a layer, which must come to its end within a day.
func (s *Service) InitiateLayerUpload(ctx context.Context, in *api.InitiateLayerUploadInput) (*api.InitiateLayerUploadOutput, error) {
	id := uuid.NewString()
	state, err := hashState(sha256.New())
	if err != nil {
		return nil, err
	}
	_, err = s.change(ctx, in.RepositoryName, func(tx store.Tx, r *repository) error {
		if r.row.Uploads >= maxUploads {
			return api.ErrLimitExceeded.Withf("%d layers are being uploaded to the %s, which is the limit", r.row.Uploads, r.where())
		}
		r.row.Uploads++
		_, err := uploads.Put(tx, r.scope, store.Key(r.name, id), uploadRow{Created: s.clock(), Hash: state})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.InitiateLayerUploadOutput{UploadID: &id, PartSize: new(int64(partSize))}, nil
}

// upload is an upload under way.
type upload struct {
	*repository
	id  string
	row uploadRow
}

func (u *upload) key() string { return store.Key(u.name, u.id) }

func getUpload(tx store.Tx, r *repository, id string) (*upload, error) {
	row, err := uploads.Get(tx, r.scope, store.Key(r.name, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, api.ErrUploadNotFound.Withf("The upload with id '%s' does not exist in the %s", id, r.where())
	}
	if err != nil {
		return nil, err
	}
	return &upload{r, id, row.Value}, nil
}

// upload reads an upload.
func (s *Service) upload(ctx context.Context, name, id *string) (u *upload, err error) {
	err = s.view(ctx, name, func(tx store.Tx, r *repository) error {
		u, err = getUpload(tx, r, *id)
		return err
	})
	return u, err
}

// UploadLayerPart adds a part to a layer. Parts come in order. What was answered is durable.
func (s *Service) UploadLayerPart(ctx context.Context, in *api.UploadLayerPartInput) (*api.UploadLayerPartOutput, error) {
	u, err := s.upload(ctx, in.RepositoryName, in.UploadID)
	if err != nil {
		return nil, err
	}
	if err := u.fits(in); err != nil {
		return nil, err
	}
	h, err := hashOf(u.row.Hash)
	if err != nil {
		return nil, err
	}
	h.Write(in.LayerPartBlob)
	state, err := hashState(h)
	if err != nil {
		return nil, err
	}
	blob, err := s.blobs.Put(ctx, bytes.NewReader(in.LayerPartBlob), maxPart)
	if err != nil {
		return nil, storing(s.deps.Log, err)
	}
	part := partRow{blob.ID, blob.Size}
	err = s.db.Update(ctx, func(tx store.Tx) error {
		r, err := getRepository(tx, u.scope, u.name)
		if err != nil {
			return err
		}
		if u, err = getUpload(tx, r, u.id); err != nil {
			return err
		}
		if err := u.fits(in); err != nil { // another part came meanwhile; if none did the hash is still of what is there
			return err
		}
		if _, err := parts.Put(tx, u.scope, partKey(u.key(), u.row.Parts), part); err != nil {
			return err
		}
		u.row.Size, u.row.Parts, u.row.Hash = u.row.Size+part.Size, u.row.Parts+1, state
		_, err = uploads.Put(tx, u.scope, u.key(), u.row)
		return err
	})
	if err != nil {
		s.dropBlobs([]partRow{part})
		return nil, err
	}
	return &api.UploadLayerPartOutput{
		RegistryID: &u.scope.Account, RepositoryName: &u.name, UploadID: &u.id, LastByteReceived: new(u.row.Size - 1),
	}, nil
}

// partKey orders the parts of an upload by their number.
func partKey(upload string, n int) string { return store.Key(upload, fmt.Sprintf("%06d", n)) }

// fits says whether a part is the next one.
func (u *upload) fits(in *api.UploadLayerPartInput) error {
	size := int64(len(in.LayerPartBlob))
	switch {
	case size == 0 || *in.PartLastByte-*in.PartFirstByte+1 != size:
		return u.invalidPart("The part has %d bytes, and not those from %d to %d", size, *in.PartFirstByte, *in.PartLastByte)
	case *in.PartFirstByte != u.row.Size || u.row.Mounted != "":
		return u.outOfOrder(in)
	case u.row.Parts >= maxParts:
		return api.ErrLimitExceeded.Withf("A layer has %d parts at most", maxParts)
	case u.row.Size+size > maxLayer:
		return api.ErrLimitExceeded.Withf("A layer has %d bytes at most", int64(maxLayer))
	}
	return nil
}

func (u *upload) outOfOrder(in *api.UploadLayerPartInput) error {
	return u.invalidPart("The part begins with byte %d, and %d bytes of the layer were received", *in.PartFirstByte, u.row.Size)
}

func (u *upload) invalidPart(format string, args ...any) error {
	return api.ErrInvalidLayerPart.Withf(format, args...).With("registryId", u.scope.Account).With("repositoryName", u.name).
		With("uploadId", u.id).With("lastValidByteReceived", max(0, u.row.Size-1))
}

// CompleteLayerUpload makes a layer of what was uploaded, if it has one of the digests.
func (s *Service) CompleteLayerUpload(ctx context.Context, in *api.CompleteLayerUploadInput) (*api.CompleteLayerUploadOutput, error) {
	var done completion
	err := s.db.Update(ctx, func(tx store.Tx) error {
		done = completion{}
		r, err := getRepository(tx, scopeOf(ctx), *in.RepositoryName)
		if err != nil {
			return err
		}
		u, err := getUpload(tx, r, *in.UploadID)
		if err != nil {
			return err
		}
		if err := done.complete(tx, u, in.LayerDigests, s); err != nil {
			return err
		}
		return r.put(tx)
	})
	if err != nil {
		return nil, err
	}
	s.dropBlobs(done.gone)
	if done.twice {
		return nil, api.ErrLayerAlreadyExists.Withf("The layer with digest '%s' exists in the %s", done.digest, done.where())
	}
	return &api.CompleteLayerUploadOutput{
		RegistryID: &done.scope.Account, RepositoryName: &done.name, UploadID: in.UploadID, LayerDigest: &done.digest,
	}, nil
}

// completion is the end of an upload.
type completion struct {
	*upload
	digest string
	twice  bool      // the repository had the layer
	gone   []partRow // that need not be kept: the layer was there
}

func (c *completion) complete(tx store.Tx, u *upload, digests []string, s *Service) error {
	c.upload = u
	var err error
	if c.digest, err = u.digest(); err != nil {
		return err
	}
	if !slices.Contains(digests, c.digest) {
		return api.ErrInvalidLayer.Withf("The layer has the digest '%s', which is none of those that were said: %s", c.digest, list(digests))
	}
	pieces, err := deleteAll(tx, parts, u.scope, u.key()+"\x00")
	if err != nil {
		return err
	}
	came := make([]partRow, len(pieces))
	for i, p := range pieces {
		came[i] = p.Value
	}
	if err := uploads.Delete(tx, u.scope, u.key()); err != nil {
		return err
	}
	u.repository.row.Uploads--
	return c.keep(tx, came, s)
}

// keep makes the repository hold the layer.
func (c *completion) keep(tx store.Tx, came []partRow, s *Service) error {
	_, err := held.Get(tx, c.scope, store.Key(c.name, c.digest))
	if err == nil {
		c.twice, c.gone = true, came
		return nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	l, err := layers.Get(tx, c.scope, c.digest)
	switch {
	case errors.Is(err, store.ErrNotFound) && c.row.Mounted != "":
		return api.ErrInvalidLayer.Withf("The layer with digest '%s' is there no more", c.digest)
	case errors.Is(err, store.ErrNotFound):
		l.Value = layerRow{Size: c.row.Size, Parts: came}
	case err != nil:
		return err
	default:
		c.gone = came
	}
	l.Value.Repositories++
	if _, err := layers.Put(tx, c.scope, c.digest, l.Value); err != nil {
		return err
	}
	_, err = held.Put(tx, c.scope, store.Key(c.name, c.digest), heldRow{Size: l.Value.Size, Since: s.clock()})
	return err
}

// digest is that of what came.
func (u *upload) digest() (string, error) {
	if u.row.Mounted != "" {
		return u.row.Mounted, nil
	}
	if u.row.Size == 0 {
		return "", api.ErrEmptyUpload.Withf("Nothing was uploaded for the upload with id '%s' in the %s", u.id, u.where())
	}
	h, err := hashOf(u.row.Hash)
	if err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// mount makes an upload one of a layer that another repository of the registry holds. Nothing is copied.
func (s *Service) mount(ctx context.Context, u *upload, from, digest string) error {
	return s.db.Update(ctx, func(tx store.Tx) error {
		row, err := uploads.Get(tx, u.scope, u.key())
		if err != nil {
			return err
		}
		if _, err := held.Get(tx, u.scope, store.Key(from, digest)); err != nil {
			return err
		}
		if row.Value.Parts > 0 {
			return errors.New("the upload has begun")
		}
		row.Value.Mounted = digest
		_, err = uploads.Put(tx, u.scope, u.key(), row.Value)
		return err
	})
}

// cancel ends an upload whose layer nobody wants any more.
func (s *Service) cancel(ctx context.Context, sc store.Scope, name, id string) error {
	var gone []partRow
	err := s.db.Update(ctx, func(tx store.Tx) error {
		gone = nil
		r, err := getRepository(tx, sc, name)
		if err != nil {
			return err
		}
		u, err := getUpload(tx, r, id)
		if err != nil {
			return err
		}
		pieces, err := deleteAll(tx, parts, sc, u.key()+"\x00")
		if err != nil {
			return err
		}
		for _, p := range pieces {
			gone = append(gone, p.Value)
		}
		r.row.Uploads--
		return errors.Join(uploads.Delete(tx, sc, u.key()), r.put(tx))
	})
	if err == nil {
		s.dropBlobs(gone)
	}
	return err
}

// hashState is a hash on its way, to be gone on with later.
func hashState(h hash.Hash) ([]byte, error) {
	m, ok := h.(encoding.BinaryMarshaler)
	if !ok {
		return nil, errors.New("the hash has no state that could be kept")
	}
	return m.MarshalBinary()
}

func hashOf(state []byte) (hash.Hash, error) {
	h := sha256.New()
	m, ok := h.(encoding.BinaryUnmarshaler)
	if !ok {
		return nil, errors.New("the hash has no state that could be kept")
	}
	if err := m.UnmarshalBinary(state); err != nil {
		return nil, fmt.Errorf("go on with a hash: %w", err)
	}
	return h, nil
}
