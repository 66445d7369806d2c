package sigv4

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// param is one parameter of a query, name and value as they stand in a canonical request: encoded.
type param struct{ name, value string }

// parseQuery is the canonical form of a query: each parameter decoded and encoded again, and sorted.
func parseQuery(raw string) ([]param, error) {
	if raw == "" {
		return nil, nil
	}
	if strings.Count(raw, "&") >= maxQueryParams {
		return nil, ErrIncompleteSignature.Withf("The query string has more than %d parameters.", maxQueryParams)
	}
	var ps []param
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		ps = append(ps, param{recode(name), recode(value)})
	}
	slices.SortFunc(ps, func(a, b param) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	return ps, nil
}

// lookUp is the decoded value of a parameter and how often it is there.
func lookUp(ps []param, name string) (string, int) {
	value, n := "", 0
	for i := range ps {
		if ps[i].name == name {
			value = ps[i].value
			n++
		}
	}
	return decode(value, false), n
}

func has(ps []param, name string) bool {
	_, n := lookUp(ps, name)
	return n > 0
}

func without(ps []param, name string) []param {
	return slices.DeleteFunc(slices.Clone(ps), func(p param) bool { return p.name == name })
}

// unreserved are the bytes that RFC 3986 never encodes.
var unreserved = func() (t [256]bool) {
	for c := range 256 {
		b := byte(c)
		t[c] = 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '.' || b == '_' || b == '~'
	}
	return t
}()

// recode is a part of a query, decoded and encoded again: "%41+b" is "A%20b".
func recode(s string) string {
	for i := range len(s) {
		if !unreserved[s[i]] {
			return string(appendEncoded(nil, decode(s, true), false))
		}
	}
	return s
}

// appendEncoded encodes every byte but the unreserved ones, and the slash if told so.
func appendEncoded(dst []byte, s string, slash bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; unreserved[c] || slash && c == '/' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// decode undoes percent-encoding. A percent sign that begins no encoding stands for itself.
func decode(s string, plus bool) string {
	if strings.IndexByte(s, '%') < 0 && !(plus && strings.IndexByte(s, '+') >= 0) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		case c == '+' && plus:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// rawPath is the path of a request as the client wrote it, still encoded.
func rawPath(r *http.Request) string {
	p := r.RequestURI
	if !strings.HasPrefix(p, "/") { // absolute-form, or a request that was not read off a connection
		p = r.URL.EscapedPath()
	}
	p, _, _ = strings.Cut(p, "?")
	if p == "" {
		return "/"
	}
	return p
}

// appendPath writes the canonical URI. S3 signs the path as it is, encoded once; all others sign it without dots and
// double slashes, and what was sent encoded is encoded again.
func appendPath(dst []byte, path string, isS3 bool) []byte {
	if isS3 {
		return appendEncoded(dst, decode(path, false), true)
	}
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return appendEncoded(dst, path, true)
	}
	return appendEncoded(dst, cleanPath(path), true)
}

func cleanPath(path string) string {
	var out []string
	for seg := range strings.SplitSeq(path, "/") {
		switch seg {
		case "", ".":
		case "..":
			out = out[:max(0, len(out)-1)]
		default:
			out = append(out, seg)
		}
	}
	if len(out) == 0 {
		return "/"
	}
	clean := "/" + strings.Join(out, "/")
	if strings.HasSuffix(path, "/") {
		clean += "/"
	}
	return clean
}

// appendHeaders writes the canonical headers: "name:value\n" in the order of the list.
func appendHeaders(dst []byte, r *http.Request, list string) []byte {
	for name := range strings.SplitSeq(list, ";") {
		dst = append(dst, name...)
		dst = append(dst, ':')
		dst = appendValues(dst, r, name)
		dst = append(dst, '\n')
	}
	return dst
}

// appendValues writes a header's values. net/http keeps some headers elsewhere than in Header.
func appendValues(dst []byte, r *http.Request, name string) []byte {
	if name == "host" || name == ":authority" {
		return appendTrimmed(dst, r.Host)
	}
	var buf [128]byte
	values := r.Header[string(appendCanonicalKey(buf[:0], name))]
	switch {
	case len(values) == 0 && name == "content-length" && r.ContentLength >= 0:
		return strconv.AppendInt(dst, r.ContentLength, 10)
	case len(values) == 0 && name == "transfer-encoding":
		values = r.TransferEncoding
	}
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendTrimmed(dst, v)
	}
	return dst
}

// appendTrimmed writes a value without outer space and with one space for each run of spaces.
func appendTrimmed(dst []byte, v string) []byte {
	v = strings.Trim(v, " \t")
	for {
		i := strings.Index(v, "  ")
		if i < 0 {
			return append(dst, v...)
		}
		dst = append(dst, v[:i+1]...)
		v = strings.TrimLeft(v[i:], " ")
	}
}

// appendCanonicalKey writes a lower-case header name as net/http spells it.
func appendCanonicalKey(dst []byte, name string) []byte {
	up := true
	for i := range len(name) {
		c := name[i]
		if up && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		dst = append(dst, c)
		up = c == '-'
	}
	return dst
}

func appendLower(dst []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// appendCanonical writes the canonical request.
func appendCanonical(dst []byte, r *http.Request, s *signature, query []param, payload string) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, '\n')
	dst = appendPath(dst, rawPath(r), s.service == s3)
	dst = append(dst, '\n')
	for i, p := range query {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(dst, p.name...)
		dst = append(dst, '=')
		dst = append(dst, p.value...)
	}
	dst = append(dst, '\n')
	dst = appendHeaders(dst, r, s.headers)
	dst = append(dst, '\n')
	dst = append(dst, s.headers...)
	dst = append(dst, '\n')
	return append(dst, payload...)
}

// appendStringToSign writes the string to sign for the canonical request.
func appendStringToSign(dst []byte, s *signature, canonical []byte) []byte {
	dst = append(dst, algorithm...)
	dst = append(dst, '\n')
	dst = append(dst, s.iso...)
	dst = append(dst, '\n')
	dst = appendScope(dst, s.scope)
	dst = append(dst, '\n')
	return appendHash(dst, canonical)
}

func appendScope(dst []byte, s scope) []byte {
	dst = append(append(dst, s.date...), '/')
	dst = append(append(dst, s.region...), '/')
	dst = append(append(dst, s.service...), '/')
	return append(dst, terminator...)
}

// appendHash writes the hex SHA-256 of b.
func appendHash(dst, b []byte) []byte {
	sum := sha256.Sum256(b)
	return hex.AppendEncode(dst, sum[:])
}
