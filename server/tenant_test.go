package server

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/dispatch"
	"github.com/enfold-run/enfold/wire"
)

// tenant is the root user of an account, or a user of it who may do everything.
type tenant struct {
	t         *testing.T
	account   string
	principal *aws.Principal
	calls     *dispatch.Dispatcher
	services  []service
}

// tenants starts a server, and answers how to make an account on it.
func tenants(t *testing.T) (s *Server, root func(name string) *tenant) {
	s = start(t, config(t))
	calls := dispatch.New(dispatch.Deps{
		Authorizer: dispatch.NewPolicies(dispatch.PolicyDeps{Identities: s.iam}), Auditor: s.trail, Log: slog.New(slog.DiscardHandler),
	})
	register(calls, s.services)
	return s, func(name string) *tenant {
		id, key, _, err := s.iam.CreateAccount(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return &tenant{t, id, aws.RootOf(id, key), calls, s.services}
	}
}

// members are an input's, by their Go names.
type members map[string]any

func (a *tenant) op(name string) (*aws.Op, *aws.Service) {
	svc, opName, _ := strings.Cut(name, ":")
	for _, s := range a.services {
		for _, op := range s.Ops {
			if s.Name == svc && op.Name == opName {
				return op, s.Service
			}
		}
	}
	a.t.Fatalf("there is no op %s", name)
	return nil, nil
}

// try carries an op out.
func (a *tenant) try(op *aws.Op, input any) (any, error) {
	ctx, cancel := context.WithTimeout(a.t.Context(), 30*time.Second)
	defer cancel()
	return a.calls.Do(ctx, &aws.Call{
		Op: op, Principal: a.principal, Account: a.account, Region: "us-east-1", RequestID: "11111111-2222-3333-4444-555555555555",
		SourceIP: "127.0.0.1", UserAgent: "accounts", BaseURL: "http://127.0.0.1", Input: input,
	})
}

// do carries an op out that must succeed, and answers its output.
func (a *tenant) do(name string, in members) any {
	a.t.Helper()
	out, err := a.attempt(name, in)
	if err != nil {
		a.t.Fatalf("%s: %v", name, err)
	}
	return out
}

// attempt carries an op out.
func (a *tenant) attempt(name string, in members) (any, error) {
	a.t.Helper()
	op, _ := a.op(name)
	input := op.NewInput()
	for member, value := range in {
		if !assign(reflect.ValueOf(input).Elem().FieldByName(member), value) {
			a.t.Fatalf("%s: %s cannot be %T", name, member, value)
		}
	}
	if err := wire.Validate(input); err != nil {
		a.t.Fatalf("%s: %v", name, err)
	}
	return a.try(op, input)
}

// assign sets a member to a value; texts and numbers become pointers or lists of one.
func assign(field reflect.Value, value any) bool {
	if !field.IsValid() {
		return false
	}
	v := reflect.ValueOf(value)
	switch {
	case v.Type().AssignableTo(field.Type()):
		field.Set(v)
	case field.Kind() == reflect.Pointer && v.Type().ConvertibleTo(field.Type().Elem()) && v.Kind() != reflect.Slice:
		p := reflect.New(field.Type().Elem())
		p.Elem().Set(v.Convert(field.Type().Elem()))
		field.Set(p)
	case field.Kind() == reflect.Slice && v.Type().AssignableTo(field.Type().Elem()):
		field.Set(reflect.Append(reflect.Zero(field.Type()), v))
	default:
		return false
	}
	return true
}

// text is a string in an answer, by its path ("KeyMetadata.Arn").
func text(out any, path string) string {
	v := reflect.ValueOf(out)
	for name := range strings.SplitSeq(path, ".") {
		v = reflect.Indirect(v).FieldByName(name)
	}
	return reflect.Indirect(v).String()
}

// rendered is all that an answer says, blobs as they are.
func rendered(v reflect.Value) string {
	var b bytes.Buffer
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch {
		case !v.IsValid() || v.Kind() == reflect.Func:
		case v.Type() == reflect.TypeFor[time.Time]():
			fmt.Fprintln(&b, v.Interface())
		case v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface:
			walk(v.Elem())
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
			fmt.Fprintf(&b, "%s\n", v.Bytes())
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case v.Kind() == reflect.Map:
			for _, k := range slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) }) {
				fmt.Fprintf(&b, "%v=", k)
				walk(v.MapIndex(k))
			}
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() && !reflect.ValueOf(v.Field(i).Interface()).IsZero() {
					fmt.Fprintf(&b, "%s: ", f.Name)
					walk(v.Field(i))
				}
			}
		case v.Kind() == reflect.String && strings.HasPrefix(v.String(), "http"):
			link, _, _ := strings.Cut(v.String(), "?") // what follows is for a while only
			fmt.Fprintln(&b, link)
		default:
			fmt.Fprintln(&b, v.Interface())
		}
	}
	walk(v)
	return b.String()
}

// spelling names what A has: by names and ids, or by ARNs, per op ("kms:Sign:KeyID") or per service ("kms:KeyID").
type spelling map[string]any

func (s spelling) of(svc, op, member string) (any, bool) {
	if v, ok := s[svc+":"+op+":"+member]; ok {
		return v, true
	}
	v, ok := s[svc+":"+member]
	return v, ok
}

// input is an op's, with the required members, and with all that the spelling knows if whole is set. missing are required
// members that it does not know; the sampler makes them up.
func (s spelling) input(samples *sampler, svc string, op *aws.Op, whole bool) (in any, missing []string) {
	in = op.NewInput()
	v := reflect.ValueOf(in).Elem()
	samples.service = svc
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		required := strings.Contains(f.Tag.Get("check"), "required")
		value, known := s.of(svc, op.Name, f.Name)
		switch {
		case known && value != nil && (required || whole):
			if !assign(v.Field(i), value) {
				samples.t.Errorf("%s:%s: %s cannot be %T", svc, op.Name, f.Name, value)
			}
		case required:
			missing = append(missing, f.Name)
			samples.member(v.Field(i), f, 0)
		}
	}
	return in, missing
}

// tagList is one tag, as the op's input has it.
func tagList(op *aws.Op, key, value string) any {
	t, _ := reflect.TypeOf(op.NewInput()).Elem().FieldByName("Tags")
	tag := reflect.New(t.Type.Elem().Elem())
	tag.Elem().FieldByName("Key").Set(reflect.ValueOf(&key))
	tag.Elem().FieldByName("Value").Set(reflect.ValueOf(&value))
	return tag.Interface()
}
