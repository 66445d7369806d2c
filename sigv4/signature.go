package sigv4

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	isoBasic   = "20060102T150405Z"
	s3         = "s3"

	// MaxSkew is how far a signature's time may be from ours, either way.
	MaxSkew = 15 * time.Minute
	// MaxExpires is how long a presigned URL may live.
	MaxExpires = 7 * 24 * time.Hour

	maxAuthorization = 8 << 10 // bytes of the Authorization header
	maxSignedHeaders = 4 << 10 // bytes of the list of signed headers
	maxToken         = 16 << 10
	maxQueryParams   = 1000
)

// signature is what a request says about its signature, none of it believed yet.
type signature struct {
	scope
	token     string
	headers   string // "host;x-amz-date"
	hex       string
	at        time.Time
	iso       string // at, as it was signed
	presigned bool
	expires   time.Duration // of a presigned URL
	payload   string        // x-amz-content-sha256; empty if not given
	query     []param       // canonical, sorted, without X-Amz-Signature
}

// parse reads the signature of a request in whichever form it comes.
func parse(r *http.Request) (*signature, error) {
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	auth := r.Header["Authorization"]
	inQuery := has(query, "X-Amz-Algorithm")
	if !inQuery {
		inQuery = has(query, "X-Amz-Signature")
	}
	switch {
	case len(auth) == 0 && !inQuery:
		return nil, MissingToken()
	case len(auth) > 0 && inQuery, len(auth) > 1:
		return nil, ErrIncompleteSignature.New("Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, " +
			"Signature query string parameter or the Authorization header should be specified")
	case inQuery:
		return parsePresigned(r, query)
	}
	s, err := parseAuthorization(auth[0], r.Header)
	if err != nil {
		return nil, err
	}
	s.query = query
	return s, nil
}

// parseAuthorization reads the header form.
func parseAuthorization(auth string, h http.Header) (*signature, error) {
	if len(auth) > maxAuthorization {
		return nil, ErrIncompleteSignature.New("Authorization header is too long")
	}
	alg, rest, _ := strings.Cut(auth, " ")
	if alg != algorithm {
		if strings.HasPrefix(alg, "AWS4-") {
			return nil, ErrIncompleteSignature.Withf("Unsupported AWS 'algorithm': '%s'.", quoted(alg))
		}
		return nil, notKeyValue(auth)
	}
	s := &signature{}
	var credential string
	for rest != "" {
		var field string
		field, rest, _ = strings.Cut(rest, ",")
		if field = strings.TrimSpace(field); field == "" {
			continue
		}
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			return nil, notKeyValue(auth)
		}
		to := parameter(name, &credential, &s.headers, &s.hex)
		if to == nil {
			continue
		}
		if *to != "" {
			return nil, ErrIncompleteSignature.Withf("Authorization header has more than one '%s' parameter.", name)
		}
		*to = value
	}
	date, ok := headerDate(h)
	if credential == "" || s.hex == "" || s.headers == "" || !ok {
		return nil, incomplete(auth, lacking(credential, s.hex, s.headers, ok))
	}
	if err := s.setCredential(credential); err != nil {
		return nil, err
	}
	s.token, s.payload = h.Get("X-Amz-Security-Token"), h.Get("X-Amz-Content-Sha256")
	return s, s.setDate(date)
}

// parameter is where the value of a parameter of the Authorization header goes, nil for one that nobody knows.
func parameter(name string, credential, headers, signature *string) *string {
	switch name {
	case "Credential":
		return credential
	case "SignedHeaders":
		return headers
	case "Signature":
		return signature
	}
	return nil
}

