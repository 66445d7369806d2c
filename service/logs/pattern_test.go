package logs

import (
	"errors"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/logs"
)

// The examples are those of
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html.
func TestPatternMatches(t *testing.T) {
	const (
		failed   = "[INFO] REQUEST FAILED"
		warning  = "[WARN] UNAUTHORIZED REQUEST"
		bad      = "[ERROR] 400 BAD REQUEST"
		missing  = "[ERROR 401] ARGUMENTS MISSING"
		access   = `127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534`
		event    = `{"eventType":"UpdateTrail","sourceIPAddress":"111.111.111.111","arrayKey":["value","another value"],"objectList":[{"name":"a","id":1},{"name":"b","id":2}],"SomeObject":null,"flag":true,"off":false,"bandwidth":75,"latency":50.5,"user":{"id":1,"email":"John.Stiles@example.com"},"a.b":"dotted","code":"404"}`
		notJSON  = `{"eventType":"UpdateTrail"`
		twoJSONs = `{"eventType":"UpdateTrail"} {}`
	)
	for _, tt := range []struct {
		pattern string
		message string
		want    bool
	}{
		{"", failed, true},
		{"   ", failed, true},
		{`""`, failed, true},
		{"REQUEST", failed, true},
		{"request", failed, false},
		{"QUES", failed, true},
		{"REQUEST FAILED", failed, true},
		{"FAILED REQUEST", failed, true},
		{"REQUEST INVALID", failed, false},
		{`"REQUEST FAILED"`, failed, true},
		{`"FAILED REQUEST"`, failed, false},
		{`"[INFO]"`, failed, true},
		{`"a \"b\" \\c"`, `say a "b" \c`, true},
		{"ERROR -BAD", bad, false},
		{"ERROR -BAD", missing, true},
		{`-"BAD REQUEST"`, missing, true},
		{`-"BAD REQUEST"`, bad, false},
		{"-ERROR", failed, true},
		{"?ERROR ?WARN", failed, false},
		{"?ERROR ?WARN", warning, true},
		{"?ERROR ?WARN", bad, true},
		{"?INFO REQUEST", bad, true}, // beside other terms a question mark has no effect
		{"?INFO -ERROR", warning, true},
		{`?"BAD REQUEST" ?FAILED`, failed, true},
		{"%AUTHORIZED%", warning, true},
		{"%4[0-9]{2}%", bad, true},
		{"%^ERROR%", bad, false},
		{`%\[ERROR\s40[12]\]%`, missing, true},
		{"Grüße", "viele Grüße", true},

		{`{ $.eventType = "UpdateTrail" }`, event, true},
		{`{$.eventType="UpdateTrail"}`, event, true},
		{`{ $.eventType = UpdateTrail }`, event, true},
		{`{ $.eventType = "Update*" }`, event, true},
		{`{ $.eventType = "*date*" }`, event, true},
		{`{ $.eventType = "*Update" }`, event, false},
		{`{ $.eventType = "a*a" }`, `{"eventType":"a"}`, false},
		{`{ $.eventType = %^Up.*il$% }`, event, true},
		{`{ $.eventType != %Trail% }`, event, false},
		{`{ $.eventType = "UpdateTrail" }`, notJSON, false},
		{`{ $.eventType = "UpdateTrail" }`, twoJSONs, false},
		{`{ $.eventType = "UpdateTrail" }`, "plain", false},
		{`{ $.sourceIPAddress != 123.123.* }`, event, true},
		{`{ $.sourceIPAddress = 111.111.* }`, event, true},
		{`{ $.arrayKey[0] = "value" }`, event, true},
		{`{ $.arrayKey[1] = "another value" }`, event, true},
		{`{ $.arrayKey[2] = "value" }`, event, false},
		{`{ $.arrayKey = "value" }`, event, false},
		{`{ $.objectList[1].id = 2 }`, event, true},
		{`{ $.objectList[1].id = "2" }`, event, false},
		{`{ $.SomeObject IS NULL }`, event, true},
		{`{ $.flag IS NULL }`, event, false},
		{`{ $.SomeOtherObject NOT EXISTS }`, event, true},
		{`{ $.flag NOT EXISTS }`, event, false},
		{`{ $.flag IS TRUE }`, event, true},
		{`{ $.off IS TRUE }`, event, false},
		{`{ $.off IS FALSE }`, event, true},
		{`{ $.flag = true }`, event, true},
		{`{ $.bandwidth > 75 }`, event, false},
		{`{ $.bandwidth >= 75 }`, event, true},
		{`{ $.latency < 50.6 }`, event, true},
		{`{ $.latency <= 5e1 }`, event, false},
		{`{ $.bandwidth != 75 }`, event, false},
		{`{ $.bandwidth = 7* }`, event, true},
		{`{ $.code > 1 }`, event, false},
		{`{ $.missing != "x" }`, event, false},
		{`{ $.user.email = "John.*" && $.user.id = 1 }`, event, true},
		{`{ ($.user.id = 2 || $.user.id = 1) && $.flag IS FALSE }`, event, false},
		{`{ $.user.id = 1 || $.user.id = 1 && $.flag IS FALSE }`, event, true},
		{`{ (($.user.id = 1) && ($.bandwidth = 75)) }`, event, true},
		{`{ $.['a.b'] = "dotted" }`, event, true},
		{`{ $["a.b"] = "dotted" }`, event, true},
		{`{ $[1] = 2 }`, `[1,2]`, true},

		{`[ip, stage, user, timestamp, request, status, bytes]`, access, true},
		{`[ip, stage, user, timestamp, request, status]`, access, false},
		{`[ip, stage, user, timestamp, request, status = 4*, bytes > 1000]`, access, true},
		{`[ip, stage, user, timestamp, request, status = 404, bytes > 2000]`, access, false},
		{`[ip, ..., status = 404, bytes]`, access, true},
		{`[..., status = 5*, bytes]`, access, false},
		{`[ip = %127\.0\.0\.[0-9]+%, ...]`, access, true},
		{`[..., request = "*index*", status, bytes]`, access, true},
		{`[ip, stage, user, timestamp = "10/Oct*", ...]`, access, true},
		{`[w1 = "[ERROR*" || w1 = ERROR, ...]`, bad, true},
		{`[w1 != ERROR && w1 != WARN, ...]`, bad, false},
		{`[w1 != ERROR && w1 != INFO, ...]`, warning, true},
		{`[...]`, "", true},
		{`[...]`, bad, true},
		{`[w1, w2, w3, w4, ..., w5]`, bad, false},
	} {
		m, err := parsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		if got := m([]byte(tt.message)); got != tt.want {
			t.Errorf("%s\n\ton %s\n\tis %v, want %v", tt.pattern, tt.message, got, tt.want)
		}
	}
}

