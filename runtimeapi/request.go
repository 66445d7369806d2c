package runtimeapi

import (
	"bytes"
	"errors"
)

// Limits of a request's head.
const (
	maxHead       = 64 << 10 // all lines together, the X-Ray cause apart
	maxHeaders    = 100
	maxXRayCause  = 1<<20 + 1<<10 // aws-lambda-go sends up to 1 MB
	maxID         = 128
	maxChunkLine  = 256      // a chunk's size with its extensions
	maxExtensions = 16 << 10 // of all chunks of a body
)

var (
	errHeadTooLarge = errors.New("request head too large")
	errVersion      = errors.New("HTTP version not supported")
	errCoding       = errors.New("transfer coding not supported")
	errExpectation  = errors.New("expectation not supported")
)

type route uint8

const (
	routeNone route = iota
	routeNext
	routeResponse
	routeError
	routeInitError
	routePing
	routeRestoreNext
	routeRestoreError
	routeCredentials
)

type mode uint8

const (
	modeBuffered mode = iota
	modeStreaming
	modeInvalid
)

// request is the head of a request, as far as the routes care.
type request struct {
	route  route
	method method
	id     [maxID]byte // of the path
	idLen  int         // -1: longer than any request id

	length  int64 // of the body; -1: chunked
	close   bool  // the connection ends with this request
	old     bool  // HTTP/1.0
	expects bool  // 100-continue

	contentType string
	errorType   string
	token       string // the Authorization header, for routeCredentials only
	mode        mode

	hosts, lengths, codings int
}

func (q *request) is(id string) bool { return q.idLen == len(id) && string(q.id[:q.idLen]) == id }

type method uint8

const (
	methodOther method = iota
	methodGet
	methodHead
	methodPost
)

// allowed is the one method of a route.
func (r route) allowed() method {
	switch r {
	case routeNext, routePing, routeRestoreNext, routeCredentials:
		return methodGet
	}
	return methodPost
}

// readRequest reads a head up to the empty line. io.EOF means that the peer closed the connection between requests.
func readRequest(b *reader, q *request) error {
	*q = request{}
	line, err := b.line(maxLine - 2)
	if err == nil && len(line) == 0 { // RFC 9112 section 2.2: an empty line before a request is ignored
		line, err = b.line(maxLine - 2)
	}
	if err != nil {
		return headErr(err)
	}
	if err := q.parseLine(line); err != nil {
		return err
	}
	budget := maxHead - len(line)
	for range maxHeaders + 1 {
		if cause, err := atXRayCause(b); err != nil {
			return headErr(err)
		} else if cause {
			if err := b.skipLine(maxXRayCause); err != nil {
				return headErr(err)
			}
			continue
		}
		line, err := b.line(maxLine - 2)
		if err != nil {
			return headErr(unexpected(err))
		}
		if len(line) == 0 {
			return q.check()
		}
		if budget -= len(line) + 2; budget < 0 {
			return errHeadTooLarge
		}
		name, value, err := splitHeader(line)
		if err != nil {
			return err
		}
		if err := q.header(name, value); err != nil {
			return err
		}
	}
	return errHeadTooLarge
}

func headErr(err error) error {
	if errors.Is(err, errTooLong) {
		return errHeadTooLarge
	}
	return err
}

var xrayCause = []byte("lambda-runtime-function-xray-error-cause:")

// atXRayCause reports whether the next line is the X-Ray cause header, reading no more than it takes to tell.
func atXRayCause(b *reader) (bool, error) {
	for {
		have := b.buf[b.r:b.w]
		n := min(len(have), len(xrayCause))
		if !equalFold(have[:n], xrayCause[:n]) {
			return false, nil
		}
		if n == len(xrayCause) {
			return true, nil
		}
		if err := b.fill(); err != nil {
			return false, unexpected(err)
		}
	}
}

// parseLine takes "METHOD target HTTP/1.x" apart.
func (q *request) parseLine(line []byte) error {
	name, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok || !isToken(name) {
		return errSyntax
	}
	target, version, ok := bytes.Cut(rest, []byte{' '})
	if !ok || len(target) == 0 {
		return errSyntax
	}
	switch string(version) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		q.old, q.close = true, true
	default:
		if len(version) == 8 && bytes.HasPrefix(version, []byte("HTTP/")) {
			return errVersion
		}
		return errSyntax
	}
	switch string(name) {
	case "GET":
		q.method = methodGet
	case "HEAD":
		q.method = methodHead
	case "POST":
		q.method = methodPost
	}
	return q.parseTarget(target)
}

