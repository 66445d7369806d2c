package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// SealReport says where the key comes from that everything at rest is sealed with, and what that means.
type SealReport struct {
	Source  string   // "from --root-key-command", …
	Problem error    // what is wrong with it, because of which the server might not start; nil for nothing
	Means   string   // against whom the data is sealed, and against whom it is not
	Do      []string // what would be better, and what to take care of
}

const loseKey = "Keep a copy of the key somewhere else than the backups of the data: without it nothing that is sealed opens again."

// ReportSeal looks at the root key of a data directory as a server with cfg would, of which only Data, RootKeyCommand and
// RootKeyFile matter. It runs the command and reads the file. It changes nothing: where a key would be made, it says so.
func ReportSeal(ctx context.Context, cfg Config) SealReport {
	switch {
	case cfg.RootKeyCommand != "":
		return commandReport(ctx, cfg)
	case cfg.RootKeyFile != "":
		return fileReport(ctx, cfg)
	}
	key := filepath.Join(cfg.Data, SealKeyFile)
	r := SealReport{
		Means: "The key lies beside what it seals. A database or code blob that gets out alone cannot be read, and neither can " +
			"what is copied without " + SealKeyFile + "; whoever has the whole directory, a backup or an image of the disk, reads it all.",
		Do: []string{
			"Leave " + SealKeyFile + " out of backups, or keep the key elsewhere: store its text in Vault, a TPM or a cloud's KMS, give " +
				"--root-key-command a command that prints it, see that doctor finds it right, then delete " + SealKeyFile + ".",
			loseKey,
		},
	}
	_, noKey := os.Stat(key)
	was, err := peekChecks(ctx, cfg.Data)
	switch {
	case err != nil:
		r.Source, r.Problem = "not told", err
	case errors.Is(noKey, os.ErrNotExist) && !was.sealed():
		r.Source = "none yet: the first start makes " + key + " (mode 0600)"
	case errors.Is(noKey, os.ErrNotExist):
		return SealReport{
			Source:  "not told",
			Problem: fmt.Errorf("the data in %s was sealed with a key that is not beside it", cfg.Data),
			Means:   "The key came from --root-key-command or --root-key-file, or " + key + " was deleted.",
			Do:      []string{"Give doctor the option that serve has (or its ENFOLD_… variable), or bring the file back."},
		}
	default:
		r.Source = "made by Enfold beside the data: " + key
		r.Problem = checkSeal(ctx, cfg)
	}
	return r
}

func commandReport(ctx context.Context, cfg Config) SealReport {
	return SealReport{
		Source: "from --root-key-command", Problem: checkSeal(ctx, cfg),
		Means: "The key is nowhere on this disk: the data directory, its backups and a stolen disk cannot be read without what the " +
			"command asks. The running server has it in memory, so root on this machine can get at it.",
		Do: append(beside(cfg), "See that only the server's user may run the command with success, and that what it asks logs it.", loseKey),
	}
}

func fileReport(ctx context.Context, cfg Config) SealReport {
	r := SealReport{Source: "from --root-key-file " + cfg.RootKeyFile, Problem: checkSeal(ctx, cfg)}
	if isBelow(cfg.RootKeyFile, cfg.Data) {
		r.Means = "The file lies in the data directory: whoever gets that whole, or a backup of it, reads it all."
		r.Do = []string{"Move the file to another file system, or use --root-key-command.", loseKey}
		return r
	}
	r.Means = "The data directory and its backups cannot be read without the file. Whoever can read both, as root on this machine or " +
		"with a disk that holds both, reads it all."
	r.Do = append(beside(cfg), "Keep the file on another file system than the data: one in memory, such as systemd's credentials, or removable.", loseKey)
	return r
}

// beside warns of a key that a former start left beside the data.
func beside(cfg Config) []string {
	key := filepath.Join(cfg.Data, SealKeyFile)
	if _, err := os.Stat(key); err != nil {
		return nil
	}
	return []string{"Delete " + key + ": it is not used, but if it is the same key, it undoes all this."}
}

// isBelow says that a file lies in a directory, links followed as far as they lead somewhere.
func isBelow(file, dir string) bool {
	rel, err := filepath.Rel(resolved(dir), resolved(file))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func resolved(path string) string {
	if p, err := filepath.Abs(path); err == nil {
		path = p
	}
	if p, err := filepath.EvalSymlinks(path); err == nil {
		path = p
	}
	return path
}

// checkSeal says why a server could not use the key that there is.
func checkSeal(ctx context.Context, cfg Config) error {
	was, err := peekChecks(ctx, cfg.Data)
	if err != nil {
		return err
	}
	_, err = was.root(ctx, cfg)
	return err
}
