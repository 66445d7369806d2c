package ecr

import (
	"context"
	"strings"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/store"
)

// DescribeImages tells of images: those that are asked for, or all, by digest.
func (s *Service) DescribeImages(ctx context.Context, in *api.DescribeImagesInput) (*api.DescribeImagesOutput, error) {
	p, err := newPage("images of "+*in.RepositoryName, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	filter := api.DescribeImagesFilter{}
	if in.Filter != nil {
		filter = *in.Filter
	}
	out := &api.DescribeImagesOutput{ImageDetails: []*api.ImageDetail{}}
	err = s.view(ctx, in.RepositoryName, func(tx store.Tx, r *repository) error {
		if len(in.ImageIDs) > 0 {
			return r.describe(tx, in.ImageIDs, out)
		}
		for row, err := range r.imagesFrom(tx, p) {
			if err != nil {
				return err
			}
			if !isWanted(filter.TagStatus, filter.ImageStatus, row.Value.Tags) {
				continue
			}
			if len(out.ImageDetails) == p.limit {
				out.NextToken = p.next()
				return nil
			}
			p.After = row.Key
			out.ImageDetails = append(out.ImageDetails, r.detail(r.digestOf(row.Key), row.Value))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// imagesFrom are the rows of a page and those behind it, by digest.
func (r *repository) imagesFrom(tx store.Tx, p *page) func(func(store.Row[imageRow], error) bool) {
	return images.Scan(tx, r.scope, store.Range{Prefix: store.Prefix(r.name), After: p.After})
}

// digestOf is the digest in a key.
func (r *repository) digestOf(key string) string {
	return strings.TrimPrefix(key, store.Prefix(r.name))
}

// isWanted says whether an image is one that a filter asks for. All images are active.
func isWanted(tagStatus, status *string, tags []string) bool {
	switch value(tagStatus) {
	case api.TagStatusTagged:
		if len(tags) == 0 {
			return false
		}
	case api.TagStatusUntagged:
		if len(tags) > 0 {
			return false
		}
	}
	return status == nil || *status == api.ImageStatusActive || *status == api.ImageStatusFilterAny
}

func (r *repository) describe(tx store.Tx, ids []*api.ImageIdentifier, out *api.DescribeImagesOutput) error {
	told := map[string]bool{}
	for _, id := range ids {
		f, failure, err := r.find(tx, id)
		if err != nil {
			return err
		}
		if failure != nil {
			return r.imageNotFound(id)
		}
		if !told[f.digest] {
			out.ImageDetails = append(out.ImageDetails, r.detail(f.digest, f.row))
		}
		told[f.digest] = true
	}
	return nil
}

func (r *repository) imageNotFound(id *api.ImageIdentifier) error {
	text := func(p *string) string {
		if p == nil {
			return "null"
		}
		return *p
	}
	if id == nil {
		id = &api.ImageIdentifier{}
	}
	return api.ErrImageNotFound.Withf("The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the %s",
		text(id.ImageDigest), text(id.ImageTag), r.where())
}

func (r *repository) detail(digest string, row imageRow) *api.ImageDetail {
	d := &api.ImageDetail{
		RegistryID: &r.scope.Account, RepositoryName: &r.name, ImageDigest: &digest, ImageTags: row.Tags, ImageSizeInBytes: &row.Size,
		ImagePushedAt: &row.Pushed, ImageManifestMediaType: &row.MediaType, ImageStatus: new(api.ImageStatusActive),
	}
	if row.ArtifactType != "" {
		d.ArtifactMediaType = &row.ArtifactType
	}
	if row.Subject != "" {
		d.SubjectManifestDigest = &row.Subject
	}
	return d
}

// ListImages lists every tag of every image, and images without a tag, by digest and tag.
func (s *Service) ListImages(ctx context.Context, in *api.ListImagesInput) (*api.ListImagesOutput, error) {
	p, err := newPage("tags of "+*in.RepositoryName, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	filter := api.ListImagesFilter{}
	if in.Filter != nil {
		filter = *in.Filter
	}
	out := &api.ListImagesOutput{ImageIDs: []*api.ImageIdentifier{}}
	err = s.view(ctx, in.RepositoryName, func(tx store.Tx, r *repository) error {
		for row, err := range r.imagesFrom(tx, p) {
			if err != nil {
				return err
			}
			if isWanted(filter.TagStatus, filter.ImageStatus, row.Value.Tags) && !p.list(r.digestOf(row.Key), row.Value.Tags, out) {
				return nil
			}
			p.After, p.Digest, p.Tag = row.Key, "", ""
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// list adds an image to the page, and says whether all of it had room.
func (p *page) list(digest string, tags []string, out *api.ListImagesOutput) bool {
	if len(tags) == 0 {
		tags = []string{""}
	}
	for _, tag := range tags {
		if p.Digest == digest && tag <= p.Tag {
			continue
		}
		if len(out.ImageIDs) == p.limit {
			out.NextToken = p.next()
			return false
		}
		id := &api.ImageIdentifier{ImageDigest: &digest}
		if tag != "" {
			id.ImageTag = &tag
		}
		p.Digest, p.Tag = digest, tag
		out.ImageIDs = append(out.ImageIDs, id)
	}
	return true
}
