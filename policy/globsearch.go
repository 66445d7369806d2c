package policy

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// anyRune is "?" among the runes of a pattern.
const anyRune = -1

// search matches an encoded pattern in time that nobody can make explode: what is between two stars is searched for with all
// of it tried at the same time, a bit for each character (the shift-and algorithm of Baeza-Yates and Gonnet). The leftmost
// place of each part is the best one, as it leaves the most to the parts behind it.
func (n *steps) search(p, s string) bool {
	text := runes(s)
	parts := strings.Split(p, anyRunText)
	if len(parts) == 1 {
		part := patternRunes(p)
		return len(part) == len(text) && n.at(part, text)
	}
	first, last := patternRunes(parts[0]), patternRunes(parts[len(parts)-1])
	if len(first)+len(last) > len(text) || !n.at(first, text) || !n.at(last, text[len(text)-len(last):]) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		end := n.find(patternRunes(part), text)
		if end < 0 {
			return false
		}
		text = text[end:]
	}
	return true
}

// at says whether a part is where the text begins, which is at least as long.
func (n *steps) at(part, text []rune) bool {
	for i, r := range part {
		*n++
		if r != anyRune && r != text[i] {
			return false
		}
	}
	return true
}

// find is where the leftmost occurrence of a part ends, or -1.
func (n *steps) find(part, text []rune) int {
	if len(part) == 0 {
		return 0
	}
	if len(part) > len(text) {
		return -1
	}
	places, anywhere := n.places(part)
	state, mask := make([]uint64, len(anywhere)), make([]uint64, len(anywhere)) // bit i of state: the last i+1 characters are the part's first
	for at, r := range text {
		copy(mask, anywhere)
		for _, p := range places[r] {
			mask[p.word] |= p.bits
		}
		carry := uint64(1)
		for w, bits := range state {
			*n++
			state[w] = (bits<<1 | carry) & mask[w]
			carry = bits >> 63
		}
		if state[len(state)-1]&(1<<((len(part)-1)%64)) != 0 {
			return at + 1
		}
	}
	return -1
}

// place is where a character is among 64 of a part.
type place struct {
	word int
	bits uint64
}

// places are where each character of a part is, and where any may be, a bit for each.
func (n *steps) places(part []rune) (of map[rune][]place, anywhere []uint64) {
	of, anywhere = map[rune][]place{}, make([]uint64, (len(part)+63)/64)
	for i, r := range part {
		*n++
		word, bit := i/64, uint64(1)<<(i%64)
		list := of[r]
		switch {
		case r == anyRune:
			anywhere[word] |= bit
		case len(list) > 0 && list[len(list)-1].word == word:
			list[len(list)-1].bits |= bit
		default:
			of[r] = append(list, place{word, bit})
		}
	}
	return of, anywhere
}

// runes are the characters of a text. A byte that is not UTF-8 is one of its own, unlike any character.
func runes(s string) []rune {
	all := make([]rune, 0, len(s))
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			r = utf8.MaxRune + 1 + rune(s[i])
		}
		all = append(all, r)
		i += size
	}
	return all
}

// patternRunes are those of a part of an encoded pattern.
func patternRunes(part string) []rune {
	all := runes(part)
	for i, r := range all {
		if r == utf8.MaxRune+1+anyOne {
			all[i] = anyRune
		}
	}
	return slices.Clip(all)
}
