package sigv4

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// The two examples of AWS's documentation: 66,560 letters "a" in three chunks.
// See https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
// and https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html.
var documented = []struct {
	name, payload, headers, seed string
	chunks                       [3]string
	trailer                      string
}{
	{
		name: "signed", payload: StreamingPayload,
		headers: "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
		seed:    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
		chunks: [3]string{
			"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
			"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
			"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
		},
	},
	{
		name: "signed with trailer", payload: StreamingPayloadTrailer,
		headers: "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
		seed:    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
		chunks: [3]string{
			"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
			"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
			"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
		},
		trailer: "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n",
	},
}

// documentedRequest is the head and the body of an example.
func documentedRequest(i int) (*http.Request, string) {
	d := documented[i]
	r := httptest.NewRequest("PUT", "/examplebucket/chunkObject.txt", nil)
	r.Host = "s3.amazonaws.com"
	r.Header = http.Header{
		"X-Amz-Date": {"20130524T000000Z"}, "X-Amz-Storage-Class": {"REDUCED_REDUNDANCY"}, "Content-Encoding": {"aws-chunked"},
		"X-Amz-Decoded-Content-Length": {"66560"}, "Content-Length": {"66824"}, "X-Amz-Content-Sha256": {d.payload},
		"Authorization": {"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" +
			d.headers + ",Signature=" + d.seed},
	}
	if d.trailer != "" {
		r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32c")
	}
	body := fmt.Sprintf("10000;chunk-signature=%s\r\n%s\r\n400;chunk-signature=%s\r\n%s\r\n0;chunk-signature=%s\r\n%s\r\n",
		d.chunks[0], strings.Repeat("a", 65536), d.chunks[1], strings.Repeat("a", 1024), d.chunks[2], d.trailer)
	return r, body
}

var documentedKeys = oneKey{id: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}

func inMay2013(t *testing.T, f func(t *testing.T)) {
	at(t, time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC), f)
}

func TestDocumentedStreams(t *testing.T) {
	for i, d := range documented {
		t.Run(d.name, func(t *testing.T) {
			inMay2013(t, func(t *testing.T) {
				r, body := documentedRequest(i)
				id, err := New(documentedKeys).Verify(r, []byte(body))
				if err != nil || string(id.Body) != strings.Repeat("a", 66560) {
					t.Fatalf("Verify = %v", err)
				}

				claim, err := New(documentedKeys).Claim(r)
				if err != nil {
					t.Fatal(err)
				}
				_, stream, err := claim.Stream(iotest.OneByteReader(strings.NewReader(body)), 66560)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(stream); err != nil || len(got) != 66560 {
					t.Fatalf("read %d bytes, %v", len(got), err)
				}
				if got := stream.(*ChunkReader).Trailer().Get("x-amz-checksum-crc32c"); d.trailer != "" && got != "sOO8/Q==" {
					t.Errorf("trailer = %q", got)
				}
			})
		})
	}
}

