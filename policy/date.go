package policy

import (
	"strconv"
	"strings"
	"time"
)

// parseTime reads what IAM takes as a date: the forms of https://www.w3.org/TR/NOTE-datetime, with less than two digits and
// without a zone as well, or seconds since 1970. Without a zone it is UTC.
func parseTime(s string) (time.Time, bool) {
	if s == "" || len(s) > 64 {
		return time.Time{}, false
	}
	date, clock, hasClock := strings.Cut(strings.ToUpper(s), "T")
	if !hasClock && !strings.Contains(s, "-") {
		return parseEpoch(s)
	}
	sign := 1
	if rest, negative := strings.CutPrefix(date, "-"); negative {
		date, sign = rest, -1
	}
	part := strings.Split(date, "-")
	if len(part) > 3 {
		return time.Time{}, false
	}
	year, ok := digits(part[0], 0, 292278993)
	month, day := 1, 1
	if ok && len(part) > 1 {
		month, ok = digits(part[1], 1, 12)
	}
	if ok && len(part) > 2 {
		day, ok = digits(part[2], 1, 31)
	}
	if !ok {
		return time.Time{}, false
	}
	since, ok := parseClock(clock)
	return time.Date(sign*year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Add(since), ok
}

// parseEpoch reads seconds, perhaps with a fraction.
func parseEpoch(s string) (time.Time, bool) {
	whole, fraction, found := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n < 0 || whole[0] == '+' {
		return time.Time{}, false
	}
	nanos, ok := 0, true
	if found {
		nanos, ok = parseFraction(fraction)
	}
	return time.Unix(n, int64(nanos)), ok
}

// parseClock reads "hh:mm:ss.fraction" and a zone; less is midnight. It answers the time since midnight UTC.
func parseClock(s string) (time.Duration, bool) {
	if s == "" {
		return 0, true
	}
	var zone time.Duration
	if i := strings.IndexAny(s, "Z+-"); i >= 0 {
		var ok bool
		if zone, ok = parseZone(s[i:]); !ok {
			return 0, false
		}
		s = s[:i]
	}
	part := strings.Split(s, ":")
	if len(part) > 3 {
		return 0, false
	}
	minute, second, nanos := 0, 0, 0
	hour, ok := digits(part[0], 0, 23)
	if ok && len(part) > 1 {
		minute, ok = digits(part[1], 0, 59)
	}
	if ok && len(part) > 2 {
		whole, fraction, found := strings.Cut(part[2], ".")
		second, ok = digits(whole, 0, 59)
		if ok && found {
			nanos, ok = parseFraction(fraction)
		}
	}
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second +
		time.Duration(nanos) - zone, ok
}

// parseZone reads "Z", "+hh", "+hhmm" or "+hh:mm".
func parseZone(s string) (time.Duration, bool) {
	if s == "Z" {
		return 0, true
	}
	sign := time.Duration(1)
	if s[0] == '-' {
		sign = -1
	}
	text := strings.Replace(s[1:], ":", "", 1)
	if s[0] == 'Z' || len(text) != 2 && len(text) != 4 {
		return 0, false
	}
	hours, ok := digits(text[:2], 0, 23)
	minutes := 0
	if ok && len(text) == 4 {
		minutes, ok = digits(text[2:], 0, 59)
	}
	return sign * (time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute), ok
}

// parseFraction reads the digits after a second's point as nanoseconds.
func parseFraction(s string) (int, bool) {
	if s == "" || len(s) > 9 {
		return 0, false
	}
	return digits((s + "000000000")[:9], 0, 999_999_999)
}

// digits reads a number without a sign.
func digits(s string, least, most int) (int, bool) {
	if s == "" || len(s) > 9 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= least && n <= most
}
