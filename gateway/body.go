package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/enfold-run/enfold/aws"
)

const (
	// A body must come at minRate bytes a second on average, after bodyGrace.
	bodyGrace = 20 * time.Second
	minRate   = 8 << 10

	// maxUnverified is how many bytes the bodies may take together whose signature was not compared yet, or that are being
	// inflated. Bodies of smallBody at most are not counted: the bound on connections bounds them.
	maxUnverified = 512 << 20
	smallBody     = 64 << 10
	maxInflation  = 1032 // times: what deflate can do at most
	budgetWait    = 10 * time.Second
)

var (
	errTooLarge = errors.New("body is too large")

	errUnsupportedCoding = &aws.ErrorType{Code: "UnsupportedMediaTypeException", Status: 415, MessageAs: "message", Untyped: true}
	errRequestTimeout    = &aws.ErrorType{Code: "RequestTimeoutException", QueryCode: "RequestTimeout", Status: 408, MessageAs: "message", Untyped: true}
)

// contentCoding is the coding of the body beside aws-chunked: "" or "gzip".
func contentCoding(h http.Header) (string, error) {
	coding := ""
	for _, v := range h["Content-Encoding"] {
		for c := range strings.SplitSeq(v, ",") {
			switch c = strings.ToLower(strings.TrimSpace(c)); {
			case c == "" || c == "identity" || c == "aws-chunked":
			case c == "gzip" && coding == "":
				coding = c
			default:
				return "", errUnsupportedCoding.New("Unsupported Content-Encoding.")
			}
		}
	}
	return coding, nil
}

// readBody reads a whole body of at most limit bytes. The budget that a large one takes is given back by release, which
// must be called.
func (q *request) readBody(limit int64) (body []byte, release func(), err error) {
	length := q.r.ContentLength // -1: not said, comes in chunks
	if length > limit {
		return nil, nil, q.tooLarge()
	}
	if length == 0 || q.r.Body == http.NoBody {
		return nil, func() {}, nil
	}
	weight := length
	if length < 0 {
		weight = limit
	}
	if release, err = q.reserve(weight); err != nil {
		return nil, nil, err
	}
	paced := &pacedBody{w: q.w, body: q.r.Body}
	if length > 0 {
		body, err = readExactly(paced, length)
	} else {
		body, err = readAtMost(paced, limit)
	}
	if err != nil {
		release()
		return nil, nil, q.bodyError(err)
	}
	return body, release, nil
}

// reserve takes a part of what all large bodies in the making may take together. release gives it back.
func (q *request) reserve(weight int64) (release func(), err error) {
	if weight = min(weight, maxUnverified); weight <= smallBody {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(q.r.Context(), budgetWait)
	defer cancel()
	if err := q.g.unverified.Acquire(ctx, weight); err != nil {
		return nil, aws.ErrUnavailable.New("Too many large requests at once. Reduce your request rate.").WithHeader("Retry-After", "1")
	}
	return func() { q.g.unverified.Release(weight) }, nil
}

func (q *request) bodyError(err error) error {
	switch {
	case errors.Is(err, errTooLarge):
		return q.tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errRequestTimeout.New("Your socket connection to the server was not read from or written to within the timeout period.").
			WithHeader("Connection", "close")
	}
	return aws.ErrSerialization.New("The request body terminated unexpectedly.").Because(fmt.Errorf("read body: %w", err))
}

// readExactly reads a body of a known length into one piece of memory.
func readExactly(r io.Reader, length int64) ([]byte, error) {
	body := make([]byte, length)
	_, err := io.ReadFull(r, body)
	return body, err
}

// readAtMost reads a body of unknown length. It gathers pieces and joins them at the end: what is too large never takes
// more than limit, and what is not never more than twice its size.
func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	const first, largest = 4 << 10, 1 << 20
	var pieces [][]byte
	r = io.LimitReader(r, limit+1)
	total := int64(0)
	for size := first; ; size = min(2*size, largest) {
		piece := make([]byte, size)
		n, ended, err := fill(r, piece)
		total += int64(n)
		pieces = append(pieces, piece[:n])
		switch {
		case total > limit:
			return nil, errTooLarge
		case err != nil:
			return nil, err
		case ended:
			return bytes.Join(pieces, nil), nil
		}
	}
}

// fill reads until piece is full or r ends in good order.
func fill(r io.Reader, piece []byte) (n int, ended bool, err error) {
	for n < len(piece) {
		m, err := r.Read(piece[n:])
		n += m
		if err == io.EOF { //nolint:errorlint // io.Reader's contract: a wrapped one is a failure
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}

// pacedBody fails a body that comes too slowly. Its deadline ends with the body: net/http lifts it when it saw io.EOF, to
// read on behind the handler and notice a client that goes away.
type pacedBody struct {
	w     *writer
	body  io.Reader
	start time.Time
	got   int64
}

func (p *pacedBody) Read(b []byte) (int, error) {
	if p.start.IsZero() {
		p.start = time.Now() // a moment ago ServeHTTP set the deadline for the first bytes
	} else {
		p.w.readDeadline(p.start.Add(bodyGrace + time.Duration(p.got)*time.Second/minRate))
	}
	n, err := p.body.Read(b)
	p.got += int64(n)
	return n, err
}

// gunzip undoes gzip, up to limit bytes.
func gunzip(body []byte, limit int64) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(body))
	if err == nil {
		body, err = readAtMost(zr, limit)
	}
	if err != nil && !errors.Is(err, errTooLarge) {
		return nil, aws.ErrSerialization.New("The request body is not gzip, as its Content-Encoding says.").Because(err)
	}
	return body, err
}
