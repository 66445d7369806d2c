package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/service/cloudtrail"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
)

// probeText is what a check holds, sealed.
const probeText = "enfold"

func probeKey(root *seal.Root) *seal.Key { return root.Key("probe") }

// The row that is a check.
const (
	checkTable = "server.seal"
	checkKey   = "check"
)

// checks are what tells whether a root key is the one that a data directory was sealed with. The same is in a file, which doctor reads
// without the store, and in a row, which goes where the data goes: a directory that lost the file is not taken for a new one, where a new
// key would be made over data that it does not open.
type checks struct {
	dir  string
	file []byte // nil if there is none
	row  []byte // nil if there is none, as before the server wrote one
	data bool   // the store has what calls make, or the account that every server makes before it is ready
}

// readChecks reads both from a directory and its store.
func readChecks(ctx context.Context, dir string, db cloudtrail.Viewer) (checks, error) {
	c, err := fileCheck(dir)
	if err != nil {
		return c, err
	}
	return c, db.View(ctx, func(tx store.Tx) error {
		row, err := tx.Get(checkTable, store.Scope{}, checkKey)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("read the check of the root key: %w", err)
		}
		c.row = bytes.Clone(row.Value)
		for _, table := range append([]string{"iam.account"}, madeByCalls...) {
			scopes, err := tx.Scopes(table)
			if err != nil {
				return fmt.Errorf("look for data: %w", err)
			}
			c.data = c.data || len(scopes) > 0
		}
		return nil
	})
}

func fileCheck(dir string) (checks, error) {
	b, err := os.ReadFile(filepath.Join(dir, sealProbeFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return checks{}, fmt.Errorf("read %s: %w", sealProbeFile, err)
	}
	return checks{dir: dir, file: b}, nil
}

// peekChecks reads what it can of a directory whose store another process may have. A store that does not open, as one of an earlier
// version, holds data.
func peekChecks(ctx context.Context, dir string) (checks, error) {
	db, err := sqlite.OpenReader(dir)
	if err != nil {
		c, err := fileCheck(dir)
		info, statErr := os.Stat(filepath.Join(dir, "enfold.db"))
		c.data = statErr == nil && info.Size() > 0
		return c, err
	}
	c, err := readChecks(ctx, dir, db)
	return c, errors.Join(err, db.Close())
}

// sealed says that the directory was sealed with a key: it gets no new one.
func (c checks) sealed() bool { return c.file != nil || c.row != nil || c.data }

func opens(root *seal.Root, check []byte) bool {
	_, err := probeKey(root).Open(check, nil)
	return err == nil
}

// root is the root key of the data. It answers errNoSealKey only for a directory that was never sealed.
func (c checks) root(ctx context.Context, cfg Config) (*seal.Root, error) {
	if c.file != nil && c.row == nil && !c.data { // the file is made last
		return nil, fmt.Errorf("the database in %s is empty, and %s says that it was not: bring enfold.db back from a backup of the directory, "+
			"or name another one with --data", c.dir, filepath.Join(c.dir, sealProbeFile))
	}
	root, err := givenRoot(ctx, cfg)
	if errors.Is(err, errNoSealKey) && c.sealed() {
		return nil, fmt.Errorf("%s is missing, and the data beside it was sealed: put the key back from where a copy is kept, "+
			"name it with --root-key-file or --root-key-command, or name another directory with --data", keySource(cfg))
	}
	if err != nil {
		return nil, err
	}
	return root, c.prove(root, keySource(cfg))
}

// prove answers why a root key, which is from somewhere, is not shown to be the one that the data was sealed with.
func (c checks) prove(root *seal.Root, from string) error {
	unknown := func(is string) error {
		return fmt.Errorf("whether the root key from %s is the one that the data in %s was sealed with cannot be told, because %s %s: "+
			"put that back from a backup of the directory, or name another one with --data", from, c.dir, filepath.Join(c.dir, sealProbeFile), is)
	}
	switch {
	case c.row != nil && opens(root, c.row), c.row == nil && opens(root, c.file), !c.sealed():
		return nil
	case c.row == nil && c.file == nil:
		return unknown("is missing")
	case c.row == nil && len(c.file) != seal.Overhead+len(probeText):
		return unknown("is damaged")
	}
	return fmt.Errorf("the root key from %s is not the one that the data in %s was sealed with: give the one that was used before, "+
		"or name another directory with --data", from, c.dir)
}

// complete makes what is missing of the checks, for a root key that was proved.
func (c checks) complete(ctx context.Context, cfg Config, root *seal.Root, db store.Store) error {
	check := probeKey(root).Seal([]byte(probeText), nil)
	if c.row == nil {
		err := db.Update(ctx, func(tx store.Tx) error {
			_, err := tx.Put(checkTable, store.Scope{}, checkKey, check, store.Cond{})
			return err
		})
		if err != nil {
			return fmt.Errorf("write the check of the root key: %w", err)
		}
	}
	if opens(root, c.file) {
		return nil
	}
	if c.row != nil && c.data {
		cfg.Log.Warn("the file that tells whether the root key is right was missing or damaged and is made anew: the key is right, the database says so",
			"file", filepath.Join(c.dir, sealProbeFile))
	}
	return writeFile(filepath.Join(c.dir, sealProbeFile), check)
}
