package http1

import (
	"io"
	"net/http"
	"sync"
)

// maxExtensions is how many bytes the chunk extensions of a body may have together, and its trailers.
const maxExtensions = 16 << 10

// body is a request's body. Its methods may be called from any goroutine.
type body struct {
	c *conn
	x *exchange

	mu      sync.Mutex
	chunked bool
	closed  bool  // by the handler, or because it returned
	expects bool  // the client waits for a 100
	left    int64 // of the body, or of the chunk
	state   chunkState
	spent   int   // bytes of chunk extensions and trailers so far
	whole   bool  // it was read to its end
	err     error // io.EOF at the end; anything else: there is no telling where the next request begins
}

type chunkState uint8

const (
	chunkHead  chunkState = iota // before a chunk's size
	chunkData                    // in a chunk
	chunkTail                    // before the CRLF after a chunk's data
	chunkTrail                   // in the trailers
)

// Read implements io.Reader. It answers io.EOF together with the last bytes where it knows that they are.
func (d *body) Read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return d.read(p)
}

// Close makes reads fail. What was not read is not the handler's concern.
func (d *body) Close() error {
	d.close()
	return nil
}

func (d *body) read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if d.expects {
		d.expects = false
		if d.err = d.c.proceed(); d.err != nil {
			return 0, d.err
		}
	}
	if d.chunked {
		switch more, err := d.chunk(); {
		case err != nil:
			d.err = err
			return 0, err
		case !more:
			d.end()
			return 0, io.EOF
		}
	}
	n, err := d.c.in.into(p[:min(int64(len(p)), d.left)])
	d.left -= int64(n)
	if err != nil {
		d.err = err
	} else if d.left == 0 && !d.chunked {
		d.end()
	}
	return n, d.err
}

// end notes that nothing but the next request can come now.
func (d *body) end() {
	d.whole, d.err = true, io.EOF
	d.x.watchable.Store(d.c.in.buffered() == 0)
}

// chunk gets to where bytes of a chunk are, if there are more.
func (d *body) chunk() (more bool, err error) {
	for {
		switch d.state {
		case chunkData:
			if d.left > 0 {
				return true, nil
			}
			d.state = chunkTail
		case chunkTail:
			line, err := d.c.in.line()
			if err != nil {
				return false, err
			}
			if len(line) > 0 {
				return false, errSyntax
			}
			d.state = chunkHead
		case chunkHead:
			if err := d.size(); err != nil {
				return false, err
			}
		case chunkTrail:
			line, err := d.c.in.line()
			if err != nil {
				return false, err
			}
			if len(line) == 0 {
				return false, nil
			}
			if d.spent += len(line) + 2; d.spent > maxExtensions {
				return false, errSyntax
			}
			if _, _, err := splitField(string(line)); err != nil {
				return false, err
			}
		}
	}
}

// size reads the line before a chunk.
func (d *body) size() error {
	line, err := d.c.in.line()
	if err != nil {
		return err
	}
	n, rest, ok := parseChunkSize(line)
	if !ok {
		return errSyntax
	}
	if d.spent += rest; d.spent > maxExtensions {
		return errSyntax
	}
	d.left, d.state = n, chunkData
	if n == 0 {
		d.state = chunkTrail
	}
	return nil
}

// parseChunkSize reads the hexadecimal size at the start of a chunk's line. The rest must be an extension, of so many bytes.
func parseChunkSize(line []byte) (n int64, rest int, ok bool) {
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
			return 0, 0, false
		}
		n = n<<4 | int64(c)
	}
	if i == 0 {
		return 0, 0, false
	}
	if i == len(line) {
		return n, 0, true
	}
	for _, c := range line[i:] {
		if c < ' ' && c != '\t' || c == 0x7f {
			return 0, 0, false
		}
	}
	return n, len(line) - i, line[i] == ';'
}

// close ends the handler's use of the body, and says whether it was read to its end.
func (d *body) close() (over bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return d.whole
}

// discard reads what is left, if it is max bytes at most. It reports whether the connection is at the next request.
func (d *body) discard(max int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.drains(max) {
		return false
	}
	sink := buffers.Get().(*[smallBuffer]byte)
	defer buffers.Put(sink)
	for {
		n, err := d.read(sink[:])
		if max -= int64(n); d.whole {
			return true
		}
		if err != nil || max < 0 {
			return false
		}
	}
}

// drains says whether what is left may be read away: it is not too long, and the client does not wait to be asked for it.
func (d *body) drains(max int64) bool {
	return d.whole || d.err == nil && !d.expects && (d.chunked || d.left <= max)
}

// answered is called when the answer begins, after which the client is not asked for the body any more. It reports whether
// the connection may go on after the answer, as far as the body is concerned.
func (d *body) answered() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	ok := d.drains(maxDrain)
	d.expects = false
	return ok
}

// proceeded notes that the handler itself tells the client to go on. It reports false if nobody waits for that.
func (d *body) proceeded() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	waits := d.expects
	d.expects = false
	return waits
}
