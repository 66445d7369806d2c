package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

const (
	maxChunkLine = 512     // bytes of a chunk's header line
	maxTrailer   = 8 << 10 // bytes of all trailers
	emptyHash    = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// ChunkReader reads the payload out of an aws-chunked body and verifies each chunk's signature and the trailer's.
//
// What it returned before io.EOF may belong to a chunk that turns out to be forged: Read then answers an error, and never
// io.EOF. It holds no more than a small buffer, however large a chunk is.
// See https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html.
type ChunkReader struct {
	src     *bufio.Reader
	c       *Claim
	key     *signingKey // nil if chunks are not signed
	trailed bool        // trailers follow the last chunk
	prev    []byte      // hex of the signature before
	left    int64       // of the payload
	chunk   int64       // left of this chunk
	want    []byte      // this chunk's signature
	hash    hash.Hash   // of this chunk
	trailer http.Header
	err     error

	inTrailer bool
}

func newChunkReader(src io.Reader, c *Claim, key *signingKey, limit int64) (*ChunkReader, error) {
	length, err := decodedLength(c.r.Header)
	if err != nil {
		return nil, err
	}
	if length > limit {
		return nil, tooLarge()
	}
	cr := &ChunkReader{
		src: bufio.NewReaderSize(src, 4<<10), c: c, left: length, trailed: strings.HasSuffix(c.sig.payload, "-TRAILER"),
		hash: sha256.New(),
	}
	if c.sig.payload != StreamingUnsignedTrailer {
		cr.key, cr.prev = key, []byte(c.sig.hex)
	}
	return cr, nil
}

func decodedLength(h http.Header) (int64, error) {
	v := h["X-Amz-Decoded-Content-Length"]
	if len(v) == 1 {
		if n, err := strconv.ParseUint(v[0], 10, 63); err == nil {
			return int64(n), nil
		}
	}
	return 0, ErrMissingDecodedLength.New("You must provide the Content-Length HTTP header.")
}

// Trailer are the trailing headers, verified, once Read answered io.EOF; nil before.
func (cr *ChunkReader) Trailer() http.Header {
	if !errors.Is(cr.err, io.EOF) {
		return nil
	}
	return cr.trailer
}

// Read reads payload.
func (cr *ChunkReader) Read(p []byte) (int, error) {
	if len(p) == 0 || cr.err != nil {
		return 0, cr.err
	}
	if cr.chunk == 0 {
		if cr.err = cr.next(); cr.err != nil {
			return 0, cr.err
		}
	}
	n, err := cr.src.Read(p[:min(int64(len(p)), cr.chunk)])
	cr.hash.Write(p[:n])
	cr.chunk -= int64(n)
	cr.left -= int64(n)
	switch {
	case cr.chunk == 0:
		cr.err = cr.close()
	case err != nil:
		cr.err = incompleteBody(err)
	}
	if cr.err != nil {
		return 0, cr.err // the chunk is forged or torn: do not hand out its end
	}
	return n, nil
}

// next reads a chunk's header line. It answers io.EOF after the last chunk and its trailers.
func (cr *ChunkReader) next() error {
	line, err := cr.line(maxChunkLine)
	if err != nil {
		return err
	}
	size, ext, signed := strings.Cut(line, ";")
	n, err := strconv.ParseUint(size, 16, 63)
	if err != nil || len(size) > 16 {
		return malformedChunk()
	}
	if int64(n) > cr.left {
		return malformedChunk()
	}
	cr.want = nil
	if cr.key != nil {
		sig, ok := strings.CutPrefix(ext, "chunk-signature=")
		if !signed || !ok || len(sig) != 2*sha256.Size {
			return mismatch(cr.c.sig.service)
		}
		cr.want = []byte(sig)
	}
	cr.hash.Reset()
	if cr.chunk = int64(n); n > 0 {
		return nil
	}
	return cr.finish()
}

// close ends a chunk with data in it.
func (cr *ChunkReader) close() error {
	if line, err := cr.line(0); err != nil || line != "" {
		return malformedChunk()
	}
	return cr.verifyChunk()
}

func (cr *ChunkReader) verifyChunk() error {
	if cr.key == nil {
		return nil
	}
	return cr.verify("AWS4-HMAC-SHA256-PAYLOAD", emptyHash+"\n"+hex.EncodeToString(cr.hash.Sum(nil)), cr.want)
}

// verify compares a signature that is chained to the one before.
func (cr *ChunkReader) verify(kind, hashes string, want []byte) error {
	b := make([]byte, 0, 512)
	b = append(append(b, kind...), '\n')
	b = append(append(b, cr.c.sig.iso...), '\n')
	b = append(appendScope(b, cr.c.sig.scope), '\n')
	b = append(append(b, cr.prev...), '\n')
	b = append(b, hashes...)
	got := hex.AppendEncode(nil, cr.key.sum(nil, b))
	if subtle.ConstantTimeCompare(got, want) != 1 {
		return mismatch(cr.c.sig.service)
	}
	cr.prev = got
	return nil
}

// finish reads what follows the last, empty chunk.
func (cr *ChunkReader) finish() error {
	if cr.left > 0 {
		return incompleteBody(nil)
	}
	if err := cr.verifyChunk(); err != nil {
		return err
	}
	if cr.trailed {
		if err := cr.readTrailer(); err != nil {
			return err
		}
	} else if line, err := cr.line(0); err != nil || line != "" {
		return malformedChunk()
	}
	if _, err := cr.src.ReadByte(); !errors.Is(err, io.EOF) {
		return malformedChunk() // something follows
	}
	return io.EOF
}

// readTrailer reads "name:value" lines and their signature, which is the last of them. Clients differ in where they put
// empty lines and in whether they end the last line, so the trailer is over when all of it is there, or the body is.
func (cr *ChunkReader) readTrailer() error {
	cr.inTrailer = true
	h := http.Header{}
	var text, signature []byte
	for total := 0; ; {
		line, err := cr.line(maxTrailer - total)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return err
		}
		total += len(line) + 2
		if line == "" {
			if declared(cr.c.r.Header, h) && (cr.key == nil || signature != nil) {
				break
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch {
		case !ok || name == "" || signature != nil:
			return malformedChunk()
		case name == "x-amz-trailer-signature":
			signature = []byte(value)
		default:
			key := textproto.CanonicalMIMEHeaderKey(name)
			h[key] = append(h[key], value)
			text = append(append(append(append(text, name...), ':'), value...), '\n')
		}
	}
	if !declared(cr.c.r.Header, h) {
		return errMalformedTrailer.New("The request contained trailing data that was not well-formed or did not conform to our published schema.")
	}
	cr.trailer = h
	if cr.key == nil {
		return nil
	}
	return cr.verify("AWS4-HMAC-SHA256-TRAILER", string(appendHash(nil, text)), signature)
}

var errMalformedTrailer = badRequest("MalformedTrailerError", "MalformedTrailerError")

// declared says that the trailers are those that x-amz-trailer named.
func declared(head, trailer http.Header) bool {
	n := 0
	for _, v := range head["X-Amz-Trailer"] {
		for name := range strings.SplitSeq(v, ",") {
			if len(trailer[textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))]) != 1 {
				return false
			}
			n++
		}
	}
	return n == len(trailer)
}

// line reads a line that ends in "\r\n", in trailers perhaps "\n", and is not longer than limit.
func (cr *ChunkReader) line(limit int) (string, error) {
	line, err := cr.src.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || len(line) > limit+2:
		return "", malformedChunk()
	case errors.Is(err, io.EOF) && len(line) > 0 && cr.inTrailer:
		return string(bytes.TrimRight(line, "\r")), nil
	case errors.Is(err, io.EOF):
		return "", incompleteBody(io.ErrUnexpectedEOF)
	case err != nil:
		return "", incompleteBody(err)
	}
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if cr.inTrailer && !ok {
		text, ok = bytes.CutSuffix(line, []byte("\n"))
	}
	if !ok || bytes.IndexByte(text, '\r') >= 0 {
		return "", malformedChunk()
	}
	return string(text), nil
}

func malformedChunk() error {
	return ErrIncompleteBody.New("The request body terminated unexpectedly")
}

func incompleteBody(cause error) error {
	return ErrIncompleteBody.New("The request body terminated unexpectedly").Because(cause)
}
