package wire

import (
	"reflect"
	"testing"

	"github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
)

// TestModelPatterns checks that RE2 takes every pattern of every served op, as what it does not take lets all pass.
func TestModelPatterns(t *testing.T) {
	count := 0
	for _, s := range []*aws.Service{lambda.Service, logs.Service, sts.Service} {
		for _, op := range s.Ops {
			for _, v := range []any{op.NewInput(), op.NewOutput()} {
				walkPatterns(planOf(reflect.TypeOf(v).Elem()), map[*structPlan]bool{}, func(p *pattern) {
					count++
					if p.compile.Do(p.build); p.match == nil {
						t.Errorf("%s: RE2 does not take %s", op.Name, p.source)
					}
				})
			}
		}
	}
	if count < 100 {
		t.Errorf("only %d patterns", count)
	}
}

func walkPatterns(p *structPlan, seen map[*structPlan]bool, visit func(*pattern)) {
	if seen[p] {
		return
	}
	seen[p] = true
	var walk func(n *node)
	walk = func(n *node) {
		if n == nil {
			return
		}
		if n.check != nil && n.check.pattern != nil {
			visit(n.check.pattern)
		}
		if n.st != nil {
			walkPatterns(n.st, seen, visit)
		}
		walk(n.elem)
		walk(n.key)
	}
	for i := range p.fields {
		walk(p.fields[i].node)
	}
}

func TestPattern(t *testing.T) {
	for _, tc := range []struct {
		pattern, value string
		want           bool
	}{
		{`[a-z]+`, "abc", true},
		{`[a-z]+`, "abc1", false},
		{`[a-z]+`, "abc\n", false},
		{`a|b`, "b", true},
		{`a|b`, "ab", false},
		{`(?!^[0-9]+$)([a-zA-Z0-9-_]+)`, "2024", false},
		{`(?!^[0-9]+$)([a-zA-Z0-9-_]+)`, "2024a", true},
		{`((?!^\d+$)^[0-9a-zA-Z-_]+$)`, "1", false},
		{`((?!^\d+$)^[0-9a-zA-Z-_]+$)`, "v1", true},
		{`[0-9A-Za-z\.\-_]*(?<!\.)`, "bucket.", false},
		{`[0-9A-Za-z\.\-_]*(?<!\.)`, "my.bucket", true},
		{`(^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)`, "system.x", false},
		{`(^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)`, "orders", true},
		{`[\u0009\u000A\u000D\u0020-\u00FF]+`, "é\t", true},
		{`[\u0009\u000A\u000D\u0020-\u00FF]+`, "\u0100", false},
		{`\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+`, "$LATEST", true},
		{`\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+`, "a?", false},
	} {
		p := newPattern(tc.pattern)
		for range 2 { // the second time out of the kept verdicts
			if got := p.matches(tc.value); got != tc.want {
				t.Errorf("%s on %q: got %t", tc.pattern, tc.value, got)
			}
		}
	}
}

// TestVerdictsAreBounded checks that a stream of new names does not fill the memory.
func TestVerdictsAreBounded(t *testing.T) {
	p := newPattern(`x[0-9]+`)
	for i := range 3 * maxVerdicts {
		p.matches("x" + itoa(i))
	}
	kept := 0
	p.accepted.Range(func(any, any) bool { kept++; return true })
	if kept != maxVerdicts {
		t.Errorf("%d verdicts kept", kept)
	}
}
