package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/enfold-run/enfold/service/cloudtrail"
	"github.com/enfold-run/enfold/store/sqlite"
)

// VerifyTrail reads the audit trail in cfg.Data and says whether anything was removed or changed. A server may run on the
// directory meanwhile. Of cfg it wants the directory and where the root key is.
func VerifyTrail(ctx context.Context, cfg Config) (r cloudtrail.Report, err error) {
	if _, err := os.Stat(filepath.Join(cfg.Data, sealProbeFile)); err != nil { // before sealRoot makes a key
		return r, fmt.Errorf("no server ever ran on %s: name its directory with --data", cfg.Data)
	}
	root, err := sealRoot(ctx, cfg)
	if err != nil {
		return r, err
	}
	db, err := sqlite.OpenReader(cfg.Data)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return cloudtrail.Verify(ctx, db, root.Key(cloudtrail.SealPurpose))
}