func TestPatternErrors(t *testing.T) {
	for _, tt := range []struct{ pattern, want string }{
		{`{ $.a = 1`, "If a filter pattern starts with '{' it must end with '}'"},
		{`{`, "If a filter pattern starts with '{' it must end with '}'"},
		{`[a, b`, "If a filter pattern starts with '[' it must end with ']'"},
		{"user@example.com", "Invalid filter pattern: Invalid character(s) in term 'user@example.com'"},
		{`ERROR ""`, `Invalid filter pattern: Invalid character(s) in term '""'`},
		{`"open`, `Invalid filter pattern: Invalid character(s) in term '"open'`},
		{"-", "Invalid filter pattern: Invalid character(s) in term ''"},
		{"%(a)%", "Invalid filter pattern: Invalid character(s) in term '%(a)%'"},
		{"%something!%", "Invalid filter pattern: Invalid character(s) in term '%something!%'"},
		{"%[a%", "Invalid filter pattern: Invalid character(s) in term '%[a%'"},
		{`{ $.a = %a% && $.b = %b% && $.c = %c% }`, "Invalid filter pattern: A pattern can have at most 2 regular expressions"},
		{`{ }`, "Invalid filter pattern: Invalid character(s) in term ''"},
		{`{ $.a }`, "Invalid filter pattern: Invalid character(s) in term ''"},
		{`{ $.a = }`, "Invalid filter pattern: Invalid character(s) in term ''"},
		{`{ $.a > "x" }`, "Invalid filter pattern: Invalid character(s) in term 'x'"},
		{`{ $.a[x] = 1 }`, "Invalid filter pattern: Invalid character(s) in term '[x] = 1 '"},
		{`{ $.a = 1 && }`, "Invalid filter pattern: Invalid character(s) in term ''"},
		{`{ ($.a = 1 }`, "Invalid filter pattern: Invalid character(s) in term ''"},
		{`{ $.a = 1 $.b = 2 }`, "Invalid filter pattern: Invalid character(s) in term '$.b = 2 '"},
		{`{ $.a IS BLUE }`, "Invalid filter pattern: Invalid character(s) in term 'IS BLUE'"},
		{`[a = 1 && b = 2]`, "Invalid filter pattern: Invalid character(s) in term 'b'"},
		{`[a, ..., b, ...]`, "Invalid filter pattern: An ellipsis can occur only once"},
		{`[a ? 1]`, "Invalid filter pattern: Invalid character(s) in term '? 1'"},
		{`[]`, "Invalid filter pattern: Invalid character(s) in term ''"},
		{strings.Repeat("a", 1025), "Invalid filter pattern: Pattern is too long"},
	} {
		_, err := parsePattern(tt.pattern)
		if !errors.Is(err, api.ErrInvalidParameter) || err.Error() != "InvalidParameterException: "+tt.want {
			t.Errorf("%s\n\tgot  %v\n\twant %s", tt.pattern, err, tt.want)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, seed := range []string{
		"", "a -b ?c", `"x y" -%z+%`, `{ $.a[0].b = "x*" && ($.c > 3 || $.d NOT EXISTS) }`, `[a = 1* || a != "x", ..., b >= 2]`,
		`{ $['a'] = %a{2,3}% }`, "{((((((((((", `["`, `%\x41%`, "\xff", "{ $.a = \xff }",
	} {
		f.Add(seed, `{"a":[{"b":"xy"}],"c":4}`)
		f.Add(seed, `a "b c" [d] 12`)
	}
	f.Fuzz(func(t *testing.T, pattern, message string) {
		m, err := parsePattern(pattern)
		if err != nil {
			if !errors.Is(err, api.ErrInvalidParameter) {
				t.Fatalf("%q: %v", pattern, err)
			}
			return
		}
		if first, again := m([]byte(message)), m([]byte(message)); first != again {
			t.Fatalf("%q is of two minds about %q", pattern, message)
		}
	})
}