// TestForgedStreams changes the documented bodies: none may be read to its end.
func TestForgedStreams(t *testing.T) {
	replace := func(old, with string) func(string) string {
		return func(b string) string { return strings.Replace(b, old, with, 1) }
	}
	for _, c := range []struct {
		name   string
		i      int
		change func(body string) string
		want   error
	}{
		{"first byte", 0, replace("\r\na", "\r\nb"), ErrS3SignatureMismatch},
		{"last byte", 0, replace("a\r\n0;", "b\r\n0;"), ErrS3SignatureMismatch},
		{"chunk signature", 0, replace("=ad80", "=ad81"), ErrS3SignatureMismatch},
		{"no chunk signature", 0, replace(";chunk-signature="+documented[0].chunks[0], ""), ErrS3SignatureMismatch},
		{"last chunk's signature", 0, replace("=b6c6", "=b6c7"), ErrS3SignatureMismatch},
		{"chunk left out", 0, func(b string) string { return b[:88] + b[88+65536+2:] }, ErrIncompleteBody},
		{"cut off", 0, func(b string) string { return b[:40_000] }, ErrIncompleteBody},
		{"cut off after a chunk", 0, func(b string) string { return b[:strings.Index(b, "400;")] }, ErrIncompleteBody},
		{"last chunk missing", 0, func(b string) string { return b[:strings.Index(b, "0;chunk-signature=b6")] }, ErrIncompleteBody},
		{"something follows", 0, func(b string) string { return b + "x" }, ErrIncompleteBody},
		{"size is no number", 0, replace("10000;", "1000g;"), ErrIncompleteBody},
		{"size is negative", 0, replace("10000;", "-1;"), ErrIncompleteBody},
		{"size is huge", 0, replace("10000;", "ffffffffffffffff;"), ErrIncompleteBody},
		{"size is above the length", 0, replace("10000;", "10401;"), ErrIncompleteBody},
		{"no line end", 0, func(string) string { return strings.Repeat("0", 1<<20) }, ErrIncompleteBody},
		{"long line", 0, replace("10000;", strings.Repeat("0", maxChunkLine)+"10000;"), ErrIncompleteBody},
		{"bare line feed", 0, replace("\r\naaa", "\naaa"), ErrIncompleteBody},
		{"empty", 0, func(string) string { return "" }, ErrIncompleteBody},
		{"trailer changed", 1, replace("sOO8", "sOO9"), ErrS3SignatureMismatch},
		{"trailer signature", 1, replace("d81f", "d81e"), ErrS3SignatureMismatch},
		{"trailer not signed", 1, func(b string) string { return b[:strings.Index(b, "x-amz-trailer-signature")] + "\r\n" }, ErrS3SignatureMismatch},
		{"trailer missing", 1, func(b string) string { return b[:strings.Index(b, "x-amz-checksum")] + "\r\n" }, errMalformedTrailer},
		{"another trailer", 1, replace("x-amz-checksum-crc32c:", "x-amz-checksum-crc32:"), errMalformedTrailer},
		{"one more trailer", 1, replace("x-amz-checksum", "a:b\r\nx-amz-checksum"), errMalformedTrailer},
		{"trailer is no header", 1, replace("x-amz-checksum-crc32c:", "x-amz-checksum-crc32c"), ErrIncompleteBody},
		{"trailers without end", 1, replace("x-amz-checksum", strings.Repeat("\r\n", maxTrailer)+"x-amz-checksum"), ErrIncompleteBody},
		{"trailer as documented", 1, replace("Q==\r\n", "Q==\n\r\n"), nil},
		{"empty line before the trailer", 1, replace("x-amz-checksum", "\r\nx-amz-checksum"), nil},
		{"last line without an end", 1, func(b string) string { return strings.TrimRight(b, "\r\n") }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			inMay2013(t, func(t *testing.T) {
				r, body := documentedRequest(c.i)
				_, err := New(documentedKeys).Verify(r, []byte(c.change(body)))
				if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("error = %v, want %v", err, c.want)
				}
			})
		})
	}
}

func TestStreamBounds(t *testing.T) {
	for _, c := range []struct {
		name   string
		length []string
		limit  int64
		want   error
	}{
		{"no length", nil, 1 << 20, ErrMissingDecodedLength},
		{"two lengths", []string{"66560", "66560"}, 1 << 20, ErrMissingDecodedLength},
		{"negative", []string{"-1"}, 1 << 20, ErrMissingDecodedLength},
		{"above the limit", []string{"66560"}, 66559, ErrStreamEntityTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := httptest.NewRequest("PUT", "http://localhost/b/k", nil)
				r.Header = http.Header{"X-Amz-Content-Sha256": {StreamingPayload}, "X-Amz-Decoded-Content-Length": c.length}
				Sign(r, nil, testCredentials("s3"), time.Now())
				claim, err := testVerifier().Claim(r)
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := claim.Stream(strings.NewReader(""), c.limit); !errors.Is(err, c.want) {
					t.Errorf("error = %v, want %v", err, c.want)
				}
			})
		})
	}
}

