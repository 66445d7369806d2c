package filter

import (
	"encoding/json"
	"errors"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		name, pattern string
		yes, no       []string
	}{
		{
			"exact", `{"a":["x",1,true,null]}`,
			[]string{`{"a":"x"}`, `{"a":1}`, `{"a":1.0}`, `{"a":10e-1}`, `{"a":true}`, `{"a":null}`, `{"a":["y","x"]}`, `{"a":[["x"]]}`},
			[]string{`{"a":"1"}`, `{"a":"true"}`, `{"a":"null"}`, `{}`, `{"a":[]}`, `{"a":{}}`, `{"b":"x"}`, `[]`, `"x"`, `nonsense`, `{"a":"x"} {}`},
		},
		{"all keys", `{"a":["x"],"b":["y"]}`, []string{`{"a":"x","b":"y","c":1}`}, []string{`{"a":"x"}`, `{"a":"x","b":"x"}`}},
		{"prefix", `{"a":[{"prefix":"bas"}]}`, []string{`{"a":"bas"}`, `{"a":"baseball"}`}, []string{`{"a":"rugby"}`, `{"a":"BASE"}`, `{"a":1}`}},
		{"prefix in any case", `{"a":[{"prefix":{"equals-ignore-case":"BaS"}}]}`, []string{`{"a":"bAseball"}`}, []string{`{"a":"ba"}`}},
		{"suffix", `{"a":[{"suffix":"ball"}]}`, []string{`{"a":"baseball"}`}, []string{`{"a":"balls"}`}},
		{"suffix in any case", `{"a":[{"suffix":{"equals-ignore-case":"BALL"}}]}`, []string{`{"a":"baseBall"}`}, []string{`{"a":"balls"}`}},
		{"any case", `{"a":[{"equals-ignore-case":"tennis"}]}`, []string{`{"a":"TENNIS"}`, `{"a":"tennis"}`}, []string{`{"a":"tenni"}`}},
		{"anything but a text", `{"a":[{"anything-but":"rugby"}]}`, []string{`{"a":"tennis"}`, `{"a":1}`, `{"a":["rugby","tennis"]}`}, []string{`{"a":"rugby"}`, `{}`, `{"a":["rugby"]}`}},
		{"anything but numbers", `{"a":[{"anything-but":[100,500]}]}`, []string{`{"a":101}`, `{"a":"100"}`}, []string{`{"a":100}`, `{"a":500.0}`}},
		{"anything but a prefix", `{"a":[{"anything-but":{"prefix":"bas"}}]}`, []string{`{"a":"rugby"}`}, []string{`{"a":"basket"}`}},
		{"anything but suffixes", `{"a":[{"anything-but":{"suffix":["ball","ing"]}}]}`, []string{`{"a":"rugby"}`}, []string{`{"a":"basketball"}`, `{"a":"running"}`}},
		{"anything but in any case", `{"a":[{"anything-but":{"equals-ignore-case":["Rugby","tennis"]}}]}`, []string{`{"a":"golf"}`}, []string{`{"a":"TENNIS"}`}},
		{"anything but a wildcard", `{"a":[{"anything-but":{"wildcard":"*ball"}}]}`, []string{`{"a":"golf"}`}, []string{`{"a":"football"}`}},
		{"equal numbers", `{"a":[{"numeric":["=",301.5]}]}`, []string{`{"a":301.5}`, `{"a":3015e-1}`}, []string{`{"a":"301.5"}`, `{"a":301}`}},
		{"less", `{"a":[{"numeric":["<",0]}]}`, []string{`{"a":-0.001}`}, []string{`{"a":0}`, `{"a":-0}`, `{"a":1}`}},
		{"a range", `{"a":[{"numeric":[">",0,"<=",150]}]}`, []string{`{"a":150}`, `{"a":1e-300}`}, []string{`{"a":0}`, `{"a":150.0000000000000000000000001}`, `{"a":"100"}`}},
		{"at least", `{"a":[{"numeric":[">=",5]}]}`, []string{`{"a":5}`, `{"a":1e999999}`}, []string{`{"a":4.9}`, `{"a":1e99999999999999999999}`}},
		{"exists", `{"a":[{"exists":true}]}`, []string{`{"a":null}`, `{"a":""}`, `{"a":[1]}`}, []string{`{}`, `{"a":[]}`, `{"a":{"b":1}}`}},
		{"does not exist", `{"a":{"b":[{"exists":false}]}}`, []string{`{}`, `{"a":{}}`, `{"a":{"c":1}}`, `{"a":1}`}, []string{`{"a":{"b":1}}`}},
		{"not there or a text", `{"a":["x",{"exists":false}]}`, []string{`{}`, `{"a":"x"}`}, []string{`{"a":"y"}`}},
		{"an address", `{"a":[{"cidr":"10.0.0.0/24"}]}`, []string{`{"a":"10.0.0.255"}`}, []string{`{"a":"10.0.1.1"}`, `{"a":"x"}`, `{"a":10}`}},
		{"a longer address", `{"a":[{"cidr":"2001:db8::/32"}]}`, []string{`{"a":"2001:db8:1::2"}`}, []string{`{"a":"2001:db9::"}`, `{"a":"10.0.0.1"}`}},
		{"a wildcard", `{"a":[{"wildcard":"a*b*c"}]}`, []string{`{"a":"abc"}`, `{"a":"a--b--b--c"}`}, []string{`{"a":"acb"}`, `{"a":"abcd"}`, `{"a":"ac"}`}},
		{"a wildcard whose ends would overlap", `{"a":[{"wildcard":"ab*ba"}]}`, []string{`{"a":"abba"}`}, []string{`{"a":"aba"}`}},
		{"a star that is one", `{"a":[{"wildcard":"a\\*\\\\*"}]}`, []string{`{"a":"a*\\x"}`}, []string{`{"a":"ab\\x"}`}},
		{"nested", `{"a":{"b":{"c":["x"]}}}`, []string{`{"a":{"b":{"c":"x"}}}`, `{"a":{"b":[{"c":"y"},{"c":"x"}]}}`}, []string{`{"a":{"b":"x"}}`}},
		{"one element has it all", `{"a":{"b":[1],"c":[2]}}`, []string{`{"a":[{"b":1,"c":3},{"b":1,"c":2}]}`}, []string{`{"a":[{"b":1,"c":3},{"b":2,"c":2}]}`}},
		{"one of two", `{"k":["x"],"$or":[{"a":[1]},{"b":[2],"c":[3]}]}`, []string{`{"k":"x","a":1}`, `{"k":"x","b":2,"c":3}`}, []string{`{"k":"x"}`, `{"k":"x","b":2}`, `{"a":1}`}},
		{"one of two, nested", `{"a":{"$or":[{"b":[1]},{"$or":[{"c":[2]},{"d":[3]}]}]}}`, []string{`{"a":{"b":1}}`, `{"a":{"d":3}}`}, []string{`{"a":{"d":2}}`, `{"b":1}`}},
		{"$or is a name", `{"$or":["x"]}`, []string{`{"$or":"x"}`}, []string{`{}`}},
		{"$or of operators is a name", `{"$or":[{"prefix":"x"},{"suffix":"y"}]}`, []string{`{"$or":"xz"}`}, []string{`{}`}},
		{"dots in the pattern", `{"a.b":["x"]}`, []string{`{"a":{"b":"x"}}`, `{"a.b":"x"}`}, []string{`{"a":"x"}`, `{"b":"x"}`}},
		{"dots in the document", `{"a":{"b":{"c":["x"]}}}`, []string{`{"a.b.c":"x"}`, `{"a.b":{"c":"x"}}`, `{"a":{"b.c":"x"}}`, `{"a":{"z":1},"a.b.c":"x"}`}, []string{`{"a":1,"a.b.c":"x"}`}},
		{"nothing", `{}`, []string{`{}`, `{"a":1}`}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Compile([]byte(c.pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range c.yes {
				if !p.Match([]byte(d)) {
					t.Errorf("%s does not match %s", c.pattern, d)
				}
			}
			for _, d := range c.no {
				if p.Match([]byte(d)) {
					t.Errorf("%s matches %s", c.pattern, d)
				}
			}
		})
	}
}