// parseTarget finds the route. Targets are compared as they are: no escapes, no dots, no doubled slashes.
func (q *request) parseTarget(target []byte) error {
	for _, c := range target {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return errSyntax
		}
	}
	if target[0] != '/' { // "http://host/path", as clients send it that think us a proxy
		if len(target) < 8 || !equalFold(target[:7], []byte("http://")) {
			if string(target) == "*" {
				return nil
			}
			return errSyntax
		}
		i := bytes.IndexByte(target[7:], '/')
		if i < 0 {
			return nil
		}
		target = target[7+i:]
	}
	path, _, _ := bytes.Cut(target, []byte{'?'})
	switch string(path) {
	case "/ping":
		q.route = routePing
		return nil
	case CredentialsPath:
		q.route = routeCredentials
		return nil
	}
	path, ok := bytes.CutPrefix(path, []byte("/2018-06-01/"))
	if !ok {
		return nil
	}
	switch string(path) {
	case "runtime/invocation/next":
		q.route = routeNext
		return nil
	case "runtime/init/error":
		q.route = routeInitError
		return nil
	case "runtime/restore/next":
		q.route = routeRestoreNext
		return nil
	case "runtime/restore/error":
		q.route = routeRestoreError
		return nil
	case "ping":
		q.route = routePing
		return nil
	}
	if path, ok = bytes.CutPrefix(path, []byte("runtime/invocation/")); !ok {
		return nil
	}
	id, verb, _ := bytes.Cut(path, []byte{'/'})
	if len(id) == 0 {
		return nil
	}
	switch string(verb) {
	case "response":
		q.route = routeResponse
	case "error":
		q.route = routeError
	default:
		return nil
	}
	if q.idLen = copy(q.id[:], id); len(id) > maxID {
		q.idLen = -1
	}
	return nil
}

// header notes a header that matters and ignores all others.
func (q *request) header(name, value []byte) error {
	switch len(name) {
	case len("host"):
		if equalFold(name, []byte("host")) {
			q.hosts++
		}
	case len("expect"):
		if equalFold(name, []byte("expect")) {
			if !equalFold(value, []byte("100-continue")) {
				return errExpectation
			}
			q.expects = true
		}
	case len("connection"):
		if equalFold(name, []byte("connection")) {
			q.connection(value)
		}
	case len("content-type"):
		if equalFold(name, []byte("content-type")) {
			q.contentType = intern(value)
		}
	case len("content-length"):
		if equalFold(name, []byte("content-length")) {
			n, ok := parseLength(value)
			if !ok {
				return errSyntax
			}
			q.length = n
			q.lengths++
		}
	case len("authorization"):
		if q.route == routeCredentials && equalFold(name, []byte("authorization")) {
			q.token = string(value)
		}
	case len("transfer-encoding"):
		if equalFold(name, []byte("transfer-encoding")) {
			if !equalFold(value, []byte("chunked")) {
				return errCoding
			}
			q.codings++
		}
	case len("lambda-runtime-function-error-type"):
		if equalFold(name, []byte("lambda-runtime-function-error-type")) {
			q.errorType = normalErrorType(value)
		}
	case len("lambda-runtime-function-response-mode"):
		if equalFold(name, []byte("lambda-runtime-function-response-mode")) && len(value) > 0 {
			q.mode = modeInvalid
			if string(value) == "streaming" {
				q.mode = modeStreaming
			}
		}
	}
	return nil
}

// connection reads the tokens of a Connection header.
func (q *request) connection(value []byte) {
	for len(value) > 0 {
		var token []byte
		token, value, _ = bytes.Cut(value, []byte{','})
		if equalFold(bytes.Trim(token, " \t"), []byte("close")) {
			q.close = true
		}
	}
}

// check refuses heads whose body could be read in two ways.
func (q *request) check() error {
	switch {
	case q.hosts > 1, q.hosts == 0 && !q.old:
		return errSyntax
	case q.lengths > 1, q.codings > 1, q.lengths > 0 && q.codings > 0, q.codings > 0 && q.old:
		return errSyntax
	}
	if q.codings > 0 {
		q.length = -1
	}
	q.expects = q.expects && !q.old && q.length != 0
	return nil
}

// splitHeader takes "Name: value" apart and trims the value.
func splitHeader(line []byte) (name, value []byte, err error) {
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok || !isToken(name) {
		return nil, nil, errSyntax
	}
	value = bytes.Trim(value, " \t")
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return nil, nil, errSyntax
		}
	}
	return name, value, nil
}

// parseLength reads a Content-Length: digits only.
func parseLength(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// isToken reports whether b is a token of RFC 9110 section 5.6.2.
func isToken(b []byte) bool {
	for _, c := range b {
		if !tokenByte[c] {
			return false
		}
	}
	return len(b) > 0
}

var tokenByte = func() (t [256]bool) {
	for c := range 256 {
		t[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

// equalFold compares ASCII without regard to case; lower is in lower case.
func equalFold(b, lower []byte) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// intern makes a string of a media type, without allocating for the usual ones.
func intern(b []byte) string {
	switch string(b) {
	case "application/json":
		return "application/json"
	case "application/octet-stream":
		return "application/octet-stream"
	}
	return string(b)
}
