package http1

import (
	"net/url"
	"strings"
)

var (
	hostByte  = bytesOf("!$%&'()*+,-.:;=[]_~") // RFC 3986: a host in any of its spellings, with a port
	plainByte = bytesOf("-._~/:@$&+=")         // what a path has as it is, encoded or not
)

// isHost reports whether s may stand in a Host field: a host, or nothing.
func isHost(s string) bool {
	for i := range len(s) {
		if !hostByte[s[i]] {
			return false
		}
	}
	return true
}

// parseTarget reads a request's target into u. The host is that of an absolute target, "" otherwise.
func parseTarget(u *url.URL, method, target string) (host string, err error) {
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return "", errSyntax
		}
	}
	switch {
	case target == "", method == "CONNECT": // we are no proxy
		return "", errSyntax
	case target[0] == '/':
		if parsePlain(u, target) {
			return "", nil
		}
	case target == "*":
		if method != "OPTIONS" {
			return "", errSyntax
		}
		u.Path = "*"
		return "", nil
	case !hasScheme(target):
		return "", errSyntax
	}
	parsed, err := url.ParseRequestURI(target)
	if err != nil || parsed.User != nil || !isHost(parsed.Host) {
		return "", errSyntax
	}
	*u = *parsed
	return parsed.Host, nil
}

func hasScheme(target string) bool {
	scheme, rest, ok := strings.Cut(target, "://")
	return ok && rest != "" && rest[0] != '/' && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"))
}

// parsePlain reads the usual target, whose path means the same encoded and decoded, as url.ParseRequestURI would.
func parsePlain(u *url.URL, target string) bool {
	path, query, asked := strings.Cut(target, "?")
	if asked && query == "" {
		return false
	}
	for i := range len(path) {
		if !plainByte[path[i]] {
			return false
		}
	}
	u.Path, u.RawQuery = path, query
	return true
}
