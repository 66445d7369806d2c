package ecr

import (
	"context"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/store"
)

// PutImageTagMutability says whether tags may be moved.
func (s *Service) PutImageTagMutability(ctx context.Context, in *api.PutImageTagMutabilityInput) (*api.PutImageTagMutabilityOutput, error) {
	r, err := s.change(ctx, in.RepositoryName, func(_ store.Tx, r *repository) error {
		return r.setMutability(in.ImageTagMutability, in.ImageTagMutabilityExclusionFilters)
	})
	if err != nil {
		return nil, err
	}
	return &api.PutImageTagMutabilityOutput{
		RegistryID: &r.scope.Account, RepositoryName: &r.name, ImageTagMutability: &r.row.Mutability, ImageTagMutabilityExclusionFilters: r.exclusions(),
	}, nil
}

func (r *repository) setMutability(m *string, filters []*api.ImageTagMutabilityExclusionFilter) error {
	r.row.Mutability, r.row.Exclusions = api.ImageTagMutabilityMutable, nil
	if m != nil {
		r.row.Mutability = *m
	}
	if withFilters := strings.HasSuffix(r.row.Mutability, "_WITH_EXCLUSION"); withFilters != (len(filters) > 0) {
		return api.ErrInvalidParameter.Withf("Invalid parameter: imageTagMutabilityExclusionFilters go with the tag mutabilities %s and %s, and with no other",
			api.ImageTagMutabilityImmutableWithExclusion, api.ImageTagMutabilityMutableWithExclusion)
	}
	for _, f := range filters {
		if strings.Count(*f.Filter, "*") > 2 {
			return invalid("imageTagMutabilityExclusionFilters", "a filter has two wildcards at most")
		}
		r.row.Exclusions = append(r.row.Exclusions, *f.Filter)
	}
	return nil
}

func (r *repository) exclusions() (all []*api.ImageTagMutabilityExclusionFilter) {
	for _, f := range r.row.Exclusions {
		all = append(all, &api.ImageTagMutabilityExclusionFilter{Filter: &f, FilterType: new(api.ImageTagMutabilityExclusionFilterTypeWildcard)})
	}
	return all
}

// fixed says that a tag stays where it is.
func (r *repository) fixed(tag string) bool {
	excluded := slices.ContainsFunc(r.row.Exclusions, func(f string) bool { return matchesWildcard(f, tag) })
	switch r.row.Mutability {
	case api.ImageTagMutabilityImmutable:
		return true
	case api.ImageTagMutabilityImmutableWithExclusion:
		return !excluded
	case api.ImageTagMutabilityMutableWithExclusion:
		return excluded
	}
	return false
}

// matchesWildcard compares with a pattern in which "*" stands for anything.
func matchesWildcard(pattern, s string) bool {
	pieces := strings.Split(pattern, "*")
	if len(pieces) == 1 {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, pieces[0])
	if !ok {
		return false
	}
	for _, p := range pieces[1 : len(pieces)-1] {
		_, after, found := strings.Cut(s, p)
		if !found {
			return false
		}
		s = after
	}
	return strings.HasSuffix(s, pieces[len(pieces)-1])
}

// PutImageScanningConfiguration says that images are not scanned, which they are not.
func (s *Service) PutImageScanningConfiguration(ctx context.Context, in *api.PutImageScanningConfigurationInput) (*api.PutImageScanningConfigurationOutput, error) {
	if err := checkScanning(in.ImageScanningConfiguration); err != nil {
		return nil, err
	}
	var r *repository
	err := s.view(ctx, in.RepositoryName, func(_ store.Tx, found *repository) error {
		r = found
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.PutImageScanningConfigurationOutput{
		RegistryID: &r.scope.Account, RepositoryName: &r.name, ImageScanningConfiguration: &api.ImageScanningConfiguration{ScanOnPush: new(false)},
	}, nil
}

// checkScanning refuses what would not be done.
func checkScanning(c *api.ImageScanningConfiguration) error {
	if c != nil && value(c.ScanOnPush) {
		return api.ErrInvalidParameter.New("Images are not scanned by this server: scanOnPush can only be false.")
	}
	return nil
}