func lacking(credential, signature, headers string, date bool) []string {
	var missing []string
	for _, p := range [...]struct{ name, value string }{
		{"Credential", credential}, {"Signature", signature}, {"SignedHeaders", headers},
	} {
		if p.value == "" {
			missing = append(missing, "Authorization header requires '"+p.name+"' parameter.")
		}
	}
	if !date {
		missing = append(missing, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	return missing
}

// headerDate is X-Amz-Date, or Date in the same spelling.
func headerDate(h http.Header) (string, bool) {
	if d := h["X-Amz-Date"]; len(d) == 1 && d[0] != "" {
		return d[0], true
	}
	if len(h["X-Amz-Date"]) > 0 || len(h["Date"]) != 1 {
		return "", false
	}
	if t, err := http.ParseTime(h["Date"][0]); err == nil {
		return t.UTC().Format(isoBasic), true
	}
	return h["Date"][0], true
}

// parsePresigned reads the query form.
func parsePresigned(r *http.Request, query []param) (*signature, error) {
	s := &signature{presigned: true}
	var alg, credential, date, expires string
	service := ""
	for _, p := range [...]struct {
		name string
		to   *string
	}{
		{"X-Amz-Credential", &credential},
		{"X-Amz-Algorithm", &alg},
		{"X-Amz-Signature", &s.hex},
		{"X-Amz-Date", &date},
		{"X-Amz-SignedHeaders", &s.headers},
		{"X-Amz-Expires", &expires},
		{"X-Amz-Security-Token", &s.token},
		{"X-Amz-Content-Sha256", &s.payload},
	} {
		value, n := lookUp(query, p.name)
		if n > 1 {
			return nil, malformedQuery(service, "Query-string authentication has more than one '%s' parameter.", p.name)
		}
		*p.to = value
	}
	if _, rest, ok := strings.Cut(credential, "/"); ok { // the service, for its errors' sake
		if f := strings.Split(rest, "/"); len(f) == 4 {
			service = f[2]
		}
	}
	if expires == "" && service != s3 {
		expires = strconv.Itoa(int(MaxSkew / time.Second)) // only S3 insists
	}
	if alg == "" || credential == "" || s.hex == "" || date == "" || s.headers == "" || expires == "" {
		return nil, malformedQuery(service, "Query-string authentication version 4 requires the X-Amz-Algorithm, "+
			"X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
	}
	if alg != algorithm {
		return nil, malformedQuery(service, "Unsupported AWS 'algorithm': '%s'.", quoted(alg))
	}
	seconds, err := strconv.ParseUint(expires, 10, 31)
	if err != nil {
		return nil, malformedQuery(service, "X-Amz-Expires should be a number")
	}
	s.expires = time.Duration(seconds) * time.Second
	if seconds == 0 || s.expires > MaxExpires {
		return nil, malformedQuery(service, "X-Amz-Expires must be between 1 and 604800 seconds")
	}
	if given := r.Header.Get("X-Amz-Content-Sha256"); given != "" {
		s.payload = given
	}
	if s.token == "" {
		s.token = r.Header.Get("X-Amz-Security-Token")
	}
	s.query = without(query, "X-Amz-Signature")
	if err := s.setCredential(credential); err != nil {
		return nil, err
	}
	return s, s.setDate(date)
}

// setCredential reads keyid/date/region/service/aws4_request.
func (s *signature) setCredential(c string) error {
	id, rest, ok1 := strings.Cut(c, "/")
	date, rest, ok2 := strings.Cut(rest, "/")
	region, rest, ok3 := strings.Cut(rest, "/")
	service, term, ok4 := strings.Cut(rest, "/")
	if !ok1 || !ok2 || !ok3 || !ok4 || strings.Contains(term, "/") {
		return ErrIncompleteSignature.Withf("Credential must have exactly 5 slash-delimited elements, "+
			"e.g. keyid/date/region/service/term, got '%s'", quoted(c))
	}
	s.scope = scope{accessKeyID: id, date: date, region: region, service: service}
	switch {
	case term != terminator:
		return ErrInvalidSignature.Withf("Credential should be scoped with a valid terminator: 'aws4_request', not '%s'.", quoted(term))
	case !isWord(region, 64):
		return ErrInvalidSignature.Withf("Credential should be scoped to a valid region, not '%s'.", quoted(region))
	case !isWord(service, 64):
		return ErrInvalidSignature.Withf("Credential should be scoped to correct service, not '%s'.", quoted(service))
	case !isWord(id, 128):
		return unknownKey(service)
	}
	return nil
}

// isWord says that s is of letters, digits and "-_." and not longer than n: safe in an ARN and in a log.
func isWord(s string, n int) bool {
	for i := range len(s) {
		if !unreserved[s[i]] || s[i] == '~' {
			return false
		}
	}
	return s != "" && len(s) <= n
}

// setDate reads the time of the signature and holds it against the date of the credential scope.
func (s *signature) setDate(iso string) error {
	at, err := time.Parse(isoBasic, iso)
	if err != nil || len(iso) != len(isoBasic) {
		return ErrIncompleteSignature.Withf("Date must be in ISO-8601 'basic format'. Got '%s'. "+
			"See http://en.wikipedia.org/wiki/ISO_8601", quoted(iso))
	}
	if s.date != iso[:8] {
		return ErrInvalidSignature.Withf("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "+
			"from HTTP: '%s' != '%s', from '%s'.", quoted(s.date), iso[:8], iso)
	}
	s.at, s.iso = at, iso
	return nil
}

// checkTime refuses what is too old or not yet valid.
func (s *signature) checkTime(now time.Time) error {
	if s.at.Sub(now) > MaxSkew {
		return stale(s.service, s.at, now)
	}
	if s.presigned {
		if now.Sub(s.at) > s.expires {
			return presignExpired(s.service)
		}
		return nil
	}
	if now.Sub(s.at) > MaxSkew {
		return stale(s.service, s.at, now)
	}
	return nil
}

// checkHeaders demands that host and every x-amz-* header present were signed.
func (s *signature) checkHeaders(h http.Header) error {
	if len(s.headers) > maxSignedHeaders || len(s.token) > maxToken {
		return mismatch(s.service)
	}
	if !s.signs("host") && !s.signs(":authority") {
		return unsignedHeader(s.service, "Host' or ':authority")
	}
	var buf [128]byte
	for name := range h {
		if !strings.HasPrefix(name, "X-Amz-") || name == "X-Amz-Security-Token" {
			continue
		}
		if !s.signs(string(appendLower(buf[:0], name))) {
			return unsignedHeader(s.service, quoted(strings.ToLower(name)))
		}
	}
	return nil
}

// signs says that a header, by its name in lower case, is in the list of signed ones.
func (s *signature) signs(name string) bool {
	for list := s.headers; ; {
		i := strings.Index(list, name)
		if i < 0 {
			return false
		}
		end := i + len(name)
		if (i == 0 || list[i-1] == ';') && (end == len(list) || list[end] == ';') {
			return true
		}
		list = list[i+1:]
	}
}
