package http1

import (
	"errors"
	"net/http"
	"net/textproto"
	"strings"
)

// maxFields is how many header fields a request may have.
const maxFields = 250

var (
	errHeadTooLarge = errors.New("request head too large")
	errVersion      = errors.New("HTTP version not supported")
	errCoding       = errors.New("transfer coding not supported")
	errExpectation  = errors.New("expectation not supported")
)

// head is a request's head.
type head struct {
	method, target, host string
	header               http.Header // without Host and Transfer-Encoding

	length  int64 // of the body; -1: chunked
	old     bool  // HTTP/1.0
	close   bool  // the connection ends with this request
	keep    bool  // HTTP/1.0: the client wants it to stay
	expects bool  // 100-continue

	hosts, lengths, codings int
}

// parse reads a head whose lines all end in CRLF, and are so many. values holds the header's values as long as it has room.
func (h *head) parse(text string, lines int, values []string) error {
	line, text, _ := strings.Cut(text, "\r\n")
	if err := h.parseLine(line); err != nil {
		return err
	}
	if lines-1 > maxFields {
		return errHeadTooLarge
	}
	h.header = make(http.Header, lines-1)
	for text != "" {
		line, text, _ = strings.Cut(text, "\r\n")
		name, value, err := splitField(line)
		if err != nil {
			return err
		}
		if kept, err := h.field(name, value); err != nil || !kept {
			if err != nil {
				return err
			}
			continue
		}
		if old := h.header[name]; old != nil {
			h.header[name] = append(old, value)
			continue
		}
		if len(values) == 0 {
			values = make([]string, 8)
		}
		values[0] = value
		h.header[name] = values[:1:1]
		values = values[1:]
	}
	return h.check()
}

// parseLine takes "METHOD target HTTP/1.x" apart.
func (h *head) parseLine(line string) error {
	method, rest, ok := strings.Cut(line, " ")
	if !ok || !isToken(method) {
		return errSyntax
	}
	target, version, ok := strings.Cut(rest, " ")
	if !ok {
		return errSyntax
	}
	switch version {
	case "HTTP/1.1":
	case "HTTP/1.0":
		h.old, h.close = true, true
	default:
		if len(version) == 8 && strings.HasPrefix(version, "HTTP/") && isDigit(version[5]) && version[6] == '.' && isDigit(version[7]) {
			return errVersion
		}
		return errSyntax
	}
	h.method, h.target = method, target
	return nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// splitField takes "Name: value" apart, trims the value and spells the name as net/http does.
func splitField(line string) (name, value string, err error) {
	colon := strings.IndexByte(line, ':')
	if colon <= 0 {
		return "", "", errSyntax
	}
	if name, err = fieldName(line[:colon]); err != nil {
		return "", "", err
	}
	value = trim(line[colon+1:])
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return "", "", errSyntax
		}
	}
	return name, value, nil
}

// fieldName checks a field's name and spells it "Like-This".
func fieldName(name string) (string, error) {
	up, canonical := true, true
	for i := range len(name) {
		c := name[i]
		if !tokenByte[c] {
			return "", errSyntax
		}
		if up && c >= 'a' && c <= 'z' || !up && c >= 'A' && c <= 'Z' {
			canonical = false
		}
		up = c == '-'
	}
	if canonical {
		return name, nil
	}
	return textproto.CanonicalMIMEHeaderKey(name), nil
}

// trim cuts optional white space off both ends.
func trim(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// field notes what a field says about the request itself, and whether it belongs in the Header.
func (h *head) field(name, value string) (kept bool, err error) {
	switch name {
	case "Host":
		h.host = value
		h.hosts++
		return false, nil
	case "Content-Length":
		n, ok := parseLength(value)
		if !ok {
			return false, errSyntax
		}
		h.length = n
		h.lengths++
	case "Transfer-Encoding":
		if !strings.EqualFold(value, "chunked") {
			return false, errCoding
		}
		h.codings++
		return false, nil
	case "Expect":
		if !strings.EqualFold(value, "100-continue") {
			return false, errExpectation
		}
		h.expects = true
	case "Connection":
		h.connection(value)
	}
	return true, nil
}

// connection reads the tokens of a Connection field.
func (h *head) connection(value string) {
	if hasToken(value, "close") {
		h.close = true
	}
	if hasToken(value, "keep-alive") {
		h.keep = true
	}
}

// hasToken says whether a list has a token in it, which is in lower case.
func hasToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(trim(t), token) {
			return true
		}
	}
	return false
}

// check refuses heads that could be read in two ways.
func (h *head) check() error {
	switch {
	case h.hosts > 1, h.hosts == 0 && !h.old, !isHost(h.host):
		return errSyntax
	case h.lengths > 1, h.codings > 1, h.lengths > 0 && h.codings > 0, h.codings > 0 && h.old:
		return errSyntax
	}
	if h.codings > 0 {
		h.length = -1
	}
	if h.old && h.keep && len(h.header["Connection"]) == 1 && !hasToken(h.header["Connection"][0], "close") {
		h.close = false
	}
	h.expects = h.expects && !h.old && h.length != 0
	return nil
}

// parseLength reads a Content-Length: digits only.
func parseLength(s string) (int64, bool) {
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// isToken reports whether s is a token of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if !tokenByte[s[i]] {
			return false
		}
	}
	return len(s) > 0
}

// bytesOf are letters, digits and more.
func bytesOf(more string) (t [256]bool) {
	for c := range 256 {
		t[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	for _, c := range more {
		t[c] = true
	}
	return t
}

var tokenByte = bytesOf("!#$%&'*+-.^_`|~")
