package filter

import (
	"strconv"
	"strings"
)

// decimal is a number as it was written, without a limit on its digits: sign, and 0.digits times ten to the exponent. Zero has
// no digits.
type decimal struct {
	negative bool
	digits   string // without zeros at either end
	exponent int64
}

// maxExponent bounds exponents as they are written; beyond it a number is no number.
const maxExponent = 1 << 30

// parseDecimal reads a number of JSON.
func parseDecimal(s string) (d decimal, ok bool) {
	s, d.negative = strings.CutPrefix(s, "-")
	mantissa, power := s, ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, power = s[:i], s[i+1:]
		n, err := strconv.ParseInt(strings.TrimPrefix(power, "+"), 10, 64)
		if err != nil || n > maxExponent || n < -maxExponent || strings.HasPrefix(power, "+-") {
			return decimal{}, false
		}
		d.exponent = n
	}
	whole, fraction, point := strings.Cut(mantissa, ".")
	if whole == "" || point && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return decimal{}, false
	}
	all := whole + fraction
	d.exponent += int64(len(whole))
	trimmed := strings.TrimLeft(all, "0")
	d.exponent -= int64(len(all) - len(trimmed))
	if d.digits = strings.TrimRight(trimmed, "0"); d.digits == "" {
		return decimal{}, true
	}
	return d, true
}

// key is the same for equal numbers only.
func (d decimal) key() string {
	sign := ""
	if d.negative {
		sign = "-"
	}
	return sign + d.digits + "e" + strconv.FormatInt(d.exponent, 10)
}

// compare answers -1, 0 or 1.
func (d decimal) compare(o decimal) int {
	if ds, os := d.sign(), o.sign(); ds != os || ds == 0 {
		return order(ds, os)
	}
	c := order(d.exponent, o.exponent)
	if c == 0 {
		c = strings.Compare(d.digits, o.digits)
	}
	if d.negative {
		return -c
	}
	return c
}

func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}

func order[T int | int64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
