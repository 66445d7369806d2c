package ecr

import (
	"encoding/base64"
	"encoding/json"
)

// page is a part of a list: from a token on, so many entries.
type page struct {
	List  string `json:"l"` // what list it is
	After string `json:"a"` // key of the last row that was told whole
	// Of the row behind it, of this digest, the tags up to Tag were told too.
	Digest string `json:"d,omitempty"`
	Tag    string `json:"t,omitempty"`

	limit int
}

const maxPageToken = 4 << 10

// newPage starts a page at a token.
func newPage(list string, token *string, limit *int) (*page, error) {
	p := &page{List: list, limit: usualPage}
	if limit != nil {
		p.limit = *limit
	}
	if token == nil {
		return p, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(*token)
	if err != nil || len(b) > maxPageToken || json.Unmarshal(b, p) != nil || p.List != list {
		return nil, invalid("nextToken", "Invalid token")
	}
	return p, nil
}

// next is the token of the next page.
func (p *page) next() *string {
	b, err := json.Marshal(p)
	if err != nil {
		return nil // strings always marshal
	}
	return new(base64.RawURLEncoding.EncodeToString(b))
}
