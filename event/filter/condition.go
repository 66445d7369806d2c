package filter

import (
	"net/netip"
	"strconv"
	"strings"
)

// leaf reads the list of a member's conditions.
func (c *compiler) leaf() (*leaf, *SyntaxError) {
	l := &leaf{}
	for c.next() != ']' {
		l.size++
		switch c.kind {
		case tokenString:
			l.addText(c.value())
		case tokenNumber:
			d, ok := parseDecimal(c.raw)
			if !ok {
				return nil, c.wrong("Value of number is out of range")
			}
			l.addNumber(d)
		case tokenTrue, tokenFalse, tokenNull:
			l.addWord(c.raw)
		case tokenObject:
			if err := c.operator(l); err != nil {
				return nil, err
			}
		default:
			return nil, c.wrong("Match value must be String, number, true, false, or null")
		}
	}
	if l.size == 0 {
		return nil, c.wrong("Empty arrays are not allowed")
	}
	return l, nil
}

// operator reads an object of one operator.
func (c *compiler) operator(l *leaf) *SyntaxError {
	if c.next() != tokenName {
		return c.wrong("Empty match expression")
	}
	var err *SyntaxError
	switch name := c.value(); name {
	case "prefix":
		err = c.affix(l, name, prefixTest, foldPrefixTest)
	case "suffix":
		err = c.affix(l, name, suffixTest, foldSuffixTest)
	case "equals-ignore-case":
		err = c.text(l, name, foldTest)
	case "wildcard":
		err = c.wildcard(l)
	case "exists":
		err = c.exists(l)
	case "cidr":
		err = c.cidr(l)
	case "numeric":
		err = c.numeric(l)
	case "anything-but":
		err = c.anythingBut(l)
	default:
		return c.wrong("Unrecognized match type %s", clip(name))
	}
	if err != nil {
		return err
	}
	if c.next() != '}' {
		return c.wrong("Only one key allowed in match expression")
	}
	return nil
}

// text reads a string for a test.
func (c *compiler) text(l *leaf, name string, make func(string) test) *SyntaxError {
	if c.next() != tokenString {
		return c.wrong("%s match pattern must be a string", name)
	}
	l.addTest(make(c.value()))
	return nil
}

// affix reads a string, or an object that says that case does not count.
func (c *compiler) affix(l *leaf, name string, make, makeFolded func(string) test) *SyntaxError {
	peek := c.scanner
	if peek.next() != tokenObject {
		return c.text(l, name, make)
	}
	c.next()
	if c.next() != tokenName || c.value() != "equals-ignore-case" {
		return c.wrong("Unsupported %s pattern: %s", name, clip(c.show()))
	}
	if err := c.text(l, "equals-ignore-case", makeFolded); err != nil {
		return err
	}
	if c.next() != '}' {
		return c.wrong("Only one key allowed in match expression")
	}
	return nil
}

func (c *compiler) wildcard(l *leaf) *SyntaxError {
	if c.next() != tokenString {
		return c.wrong("wildcard match pattern must be a string")
	}
	parts, problem := parseWildcard(c.value())
	if problem != "" {
		return c.wrong("%s", problem)
	}
	l.addTest(wildcardTest(parts))
	return nil
}

func (c *compiler) exists(l *leaf) *SyntaxError {
	switch c.next() {
	case tokenTrue:
		l.present = true
	case tokenFalse:
		l.absent = true
	default:
		return c.wrong("exists match pattern must be either true or false.")
	}
	return nil
}

func (c *compiler) cidr(l *leaf) *SyntaxError {
	if c.next() != tokenString {
		return c.wrong("prefix match pattern must be a string") // AWS's very words
	}
	block, err := parseCIDR(c.value())
	if err != nil {
		return err
	}
	l.addTest(cidrTest(block))
	return nil
}

func parseCIDR(s string) (netip.Prefix, *SyntaxError) {
	address, bits, ok := strings.Cut(s, "/")
	if !ok || strings.Contains(bits, "/") {
		return netip.Prefix{}, bare("Malformed CIDR, one '/' required")
	}
	a, err := netip.ParseAddr(address)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, bare("Nonstandard IP address: %s", clip(address))
	}
	n, err := strconv.Atoi(bits)
	if err != nil {
		return netip.Prefix{}, bare("Malformed CIDR, mask bits must be an integer")
	}
	if n < 0 || n > a.BitLen() {
		return netip.Prefix{}, bare("Malformed CIDR, mask bits must not be more than %d", a.BitLen())
	}
	return netip.PrefixFrom(a, n).Masked(), nil
}

