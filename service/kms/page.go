package kms

import (
	"encoding/base64"
	"strings"

	api "github.com/enfold-run/enfold/api/kms"
)

// page is a part of a list: from a marker on, so many entries. A marker tells the last key of the page before.
type page struct {
	list  string
	after string
	limit int
	n     int
	last  string
	more  bool
}

// newPage starts a page of at most limit entries; most bounds it.
func newPage(list string, marker *string, limit *int, usual, most int) (*page, error) {
	p := &page{list: list, limit: usual}
	if limit != nil {
		p.limit = min(*limit, most)
	}
	if marker == nil {
		return p, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(*marker)
	after, ok := strings.CutPrefix(string(b), list+"\n")
	if err != nil || !ok {
		return nil, api.ErrInvalidMarker.Withf("Invalid marker '%s'", *marker)
	}
	p.after = after
	return p, nil
}

// take says whether the entry of this key is still on the page.
func (p *page) take(key string) bool {
	if p.n == p.limit {
		p.more = true
		return false
	}
	p.n, p.last = p.n+1, key
	return true
}

// next is the marker of the next page, nil on the last one, and whether there is one.
func (p *page) next() (marker *string, truncated *bool) {
	if p.more {
		marker = new(base64.RawURLEncoding.EncodeToString([]byte(p.list + "\n" + p.last)))
	}
	return marker, new(p.more)
}
