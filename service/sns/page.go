package sns

import "encoding/base64"

// pageSize is how many entries an answer has.
const pageSize = 100

// page is a part of a list, from a token on. A token tells the last key of the page before.
type page struct {
	after string
	n     int
	last  string
	more  bool
}

func newPage(token *string) (*page, error) {
	p := &page{}
	if token == nil || *token == "" {
		return p, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(*token)
	if err != nil || len(b) == 0 || len(b) > 1024 {
		return nil, invalid("NextToken")
	}
	p.after = string(b)
	return p, nil
}

// take says whether the entry of this key is still on the page.
func (p *page) take(key string) bool {
	if p.n == pageSize {
		p.more = true
		return false
	}
	p.n, p.last = p.n+1, key
	return true
}

// next is the token of the next page; nil on the last one.
func (p *page) next() *string {
	if !p.more {
		return nil
	}
	return new(base64.RawURLEncoding.EncodeToString([]byte(p.last)))
}
