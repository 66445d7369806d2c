package policy

import "strings"

// operator is a condition operator taken apart.
type operator struct {
	family   family
	compare  compare
	negated  bool
	fold     bool // ignores case
	like     bool // has wildcards
	ifExists bool
	set      set
}

// family is the type of the values that an operator compares.
type family uint8

const (
	stringFamily family = iota
	numericFamily
	dateFamily
	boolFamily
	binaryFamily
	ipFamily
	arnFamily
	nullFamily
)

// compare is the order that an operator asks for.
type compare uint8

const (
	equal compare = iota
	less
	lessEqual
	greater
	greaterEqual
)

// holds says whether the result of a comparison is what was asked for.
func (c compare) holds(order int) bool {
	switch c {
	case less:
		return order < 0
	case lessEqual:
		return order <= 0
	case greater:
		return order > 0
	case greaterEqual:
		return order >= 0
	}
	return order == 0
}

// set is how an operator looks at several values of the request.
type set uint8

const (
	single set = iota
	forAllValues
	forAnyValue
)

// parseOperator reads a name as "ForAllValues:StringLikeIfExists"; false if there is no such operator.
func parseOperator(name string) (operator, bool) {
	quantifier := single
	if rest, is := strings.CutPrefix(name, "ForAllValues:"); is {
		name, quantifier = rest, forAllValues
	} else if rest, is := strings.CutPrefix(name, "ForAnyValue:"); is {
		name, quantifier = rest, forAnyValue
	}
	name, ifExists := strings.CutSuffix(name, "IfExists")
	op, ok := baseOperator(name)
	if op.family == nullFamily && ifExists {
		return operator{}, false
	}
	op.set, op.ifExists = quantifier, ifExists
	return op, ok
}

func baseOperator(name string) (op operator, ok bool) {
	switch name {
	case "Bool":
		return operator{family: boolFamily}, true
	case "BinaryEquals":
		return operator{family: binaryFamily}, true
	case "IpAddress":
		return operator{family: ipFamily}, true
	case "NotIpAddress":
		return operator{family: ipFamily, negated: true}, true
	case "Null":
		return operator{family: nullFamily}, true
	}
	if rest, is := strings.CutPrefix(name, "String"); is {
		return textOperator(operator{family: stringFamily}, rest)
	}
	if rest, is := strings.CutPrefix(name, "Arn"); is {
		op, ok = textOperator(operator{family: arnFamily}, rest)
		return op, ok && !op.fold
	}
	if rest, is := strings.CutPrefix(name, "Numeric"); is {
		return orderOperator(operator{family: numericFamily}, rest)
	}
	if rest, is := strings.CutPrefix(name, "Date"); is {
		return orderOperator(operator{family: dateFamily}, rest)
	}
	return operator{}, false
}

func textOperator(op operator, rest string) (operator, bool) {
	rest, op.negated = strings.CutPrefix(rest, "Not")
	switch rest {
	case "Equals":
	case "Like":
		op.like = true
	case "EqualsIgnoreCase":
		op.fold = true
	default:
		return operator{}, false
	}
	return op, true
}

func orderOperator(op operator, rest string) (operator, bool) {
	switch rest {
	case "Equals":
	case "NotEquals":
		op.negated = true
	case "LessThan":
		op.compare = less
	case "LessThanEquals":
		op.compare = lessEqual
	case "GreaterThan":
		op.compare = greater
	case "GreaterThanEquals":
		op.compare = greaterEqual
	default:
		return operator{}, false
	}
	return op, true
}
