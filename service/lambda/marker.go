package lambda

import (
	"crypto/sha256"
	"encoding/base64"
)

// defaultPage and maxPage are how many entries one page of a list holds.
const (
	defaultPage = 50
	maxPage     = 50
)

// Markers are opaque: a check sum, then the key of the last entry of the page before. The sum binds a marker to the list
// it came from; it keeps mistakes out, not attackers, who could only page through what they may read anyway.
const markerSum = 8

// newMarker is the marker of the page after key in a list.
func newMarker(list, key string) *string {
	sum := markerCheck(list, key)
	m := base64.RawURLEncoding.EncodeToString(append(sum[:markerSum:markerSum], key...))
	return &m
}

// openMarker is the key that a marker stands for: empty for the first page.
func openMarker(list string, marker *string) (string, error) {
	if str(marker) == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(*marker)
	if err != nil || len(b) <= markerSum {
		return "", invalid("The specified Marker is invalid.")
	}
	key := string(b[markerSum:])
	if sum := markerCheck(list, key); string(sum[:markerSum]) != string(b[:markerSum]) {
		return "", invalid("The specified Marker is invalid.")
	}
	return key, nil
}

func markerCheck(list, key string) [sha256.Size]byte {
	return sha256.Sum256([]byte(list + "\x00\x00" + key))
}

// pageSize is how many entries a page holds when the caller asked for n.
func pageSize(n *int) int {
	if n == nil || *n < 1 {
		return defaultPage
	}
	return min(*n, maxPage)
}
