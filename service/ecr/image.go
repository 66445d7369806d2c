package ecr

import (
	"context"
	"errors"
	"slices"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/store"
)

// PutImage adds an image of which the repository holds all layers, or a tag to one that is there.
func (s *Service) PutImage(ctx context.Context, in *api.PutImageInput) (*api.PutImageOutput, error) {
	m, err := parseManifest(*in.ImageManifest, value(in.ImageManifestMediaType))
	if err != nil {
		return nil, err
	}
	if in.ImageDigest != nil && *in.ImageDigest != m.digest {
		return nil, api.ErrImageDigestDoesNotMatch.Withf("The specified image digest '%s' does not match the calculated image digest '%s'", *in.ImageDigest, m.digest)
	}
	if in.ImageTag != nil && !api.IsImageTag(*in.ImageTag) {
		return nil, invalid("imageTag", "must satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9-_.]*'")
	}
	r, err := s.change(ctx, in.RepositoryName, func(tx store.Tx, r *repository) error {
		p := placement{tx, r, m}
		row, isNew, err := p.image(s)
		if err != nil {
			return err
		}
		if in.ImageTag == nil && !isNew {
			return api.ErrImageAlreadyExists.Withf("Image with digest '%s' already exists in the %s", m.digest, r.where())
		}
		if in.ImageTag != nil {
			if err := p.tag(&row, *in.ImageTag); err != nil {
				return err
			}
		}
		if isNew {
			if err := p.keep(row, *in.ImageManifest); err != nil {
				return err
			}
		}
		_, err = images.Put(tx, r.scope, p.key(), row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.PutImageOutput{Image: &api.Image{
		RegistryID: &r.scope.Account, RepositoryName: &r.name, ImageID: &api.ImageIdentifier{ImageDigest: &m.digest, ImageTag: in.ImageTag},
		ImageManifest: in.ImageManifest, ImageManifestMediaType: &m.mediaType,
	}}, nil
}

// placement is an image on its way into a repository.
type placement struct {
	tx store.Tx
	*repository
	*manifest
}

func (p placement) key() string { return store.Key(p.name, p.manifest.digest) }

// image is the image's row, as it is or as it will be.
func (p placement) image(s *Service) (row imageRow, isNew bool, err error) {
	old, err := images.Get(p.tx, p.scope, p.key())
	if !errors.Is(err, store.ErrNotFound) {
		return old.Value, false, err
	}
	if p.row.Images >= maxImages {
		return row, false, api.ErrLimitExceeded.Withf("There are %d images in the %s, which is the limit", p.row.Images, p.where())
	}
	row = imageRow{
		MediaType: p.mediaType, ArtifactType: p.artifactType, Subject: p.subject, Pushed: s.clock(), Layers: p.layers, Images: p.images,
	}
	row.Size, err = p.size()
	return row, true, err
}

// size is that of the layers and images that the manifest names, all of which must be there.
func (p placement) size() (n int64, err error) {
	var missing []string
	for _, digest := range p.layers {
		row, err := held.Get(p.tx, p.scope, store.Key(p.name, digest))
		if errors.Is(err, store.ErrNotFound) {
			missing = append(missing, digest)
		} else if err != nil {
			return 0, err
		}
		n += row.Value.Size
	}
	if len(missing) > 0 {
		return 0, api.ErrLayersNotFound.Withf("Layers with digests %s required for pushing image into %s do not exist", list(missing), p.where())
	}
	for _, digest := range p.images {
		row, err := images.Get(p.tx, p.scope, store.Key(p.name, digest))
		if errors.Is(err, store.ErrNotFound) {
			missing = append(missing, digest)
		} else if err != nil {
			return 0, err
		}
		n += row.Value.Size
	}
	if len(missing) > 0 {
		return 0, api.ErrReferencedImagesNotFound.Withf("Images with digests %s required for pushing image into %s do not exist", list(missing), p.where())
	}
	return n, nil
}

// tag puts a tag on the image and takes it from another.
func (p placement) tag(row *imageRow, tag string) error {
	if slices.Contains(row.Tags, tag) {
		return api.ErrImageAlreadyExists.Withf("Image with digest '%s' and tag '%s' already exists in the repository with name '%s' in registry with id '%s'",
			p.manifest.digest, tag, p.name, p.scope.Account)
	}
	if len(row.Tags) >= maxImageTags {
		return api.ErrLimitExceeded.Withf("An image has %d tags at most", maxImageTags)
	}
	at, err := imageTags.Get(p.tx, p.scope, store.Key(p.name, tag))
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return err
	case p.fixed(tag):
		return api.ErrImageTagAlreadyExists.Withf("The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the tag is immutable.", tag, p.name)
	default:
		if err := p.untag(p.tx, at.Value.Digest, tag); err != nil {
			return err
		}
	}
	row.Tags = append(slices.Clone(row.Tags), tag)
	slices.Sort(row.Tags)
	_, err = imageTags.Put(p.tx, p.scope, store.Key(p.name, tag), imageTagRow{p.manifest.digest})
	return err
}

// untag takes a tag from the row of an image.
func (r *repository) untag(tx store.Tx, digest, tag string) error {
	row, err := images.Get(tx, r.scope, store.Key(r.name, digest))
	if err != nil {
		return err
	}
	row.Value.Tags = slices.DeleteFunc(row.Value.Tags, func(t string) bool { return t == tag })
	_, err = images.Put(tx, r.scope, row.Key, row.Value)
	return err
}

// keep notes that a new image needs what it names.
func (p placement) keep(row imageRow, text string) error {
	for _, digest := range row.Layers {
		if err := p.need(p.tx, digest, 1); err != nil {
			return err
		}
	}
	for _, digest := range row.Images {
		if _, err := indexes.Put(p.tx, p.scope, store.Key(p.name, digest, p.manifest.digest), struct{}{}); err != nil {
			return err
		}
	}
	p.row.Images++
	_, err := manifests.Put(p.tx, p.scope, p.key(), manifestRow{[]byte(text)})
	return err
}

// need changes how many images need a layer.
func (r *repository) need(tx store.Tx, digest string, by int) error {
	row, err := held.Get(tx, r.scope, store.Key(r.name, digest))
	if err != nil {
		return err
	}
	row.Value.Images += by
	_, err = held.Put(tx, r.scope, row.Key, row.Value)
	return err
}

// found is an image that somebody asked for.
type found struct {
	digest string
	row    imageRow
	tag    *string // by which it was asked for
}

// find finds an image by tag, by digest, or by both. What cannot be found is a failure.
func (r *repository) find(tx store.Tx, id *api.ImageIdentifier) (*found, *api.ImageFailure, error) {
	if id == nil {
		id = &api.ImageIdentifier{}
	}
	fail := func(code, reason string) (*found, *api.ImageFailure, error) {
		return nil, &api.ImageFailure{ImageID: id, FailureCode: &code, FailureReason: &reason}, nil
	}
	switch {
	case value(id.ImageTag) == "" && value(id.ImageDigest) == "":
		return fail(api.ImageFailureCodeMissingDigestAndTag, "Invalid request parameters: both tag and digest cannot be null")
	case id.ImageDigest != nil && !api.IsDigest(*id.ImageDigest):
		return fail(api.ImageFailureCodeInvalidImageDigest, "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'")
	case id.ImageTag != nil && !api.IsImageTag(*id.ImageTag):
		return fail(api.ImageFailureCodeInvalidImageTag, "Invalid request parameters: image tag should satisfy the regex '[a-zA-Z0-9_][a-zA-Z0-9-_.]*'")
	}
	f := &found{digest: value(id.ImageDigest), tag: id.ImageTag}
	if id.ImageTag != nil {
		at, err := imageTags.Get(tx, r.scope, store.Key(r.name, *id.ImageTag))
		switch {
		case errors.Is(err, store.ErrNotFound):
			return fail(api.ImageFailureCodeImageNotFound, "Requested image not found")
		case err != nil:
			return nil, nil, err
		case f.digest != "" && f.digest != at.Value.Digest:
			return fail(api.ImageFailureCodeImageTagDoesNotMatchDigest, "The provided tag and digest do not match: the tag is of "+at.Value.Digest)
		}
		f.digest = at.Value.Digest
	}
	row, err := images.Get(tx, r.scope, store.Key(r.name, f.digest))
	if errors.Is(err, store.ErrNotFound) {
		return fail(api.ImageFailureCodeImageNotFound, "Requested image not found")
	}
	f.row = row.Value
	return f, nil, err
}

// maxAnswer bounds the manifests of one answer, in bytes.
const maxAnswer = 16 << 20

// BatchGetImage answers manifests, as they were pushed.
func (s *Service) BatchGetImage(ctx context.Context, in *api.BatchGetImageInput) (*api.BatchGetImageOutput, error) {
	out := &api.BatchGetImageOutput{Images: []*api.Image{}, Failures: []*api.ImageFailure{}}
	total := 0
	err := s.view(ctx, in.RepositoryName, func(tx store.Tx, r *repository) error {
		for _, id := range in.ImageIDs {
			f, failure, err := r.find(tx, id)
			if err != nil {
				return err
			}
			if failure != nil {
				out.Failures = append(out.Failures, failure)
				continue
			}
			m, err := manifests.Get(tx, r.scope, store.Key(r.name, f.digest))
			if err != nil {
				return err
			}
			if total += len(m.Value.Text); total > maxAnswer {
				return invalid("imageIds", "The manifests are too large for one answer: ask for fewer at once")
			}
			out.Images = append(out.Images, &api.Image{
				RegistryID: &r.scope.Account, RepositoryName: &r.name, ImageID: &api.ImageIdentifier{ImageDigest: &f.digest, ImageTag: f.tag},
				ImageManifest: new(string(m.Value.Text)), ImageManifestMediaType: &f.row.MediaType,
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// BatchDeleteImage takes tags away and deletes images: by digest, or when their last tag goes.
func (s *Service) BatchDeleteImage(ctx context.Context, in *api.BatchDeleteImageInput) (*api.BatchDeleteImageOutput, error) {
	var out *api.BatchDeleteImageOutput
	_, err := s.change(ctx, in.RepositoryName, func(tx store.Tx, r *repository) error {
		out = &api.BatchDeleteImageOutput{ImageIDs: []*api.ImageIdentifier{}, Failures: []*api.ImageFailure{}}
		for _, id := range in.ImageIDs {
			f, failure, err := r.find(tx, id)
			if err == nil && failure == nil {
				failure, err = r.removeImage(tx, f, out)
			}
			if err != nil {
				return err
			}
			if failure != nil {
				failure.ImageID = id
				out.Failures = append(out.Failures, failure)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// removeImage removes a tag, and the image if that was the last one, or the image with all tags.
func (r *repository) removeImage(tx store.Tx, f *found, out *api.BatchDeleteImageOutput) (*api.ImageFailure, error) {
	gone := f.row.Tags
	if f.tag != nil {
		gone = []string{*f.tag}
	}
	last := len(gone) == len(f.row.Tags)
	if last {
		for row, err := range indexes.Scan(tx, r.scope, store.Range{Prefix: store.Prefix(r.name, f.digest), Limit: 1}) {
			if err != nil {
				return nil, err
			}
			index := row.Key[len(store.Prefix(r.name, f.digest)):]
			return &api.ImageFailure{
				FailureCode:   new(api.ImageFailureCodeImageReferencedByManifestList),
				FailureReason: new("Requested image referenced by manifest list: [" + index + "]"),
			}, nil
		}
	}
	for _, tag := range gone {
		if err := imageTags.Delete(tx, r.scope, store.Key(r.name, tag)); err != nil {
			return nil, err
		}
		out.ImageIDs = append(out.ImageIDs, &api.ImageIdentifier{ImageDigest: &f.digest, ImageTag: &tag})
	}
	if !last {
		return nil, r.untag(tx, f.digest, gone[0])
	}
	if len(gone) == 0 {
		out.ImageIDs = append(out.ImageIDs, &api.ImageIdentifier{ImageDigest: &f.digest})
	}
	return nil, r.forget(tx, f)
}

// forget removes the rows of an image.
func (r *repository) forget(tx store.Tx, f *found) error {
	for _, digest := range f.row.Layers {
		if err := r.need(tx, digest, -1); err != nil {
			return err
		}
	}
	for _, digest := range f.row.Images {
		if err := indexes.Delete(tx, r.scope, store.Key(r.name, digest, f.digest)); err != nil {
			return err
		}
	}
	r.row.Images--
	return errors.Join(images.Delete(tx, r.scope, store.Key(r.name, f.digest)), manifests.Delete(tx, r.scope, store.Key(r.name, f.digest)))
}
