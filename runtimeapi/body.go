package runtimeapi

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
)

// errTooBig says that a body has more bytes than allowed. Those up to there are read, the rest is not.
var errTooBig = errors.New("body too big")

// body reads a request's body, whichever way it is framed. After io.EOF the connection is at the next request.
type body struct {
	b       *reader
	chunked bool
	left    int64 // of the body, or of the chunk
	state   chunkState
	spent   int   // bytes of chunk extensions so far
	err     error // the framing is lost

	// Of the trailers.
	errorType string
	errorBody []byte
}

type chunkState uint8

const (
	chunkHead chunkState = iota // before a chunk's size
	chunkData                   // in a chunk
	chunkTail                   // before the CRLF after a chunk's data
	chunkDone
)

func newBody(b *reader, q *request) body {
	if q.length < 0 {
		return body{b: b, chunked: true}
	}
	return body{b: b, left: q.length}
}

// size is how many bytes are known to come next: all of the body, or the rest of a chunk. Zero means that the body is over.
func (d *body) size() (int64, error) {
	if !d.chunked {
		return d.left, nil
	}
	for d.err == nil {
		switch d.state {
		case chunkData:
			if d.left > 0 {
				return d.left, nil
			}
			d.state = chunkTail
		case chunkTail:
			_, err := d.b.line(0)
			d.state, d.err = chunkHead, chunkErr(err)
		case chunkHead:
			d.err = d.head()
		case chunkDone:
			return 0, nil
		}
	}
	return 0, d.err
}

// head reads a chunk's size, and the trailers after the last one.
func (d *body) head() error {
	line, err := d.b.line(maxChunkLine)
	if err != nil {
		return chunkErr(err)
	}
	n, rest, ok := parseChunkSize(line)
	if !ok {
		return errSyntax
	}
	if d.spent += len(rest); d.spent > maxExtensions {
		return errSyntax
	}
	d.left, d.state = n, chunkData
	if n > 0 {
		return nil
	}
	if err := d.trailers(); err != nil {
		return err
	}
	d.state = chunkDone
	return nil
}

// trailers reads the lines after the last chunk.
func (d *body) trailers() error {
	budget := maxHead
	for range maxHeaders + 1 {
		line, err := d.b.line(maxLine - 2)
		if err != nil {
			return chunkErr(err)
		}
		if len(line) == 0 {
			return nil
		}
		if budget -= len(line) + 2; budget < 0 {
			return errSyntax
		}
		name, value, err := splitHeader(line)
		if err != nil {
			return err
		}
		switch {
		case equalFold(name, []byte("lambda-runtime-function-error-type")):
			d.errorType = string(value)
		case equalFold(name, []byte("lambda-runtime-function-error-body")):
			d.errorBody = decodeErrorBody(value)
		}
	}
	return errSyntax
}

// decodeErrorBody undoes the base64 of Go's and Node's clients and takes anything else as it is.
func decodeErrorBody(value []byte) []byte {
	if p, err := base64.StdEncoding.AppendDecode(nil, value); err == nil {
		return p
	}
	return bytes.Clone(value)
}

func chunkErr(err error) error {
	if errors.Is(err, errTooLong) {
		return errSyntax
	}
	return unexpected(err)
}

// parseChunkSize reads the hexadecimal size at the start of a chunk's line. The rest must be an extension.
func parseChunkSize(line []byte) (n int64, rest []byte, ok bool) {
	i := 0
	for ; i < len(line); i++ {
		c := line[i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			c = 16
		}
		if c == 16 {
			break
		}
		if i == 15 {
			return 0, nil, false
		}
		n = n<<4 | int64(c)
	}
	rest = line[i:]
	if i == 0 {
		return 0, nil, false
	}
	for _, c := range rest {
		if c < ' ' && c != '\t' || c == 0x7f {
			return 0, nil, false
		}
	}
	ext := bytes.TrimLeft(rest, " \t")
	return n, rest, len(ext) == 0 || ext[0] == ';'
}

// next returns some bytes of the body, valid until the next call. io.EOF: it is over, and complete.
func (d *body) next() ([]byte, error) {
	n, err := d.size()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, io.EOF
	}
	p, err := d.b.some(n)
	d.left -= int64(len(p))
	return p, err
}

// collect returns the whole body. It allocates once if the length is known, or if there is one chunk.
// More than max bytes are errTooBig; the rest is still to be read then.
func (d *body) collect(max int) ([]byte, error) {
	var all []byte
	for {
		n, err := d.size()
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return all, nil
		}
		if n > int64(max-len(all)) {
			return nil, errTooBig
		}
		from, to := len(all), len(all)+int(n)
		if to > cap(all) {
			grown := make([]byte, from, roomFor(from, to))
			copy(grown, all)
			all = grown
		}
		all = all[:to]
		if err := d.b.full(all[from:]); err != nil {
			return nil, err
		}
		d.left = 0
	}
}

// roomFor is the capacity to make for to bytes: exact for the first chunk, doubled for later ones.
func roomFor(from, to int) int {
	if from == 0 {
		return to
	}
	return max(to, 2*from)
}

// discard reads what is left of the body, at most max bytes. It returns errTooBig if there is more.
func (d *body) discard(max int64) error {
	for {
		p, err := d.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if max -= int64(len(p)); max < 0 {
			return errTooBig
		}
	}
}
