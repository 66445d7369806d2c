package wire

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Timestamp formats as the models name them.
const (
	tsISO8601 = "iso8601"
	tsRFC822  = "rfc822"
	tsUnix    = "unixTimestamp"
)

func itoa(n int) string { return strconv.Itoa(n) }

// setText sets v, which a scalar node or a blob goes to, from text: out of a label, a header, a query string, a form or
// an XML element. ts is the place's own timestamp format.
func setText(n *node, v reflect.Value, text, ts string) error {
	v = n.slot(v)
	switch n.kind {
	case kindString:
		v.SetString(text)
	case kindInt:
		return setInt(v, strings.TrimSpace(text))
	case kindFloat:
		f, err := parseFloat(strings.TrimSpace(text))
		if err != nil {
			return cannot("STRING_VALUE", "a Double")
		}
		v.SetFloat(f)
	case kindBool:
		b, err := parseBool(strings.TrimSpace(text))
		if err != nil {
			return err
		}
		v.SetBool(b)
	case kindTime:
		t, err := parseTime(strings.TrimSpace(text), n.format(ts))
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(t))
	case kindBlob:
		b, err := decodeBase64([]byte(strings.TrimSpace(text)))
		if err != nil {
			return err
		}
		v.SetBytes(b)
	default:
		return serialization("Unexpected value")
	}
	return nil
}

func setInt(v reflect.Value, text string) error {
	i, err := strconv.ParseInt(text, 10, 64)
	if err != nil || overflows(v, i) {
		return cannot("STRING_VALUE", intName(v))
	}
	v.SetInt(i)
	return nil
}

// overflows says whether i is more than the model's integer (32 bits, a Go int) or long holds.
func overflows(v reflect.Value, i int64) bool {
	return v.Kind() != reflect.Int64 && (i > math.MaxInt32 || i < math.MinInt32)
}

func intName(v reflect.Value) string {
	if v.Kind() == reflect.Int64 {
		return "a Long"
	}
	return "an Integer"
}

func parseFloat(s string) (float64, error) {
	switch s {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	if strings.ContainsAny(s, "xXpPnN_") {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, cannot("STRING_VALUE", "a Boolean")
}

func (n *node) format(place string) string {
	if n.ts != "" {
		return n.ts
	}
	return place
}

// parseTime reads a timestamp. Whatever the format, a client that sends ISO 8601 is understood.
func parseTime(s, format string) (time.Time, error) {
	if format == tsRFC822 {
		if t, err := http.ParseTime(s); err == nil {
			return t.UTC(), nil
		}
		if t, err := time.Parse("Mon, 02 Jan 2006 15:04:05.999 GMT", s); err == nil {
			return t, nil
		}
	}
	if format == tsUnix {
		if f, err := parseFloat(s); err == nil {
			return unixTime(f)
		}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, cannot("STRING_VALUE", "a Timestamp")
}

// unixTime is a time of seconds since 1970, exact to the millisecond: that is what AWS keeps.
func unixTime(seconds float64) (time.Time, error) {
	if math.IsNaN(seconds) || math.Abs(seconds) > 253402300799 { // the end of the year 9999
		return time.Time{}, cannot("NUMBER_VALUE", "a Timestamp")
	}
	return time.UnixMilli(int64(math.Round(seconds * 1000))).UTC(), nil
}

// formatTime writes a timestamp, with milliseconds if it has any.
func formatTime(t time.Time, format string) string {
	t = t.UTC()
	switch format {
	case tsRFC822:
		return t.Format(http.TimeFormat)
	case tsUnix:
		return string(appendUnix(nil, t))
	}
	return t.Truncate(time.Millisecond).Format("2006-01-02T15:04:05.999Z")
}

func appendUnix(b []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return strconv.AppendInt(b, ms/1000, 10)
	}
	return strconv.AppendFloat(b, float64(ms)/1000, 'f', -1, 64)
}

// text is a scalar or a blob as text.
func (n *node) text(v reflect.Value, ts string) string {
	switch n.kind {
	case kindString:
		return v.String()
	case kindInt:
		return strconv.FormatInt(v.Int(), 10)
	case kindFloat:
		return formatFloat(v.Float())
	case kindBool:
		return strconv.FormatBool(v.Bool())
	case kindTime:
		return formatTime(v.Interface().(time.Time), n.format(ts))
	case kindBlob:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	}
	return ""
}

func formatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.FormatFloat(f, format, -1, 64)
}

// decodeBase64 takes standard base64, padded or not.
func decodeBase64(src []byte) ([]byte, error) {
	for len(src) > 0 && src[len(src)-1] == '=' {
		src = src[:len(src)-1]
	}
	dst := make([]byte, base64.RawStdEncoding.DecodedLen(len(src)))
	n, err := base64.RawStdEncoding.Decode(dst, src)
	if err != nil {
		return nil, serialization("Invalid base64 data")
	}
	return dst[:n], nil
}

// setPayload sets the blob or string that a whole body is; a blob is the body itself, not a copy.
func setPayload(n *node, v reflect.Value, body []byte) {
	v = n.slot(v)
	if n.kind == kindBlob {
		v.SetBytes(body)
		return
	}
	v.SetString(string(body))
}

func cannot(found, want string) error {
	return serialization(fmt.Sprintf("%s can not be converted to %s", found, want))
}
