package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	modernc "modernc.org/sqlite"

	"github.com/enfold-run/enfold/store"
)

// query is one SQL statement. A connection prepares it at its first use and keeps it.
type query struct{ sql string }

// conn is one connection, used by one goroutine at a time. It stands on the driver's own interface and not on database/sql,
// whose pool, locks and contexts were a third of the cost of a small statement.
type conn struct {
	file  file
	raw   driver.Conn
	stmts map[*query]driver.Stmt
	args  []driver.NamedValue // reused by every statement
	ran   int                 // statements so far
	row   []driver.Value

	// broken is the first error of the engine, as opposed to one of the caller: a full disk, a failed write. SQLite may have
	// rolled back by itself then, so the writer takes back the whole transaction.
	broken error
}

// file is a database file and how to open it.
type file struct {
	path     string
	schema   schema
	noSync   bool
	maxPages int64
}

// create makes an empty file, which SQLite takes for a new database, so that it never has SQLite's default mode.
func (f file) create() error {
	fd, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open store: %w", f.wrap(err))
	}
	if err := errors.Join(fd.Close(), syncDir(filepath.Dir(f.path))); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	return nil
}

// connect opens a connection with the settings that all of them share.
func (f file) connect(pragmas ...string) (*conn, error) {
	c, err := modernc.NewConnector("file:" + escapePath(f.path))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.path, err)
	}
	raw, err := c.Connect(context.Background())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.path, f.wrap(err))
	}
	db := &conn{file: f, raw: raw, stmts: make(map[*query]driver.Stmt)}
	for _, p := range append(f.pragmas(), pragmas...) {
		if err := db.script("PRAGMA " + p); err != nil {
			return nil, errors.Join(fmt.Errorf("open store: %w", err), db.close())
		}
	}
	return db, nil
}

func (f file) pragmas() []string {
	p := []string{
		"busy_timeout=5000",
		"synchronous=FULL",
		"fullfsync=1", // a Mac's fsync reaches the disk only so
		"wal_autocheckpoint=0",
		"temp_store=MEMORY",
		"trusted_schema=0",
	}
	if f.noSync {
		p[1] = "synchronous=OFF"
	}
	if f.maxPages > 0 {
		p = append(p, fmt.Sprintf("max_page_count=%d", f.maxPages))
	}
	return p
}

func escapePath(p string) string {
	return strings.ReplaceAll((&url.URL{Path: filepath.ToSlash(p)}).EscapedPath(), "?", "%3f")
}

// script runs SQL that is not kept.
func (c *conn) script(sql string) error {
	_, err := c.raw.(driver.ExecerContext).ExecContext(context.Background(), sql, nil)
	return c.note(err)
}

// exec runs a statement and answers how many rows it changed.
func (c *conn) exec(q *query, args ...any) (int64, error) {
	s, err := c.prepare(q)
	if err != nil {
		return 0, err
	}
	r, err := s.(driver.StmtExecContext).ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, c.note(err)
	}
	return r.RowsAffected()
}

// each runs a statement to its end and calls fn with every row. The row is fn's until it returns; fn runs no statements.
func (c *conn) each(q *query, fn func(row []driver.Value) error, args ...any) error {
	s, err := c.prepare(q)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), c.bind(args))
	if err != nil {
		return c.note(err)
	}
	c.row = fit(c.row, len(rows.Columns()))
	for {
		err := rows.Next(c.row)
		if err == nil {
			err = fn(c.row)
		} else if !errors.Is(err, io.EOF) {
			err = c.note(err)
		}
		if err != nil {
			if cerr := c.note(rows.Close()); cerr != nil {
				return cerr
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// one answers the first row of a query, or false if there is none. The row holds until the next statement.
func (c *conn) one(q *query, args ...any) (row []driver.Value, ok bool, err error) {
	err = c.each(q, func(r []driver.Value) error {
		row, ok = r, true
		return io.EOF
	}, args...)
	return row, ok, err
}

func (c *conn) prepare(q *query) (driver.Stmt, error) {
	c.ran++
	if s, ok := c.stmts[q]; ok {
		return s, nil
	}
	s, err := c.raw.Prepare(q.sql)
	if err != nil {
		return nil, c.note(err)
	}
	c.stmts[q] = s
	return s, nil
}

func (c *conn) bind(args []any) []driver.NamedValue {
	c.args = fit(c.args, len(args))
	for i, a := range args {
		c.args[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return c.args
}

func fit[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// note remembers an error of the engine and says what it means.
func (c *conn) note(err error) error {
	if err == nil {
		return nil
	}
	err = c.file.wrap(err)
	if c.broken == nil {
		c.broken = err
	}
	return err
}

// healthy forgets what note remembered.
func (c *conn) healthy() { c.broken = nil }

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	errs = append(errs, c.raw.Close())
	return errors.Join(errs...)
}

// Primary result codes of SQLite (sqlite.org/rescode.html).
const (
	codeIOErr   = 10
	codeCorrupt = 11
	codeFull    = 13
	codeNotADB  = 26
)

// wrap turns an error of SQLite or of the file system into one that says what to do.
func (f file) wrap(err error) error {
	var e *modernc.Error
	switch {
	case diskFull(err):
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case !errors.As(err, &e):
		return err
	}
	switch e.Code() & 0xff {
	case codeFull:
		return fmt.Errorf("%w: %s: %w", store.ErrFull, f.path, err)
	case codeIOErr:
		if noSpaceAt(f.path) {
			return fmt.Errorf("%w: %s: %w", store.ErrFull, f.path, err)
		}
	case codeNotADB:
		return fmt.Errorf("%s is not a database of Enfold: move it away, or name another directory for the data: %w", f.path, err)
	case codeCorrupt:
		return fmt.Errorf("%s is damaged: stop Enfold and restore the directory from a backup: %w", f.path, err)
	}
	return fmt.Errorf("sqlite %s: %w", filepath.Base(f.path), err)
}
