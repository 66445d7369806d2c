package policy

import "strings"

// outcome is what became of a condition.
type outcome uint8

const (
	fails outcome = iota
	holds
	lacks // fails for want of a key, which is noted as pending
)

// judge says whether the condition holds for the request.
func (c *Condition) judge(e *eval) outcome {
	values, ok := e.values(c.key)
	if c.test.family == nullFamily {
		return c.judgeNull(len(values) == 0 || len(values) == 1 && values[0] == "")
	}
	if c.test.set == forAllValues && len(values) == 1 && values[0] == "" {
		values = nil // "resolves to an empty data set, such as an empty string"
	}
	if len(values) == 0 {
		return c.judgeAbsent(e, ok)
	}
	for _, v := range values {
		matched, resolved := c.matchesAny(e, v)
		if !resolved {
			return lacks
		}
		if matched != c.test.negated { // this value is as the condition wants it
			if c.test.set == forAnyValue || c.test.set == single && !c.test.negated {
				return holds
			}
		} else if c.test.set == forAllValues || c.test.set == single && c.test.negated {
			return fails
		}
	}
	if c.test.set == forAllValues || c.test.set == single && c.test.negated {
		return holds
	}
	return fails
}

// judgeNull compares whether the key is absent with "true" or "false".
func (c *Condition) judgeNull(absent bool) outcome {
	for i := range c.values {
		if strings.EqualFold(c.values[i].raw, "true") && absent || strings.EqualFold(c.values[i].raw, "false") && !absent {
			return holds
		}
	}
	return fails
}

// judgeAbsent is for a key that the request does not have, or has without a value.
func (c *Condition) judgeAbsent(e *eval, ok bool) outcome {
	switch {
	case c.test.ifExists || c.test.set == forAllValues || c.test.set == single && c.test.negated:
		return holds
	case ok:
		return fails
	}
	e.pending = append(e.pending, c.key)
	return lacks
}

// matchesAny says whether a value of the request matches one of the policy's. resolved is false if none did and a variable
// had no value.
func (c *Condition) matchesAny(e *eval, s string) (matched, resolved bool) {
	resolved = true
	mark := len(e.pending)
	for i := range c.values {
		m, r := c.values[i].matches(e, c.test, s)
		if m {
			e.pending = e.pending[:mark]
			return true, true
		}
		resolved = resolved && r
	}
	return false, resolved
}
