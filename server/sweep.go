package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// sweepAfterCrash removes what an earlier server left behind that no row names: uploads whose request never finished, and
// code that was unpacked for functions that are gone. A server that stopped in good order left nothing and took its endpoint
// file away, so that this costs no start-up time then. Nothing is served yet, so nothing can be in the making.
func (s *Server) sweepAfterCrash(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.cfg.Data, EndpointFile)); os.IsNotExist(err) {
		return nil
	}
	if err := s.lambda.SweepAll(ctx); err != nil {
		return fmt.Errorf("sweep unpacked code: %w", err)
	}
	named, err := s.lambda.NamedBlobs(ctx)
	if err != nil {
		return fmt.Errorf("list the blobs in use: %w", err)
	}
	layers, err := s.ecr.NamedBlobs(ctx)
	if err != nil {
		return fmt.Errorf("list the layers of images: %w", err)
	}
	named = append(named, layers...)
	slices.Sort(named)
	for id, err := range s.store.Blobs().All() {
		if err != nil {
			return fmt.Errorf("list blobs: %w", err)
		}
		if _, found := slices.BinarySearch(named, id); found {
			continue
		}
		if err := s.store.Blobs().Delete(id); err != nil {
			return fmt.Errorf("delete an abandoned blob: %w", err)
		}
		s.cfg.Log.Info("deleted an abandoned upload", "blob", id)
	}
	return nil
}
