package logs

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"strconv"
)

// position is where an event is in its stream: events are ordered by time, then by arrival.
type position struct {
	at       int64 // milliseconds since 1970
	sequence int64 // of its chunk
	index    int   // in its chunk
}

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.at, q.at), cmp.Compare(p.sequence, q.sequence), cmp.Compare(p.index, q.index))
}

// What fits the digits of tokens and ids.
const (
	maxAt       = 99_999_999_999_999
	maxSequence = 99_999_999_999_999_999
)

// eventID is the 56 digits that name an event: unique among all streams, ordered by time.
func eventID(stream uint64, p position) string {
	return fmt.Sprintf("3%014d%019d%017d%05d", p.at, stream%1e19, p.sequence, p.index)
}

// gap is a place between two events of a stream: before position, or after it.
type gap struct {
	position
	after bool
}

// admits says whether p is on the side of the gap that is read towards.
func (g gap) admits(p position, backward bool) bool {
	c := p.compare(g.position)
	if backward {
		return c < 0 || c == 0 && g.after
	}
	return c > 0 || c == 0 && !g.after
}

// tokenDigits is how AWS's tokens look: "f/" or "b/" and 56 digits.
const tokenDigits = 56

// gapToken is the token to read on from the gap, forward ("f/…") or backward ("b/…"), in the stream.
func gapToken(backward bool, g gap, stream uint64) string {
	direction, side := "f/", 0
	if backward {
		direction = "b/"
	}
	if g.after {
		side = 1
	}
	body := fmt.Sprintf("3%d%014d%017d%05d%08d", side, g.at, g.sequence, g.index, stream%1e8)
	return fmt.Sprintf("%s%s%010d", direction, body, crc32.ChecksumIEEE([]byte(direction+body)))
}

// parseGapToken reads what gapToken made for the same stream.
func parseGapToken(token string, stream uint64) (backward bool, g gap, ok bool) {
	if len(token) != len("f/")+tokenDigits || token[1] != '/' || (token[0] != 'f' && token[0] != 'b') {
		return false, gap{}, false
	}
	backward = token[0] == 'b'
	for _, c := range token[2:] {
		if c < '0' || c > '9' {
			return false, gap{}, false
		}
	}
	number := func(from, to int) int64 {
		n, _ := strconv.ParseInt(token[2+from:2+to], 10, 64) // digits only, and fewer than 19
		return n
	}
	g = gap{position: position{at: number(2, 16), sequence: number(16, 33), index: int(number(33, 38))}, after: number(1, 2) == 1}
	// Made again it must be the same: that checks the sum, the stream and every digit that was not read.
	return backward, g, gapToken(backward, g, stream) == token
}
