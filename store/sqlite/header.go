package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// The header of a database (sqlite.org/fileformat.html).
const (
	magic         = "SQLite format 3\x00"
	headerSize    = 100
	userVersionAt = 60
	applicationAt = 68
)

// look checks whose file it is without the cost of a connection. A file that is absent or empty is fine: it will be made. Where the header
// does not tell, because what it should say may be in the write-ahead log still, a connection is made, which does.
func (f file) look() error {
	h, err := f.header()
	switch {
	case err != nil || len(h) == 0:
		return err
	case len(h) < headerSize || string(h[:len(magic)]) != magic:
		return fmt.Errorf("%s is not a database of Enfold: move it away, or name another directory for the data", f.path)
	case binary.BigEndian.Uint32(h[applicationAt:]) == applicationID && int64(binary.BigEndian.Uint32(h[userVersionAt:])) == f.schema.version:
		return nil
	}
	c, err := f.connect()
	if err != nil {
		return err
	}
	return errors.Join(c.prepareFile(), c.close())
}

// header is what there is of the first bytes of the file.
func (f file) header() ([]byte, error) {
	fd, err := os.Open(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	defer fd.Close()
	h := make([]byte, headerSize)
	n, err := io.ReadFull(fd, h)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return h[:n], nil
}