func TestUnknownStreamingPayload(t *testing.T) {
	r := httptest.NewRequest("PUT", "http://localhost/b/k", nil)
	r.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-EVENTS")
	Sign(r, nil, testCredentials("s3"), time.Now())
	if _, err := testVerifier().Verify(r, nil); !errors.Is(err, errUnsupportedStreamValue) {
		t.Errorf("error = %v", err)
	}
}

// smallStream is "hello world" in two signed chunks, and a trailer where the payload has one.
func smallStream(s *signature, key *signingKey) string {
	prev := s.hex
	next := func(kind, hashes string) string {
		b := append([]byte(kind+"\n"+s.iso+"\n"), appendScope(nil, s.scope)...)
		b = append(b, "\n"+prev+"\n"+hashes...)
		prev = fmt.Sprintf("%x", key.sum(nil, b))
		return prev
	}
	var body strings.Builder
	for _, chunk := range []string{"hello ", "world", ""} {
		sig := next("AWS4-HMAC-SHA256-PAYLOAD", emptyHash+"\n"+string(appendHash(nil, []byte(chunk))))
		fmt.Fprintf(&body, "%x;chunk-signature=%s\r\n", len(chunk), sig)
		if chunk != "" {
			body.WriteString(chunk + "\r\n")
		}
	}
	if s.payload == StreamingPayloadTrailer {
		const trailer = "x-amz-checksum-crc32c:sOO8/Q=="
		fmt.Fprintf(&body, "%s\r\nx-amz-trailer-signature:%s\r\n", trailer, next("AWS4-HMAC-SHA256-TRAILER", string(appendHash(nil, []byte(trailer+"\n")))))
	}
	return body.String() + "\r\n"
}

// FuzzChunks feeds the reader of chunks. It must end, and never at io.EOF with anything but what was signed.
func FuzzChunks(f *testing.F) {
	payloads := [...]string{StreamingPayload, StreamingPayloadTrailer, StreamingUnsignedTrailer}
	claim := func(kind uint8, length int64) (*Claim, *signingKey) {
		r, _ := documentedRequest(1)
		r.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(length))
		s, err := parse(r)
		if err != nil {
			f.Fatal(err)
		}
		s.payload = payloads[int(kind)%len(payloads)]
		return &Claim{v: New(documentedKeys), r: r, sig: s}, newSigningKey([]byte(documentedKeys.secret), s.scope)
	}
	for kind := range uint8(2) {
		c, key := claim(kind, 11)
		body := smallStream(c.sig, key)
		stream, err := newChunkReader(strings.NewReader(body), c, key, 11)
		if err != nil {
			f.Fatal(err)
		}
		if got, err := io.ReadAll(stream); err != nil || string(got) != "hello world" {
			f.Fatalf("the seed reads as %q, %v", got, err)
		}
		f.Add([]byte(body), kind, int64(11))
	}
	f.Add([]byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:x\r\n\r\n"), uint8(2), int64(5))
	f.Add([]byte("0\r\n\r\n"), uint8(2), int64(0))
	f.Fuzz(func(t *testing.T, body []byte, kind uint8, length int64) {
		c, key := claim(kind, length)
		stream, err := newChunkReader(iotest.HalfReader(strings.NewReader(string(body))), c, key, 1<<20)
		if err != nil {
			return
		}
		got, err := io.ReadAll(stream)
		if err == nil && int64(len(got)) != length {
			t.Errorf("read %d bytes to the end, want %d", len(got), length)
		}
		if err == nil && c.sig.payload != StreamingUnsignedTrailer && string(got) != "hello world" {
			t.Errorf("accepted %q, which nobody signed", got)
		}
		if len(got) > len(body) {
			t.Errorf("%d bytes out of %d", len(got), len(body))
		}
	})
}
