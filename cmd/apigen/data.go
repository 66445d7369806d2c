package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// opsFile is a service's ops.txt.
type opsFile struct {
	model       string   // "lambda/2015-03-31"
	validation  string   // error code of a constraint violation
	typedErrors bool     // "Type" in error bodies
	untyped     []string // error shapes without "Type" even so
	protocols   []string // beyond the model's
	namespace   string   // of XML answers, if the model has none
	pathMember  string   // aws.Service.PathMember
	denied      string   // aws.Service.DeniedCode
	rawText     bool     // aws.Service.RawText
	names       []string // of the served ops, in the file's order
	ops         map[string]opLine
}

// opLine is what ops.txt says about one op beyond its name.
type opLine struct {
	status                 int
	maxBody                int64
	noAuth, data, readOnly bool
}

func readOps(path string) (*opsFile, error) {
	o := &opsFile{ops: map[string]opLine{}}
	err := eachLine(path, func(line string) error {
		words := strings.Fields(line)
		if words[0] == "service" {
			return o.serviceLine(words[1:])
		}
		if _, twice := o.ops[words[0]]; twice {
			return fmt.Errorf("%s is there twice", words[0])
		}
		l, err := parseOpLine(words[1:])
		o.names = append(o.names, words[0])
		o.ops[words[0]] = l
		return err
	})
	return o, err
}

func (o *opsFile) serviceLine(words []string) error {
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "model":
			o.model = value
		case "validation":
			o.validation = value
		case "typed-errors":
			o.typedErrors = true
		case "untyped":
			o.untyped = strings.Split(value, ",")
		case "protocols":
			o.protocols = strings.Split(value, ",")
		case "xmlns":
			o.namespace = value
		case "path-member":
			o.pathMember = value
		case "denied":
			o.denied = value
		case "raw-text":
			o.rawText = true
		default:
			return fmt.Errorf("unknown word %q", w)
		}
	}
	return nil
}

func parseOpLine(words []string) (opLine, error) {
	var l opLine
	for _, w := range words {
		var err error
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "status":
			l.status, err = strconv.Atoi(value)
		case "maxbody":
			l.maxBody, err = strconv.ParseInt(value, 10, 64)
		case "noauth":
			l.noAuth = true
		case "data":
			l.data = true
		case "readonly":
			l.readOnly = true
		default:
			err = fmt.Errorf("unknown word %q", w)
		}
		if err != nil {
			return l, err
		}
	}
	return l, nil
}

// access is what IAM calls an op, what the op acts on, and what else it asks for.
type access struct {
	action, resource string
	also             []further
}

// further is a permission beyond the op's own action.
type further struct {
	action, resource string
	when             string      // member that must be there for it to be asked for; empty: no more than those of the resource
	keys             [][2]string // condition keys and their values
}

// readActions reads the lines of one service from actions.txt.
func readActions(path, svc string) (map[string]access, error) {
	all := map[string]access{}
	err := eachLine(path, func(line string) error {
		f := strings.Fields(line)
		if len(f) > 4 && f[2] == "also" {
			if f[0] != svc {
				return nil
			}
			more, err := parseFurther(f[3], f[4], f[5:])
			a := all[f[1]]
			a.also = append(a.also, more)
			all[f[1]] = a
			return err
		}
		if len(f) != 4 {
			return fmt.Errorf("%q: want SERVICE OP ACTION RESOURCE, or SERVICE OP also ACTION RESOURCE", line)
		}
		if f[0] == svc {
			if all[f[1]].action != "" {
				return fmt.Errorf("%s %s is there twice", svc, f[1])
			}
			all[f[1]] = access{f[2], f[3], all[f[1]].also}
		}
		return nil
	})
	return all, err
}

// parseFurther reads what follows "also": the action, the resource, and words that are key=value or if=Member.
func parseFurther(action, resource string, words []string) (further, error) {
	p := further{action: action, resource: resource}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		switch {
		case !ok || value == "":
			return p, fmt.Errorf("%q: want key=value", w)
		case key == "if":
			p.when = value
		default:
			p.keys = append(p.keys, [2]string{key, value})
		}
	}
	return p, nil
}

// applyOverrides changes the constraints of shapes as the service's lines say.
func applyOverrides(path, svc string, m *model) error {
	return eachLine(path, func(line string) error {
		f := strings.SplitN(line, " ", 3)
		if len(f) != 3 {
			return fmt.Errorf("%q: want SERVICE SHAPE CONSTRAINT", line)
		}
		if f[0] != svc {
			return nil
		}
		if name, ok := strings.CutPrefix(f[2], "form="); ok {
			return setFormName(m, f[1], name)
		}
		s, err := overridden(m, f[1])
		if err != nil {
			return err
		}
		return setConstraint(s, f[2])
	})
}

// setFormName gives one use of a shape its name in the query protocol. An element, key or value has no name in JSON, so it
// becomes its only one.
func setFormName(m *model, use, name string) error {
	owner, part, _ := strings.Cut(use, ".")
	s := m.Shapes.get(owner)
	if s == nil || s.use(part) == nil {
		return fmt.Errorf("no member %s", use)
	}
	if s.Type == "structure" {
		s.use(part).formName = name
	} else {
		s.use(part).LocationName = name
	}
	return nil
}

// overridden is the shape that a line names: "Shape", or one use of a shape ("Struct.member", "List.member",
// "Map.key"), which gets a copy of its own.
func overridden(m *model, name string) (*shape, error) {
	owner, use, isUse := strings.Cut(name, ".")
	s := m.Shapes.get(owner)
	if s == nil {
		return nil, fmt.Errorf("no shape %s", owner)
	}
	if !isUse {
		return s, nil
	}
	if c := m.Shapes.get(name); c != nil {
		return c, nil
	}
	r := s.use(use)
	if r == nil || m.Shapes.get(r.Shape) == nil {
		return nil, fmt.Errorf("no member %s", name)
	}
	c := *m.Shapes.get(r.Shape)
	c.Enum = slices.Clone(c.Enum)
	m.Shapes.values[name] = &c
	r.Shape = name
	return &c, nil
}

// use is the reference by which a shape holds another: a member, a list's element, a map's key or value.
func (s *shape) use(name string) *ref {
	switch {
	case s.Type == "list" && name == "member":
		return s.Member
	case s.Type == "map" && name == "key":
		return s.Key
	case s.Type == "map" && name == "value":
		return s.Value
	}
	return s.Members.get(name)
}

func setConstraint(s *shape, text string) error {
	key, value, _ := strings.Cut(text, "=")
	switch key {
	case "min":
		s.Min = json.Number(value)
	case "max":
		s.Max = json.Number(value)
	case "pattern":
		s.Pattern = value
	case "enum":
		s.Enum = strings.FieldsFunc(value, func(r rune) bool { return r == '|' })
	case "notnull":
		s.notNull = true
	case "bare":
		s.bare = true
	case "sensitive":
		s.Sensitive = true
	case "error":
		return setError(s, value)
	default:
		return fmt.Errorf("unknown constraint %q", text)
	}
	return nil
}

// setError gives an error its HTTP status and, after a slash, its code in the query protocol.
func setError(s *shape, text string) error {
	status, code, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(status)
	s.Error = &errorTrait{Code: code, HTTPStatusCode: n, SenderFault: true}
	return err
}

// eachLine calls do with every line that is neither empty nor a comment.
func eachLine(path string, do func(line string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 1<<20)
	for n := 1; scan.Scan(); n++ {
		line := strings.TrimRight(scan.Text(), " \t")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := do(line); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	return scan.Err()
}
