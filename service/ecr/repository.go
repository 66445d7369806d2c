package ecr

import (
	"context"
	"errors"
	"strings"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// CreateRepository makes an empty repository.
func (s *Service) CreateRepository(ctx context.Context, in *api.CreateRepositoryInput) (*api.CreateRepositoryOutput, error) {
	if err := checkScanning(in.ImageScanningConfiguration); err != nil {
		return nil, err
	}
	if e := in.EncryptionConfiguration; e != nil && (value(e.EncryptionType) != api.EncryptionTypeAes256 || e.KmsKey != nil) {
		return nil, api.ErrInvalidParameter.New("Repositories are encrypted with AES256 only: keys of KMS are not used here.")
	}
	r := &repository{scope: scopeOf(ctx), name: *in.RepositoryName, row: repositoryRow{Created: s.clock()}}
	if err := r.setMutability(in.ImageTagMutability, in.ImageTagMutabilityExclusionFilters); err != nil {
		return nil, err
	}
	tags, err := addTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	r.row.Tags = tags
	err = s.db.Update(ctx, func(tx store.Tx) error {
		if err := roomForRepository(tx, r.scope); err != nil {
			return err
		}
		_, err := repositories.Put(tx, r.scope, r.name, r.row, store.IfAbsent())
		if errors.Is(err, store.ErrExists) {
			return api.ErrRepositoryAlreadyExists.Withf("The repository with name '%s' already exists in the registry with id '%s'", r.name, r.scope.Account)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateRepositoryOutput{Repository: s.output(ctx, r)}, nil
}

func roomForRepository(tx store.Tx, sc store.Scope) error {
	n := 0
	for _, err := range tx.Scan(repositories.Name, sc, store.Range{}) {
		if err != nil {
			return err
		}
		n++
	}
	if n >= maxRepositories {
		return api.ErrLimitExceeded.Withf("The registry with id '%s' has %d repositories, which is the limit", sc.Account, n)
	}
	return nil
}

// host is where the registry is reached: as the caller reached us.
func (s *Service) host(call *aws.Call) string {
	_, host, _ := strings.Cut(s.base(call), "://")
	return host
}

func (s *Service) output(ctx context.Context, r *repository) *api.Repository {
	call := aws.CallFrom(ctx)
	return &api.Repository{
		RepositoryArn: new(r.arn()), RegistryID: &r.scope.Account, RepositoryName: &r.name, RepositoryURI: new(s.host(call) + "/" + r.name),
		CreatedAt: &r.row.Created, ImageTagMutability: &r.row.Mutability, ImageTagMutabilityExclusionFilters: r.exclusions(),
		ImageScanningConfiguration: &api.ImageScanningConfiguration{ScanOnPush: new(false)},
		EncryptionConfiguration:    &api.EncryptionConfiguration{EncryptionType: new(api.EncryptionTypeAes256)},
	}
}

func (r *repository) arn() string {
	return api.RepositoryARN(r.scope.Region, r.scope.Account, r.name).String()
}

const usualPage = 100

// DescribeRepositories lists repositories by name: those that are asked for, or all.
func (s *Service) DescribeRepositories(ctx context.Context, in *api.DescribeRepositoriesInput) (*api.DescribeRepositoriesOutput, error) {
	if len(in.RepositoryNames) > 0 && (in.NextToken != nil || in.MaxResults != nil) {
		return nil, api.ErrInvalidParameter.New("Invalid parameter: nextToken and maxResults cannot be specified with repositoryNames")
	}
	p, err := newPage("repositories", in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeRepositoriesOutput{Repositories: []*api.Repository{}}
	sc := scopeOf(ctx)
	err = s.db.View(ctx, func(tx store.Tx) error {
		for _, name := range in.RepositoryNames {
			r, err := getRepository(tx, sc, name)
			if err != nil {
				return err
			}
			out.Repositories = append(out.Repositories, s.output(ctx, r))
		}
		if len(in.RepositoryNames) > 0 {
			return nil
		}
		for row, err := range repositories.Scan(tx, sc, store.Range{After: p.After, Limit: p.limit + 1}) {
			if err != nil {
				return err
			}
			if len(out.Repositories) == p.limit {
				out.NextToken = p.next()
				break
			}
			p.After = row.Key
			out.Repositories = append(out.Repositories, s.output(ctx, &repository{sc, row.Key, row.Value}))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteRepository deletes a repository; one that has images only if it is forced.
func (s *Service) DeleteRepository(ctx context.Context, in *api.DeleteRepositoryInput) (*api.DeleteRepositoryOutput, error) {
	var r *repository
	var gone []partRow
	err := s.db.Update(ctx, func(tx store.Tx) (err error) {
		gone = nil
		if r, err = getRepository(tx, scopeOf(ctx), *in.RepositoryName); err != nil {
			return err
		}
		if r.row.Images > 0 && !value(in.Force) {
			return api.ErrRepositoryNotEmpty.Withf("The repository with name '%s' in registry with id '%s' cannot be deleted because it still contains images",
				r.name, r.scope.Account)
		}
		gone, err = r.remove(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.dropBlobs(gone)
	return &api.DeleteRepositoryOutput{Repository: s.output(ctx, r)}, nil
}

// remove deletes all rows of the repository and answers the blobs that nothing names any more.
func (r *repository) remove(tx store.Tx) (gone []partRow, err error) {
	prefix := store.Prefix(r.name)
	left, err := deleteAll(tx, held, r.scope, prefix)
	if err != nil {
		return nil, err
	}
	for _, row := range left {
		more, err := letGo(tx, r.scope, strings.TrimPrefix(row.Key, prefix))
		if err != nil {
			return nil, err
		}
		gone = append(gone, more...)
	}
	pieces, err := deleteAll(tx, parts, r.scope, prefix)
	if err != nil {
		return nil, err
	}
	for _, p := range pieces {
		gone = append(gone, p.Value)
	}
	if err := r.removeImages(tx); err != nil {
		return nil, err
	}
	_, err = deleteAll(tx, uploads, r.scope, prefix)
	return gone, errors.Join(err, repositories.Delete(tx, r.scope, r.name))
}

func (r *repository) removeImages(tx store.Tx) error {
	prefix := store.Prefix(r.name)
	_, e1 := deleteAll(tx, images, r.scope, prefix)
	_, e2 := deleteAll(tx, manifests, r.scope, prefix)
	_, e3 := deleteAll(tx, imageTags, r.scope, prefix)
	_, e4 := deleteAll(tx, indexes, r.scope, prefix)
	return errors.Join(e1, e2, e3, e4)
}

// change runs fn on a repository in a transaction and stores what became of it. fn may run twice.
func (s *Service) change(ctx context.Context, name *string, fn func(tx store.Tx, r *repository) error) (*repository, error) {
	var r *repository
	err := s.db.Update(ctx, func(tx store.Tx) (err error) {
		if r, err = getRepository(tx, scopeOf(ctx), *name); err != nil {
			return err
		}
		if err := fn(tx, r); err != nil {
			return err
		}
		return r.put(tx)
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// view reads a repository.
func (s *Service) view(ctx context.Context, name *string, fn func(tx store.Tx, r *repository) error) error {
	return s.db.View(ctx, func(tx store.Tx) error {
		r, err := getRepository(tx, scopeOf(ctx), *name)
		if err != nil {
			return err
		}
		return fn(tx, r)
	})
}
