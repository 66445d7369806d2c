package main

import (
	"bytes"
	"fmt"
	"strings"
)

// also writes the permissions that an op asks for beyond its own action.
func (g *generator) also(b *bytes.Buffer, op *operation, list []further) error {
	if len(list) == 0 {
		return nil
	}
	b.WriteString("Also: []aws.Permission{\n")
	for _, p := range list {
		fmt.Fprintf(b, "{\nAction: %q,\n", p.action)
		if err := g.furtherResources(b, op, p); err != nil {
			return fmt.Errorf("%s: %w", p.action, err)
		}
		if len(p.keys) > 0 {
			b.WriteString("Keys: map[string]string{")
			for _, kv := range p.keys {
				fmt.Fprintf(b, "%q: %q, ", kv[0], kv[1])
			}
			b.WriteString("},\n")
		}
		b.WriteString("},\n")
	}
	b.WriteString("},\n")
	return nil
}

// furtherResources writes the func that gives a permission's ARNs, or none where a member that it takes is absent.
func (g *generator) furtherResources(b *bytes.Buffer, op *operation, p further) error {
	needs := []string{}
	if p.when != "" {
		needs = append(needs, p.when)
	}
	expr, members, err := g.furtherExpr(op, p.resource)
	if err != nil {
		return err
	}
	needs = append(needs, members...)
	b.WriteString("Resources: func(ctx context.Context, impl, input any) ([]string, error) {\n")
	if len(needs) > 0 {
		fmt.Fprintf(b, "in := input.(*%sInput)\n", op.Name)
		var absent []string
		for _, m := range needs {
			test, err := g.absent(op, m)
			if err != nil {
				return err
			}
			absent = append(absent, test)
		}
		fmt.Fprintf(b, "if %s {\nreturn nil, nil\n}\n", strings.Join(absent, " || "))
	}
	fmt.Fprintf(b, "return %s\n},\n", expr)
	return nil
}

// absent is the Go test that says that a member is not in the request.
func (g *generator) absent(op *operation, member string) (string, error) {
	s, err := g.inputMember(op, member)
	if err != nil {
		return "", err
	}
	switch s.Type {
	case "string":
		return fmt.Sprintf("in.%[1]s == nil || *in.%[1]s == \"\"", goName(member)), nil
	case "list", "map":
		return fmt.Sprintf("len(in.%s) == 0", goName(member)), nil
	}
	return fmt.Sprintf("in.%s == nil", goName(member)), nil
}

// inputMember is the shape of a member of the op's input.
func (g *generator) inputMember(op *operation, member string) (*shape, error) {
	if err := g.checkMember(op, member); err != nil {
		return nil, err
	}
	members := g.model.Shapes.get(op.Input.Shape).Members
	for _, m := range members.keys {
		if m == member || goName(m) == member {
			return g.model.Shapes.get(members.get(m).Shape), nil
		}
	}
	return nil, fmt.Errorf("no member %s", member)
}

// furtherExpr is the Go expression of a permission's ARNs, and the members that must be there for it.
func (g *generator) furtherExpr(op *operation, resource string) (expr string, needs []string, err error) {
	if function, args, isCall := strings.Cut(strings.TrimSuffix(resource, ")"), "("); isCall {
		members := strings.Split(args, ",")
		params := make([]string, len(members))
		for i, m := range members {
			if err := g.checkMember(op, m); err != nil {
				return "", nil, err
			}
			params[i] = "in." + goName(m)
		}
		asked := "aws.CallFrom(ctx)"
		if name, ok := strings.CutPrefix(function, "impl."); ok {
			function, asked = name, "ctx, impl"
		}
		return fmt.Sprintf("%s(%s, %s)", function, asked, strings.Join(params, ", ")), members[:1], nil
	}
	if name, ok := strings.CutPrefix(resource, "${"); ok && strings.IndexByte(name, '}') == len(name)-1 {
		member := strings.TrimSuffix(name, "}")
		s, err := g.inputMember(op, member)
		if err == nil && s.Type == "list" {
			return "in." + goName(member) + ", nil", []string{member}, nil
		}
		if err == nil && s.Type != "string" {
			err = fmt.Errorf("%s is neither a string nor a list", member)
		}
		return fmt.Sprintf("[]string{*in.%s}, nil", goName(member)), []string{member}, err
	}
	return g.furtherTemplate(op, resource)
}

// furtherTemplate is furtherExpr for an ARN template.
func (g *generator) furtherTemplate(op *operation, template string) (expr string, needs []string, err error) {
	if err := g.checkTemplate(op, template); err != nil {
		return "", nil, err
	}
	var parts []string
	for rest := template; rest != ""; {
		text, after, found := strings.Cut(rest, "${")
		if text != "" {
			parts = append(parts, fmt.Sprintf("%q", text))
		}
		if !found {
			break
		}
		name, tail, _ := strings.Cut(after, "}")
		rest = tail
		switch name {
		case "Partition":
			parts = append(parts, `"aws"`)
		case "Region", "Account":
			parts = append(parts, "aws.CallFrom(ctx)."+name)
		default:
			parts = append(parts, "*in."+goName(name))
			needs = append(needs, name)
		}
	}
	return "[]string{" + strings.Join(parts, " + ") + "}, nil", needs, nil
}
