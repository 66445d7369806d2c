package sqs

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"math/big"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/sqs"
)

const (
	maxAttributes    = 10
	maxAttributeName = 256
	maxAttributeType = 256
	traceHeader      = "AWSTraceHeader"
	forbidden        = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
)

// isXML says whether a text has only characters that XML 1.0 allows.
func isXML(s string) bool {
	for i, r := range s {
		switch {
		case r == 0xFFFD && !strings.HasPrefix(s[i:], "\uFFFD"): // no UTF-8
			return false
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0xFFFE, r == 0xFFFF:
			return false
		}
	}
	return true
}

// messageAttributes checks the attributes of a message and puts them in the order of their names.
func messageAttributes(given map[string]*api.MessageAttributeValue) ([]attribute, error) {
	if len(given) > maxAttributes {
		return nil, invalid("Number of message attributes [%d] exceeds the allowed maximum [%d].", len(given), maxAttributes)
	}
	var all []attribute
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if err := checkAttributeName(name); err != nil {
			return nil, err
		}
		v := given[name]
		if v == nil {
			v = &api.MessageAttributeValue{}
		}
		a, err := attributeOf(name, v)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

func checkAttributeName(name string) error {
	lower := strings.ToLower(name)
	switch {
	case name == "":
		return invalid("Message (user) attribute name can't be empty.")
	case len(name) > maxAttributeName:
		return invalid("Message (user) attribute name '%s' is too long. The maximum length is %d characters.", clip(name), maxAttributeName)
	case strings.Trim(lower, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != "":
		return invalid("Message (user) attribute name '%s' contains invalid characters. It can contain alphanumeric characters, underscores, hyphens, and periods.", name)
	case strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, ".."):
		return invalid("Message (user) attribute name '%s' must not start or end with a period or have periods in succession.", name)
	case strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon."):
		return invalid("Message (user) attribute name '%s' must not start with a reserved prefix such as AWS. or Amazon.", name)
	}
	return nil
}

func attributeOf(name string, v *api.MessageAttributeValue) (attribute, error) {
	a := attribute{name: name, dataType: value(v.DataType)}
	base, custom, _ := strings.Cut(a.dataType, ".")
	switch {
	case a.dataType == "":
		return a, invalid("Message (user) attribute '%s' must contain a non-empty message attribute type.", name)
	case base != "String" && base != "Number" && base != "Binary":
		return a, invalid("The message (user) attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
	case len(a.dataType) > maxAttributeType || !isXML(custom):
		return a, invalid("The message (user) attribute '%s' has an invalid message attribute type.", name)
	case len(v.StringListValues) > 0 || len(v.BinaryListValues) > 0:
		return a, api.ErrUnsupportedOperation.New("Message attribute list values in SendMessage operation are not supported.")
	}
	if a.binary = base == "Binary"; a.binary {
		if a.value = v.BinaryValue; len(a.value) == 0 {
			return a, emptyAttribute(name, base)
		}
		return a, nil
	}
	text := value(v.StringValue)
	switch {
	case text == "":
		return a, emptyAttribute(name, base)
	case !isXML(text):
		return a, api.ErrInvalidMessageContents.New(forbidden)
	case base == "Number" && !isNumber(text):
		return a, invalid("Can't cast the value of message (user) attribute '%s' to a number.", name)
	}
	a.value = []byte(text)
	return a, nil
}

func emptyAttribute(name, kind string) error {
	return invalid("Message (user) attribute '%s' must contain a non-empty value of type '%s'.", name, kind)
}

// isNumber takes up to 38 digits and magnitudes up to 10^128, as SQS documents for Number.
func isNumber(s string) bool {
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || len(s) > 150 || digits == "" {
		return false
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(digits), "e")
	if strings.Trim(mantissa, "0123456789.") != "" || len(exponent) > 5 {
		return false
	}
	_, _, err := big.ParseFloat(s, 10, 200, big.ToNearestEven)
	return err == nil
}

// traceOf checks the system attributes, of which there is one.
func traceOf(given map[string]*api.MessageSystemAttributeValue) (string, error) {
	for name, v := range given {
		if name != traceHeader {
			return "", wrong(clip(name), "MessageSystemAttributeName", "Unknown message system attribute.")
		}
		if v == nil || value(v.DataType) != "String" || value(v.StringValue) == "" {
			return "", invalid("Message (system) attribute '%s' must contain a non-empty value of type 'String'.", name)
		}
		if !isXML(*v.StringValue) {
			return "", api.ErrInvalidMessageContents.New(forbidden)
		}
		return *v.StringValue, nil
	}
	return "", nil
}

func md5Hex(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// md5OfAttributes is the digest that clients compare; nil for no attributes. They are in the order of their names.
// See https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html.
func md5OfAttributes(all []attribute) *string {
	if len(all) == 0 {
		return nil
	}
	var b []byte
	for i := range all {
		a := &all[i]
		b = appendSized(b, a.name)
		b = appendSized(b, a.dataType)
		kind := byte(1)
		if a.binary {
			kind = 2
		}
		b = append(b, kind)
		b = appendSized(b, string(a.value))
	}
	return new(md5Hex(b))
}

func appendSized(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// md5OfTrace is the digest of the system attributes.
func md5OfTrace(trace string) *string {
	if trace == "" {
		return nil
	}
	return md5OfAttributes([]attribute{{name: traceHeader, dataType: "String", value: []byte(trace)}})
}

// size is what a message's attributes count in its size.
func size(all []attribute) int {
	n := 0
	for i := range all {
		n += len(all[i].name) + len(all[i].dataType) + len(all[i].value)
	}
	return n
}
