package wire

import (
	"strconv"
	"strings"
)

// check is what a value must satisfy.
type check struct {
	required bool
	notNull  bool // an element whose constraints AWS ends with "Member must not be null"
	bare     bool // a list whose elements' enum is written as if it were the list's
	secret   bool // never shown in a message
	min, max *bound
	enum     []string
	pattern  *pattern
	any      bool // there is something to check besides required
}

// bound is a limit as a number and as the model spells it ("0.0").
type bound struct {
	value float64
	text  string
}

// parseCheck reads a check tag; nil if there is none. The pattern is the last option and may hold commas.
func parseCheck(tag string) *check {
	if tag == "" {
		return nil
	}
	c := &check{}
	head, expr, hasPattern := strings.Cut(tag, "pattern=")
	if hasPattern && head != "" && !strings.HasSuffix(head, ",") {
		head, hasPattern = tag, false
	}
	for opt := range strings.SplitSeq(strings.TrimSuffix(head, ","), ",") {
		c.option(opt)
	}
	if hasPattern {
		c.pattern = newPattern(expr)
	}
	c.any = c.min != nil || c.max != nil || c.enum != nil || c.pattern != nil || c.notNull
	return c
}

func (c *check) option(opt string) {
	key, value, _ := strings.Cut(opt, "=")
	switch key {
	case "required":
		c.required = true
	case "notnull":
		c.notNull = true
	case "bare":
		c.bare = true
	case "secret":
		c.secret = true
	case "min":
		c.min = newBound(value)
	case "max":
		c.max = newBound(value)
	case "enum":
		c.enum = strings.Split(value, "|")
	}
}

func newBound(text string) *bound {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil
	}
	return &bound{f, text}
}

// constraints are the sentences of everything that an element must satisfy, in AWS's order.
func (c *check) constraints(k kind) []string {
	var all []string
	if c.max != nil {
		all = append(all, c.tooMuch(k))
	}
	if c.min != nil {
		all = append(all, c.tooLittle(k))
	}
	if c.enum != nil {
		all = append(all, c.notInEnum())
	}
	if c.pattern != nil {
		all = append(all, c.noMatch())
	}
	if c.notNull {
		all = append(all, "Member must not be null")
	}
	return all
}

func (c *check) tooMuch(k kind) string {
	if k == kindInt || k == kindFloat {
		return "Member must have value less than or equal to " + c.max.text
	}
	return "Member must have length less than or equal to " + c.max.text
}

func (c *check) tooLittle(k kind) string {
	if k == kindInt || k == kindFloat {
		return "Member must have value greater than or equal to " + c.min.text
	}
	return "Member must have length greater than or equal to " + c.min.text
}

func (c *check) notInEnum() string {
	return "Member must satisfy enum value set: [" + strings.Join(c.enum, ", ") + "]"
}

func (c *check) noMatch() string {
	return "Member must satisfy regular expression pattern: " + c.pattern.source
}
