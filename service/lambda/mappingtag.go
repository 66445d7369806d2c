package lambda

import (
	"context"
	"maps"
	"strings"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
)

// setMappingTags changes the tags of a mapping.
func (s *Service) setMappingTags(ctx context.Context, arn string, change func(map[string]string)) error {
	sc, id := scopeOf(ctx), mappingID(arn)
	return s.deps.Store.Update(ctx, func(tx store.Tx) error {
		m, err := orNil(mappings.Get(tx, sc, id))
		if m == nil {
			return cmpErr(err, noMappingARN(arn))
		}
		tags := maps.Clone(m.Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		change(tags)
		if err := checkTags(tags); err != nil {
			return err
		}
		m.Tags = tags
		_, err = mappings.Put(tx, sc, id, *m)
		return err
	})
}

func (s *Service) mappingTags(ctx context.Context, arn string) (tags map[string]string, err error) {
	err = s.deps.Store.View(ctx, func(tx store.Tx) error {
		m, err := orNil(mappings.Get(tx, scopeOf(ctx), mappingID(arn)))
		if m == nil {
			return cmpErr(err, noMappingARN(arn))
		}
		tags = m.Tags
		return nil
	})
	if tags == nil {
		tags = map[string]string{}
	}
	return tags, err
}

// mappingID is the id in a mapping's ARN.
func mappingID(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

func noMappingARN(arn string) error {
	return api.ErrResourceNotFound.Withf("Event source mapping not found: %s", arn)
}
