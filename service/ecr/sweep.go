package ecr

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/enfold-run/enfold/store"
)

const (
	sweepTime = time.Hour
	// keepTime is how long an upload may take, and how long a layer waits for an image that needs it.
	keepTime = 24 * time.Hour
)

// sweep removes what nobody finished.
func (s *Service) sweep(ctx context.Context) error {
	var old []place
	before := s.deps.Now().Add(-keepTime)
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		old, err = oldPlaces(tx, before)
		return err
	})
	for _, p := range old {
		if p.upload {
			err = errors.Join(err, ignoreGone(s.cancel(ctx, p.scope, p.repository, p.what)))
			continue
		}
		err = errors.Join(err, s.release(ctx, p, before))
	}
	return err
}

// place is an upload or a layer of a repository.
type place struct {
	scope            store.Scope
	repository, what string
	upload           bool
}

func oldPlaces(tx store.Tx, before time.Time) (old []place, err error) {
	scopes, err := repositories.Scopes(tx)
	if err != nil {
		return nil, err
	}
	for _, sc := range scopes {
		for row, err := range uploads.Scan(tx, sc, store.Range{}) {
			if err != nil {
				return nil, err
			}
			if row.Value.Created.Before(before) {
				name, id, _ := strings.Cut(row.Key, "\x00")
				old = append(old, place{sc, name, id, true})
			}
		}
		for row, err := range held.Scan(tx, sc, store.Range{}) {
			if err != nil {
				return nil, err
			}
			if row.Value.isLoose(before) {
				name, digest, _ := strings.Cut(row.Key, "\x00")
				old = append(old, place{sc, name, digest, false})
			}
		}
	}
	return old, nil
}

// isLoose says that no image needs a layer, and has had the time to come.
func (h *heldRow) isLoose(before time.Time) bool { return h.Images == 0 && h.Since.Before(before) }

// release lets a repository go of a layer, if no image needs it still.
func (s *Service) release(ctx context.Context, p place, before time.Time) error {
	var gone []partRow
	err := s.db.Update(ctx, func(tx store.Tx) error {
		gone = nil
		row, err := held.Get(tx, p.scope, store.Key(p.repository, p.what))
		if errors.Is(err, store.ErrNotFound) || err == nil && !row.Value.isLoose(before) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := held.Delete(tx, p.scope, row.Key); err != nil {
			return err
		}
		gone, err = letGo(tx, p.scope, p.what)
		return err
	})
	if err == nil {
		s.dropBlobs(gone)
	}
	return err
}

// NamedBlobs are the blobs of all layers and uploads: what else is there was abandoned.
func (s *Service) NamedBlobs(ctx context.Context) (ids []string, err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		ids = nil
		scopes, err := repositories.Scopes(tx)
		if err != nil {
			return err
		}
		for _, sc := range scopes {
			for row, err := range layers.Scan(tx, sc, store.Range{}) {
				if err != nil {
					return err
				}
				for _, p := range row.Value.Parts {
					ids = append(ids, p.Blob)
				}
			}
			for row, err := range parts.Scan(tx, sc, store.Range{}) {
				if err != nil {
					return err
				}
				ids = append(ids, row.Value.Blob)
			}
		}
		return nil
	})
	return ids, err
}