// numeric reads a list of a comparison and a number, or of two that make a range.
func (c *compiler) numeric(l *leaf) *SyntaxError {
	if c.next() != tokenArray {
		return c.wrong("Value of numeric must be an array.")
	}
	if c.next() != tokenString {
		return c.wrong("Invalid member in numeric match: %s", clip(c.show()))
	}
	op := c.value()
	kind := c.next()
	switch op {
	case "=", "<", "<=", ">", ">=":
	default:
		return c.wrong("Unrecognized numeric range operator: %s", clip(op))
	}
	at, ok := parseDecimal(c.raw)
	if kind != tokenNumber || !ok {
		if op == "=" {
			op = "equals"
		}
		return c.wrong("Value of %s must be numeric", op)
	}
	b := bound{set: true, inclusive: len(op) == 2, at: at}
	switch op {
	case "=":
		l.addNumber(at)
	case "<", "<=":
		l.addTest(rangeTest(bound{}, b))
	default:
		return c.rest(l, b)
	}
	if c.next() != ']' {
		return c.wrong("Too many elements in numeric expression")
	}
	return nil
}

// rest reads the upper end of a range, or that there is none.
func (c *compiler) rest(l *leaf, bottom bound) *SyntaxError {
	switch c.next() {
	case ']':
		l.addTest(rangeTest(bottom, bound{}))
		return nil
	case tokenString:
	default:
		return c.wrong("Bad value in numeric range: %s", clip(c.show()))
	}
	op := c.value()
	if op != "<" && op != "<=" {
		return c.wrong("Bad numeric range operator: %s", clip(op))
	}
	kind := c.next()
	at, ok := parseDecimal(c.raw)
	if kind != tokenNumber || !ok {
		return c.wrong("Value of %s must be numeric", op)
	}
	if c.next() != ']' {
		return c.wrong("Too many terms in numeric range expression")
	}
	if bottom.at.compare(at) >= 0 {
		return c.wrong("Bottom must be less than top")
	}
	l.addTest(rangeTest(bottom, bound{set: true, inclusive: len(op) == 2, at: at}))
	return nil
}

// anythingBut reads what a value must not be: a string, a number, a list of either, or an object of one operator.
func (c *compiler) anythingBut(l *leaf) *SyntaxError {
	not := &leaf{}
	switch c.next() {
	case tokenString:
		not.addText(c.value())
	case tokenNumber:
		if err := c.number(not); err != nil {
			return err
		}
	case tokenArray:
		if err := c.list(not); err != nil {
			return err
		}
	case tokenObject:
		if err := c.butOperator(not); err != nil {
			return err
		}
	default:
		return c.wrong("Value of anything-but must be an array or single string/number value.")
	}
	l.addTest(not.none())
	return nil
}

func (c *compiler) number(l *leaf) *SyntaxError {
	d, ok := parseDecimal(c.raw)
	if !ok {
		return c.wrong("Value of number is out of range")
	}
	l.addNumber(d)
	return nil
}

// list reads strings or numbers.
func (c *compiler) list(l *leaf) *SyntaxError {
	texts, numbers := false, false
	for c.next() != ']' {
		switch c.kind {
		case tokenString:
			texts = true
			l.addText(c.value())
		case tokenNumber:
			numbers = true
			if err := c.number(l); err != nil {
				return err
			}
		default:
			return c.wrong("Inside anything-but list, start|null|boolean is not supported.")
		}
		if texts && numbers {
			return c.wrong("Inside anything but list, either all values are number or string, mixed type is not supported")
		}
	}
	if !texts && !numbers {
		return c.wrong("Empty arrays are not allowed")
	}
	return nil
}

// butOperator reads an object of one operator, on a string or a list of strings.
func (c *compiler) butOperator(l *leaf) *SyntaxError {
	if c.next() != tokenName {
		return c.wrong("Empty match expression")
	}
	name := c.value()
	add := func(s string) *SyntaxError {
		switch name {
		case "prefix":
			l.addTest(prefixTest(s))
		case "suffix":
			l.addTest(suffixTest(s))
		case "equals-ignore-case":
			l.addTest(foldTest(s))
		case "wildcard":
			parts, problem := parseWildcard(s)
			if problem != "" {
				return c.wrong("%s", problem)
			}
			l.addTest(wildcardTest(parts))
		}
		return nil
	}
	switch name {
	case "prefix", "suffix", "equals-ignore-case", "wildcard":
	default:
		return c.wrong("Unsupported anything-but pattern: %s", clip(name))
	}
	if err := c.texts(name, add); err != nil {
		return err
	}
	if c.next() != '}' {
		return c.wrong("Only one key allowed in match expression")
	}
	return nil
}

// texts reads a string or a list of strings.
func (c *compiler) texts(name string, add func(string) *SyntaxError) *SyntaxError {
	switch c.next() {
	case tokenString:
		return add(c.value())
	case tokenArray:
	default:
		return c.wrong("%s match pattern must be a string", name)
	}
	n := 0
	for ; c.next() != ']'; n++ {
		if c.kind != tokenString {
			return c.wrong("%s match pattern must be a string", name)
		}
		if err := add(c.value()); err != nil {
			return err
		}
	}
	if n == 0 {
		return c.wrong("Empty arrays are not allowed")
	}
	return nil
}
