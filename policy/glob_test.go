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
