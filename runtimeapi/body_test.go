package runtimeapi

import (
	"bytes"
	"errors"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
	"testing/iotest"
)

func TestBody(t *testing.T) {
	for _, tt := range []struct {
		name, in  string
		length    int64
		want      string
		err       error
		errorType string
		errorBody string
		rest      string
	}{
		{name: "empty", in: "next", length: 0, rest: "next"},
		{name: "length", in: "abcnext", length: 3, want: "abc", rest: "next"},
		{name: "at the limit", in: "0123456789", length: 10, want: "0123456789"},
		{name: "over the limit", in: "0123456789a", length: 11, err: errTooBig, rest: "0123456789a"},
		{name: "cut", in: "ab", length: 3, err: io.ErrUnexpectedEOF},
		{name: "no chunk", in: "0\r\n\r\nnext", length: -1, rest: "next"},
		{name: "chunks", in: "3\r\nabc\r\n0002\r\nde\r\n0\r\n\r\nnext", length: -1, want: "abcde", rest: "next"},
		{name: "chunks at the limit", in: "5\r\nabcde\r\n5\r\nfghij\r\n0\r\n\r\n", length: -1, want: "abcdefghij"},
		{name: "chunks over the limit", in: "5\r\nabcde\r\n6\r\nfghijk\r\n0\r\n\r\n", length: -1, err: errTooBig, rest: "fghijk\r\n0\r\n\r\n"},
		{name: "upper case", in: "A\r\n0123456789\r\n0\r\n\r\n", length: -1, want: "0123456789"},
		{name: "extensions", in: "1;a=b\r\nx\r\n1 ; c=\"d\"\r\ny\r\n0;e\r\n\r\n", length: -1, want: "xy"},
		{name: "trailers", in: "1\r\nx\r\n0\r\nOther: a\r\nlambda-runtime-function-error-type: Oops\r\nLambda-Runtime-Function-Error-Body: eyJhIjoxfQ==\r\n\r\nnext", length: -1, want: "x", errorType: "Oops", errorBody: `{"a":1}`, rest: "next"},
		{name: "plain error body", in: "0\r\nLambda-Runtime-Function-Error-Body: {\"a\":1}\r\n\r\n", length: -1, errorBody: `{"a":1}`},
		{name: "cut in chunk", in: "5\r\nabc", length: -1, err: io.ErrUnexpectedEOF},
		{name: "cut after chunk", in: "3\r\nabc", length: -1, err: io.ErrUnexpectedEOF},
		{name: "cut before last", in: "3\r\nabc\r\n", length: -1, err: io.ErrUnexpectedEOF},
		{name: "cut in trailers", in: "0\r\nA: b\r\n", length: -1, err: io.ErrUnexpectedEOF},
		{name: "chunk longer than said", in: "2\r\nabc\r\n0\r\n\r\n", length: -1, err: errSyntax},
		{name: "bare line feed", in: "3\nabc\r\n0\r\n\r\n", length: -1, err: errSyntax},
		{name: "bare line feed after data", in: "3\r\nabc\n0\r\n\r\n", length: -1, err: errSyntax},
		{name: "no size", in: "\r\nabc", length: -1, err: errSyntax},
		{name: "signed size", in: "+1\r\na\r\n0\r\n\r\n", length: -1, err: errSyntax},
		{name: "prefixed size", in: "0x1\r\na\r\n0\r\n\r\n", length: -1, err: errSyntax},
		{name: "size with junk", in: "1 2\r\na\r\n0\r\n\r\n", length: -1, err: errSyntax},
		{name: "huge size", in: "fffffffffffffff\r\n", length: -1, err: errTooBig},
		{name: "overflowing size", in: "1000000000000000\r\n", length: -1, err: errSyntax},
		{name: "long extension", in: "1;" + strings.Repeat("a", maxChunkLine) + "\r\na\r\n0\r\n\r\n", length: -1, err: errSyntax},
		{name: "many extensions", in: strings.Repeat("1;"+strings.Repeat("a", 250)+"\r\na\r\n", 80) + "0\r\n\r\n", length: -1, err: errSyntax},
		{name: "folded trailer", in: "0\r\nA: b\r\n c\r\n\r\n", length: -1, err: errSyntax},
		{name: "trailers too large", in: "0\r\n" + strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 80) + "\r\n", length: -1, err: errSyntax},
		{name: "too many trailers", in: "0\r\n" + strings.Repeat("A: b\r\n", 102) + "\r\n", length: -1, err: errSyntax},
	} {
		t.Run(tt.name, func(t *testing.T) {
			max := 10
			if tt.name == "many extensions" {
				max = 1000
			}
			for name, src := range map[string]io.Reader{"whole": strings.NewReader(tt.in), "bytes": iotest.OneByteReader(strings.NewReader(tt.in))} {
				b := newReader(src)
				d := newBody(&b, &request{length: tt.length})
				got, err := d.collect(max)
				if !errors.Is(err, tt.err) {
					t.Fatalf("%s: error %v, want %v", name, err, tt.err)
				}
				if string(got) != tt.want {
					t.Errorf("%s: got %q, want %q", name, got, tt.want)
				}
				if d.errorType != tt.errorType || string(d.errorBody) != tt.errorBody {
					t.Errorf("%s: trailers %q %q", name, d.errorType, d.errorBody)
				}
				left, _ := io.ReadAll(io.MultiReader(bytes.NewReader(b.buf[b.r:b.w]), src))
				if (tt.err == nil || errors.Is(tt.err, errTooBig)) && string(left) != tt.rest {
					t.Errorf("%s: left %q, want %q", name, left, tt.rest)
				}
			}
		})
	}
}

func TestDiscard(t *testing.T) {
	for _, tt := range []struct {
		name string
		max  int64
		want error
	}{{"all", 5, nil}, {"more than allowed", 4, errTooBig}} {
		t.Run(tt.name, func(t *testing.T) {
			b := newReader(strings.NewReader("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))
			d := newBody(&b, &request{length: -1})
			if err := d.discard(tt.max); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

// FuzzChunks: a body that we take is the one that net/http takes, whichever way we read it.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\n\r\n"), 10)
	f.Add([]byte("3;x=y\r\nabc\r\n0\r\nA: b\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\nGET"), 100)
	f.Add([]byte("fffffffff\r\n"), 0)
	f.Fuzz(func(t *testing.T, in []byte, max int) {
		max = min(max&0x7fffffff, 1<<20)
		b := newReader(bytes.NewReader(in))
		d := newBody(&b, &request{length: -1})
		got, err := d.collect(max)
		if len(got) > max {
			t.Fatalf("%d bytes, allowed %d", len(got), max)
		}
		if err != nil {
			return
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in)))
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		b = newReader(iotest.OneByteReader(bytes.NewReader(in)))
		d = newBody(&b, &request{length: -1})
		var pieces []byte
		for {
			p, err := d.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("in pieces: %v", err)
			}
			pieces = append(pieces, p...)
		}
		if !bytes.Equal(pieces, want) {
			t.Errorf("in pieces %q, want %q", pieces, want)
		}
	})
}
