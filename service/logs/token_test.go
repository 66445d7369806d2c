package logs

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

func drawPosition(t *rapid.T) position {
	return position{
		at:       rapid.Int64Range(0, maxAt).Draw(t, "at"),
		sequence: rapid.Int64Range(0, maxSequence).Draw(t, "sequence"),
		index:    rapid.IntRange(0, maxChunkEvents).Draw(t, "index"),
	}
}

func TestGapToken(t *testing.T) {
	shape := regexp.MustCompile(`^[fb]/\d{56}$`)
	rapid.Check(t, func(t *rapid.T) {
		backward, g := rapid.Bool().Draw(t, "backward"), gap{drawPosition(t), rapid.Bool().Draw(t, "after")}
		id := rapid.Uint64().Draw(t, "stream")
		token := gapToken(backward, g, id)
		if !shape.MatchString(token) {
			t.Fatalf("%q does not look like AWS's", token)
		}
		b, got, ok := parseGapToken(token, id)
		if !ok || b != backward || got != g {
			t.Fatalf("%s: got %v %+v %v", token, b, got, ok)
		}
		if _, _, ok := parseGapToken(token, id+1); ok {
			t.Fatal("a token is good for another stream")
		}
	})
}

func TestEventID(t *testing.T) {
	shape := regexp.MustCompile(`^\d{56}$`)
	rapid.Check(t, func(t *rapid.T) {
		p, q := drawPosition(t), drawPosition(t)
		a, b := eventID(newID(), p), eventID(newID(), q)
		if !shape.MatchString(a) {
			t.Fatalf("%q does not look like AWS's", a)
		}
		if p.at < q.at && a >= b {
			t.Fatalf("%s is not before %s", a, b)
		}
	})
}

func TestListToken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		place := rapid.StringN(0, 200, 1000).Draw(t, "place")
		token := listToken(place, "a", "b")
		got, err := parseListToken(&token, "a", "b")
		if err != nil || got != place {
			t.Fatalf("got %q, %v", got, err)
		}
		if _, err := parseListToken(&token, "a", "c"); err == nil {
			t.Fatal("a token is good for other parameters")
		}
	})
	if got, err := parseListToken(nil, "a"); got != "" || err != nil {
		t.Errorf("no token: %q, %v", got, err)
	}
}

func FuzzTokens(f *testing.F) {
	f.Add("")
	f.Add("f/")
	f.Add(gapToken(false, gap{position{1, 2, 3}, true}, 7))
	f.Add(listToken("1 2 3 4", "p"))
	f.Add(listToken("x", "p"))
	f.Fuzz(func(t *testing.T, token string) {
		if b, g, ok := parseGapToken(token, 7); ok && gapToken(b, g, 7) != token {
			t.Fatalf("%q is read as %+v", token, g)
		}
		if p, err := parsePlace(&token, "p"); err == nil && p == nil {
			t.Fatal("a token without a place")
		}
	})
}
