package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/enfold-run/enfold/store"
)

// Reader reads the records, queues and main logs of a store that another process may have open. It takes no lock and writes
// nothing. It is safe for concurrent use.
type Reader struct{ readers *readers }

// OpenReader opens the store in dir for reading. It makes no store where there is none.
func OpenReader(dir string) (*Reader, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	f := file{path: filepath.Join(dir, "enfold.db"), schema: mainSchema}
	if _, err := os.Stat(f.path); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no data of Enfold", dir)
	} else if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	c, err := f.connect("query_only=1")
	if err != nil {
		return nil, err
	}
	version, err := c.number(qUserVersion)
	if err == nil && version != f.schema.version {
		err = fmt.Errorf("%s has the format %d, this Enfold knows %d", f.path, version, f.schema.version)
	}
	if err := errors.Join(err, c.close()); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return &Reader{newReaders(f, 1)}, nil
}

// View is [store.Store.View].
func (r *Reader) View(ctx context.Context, fn func(store.Tx) error) error {
	return r.readers.view(ctx, fn)
}

// Close closes the files.
func (r *Reader) Close() error { return r.readers.close() }
