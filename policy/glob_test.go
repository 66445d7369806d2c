package policy

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMatches(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"*", "", true},
		{"?", "", false},
		{"*", "a/b:c", true},
		{"a*", "a", true},
		{"a*", "ba", false},
		{"*a", "ba", true},
		{"*a", "ab", false},
		{"a*b*c", "aXbYc", true},
		{"a*b*c", "acb", false},
		{"a**b", "ab", true},
		{"*a*", "bab", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"a?", "aé", true},
		{"a??", "aé", false},
		{"*?", "é", true},
		{"*??", "€", false},
		{"*ab", "aab", true},
		{"*aab*", "aaab", true},
		{"a*?b", "ab", false},
		{"A", "a", false},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y", true},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b", false},
		{"arn:aws:lambda:*:function:f", "arn:aws:lambda:us-east-1:111122223333:function:f", true},
		{"[a]", "a", false},
		{"a.c", "abc", false},
		{"${*}", "${x}", true},
		{"\xff", "abc", false},
		{"a\xfe*", "abc", false},
	}
	for _, tt := range tests {
		if got := Matches(tt.pattern, tt.text); got != tt.want {
			t.Errorf("Matches(%q, %q) is %v", tt.pattern, tt.text, got)
		}
	}
}

// TestMatchesLikeRegexp compares with the regular expression that says the same.
func TestMatchesLikeRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab:é*?")), 0, 12, -1).Draw(t, "pattern")
		text := rapid.StringOfN(rapid.RuneFrom([]rune("ab:é")), 0, 16, -1).Draw(t, "text")
		re := strings.NewReplacer("*", ".*", "?", ".").Replace(pattern)
		want := regexp.MustCompile("(?s)^" + re + "$").MatchString(text)
		if got := Matches(pattern, text); got != want {
			t.Fatalf("Matches(%q, %q) is %v", pattern, text, got)
		}
	})
}

// TestSearchIsTry compares the two ways to match, of which the lengths choose one.
func TestSearchIsTry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := encode(rapid.StringOfN(rapid.RuneFrom([]rune("ab:é€*?")), 0, 14, -1).Draw(t, "pattern"))
		text := string(rapid.SliceOfN(rapid.SampledFrom([]byte("aab:\xc3\xa9\xe2\x82\xac\x80\xff")), 0, 24).Draw(t, "text"))
		var n steps
		if got, want := n.search(pattern, text), n.try(pattern, text); got != want {
			t.Fatalf("search(%q, %q) is %v", pattern, text, got)
		}
	})
	long := strings.Repeat("ab", 150) // more than one word of bits
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*" + long + "*", strings.Repeat("ab", 400), true},
		{"*" + long + "?*" + long + "*", strings.Repeat("ab", 301) + "b", true},
		{"*" + long + "?*" + long + "*", strings.Repeat("ab", 300), false},
		{"*" + long + "c*", strings.Repeat("ab", 400) + "c", true},
		{"*b" + long + "c*", strings.Repeat("ab", 400), false},
		{"*" + strings.Repeat("?", 200) + "c*", strings.Repeat("é", 200) + "c", true},
		{"*" + strings.Repeat("?", 200) + "c*", strings.Repeat("é", 199) + "c", false},
	} {
		var n steps
		if got := n.search(encode(c.pattern), c.text); got != c.want || n.try(encode(c.pattern), c.text) != c.want {
			t.Errorf("%.20q… over %d bytes is %v", c.pattern, len(c.text), got)
		}
	}
}

// TestHostilePatterns have what trying every place would take the product of both lengths for, thousands of millions of steps.
func TestHostilePatterns(t *testing.T) {
	text := strings.Repeat("a", 20_000)
	for _, c := range []struct{ name, pattern string }{
		{"text", "*" + strings.Repeat("a", 16_000) + "b*"},
		{"any characters", "*" + strings.Repeat("a?", 8_000) + "b*"},
		{"many parts", "*" + strings.Repeat(strings.Repeat("a", 90)+"b*", 150)},
		{"characters of several bytes", "*" + strings.Repeat("aé?", 5_000) + "*"},
		{"all different", "*" + distinct(15_000) + "*"},
	} {
		pattern := encode(c.pattern)
		var took steps
		if took.glob(pattern, text) {
			t.Errorf("%s matches", c.name)
		}
		if most := len(pattern) + len(text)*(len(pattern)/64+2); int(took) > most {
			t.Errorf("%s: %d steps, want %d at most", c.name, took, most)
		}
	}
}

// distinct is a text of n characters, no two the same.
func distinct(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteRune(rune(0x4e00 + i%0x5000 + i/0x5000*0x10000))
	}
	return b.String()
}

// TestGlobIsLinear counts steps where backtracking would take 2^n: at most pattern times text, and growing with the text no
// faster than it does.
func TestGlobIsLinear(t *testing.T) {
	for _, unit := range []string{"*a", "*a*b", "a*", "*?a", "*aab", "?*"} {
		pattern := encode(strings.Repeat(unit, 20) + "!")
		before := 0
		for _, n := range []int{1_000, 2_000, 4_000} {
			text := strings.Repeat("a", n)
			var took steps
			ok := took.glob(pattern, text)
			if ok || int(took) > (len(pattern)+1)*(n+1) {
				t.Errorf("%q over %d: %v in %d steps", unit, n, ok, took)
			}
			if before > 0 && int(took) > 2*before+len(pattern)*2 {
				t.Errorf("%q over %d: %d steps after %d for half of it", unit, n, took, before)
			}
			before = int(took)
		}
	}
}
