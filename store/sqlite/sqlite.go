package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/enfold-run/enfold/store"
)

// Options are how a store is opened. The zero Options are right for a server.
type Options struct {
	// Readers is how many View transactions may run at once; more wait. Zero means 16.
	Readers int

	noSync   bool                 // tests only, the control of the power cut: nothing is fsynced
	maxPages int64                // tests only, a disk that is full: pages of 4 KiB that a database may have
	sync     func(*os.File) error // tests only: instead of what newSync answers
}

const defaultReaders = 16

// db is the store of one directory.
type db struct {
	lock    *lock
	writer  *writer
	readers *readers
	check   *checkpointer
	logs    *logs
	blobs   *blobs

	gate *gate
}

// Open opens the store in dir, which it creates if there is none. It answers a clear error if another server has the
// directory, if a file in it is not Enfold's or is damaged, or if it was written by a newer Enfold.
func Open(ctx context.Context, dir string, o Options) (store.Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	l, err := takeLock(dir)
	if err != nil {
		return nil, err
	}
	d, err := open(dir, o)
	if err != nil {
		return nil, errors.Join(err, l.release())
	}
	d.lock = l
	return d, nil
}

func open(dir string, o Options) (*db, error) {
	if o.Readers <= 0 {
		o.Readers = defaultReaders
	}
	b := filepath.Join(dir, "blobs")
	if err := makeBlobs(b); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	f := file{path: filepath.Join(dir, "enfold.db"), schema: mainSchema, noSync: o.noSync, maxPages: o.maxPages}
	lf := f
	lf.path, lf.schema = filepath.Join(dir, "logs.db"), logsSchema
	if err := lf.look(); err != nil { // nobody would hear of it later: what a function logs is lost in silence
		return nil, err
	}
	if err := notLost(f.path, f.path+"-wal", lf.path, b); err != nil {
		return nil, err
	}
	if err := f.create(); err != nil {
		return nil, err
	}
	check := newCheckpointer(f)
	if o.sync == nil {
		o.sync = newSync()
	}
	w, err := newWriter(f, check, o.sync)
	if err != nil {
		return nil, err
	}
	check.start()
	g := new(gate)
	return &db{
		writer: w, readers: newReaders(f, o.Readers), check: check, gate: g,
		logs: newLogs(lf, o.Readers, g), blobs: &blobs{dir: b, gate: g},
	}, nil
}

// notLost refuses a directory that has lost its database: a new one would look as if nothing had ever been there. What is beside
// it is made only when there is one.
func notLost(database, wal, logs, blobs string) error {
	was := "missing"
	if info, err := os.Lstat(database); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		was = "empty" // as a crash of the first start leaves it, too
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil // what is wrong with it, who opens it says
	}
	beside := ""
	for _, path := range []string{logs, wal} {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			beside = path
		}
	}
	if all, err := os.ReadDir(blobs); err == nil && slices.ContainsFunc(all, func(e os.DirEntry) bool { return e.Name() != incoming }) {
		beside = blobs
	}
	if beside == "" {
		return nil
	}
	return fmt.Errorf("open store: %s is %s, and %s is there: bring it back from a backup of the directory, "+
		"or name another directory for the data", database, was, beside)
}

// Update is [store.Store.Update].
func (d *db) Update(ctx context.Context, fn func(store.Tx) error) error {
	if err := d.gate.enter(); err != nil {
		return err
	}
	defer d.gate.leave()
	return d.writer.update(ctx, fn)
}

// View is [store.Store.View].
func (d *db) View(ctx context.Context, fn func(store.Tx) error) error {
	if err := d.gate.enter(); err != nil {
		return err
	}
	defer d.gate.leave()
	err := d.readers.view(ctx, fn)
	if serr := d.writer.seen(ctx); serr != nil {
		return errors.Join(serr, err)
	}
	return err
}

// Logs is [store.Store.Logs]. Its file is opened by the first use; Open has only looked whose it is.
func (d *db) Logs() store.Logs { return d.logs }

// Blobs is [store.Store.Blobs].
func (d *db) Blobs() store.Blobs { return d.blobs }

// Close is [store.Store.Close].
func (d *db) Close() error {
	if err := d.gate.close(); err != nil {
		return err
	}
	d.writer.end()
	d.check.stop()
	return errors.Join(d.logs.close(), d.readers.close(), d.writer.close(), d.lock.release())
}

// makeDir makes a directory that only its owner may enter, and makes its name durable.
func makeDir(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%s is not a directory: name another one for the data", dir)
	}
	if err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}
