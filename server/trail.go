package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/enfold-run/enfold/service/cloudtrail"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
)

// VerifyTrail reads the audit trail in cfg.Data and says whether anything was removed or changed. A server may run on the
// directory meanwhile. Of cfg it wants the directory and where the root key is.
func VerifyTrail(ctx context.Context, cfg Config) (r cloudtrail.Report, err error) {
	if _, err := os.Stat(filepath.Join(cfg.Data, "enfold.db")); errors.Is(err, os.ErrNotExist) {
		return r, fmt.Errorf("no server ever ran on %s: name its directory with --data", cfg.Data)
	}
	db, err := sqlite.OpenReader(cfg.Data)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	was, err := readChecks(ctx, cfg.Data, db)
	if err != nil {
		return r, err
	}
	root, err := was.root(ctx, cfg)
	if err != nil {
		return r, err
	}
	if r, err = cloudtrail.Verify(ctx, db, root.Key(cloudtrail.SealPurpose)); err != nil {
		return r, err
	}
	return r, missingTrails(ctx, db, &r)
}

// madeByCalls are tables whose rows calls make, and nothing else.
var madeByCalls = []string{"iam.entity", "lambda.function", "kms.key"}

// missingTrails finds accounts in which calls have made something, and that have nothing in the trail: it was removed as a whole.
func missingTrails(ctx context.Context, db cloudtrail.Viewer, r *cloudtrail.Report) error {
	known := map[string]bool{}
	for _, l := range r.Logs {
		known[l.Account] = known[l.Account] || l.Kind == "management"
	}
	return db.View(ctx, func(tx store.Tx) error {
		for _, table := range madeByCalls {
			scopes, err := tx.Scopes(table)
			if err != nil {
				return err
			}
			for _, sc := range scopes {
				if !known[sc.Account] {
					known[sc.Account] = true
					r.Problems = append(r.Problems, "account "+sc.Account+" has what calls have made, and no call in the trail: it was removed")
				}
			}
		}
		return nil
	})
}
