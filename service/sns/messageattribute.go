package sns

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/event/target"
)

// readAttributes checks message attributes. It answers how many bytes they have.
func readAttributes(given map[string]*api.MessageAttributeValue) (all map[string]target.Attribute, size int, err error) {
	for _, name := range sortedKeys(given) {
		if err := checkName(name); err != nil {
			return nil, 0, err
		}
		a, err := readAttribute(name, given[name])
		if err != nil {
			return nil, 0, err
		}
		if all == nil {
			all = make(map[string]target.Attribute, len(given))
		}
		all[name] = a
		size += len(name) + len(a.Type) + len(a.Text) + len(a.Bytes)
	}
	return all, size, nil
}

func wrongValue(format string, args ...any) error {
	return api.ErrInvalidParameterValue.Withf(format, args...)
}

// checkName refuses what is no name of a message attribute.
func checkName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	switch {
	case len(name) > 256:
		return wrongValue("Length of message attribute name must be less than 256 bytes.")
	case name == "":
		return wrongValue("The request must contain non-empty message attribute name.")
	}
	for _, r := range name {
		if !strings.ContainsRune(letters, r) {
			return wrongValue("Invalid non-alphanumeric character '#x%X' was found in the message attribute name. "+
				"Can only include alphanumeric characters, hyphens, underscores, or dots.", r)
		}
	}
	lower := strings.ToLower(name)
	switch {
	case name[0] == '.':
		return wrongValue("Invalid message attribute name starting with character '.' was found.")
	case name[len(name)-1] == '.':
		return wrongValue("Invalid message attribute name ending with character '.' was found.")
	case strings.Contains(name, ".."):
		return wrongValue("Message attribute name can not have successive '.' character.")
	case strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon."):
		return wrongValue("You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for internal use.")
	}
	return nil
}

// readAttribute checks the type and the value of a message attribute.
func readAttribute(name string, v *api.MessageAttributeValue) (a target.Attribute, err error) {
	a.Type = value(v.DataType)
	kind, _, _ := strings.Cut(a.Type, ".")
	switch {
	case kind != "String" && kind != "Number" && kind != "Binary" || len(a.Type) > 256:
		return a, wrongValue("The message attribute '%s' has an invalid message attribute type, "+
			"the set of supported type prefixes is Binary, Number, and String.", name)
	case v.StringValue == nil && len(v.BinaryValue) == 0 || kind != "Binary" && v.StringValue != nil && *v.StringValue == "":
		return a, wrongValue("The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.", name, a.Type)
	case kind == "Binary" && v.StringValue != nil:
		return a, wrongValue("The message attribute '%s' with type '%s' must use field 'Binary'.", name, a.Type)
	case kind != "Binary" && v.BinaryValue != nil:
		return a, wrongValue("The message attribute '%s' with type '%s' must use field 'String'.", name, a.Type)
	}
	if a.Text, a.Bytes = value(v.StringValue), v.BinaryValue; !utf8.ValidString(a.Text) {
		return a, wrongValue("The message attribute '%s' contains characters that are no text.", name)
	}
	if a.Type == "Number" {
		if _, err := strconv.ParseFloat(a.Text, 64); err != nil && !errors.Is(err, strconv.ErrRange) || strings.ContainsAny(a.Text, "xXnNiI_") {
			return a, wrongValue("Could not cast message attribute '%s' value to number.", name)
		}
	}
	return a, nil
}