func TestAttributes(t *testing.T) {
	p, err := CompileAttributes([]byte(`{"a.b":["x"],"none":[null,{"anything-but":"y"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		attributes map[string]any
		want       bool
	}{
		{map[string]any{"a.b": "x"}, true},
		{map[string]any{"a.b": "x", "a": "z"}, true},
		{map[string]any{"a.b": "x", "none": "z"}, true},
		{map[string]any{"a.b": "x", "none": "y"}, false},
		{map[string]any{"a.b": []any{"y", "x"}}, true},
		{map[string]any{"a": map[string]any{"b": "x"}}, false},
	} {
		if got := p.MatchDocument(NewDocument(c.attributes)); got != c.want {
			t.Errorf("%v matches = %t", c.attributes, got)
		}
	}
}

// TestErrors compares with what AWS was recorded to answer.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		pattern, message string
		column           int
	}{
		{`{"key":[["value"]]}`, "Match value must be String, number, true, false, or null", 10},
		{`{"key":[{"wrong-operator":true}]}`, "Unrecognized match type wrong-operator", 31},
		{`{"key":[{"suffix":"value","prefix":"value2"}]}`, "Only one key allowed in match expression", 37},
		{`{"key":[{"suffix":100}]}`, "suffix match pattern must be a string", 22},
		{`{"key":[{"suffix":null}]}`, "suffix match pattern must be a string", 23},
		{`{"key":{"suffix":"value"}}`, `"suffix" must be an object or an array`, 19},
		{`{"key":[{"suffix":[]}]}`, "suffix match pattern must be a string", 20},
		{`{"key":[{"suffix":["test","test2"]}]}`, "suffix match pattern must be a string", 20},
		{`{"key":{"suffix":"value","prefix":"value"}}`, `"suffix" must be an object or an array`, 19},
		{`{"key":{"not-an-operator":"value"}}`, `"not-an-operator" must be an object or an array`, 28},
		{`{"key":[{"numeric":[]}]}`, "Invalid member in numeric match: ]", 22},
		{`{"key":[{"numeric":["operator"]}]}`, "Unrecognized numeric range operator: operator", 32},
		{`{"key":[{"numeric":[1,"<="]}]}`, "Invalid member in numeric match: 1", 22},
		{`{"key":[{"numeric":["=","000"]}]}`, "Value of equals must be numeric", 26},
		{`{"key":[{"numeric":[">="]}]}`, "Value of >= must be numeric", 26},
		{`{"key":[{"numeric":["<",100,">",10]}]}`, "Too many elements in numeric expression", 30},
		{`{"key":[{"numeric":[">=",1,">",2]}]}`, "Bad numeric range operator: >", 31},
		{`{"key":[{"numeric":[">",3,"<",1]}]}`, "Bottom must be less than top", 33},
		{`{"key":[{"numeric":[">",20,"<="]}]}`, "Value of <= must be numeric", 33},
		{`{"key":[{"numeric":[">",20,30]}]}`, "Bad value in numeric range: 30", 30},
		{`{"key":[{"numeric":[">",20,"test"]}]}`, "Bad numeric range operator: test", 34},
		{`{"key":[{"numeric":[">","20","<","30"]}]}`, "Value of > must be numeric", 26},
		{`{"key":[{"numeric":[">",20,"<","30"]}]}`, "Value of < must be numeric", 33},
		{`{"key":[{"numeric":[">",20,"<",30,"<",50]}]}`, "Too many terms in numeric range expression", 36},
		{`{"key":[{"exists":null}]}`, "exists match pattern must be either true or false.", 23},
		{`{"key":[{"exists":"no"}]}`, "exists match pattern must be either true or false.", 20},
		{`{"key":[]}`, "Empty arrays are not allowed", 10},
		{`{"key":[{"anything-but":{"exists":false}}]}`, "Unsupported anything-but pattern: exists", 40},
		{`{"key":[{"anything-but":{"prefix":false}}]}`, "prefix match pattern must be a string", 40},
		{`{"key":[{"cidr":["bad-filter"]}]}`, "prefix match pattern must be a string", 18},
		{`{"key_a":"value_one"}`, `"key_a" must be an object or an array`, 11},
		{`{"key":[{"cidr":"bad-filter"}]}`, "Malformed CIDR, one '/' required", 0},
		{`{"key":[{"cidr":"bad-filter/64"}]}`, "Nonstandard IP address: bad-filter", 0},
		{`{"key":[{"cidr":"10.0.0.0/x"}]}`, "Malformed CIDR, mask bits must be an integer", 0},
		{`invalid`, "failed to parse JSON. Unrecognized token 'invalid': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')", 8},
		{`{invalid`, "failed to parse JSON. Unexpected character ('i' (code 105)): was expecting double-quote to start field name", 2},
	} {
		t.Run(c.pattern, func(t *testing.T) {
			spaced := strings.ReplaceAll(c.pattern, ":[", ": [")
			_, err := Compile([]byte(spaced))
			var e *SyntaxError
			if !errors.As(err, &e) {
				t.Fatalf("the error is %v", err)
			}
			if e.Message != c.message || e.Column != c.column {
				t.Errorf("%q at %d, want %q at %d", e.Message, e.Column, c.message, c.column)
			}
			if e.Text != "" && !strings.HasSuffix(e.Error(), "\n at [Source: (String)\""+c.pattern+"\"; line: 1, column: "+itoa(c.column)+"]") {
				t.Errorf("written as %q", e.Error())
			}
		})
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestStats(t *testing.T) {
	for _, c := range []struct {
		pattern string
		want    Stats
	}{
		{`{}`, Stats{Combinations: 1, Weighted: 1}},
		{`{"a":["x","y"],"b":["z"]}`, Stats{Keys: 2, Combinations: 2, Weighted: 2}},
		{`{"a":{"b":{"c":["x","y","z"]}},"d":{"e":["x"]}}`, Stats{Keys: 2, Combinations: 3, Weighted: 18, Nested: true}},
		{`{"a":["x","y","z"],"$or":[{"b":["x","y"]},{"c":["x"]}]}`, Stats{Keys: 3, Combinations: 9, Weighted: 9}},
	} {
		p, err := Compile([]byte(c.pattern))
		if err != nil {
			t.Fatal(err)
		}
		if p.Stats() != c.want {
			t.Errorf("%s: %+v, want %+v", c.pattern, p.Stats(), c.want)
		}
	}
	huge := `{` + strings.TrimSuffix(strings.Repeat(`"k":["a","b","c","d"],`, 1000), ",") + `}`
	if p, err := Compile([]byte(huge)); err != nil || p.Stats().Combinations != MaxCombinations {
		t.Errorf("4^1000 combinations: %v", err)
	}
}

func TestBounds(t *testing.T) {
	if _, err := Compile([]byte(strings.Repeat(`{"a":`, MaxDepth+1) + `["x"]` + strings.Repeat("}", MaxDepth+1))); err == nil {
		t.Error("a pattern may be nested without end")
	}
	if _, err := Compile([]byte(`{"a":["` + strings.Repeat("x", MaxText) + `"]}`)); err == nil {
		t.Error("a pattern may be long without end")
	}
}

// TestLinear matches what makes matchers backtrack, against a document that just does not fit.
func TestLinear(t *testing.T) {
	p, err := Compile([]byte(`{"a":[{"wildcard":"` + strings.Repeat("a*", 50) + `b"},{"anything-but":{"wildcard":"*"}}],"$or":[{"$or":[{"x":[1]},{"y":[1]}]},{"z":[1]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	doc := []byte(`{"a":["` + strings.Repeat("a", 1<<20) + `"],"d":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`)
	begun := time.Now()
	if p.Match(doc) {
		t.Error("it matches")
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestDecimals compares with exact arithmetic.
func TestDecimals(t *testing.T) {
	some := func() string {
		digits := func(n int) string {
			b := make([]byte, 1+rand.IntN(n))
			for i := range b {
				b[i] = byte('0' + rand.IntN(3)*rand.IntN(5))
			}
			return string(b)
		}
		s := digits(4)
		if rand.IntN(2) == 0 {
			s += "." + digits(4)
		}
		if rand.IntN(2) == 0 {
			s += []string{"e", "E+", "e-"}[rand.IntN(3)] + digits(1)
		}
		return []string{"", "-"}[rand.IntN(2)] + s
	}
	for range 20_000 {
		a, b := some(), some()
		x, ok := parseDecimal(a)
		y, ok2 := parseDecimal(b)
		p, ok3 := new(big.Rat).SetString(a)
		q, ok4 := new(big.Rat).SetString(b)
		if !ok || !ok2 || !ok3 || !ok4 {
			t.Fatalf("%s, %s: %t %t %t %t", a, b, ok, ok2, ok3, ok4)
		}
		if x.compare(y) != p.Cmp(q) || (x.key() == y.key()) != (p.Cmp(q) == 0) {
			t.Fatalf("%s against %s: %d, keys %s %s, want %d", a, b, x.compare(y), x.key(), y.key(), p.Cmp(q))
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add([]byte(`{"a":[{"numeric":[">",1,"<=",2]},{"anything-but":{"prefix":"x"}}],"$or":[{"b":["x"]},{"c":[{"wildcard":"a*"}]}]}`), []byte(`{"a":1.5,"b":"x"}`))
	f.Add([]byte(`{"a.b":[{"cidr":"10.0.0.0/8"},null]}`), []byte(`{"a":{"b":"10.1.1.1"},"a.b":2}`))
	f.Add([]byte(`{"key":[{"suffix":["test"]}]}`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, pattern, document []byte) {
		p, err := Compile(pattern)
		var e *SyntaxError
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("another error: %v", err)
		}
		if err != nil {
			return
		}
		first := p.Match(document)
		again, err := Compile(pattern)
		if err != nil || again.Match(document) != first || again.Stats() != p.Stats() {
			t.Errorf("%s against %s: once %t", pattern, document, first)
		}
		if flat, err := CompileAttributes(pattern); err == nil {
			flat.Match(document)
		}
	})
}

// FuzzAnythingBut is a property: a value satisfies anything-but if and only if it does not satisfy the thing.
func FuzzAnythingBut(f *testing.F) {
	f.Add("prefix", "bas", "baseball")
	f.Add("wildcard", "a*b", "ab")
	f.Add("equals-ignore-case", "X", "x")
	f.Fuzz(func(t *testing.T, operator, operand, value string) {
		is, _ := json.Marshal(map[string]any{"k": []any{map[string]any{operator: operand}}})
		but, _ := json.Marshal(map[string]any{"k": []any{map[string]any{"anything-but": map[string]any{operator: operand}}}})
		doc, _ := json.Marshal(map[string]any{"k": value})
		p, err := Compile(is)
		q, err2 := Compile(but)
		if err != nil || err2 != nil {
			return
		}
		if p.Match(doc) == q.Match(doc) {
			t.Errorf("%s and %s are the same of %s", is, but, doc)
		}
	})
}
