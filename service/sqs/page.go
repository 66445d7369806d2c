package sqs

import (
	"encoding/base64"
)

// page is a part of a list: from a token on, so many entries. A token tells the last key of the page before.
type page struct {
	after   string
	limit   int
	limited bool // the request gave the limit: only then is there a token
	n       int
	last    string
	more    bool
}

func newPage(token *string, limit *int) (*page, error) {
	p := &page{limit: maxList}
	if limit != nil {
		if *limit < 1 || *limit > maxList {
			return nil, wrong(*limit, "MaxResults", "MaxResults must be an integer between 1 and 1000.")
		}
		p.limit, p.limited = *limit, true
	}
	if value(token) == "" {
		return p, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(*token)
	if err != nil || len(b) == 0 || len(b) > maxName {
		return nil, invalid("Invalid or expired next token.")
	}
	p.after = string(b)
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

// next is the token of the next page; nil on the last one.
func (p *page) next() *string {
	if !p.more || !p.limited {
		return nil
	}
	return new(base64.RawURLEncoding.EncodeToString([]byte(p.last)))
}
