package dispatch

import (
	"context"
	"reflect"
	"strings"
	"sync"

	"github.com/enfold-run/enfold/aws"
)

// everything is the resource of an action that has no resource level.
const everything = "*"

// templates remembers the op tables' ARN templates taken apart. It is safe for concurrent use.
type templates struct{ m sync.Map } // *aws.Op -> *template

// resources are the ARNs that the call acts on, in the aws partition, which is the only one there is. There is always one:
// "*" stands for what has no ARN. An error is Op.Resources' answer to the caller.
func (t *templates) resources(ctx context.Context, call *aws.Call, impl any) ([]string, error) {
	op := call.Op
	switch {
	case op.Resources != nil:
		arns, err := op.Resources(ctx, impl, call.Input)
		if err != nil {
			return nil, err
		}
		if len(arns) == 0 {
			return []string{everything}, nil
		}
		return canonical(arns), nil
	case op.Resource == everything || op.Resource == "":
		return []string{everything}, nil
	}
	return []string{canonicalARN(t.of(call).expand(call))}, nil
}

func (t *templates) of(call *aws.Call) *template {
	if known, ok := t.m.Load(call.Op); ok {
		return known.(*template)
	}
	made, _ := t.m.LoadOrStore(call.Op, newTemplate(call.Op.Resource, reflect.TypeOf(call.Input)))
	return made.(*template)
}

// canonical writes every ARN as one of the aws partition: a service that takes "arn:aws-cn:…" for the same thing must not
// thereby step out of a policy. The list is not changed: it may be the request's own.
func canonical(arns []string) []string {
	for i, arn := range arns {
		if c := canonicalARN(arn); c != arn {
			out := append([]string(nil), arns...)
			for j := range out[i:] {
				out[i+j] = canonicalARN(out[i+j])
			}
			return out
		}
	}
	return arns
}

func canonicalARN(arn string) string {
	if strings.HasPrefix(arn, "arn:aws:") || !strings.HasPrefix(arn, "arn:") {
		return arn
	}
	if _, rest, ok := strings.Cut(arn[len("arn:"):], ":"); ok {
		return "arn:aws:" + rest
	}
	return arn
}

// accountOf is the account in an ARN; empty if it names none: "*", an S3 bucket, a policy of AWS's own.
func accountOf(arn string) string {
	if !strings.HasPrefix(arn, "arn:") {
		return ""
	}
	rest := arn
	for range 4 {
		_, after, ok := strings.Cut(rest, ":")
		if !ok {
			return ""
		}
		rest = after
	}
	account, _, ok := strings.Cut(rest, ":")
	if !ok || !isAccount(account) {
		return ""
	}
	return account
}

func isAccount(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) == 12
}

// template is Op.Resource in its parts.
type template struct{ parts []part }

// part is a piece of text, or what stands for the variable of that name.
type part struct {
	text     string
	variable string
	field    int // of the input struct; -1 if the variable is none of its members
}

// newTemplate takes a template apart; in is a pointer to the op's input struct.
func newTemplate(resource string, in reflect.Type) *template {
	t := &template{}
	for rest := resource; rest != ""; {
		text, after, found := strings.Cut(rest, "${")
		if text != "" {
			t.parts = append(t.parts, part{text: text, field: -1})
		}
		if !found {
			break
		}
		name, tail, _ := strings.Cut(after, "}")
		rest = tail
		p := part{variable: name, field: -1}
		if in != nil && in.Kind() == reflect.Pointer && in.Elem().Kind() == reflect.Struct {
			if f, ok := in.Elem().FieldByName(name); ok && f.Type == reflect.TypeFor[*string]() {
				p.field = f.Index[0]
			}
		}
		t.parts = append(t.parts, p)
	}
	return t
}

// expand is the ARN for a call. What the input does not say is "*"; a member that is an ARN already is the whole answer.
func (t *template) expand(call *aws.Call) string {
	var room [8]string
	words := room[:0]
	for i := range t.parts {
		p := &t.parts[i]
		word := p.value(call)
		if p.field >= 0 && strings.HasPrefix(word, "arn:") {
			return word
		}
		words = append(words, word)
	}
	return strings.Join(words, "")
}

func (p *part) value(call *aws.Call) string {
	switch p.variable {
	case "":
		return p.text
	case "Partition":
		return "aws"
	case "Region":
		return call.Region
	case "Account":
		return call.Account
	}
	in := reflect.Indirect(reflect.ValueOf(call.Input))
	if p.field < 0 || in.Kind() != reflect.Struct || p.field >= in.NumField() {
		return everything
	}
	if s, ok := reflect.TypeAssert[*string](in.Field(p.field)); ok && s != nil && *s != "" {
		return *s
	}
	return everything
}
