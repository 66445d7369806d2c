package ecr

import (
	"errors"
	"fmt"
	"time"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/store"
)

// The tables of this service, in the scope of account and Region. Keys are the parts named beside them, joined by store.Key.
var (
	repositories = store.Table[repositoryRow]{Name: "ecr.repository"} // name
	images       = store.Table[imageRow]{Name: "ecr.image"}           // repository, digest
	manifests    = store.Table[manifestRow]{Name: "ecr.manifest"}     // repository, digest
	imageTags    = store.Table[imageTagRow]{Name: "ecr.image-tag"}    // repository, tag
	indexes      = store.Table[struct{}]{Name: "ecr.index"}           // repository, digest of an image, digest of an index that names it
	held         = store.Table[heldRow]{Name: "ecr.held"}             // repository, digest of a layer
	layers       = store.Table[layerRow]{Name: "ecr.layer"}           // digest
	uploads      = store.Table[uploadRow]{Name: "ecr.upload"}         // repository, upload id
	parts        = store.Table[partRow]{Name: "ecr.part"}             // repository, upload id, number
)

// repositoryRow is a repository.
type repositoryRow struct {
	Created    time.Time
	Mutability string
	Exclusions []string          `json:",omitempty"` // wildcards
	Policy     string            `json:",omitempty"`
	PolicySet  time.Time         `json:",omitzero"`
	Tags       map[string]string `json:",omitempty"`
	Images     int               `json:",omitempty"`
	Uploads    int               `json:",omitempty"` // under way
}

// imageRow is an image, or an index of images.
type imageRow struct {
	MediaType    string
	ArtifactType string   `json:",omitempty"`
	Subject      string   `json:",omitempty"`
	Tags         []string `json:",omitempty"` // sorted
	Pushed       time.Time
	Size         int64
	Layers       []string `json:",omitempty"` // digests that the repository holds for it, each once, the configuration among them
	Images       []string `json:",omitempty"` // digests of the images that an index names, each once
}

type manifestRow struct{ Text []byte }

type imageTagRow struct{ Digest string }

// heldRow is a layer that a repository holds.
type heldRow struct {
	Size   int64
	Since  time.Time // of its upload
	Images int       `json:",omitempty"` // that need it
}

// layerRow is a layer.
type layerRow struct {
	Size         int64
	Parts        []partRow
	Repositories int // that hold it
}

// uploadRow is a layer on its way.
type uploadRow struct {
	Created time.Time
	Size    int64  // so far
	Parts   int    // so far
	Hash    []byte // state of the hash of what came so far
	Mounted string `json:",omitempty"` // digest of a layer that is there already: nothing comes
}

// partRow is a piece of a layer.
type partRow struct {
	Blob string
	Size int64
}

// Limits.
const (
	maxRepositories = 10_000 // of an account in a Region
	maxImages       = 20_000 // of a repository
	maxImageTags    = 1_000  // of an image
	maxUploads      = 100    // of a repository, at once
	maxParts        = 10_000 // of a layer
	maxLayer        = 10 << 30
	maxPart         = 20 << 20
	maxTags         = 50 // of a repository
)

// repository is a repository that exists.
type repository struct {
	scope store.Scope
	name  string
	row   repositoryRow
}

func getRepository(tx store.Tx, sc store.Scope, name string) (*repository, error) {
	row, err := repositories.Get(tx, sc, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, api.ErrRepositoryNotFound.Withf("The repository with name '%s' does not exist in the registry with id '%s'", name, sc.Account)
	}
	if err != nil {
		return nil, err
	}
	return &repository{sc, name, row.Value}, nil
}

func (r *repository) put(tx store.Tx) error {
	_, err := repositories.Put(tx, r.scope, r.name, r.row)
	return err
}

// where ends messages about what is in the repository, as most of AWS's do.
func (r *repository) where() string {
	return fmt.Sprintf("repository with name '%s' in the registry with id '%s'", r.name, r.scope.Account)
}

// deleteAll deletes the rows of a prefix and answers what was in them.
func deleteAll[T any](tx store.Tx, t store.Table[T], sc store.Scope, prefix string) (gone []store.Row[T], err error) {
	for row, err := range t.Scan(tx, sc, store.Range{Prefix: prefix}) {
		if err != nil {
			return nil, err
		}
		gone = append(gone, row)
	}
	for _, row := range gone {
		if err := t.Delete(tx, sc, row.Key); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// dropBlobs deletes what no row names any more. What cannot be deleted now is swept after the next crash.
func (s *Service) dropBlobs(list []partRow) {
	for _, p := range list {
		if err := s.blobs.Delete(p.Blob); err != nil {
			s.deps.Log.Warn("delete a part of a layer", "blob", p.Blob, "error", err)
		}
	}
}

// ignoreGone is nil for what somebody else has ended meanwhile.
func ignoreGone(err error) error {
	if errors.Is(err, api.ErrUploadNotFound) || errors.Is(err, api.ErrRepositoryNotFound) {
		return nil
	}
	return err
}
