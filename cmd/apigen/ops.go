package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// errors writes an ErrorType for every error that a served op may answer.
func (g *generator) errors(b *bytes.Buffer) error {
	names := g.errorShapes()
	if len(names) == 0 {
		return nil
	}
	b.WriteString("// The errors of the service.\nvar (\n")
	for _, n := range names {
		s := g.model.Shapes.get(n)
		if s == nil {
			return fmt.Errorf("no error shape %s", n)
		}
		fmt.Fprintf(b, "%s = &aws.ErrorType{Code: %q", errorName(n), n)
		if s.Error != nil && s.Error.Code != "" && s.Error.Code != n {
			fmt.Fprintf(b, ", QueryCode: %q", s.Error.Code)
		}
		status, server := errorStatus(s)
		fmt.Fprintf(b, ", Status: %d", status)
		if server {
			b.WriteString(", Server: true")
		}
		if slices.Contains(g.ops.untyped, n) {
			b.WriteString(", Untyped: true")
		}
		fmt.Fprintf(b, ", MessageAs: %q}\n", messageKey(s))
	}
	b.WriteString(")\n")
	return nil
}

func (g *generator) errorShapes() []string {
	var names []string
	for _, op := range g.served {
		for _, e := range op.Errors {
			names = append(names, e.Shape)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func errorStatus(s *shape) (status int, server bool) {
	status, server = 400, s.Fault
	if s.Error != nil {
		server = server || s.Error.Fault
		status = s.Error.HTTPStatusCode
	}
	if status == 0 {
		status = 400
	}
	if server && status < 500 {
		status = 500
	}
	return status, server || status >= 500
}

// messageKey is how the body spells the message: as the shape's member does, "message" where it has none.
func messageKey(s *shape) string {
	for _, m := range s.Members.keys {
		if strings.EqualFold(m, "message") {
			return m
		}
	}
	return "message"
}

// opTable writes the Service value and a variable for every op.
func (g *generator) opTable(b *bytes.Buffer) error {
	g.service(b)
	for _, op := range g.served {
		if err := g.op(b, op); err != nil {
			return fmt.Errorf("%s: %w", op.Name, err)
		}
	}
	b.WriteString("return s\n}\n\n// The served ops.\nvar (\n")
	for i, op := range g.served {
		fmt.Fprintf(b, "Op%s = Service.Ops[%d]\n", op.Name, i)
	}
	b.WriteString(")\n")
	return nil
}

func (g *generator) service(b *bytes.Buffer) {
	m := g.model.Metadata
	signing := m.SigningName
	if signing == "" {
		signing = m.EndpointPrefix
	}
	fmt.Fprintf(b, "// Service is %s.\nvar Service = newService()\n\n", m.ServiceFullName)
	fmt.Fprintf(b, "func newService() *aws.Service {\ns := &aws.Service{\nName: %q,\nID: %q,\nSigningName: %q,\nVersion: %q,\n",
		g.svc, m.ServiceID, signing, m.APIVersion)
	if m.TargetPrefix != "" {
		fmt.Fprintf(b, "TargetPrefix: %q,\n", m.TargetPrefix)
	}
	if ns := cmp.Or(m.XMLNamespace, g.ops.namespace); ns != "" {
		fmt.Fprintf(b, "XMLNamespace: %q,\n", ns)
	}
	if g.ops.pathMember != "" {
		fmt.Fprintf(b, "PathMember: %q,\n", g.ops.pathMember)
	}
	fmt.Fprintf(b, "Protocols: []aws.Protocol{%s},\n", strings.Join(g.protocols(), ", "))
	if g.ops.typedErrors {
		b.WriteString("TypedErrors: true,\n")
	}
	fmt.Fprintf(b, "ValidationCode: %q,\n", g.ops.validation)
	if g.ops.denied != "" {
		fmt.Fprintf(b, "DeniedCode: %q,\n", g.ops.denied)
	}
	if g.ops.rawText {
		b.WriteString("RawText: true,\n")
	}
	b.WriteString("Absent: []aws.Absent{\n")
	for _, n := range g.model.Operations.sortedKeys() {
		if !g.isOp(n) {
			h := g.model.Operations.get(n).HTTP
			fmt.Fprintf(b, "{Name: %q, Method: %q, URI: %q},\n", n, h.Method, h.RequestURI)
		}
	}
	b.WriteString("},\n}\n")
	fmt.Fprintf(b, "s.Ops = make([]*aws.Op, 0, %d)\n", len(g.served))
}

// protocols are the model's, its preferred one first, and those that ops.txt adds.
func (g *generator) protocols() []string {
	m := g.model.Metadata
	all := append([]string{m.Protocol}, m.Protocols...)
	all = append(all, g.ops.protocols...)
	var out []string
	for _, p := range all {
		c := map[string]string{
			"rest-json": "aws.RestJSON", "rest-xml": "aws.RestXML", "query": "aws.Query", "ec2": "aws.EC2Query",
			"smithy-rpc-v2-cbor": "aws.RPCv2CBOR", "json-1.0": "aws.JSON10", "json-1.1": "aws.JSON11",
		}[p]
		if p == "json" {
			c = "aws.JSON11"
			if m.JSONVersion == "1.0" {
				c = "aws.JSON10"
			}
		}
		if c != "" && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

func (g *generator) op(b *bytes.Buffer, op *operation) error {
	line := g.ops.ops[op.Name]
	a := g.actions[op.Name]
	if a.action == "" {
		return fmt.Errorf("api/models/actions.txt has no line for it")
	}
	fmt.Fprintf(b, "s.Ops = append(s.Ops, &aws.Op{\nService: s,\nName: %q,\nMethod: %q,\nURI: %q,\nStatus: %d,\nAction: %q,\n",
		op.Name, op.HTTP.Method, op.HTTP.RequestURI, opStatus(op, line), a.action)
	if err := g.resource(b, op, a.resource); err != nil {
		return err
	}
	if err := g.also(b, op, a.also); err != nil {
		return err
	}
	if isReadOnly(op) || line.readOnly {
		b.WriteString("ReadOnly: true,\n")
	}
	if line.data {
		b.WriteString("Data: true,\n")
	}
	if line.noAuth {
		b.WriteString("NoAuth: true,\n")
	}
	if op.AuthType == "none" {
		b.WriteString("Unsigned: true,\n")
	}
	if line.maxBody > 0 {
		fmt.Fprintf(b, "MaxBody: %d,\n", line.maxBody)
	}
	fmt.Fprintf(b, "NewInput: func() any { return new(%sInput) },\nNewOutput: func() any { return new(%sOutput) },\n", op.Name, op.Name)
	if errs := errorList(op); len(errs) > 0 {
		fmt.Fprintf(b, "Errors: []*aws.ErrorType{%s},\n", strings.Join(errs, ", "))
	}
	fmt.Fprintf(b, "Call: func(ctx context.Context, impl, input any) (any, error) {\nreturn impl.(API).%s(ctx, input.(*%sInput))\n},\n})\n",
		op.Name, op.Name)
	return nil
}

func opStatus(op *operation, line opLine) int {
	switch {
	case line.status != 0:
		return line.status
	case op.HTTP.ResponseCode != 0:
		return op.HTTP.ResponseCode
	}
	return 200
}

func errorList(op *operation) []string {
	var errs []string
	for _, e := range op.Errors {
		errs = append(errs, errorName(e.Shape))
	}
	slices.Sort(errs)
	return slices.Compact(errs)
}

// isReadOnly follows the model, and the verbs that CloudTrail marks readOnly where the model is silent.
func isReadOnly(op *operation) bool {
	if op.Readonly {
		return true
	}
	for _, verb := range []string{"Get", "List", "Describe", "Filter", "Head", "BatchGet", "Scan", "Query", "Lookup"} {
		if strings.HasPrefix(op.Name, verb) {
			return true
		}
	}
	return false
}

// resource writes what the op acts on, as actions.txt says it.
func (g *generator) resource(b *bytes.Buffer, op *operation, resource string) error {
	if resource == "method" {
		fmt.Fprintf(b, "Resources: func(ctx context.Context, impl, input any) ([]string, error) {\nreturn impl.(API).Resources%s(ctx, input.(*%sInput))\n},\n",
			op.Name, op.Name)
		return nil
	}
	function, args, isCall := strings.Cut(strings.TrimSuffix(resource, ")"), "(")
	if !isCall {
		fmt.Fprintf(b, "Resource: %q,\n", resource)
		return g.checkTemplate(op, resource)
	}
	members := strings.Split(args, ",")
	params := make([]string, len(members))
	for i, m := range members {
		if err := g.checkMember(op, m); err != nil {
			return err
		}
		params[i] = "in." + goName(m)
	}
	if asking, ok := strings.CutPrefix(function, "impl."); ok {
		fmt.Fprintf(b, "Resources: func(ctx context.Context, impl, input any) ([]string, error) {\nin := input.(*%sInput)\nreturn %s(ctx, impl, %s)\n},\n",
			op.Name, asking, strings.Join(params, ", "))
		return nil
	}
	fmt.Fprintf(b, "Resources: func(ctx context.Context, _, input any) ([]string, error) {\nin := input.(*%sInput)\nreturn %s(aws.CallFrom(ctx), %s)\n},\n",
		op.Name, function, strings.Join(params, ", "))
	return nil
}

// checkTemplate refuses a template that names what the input does not have.
func (g *generator) checkTemplate(op *operation, template string) error {
	for rest := template; ; {
		_, after, found := strings.Cut(rest, "${")
		if !found {
			return nil
		}
		name, tail, _ := strings.Cut(after, "}")
		rest = tail
		if name == "Region" || name == "Account" || name == "Partition" {
			continue
		}
		if err := g.checkMember(op, name); err != nil {
			return err
		}
	}
}

func (g *generator) checkMember(op *operation, name string) error {
	if op.Input != nil {
		for _, m := range g.model.Shapes.get(op.Input.Shape).Members.keys {
			if goName(m) == name || m == name {
				return nil
			}
		}
	}
	return fmt.Errorf("actions.txt: its input has no member %s", name)
}

// api writes the interface that a service implements and the client that other services call it by.
func (g *generator) api(b *bytes.Buffer) error {
	fmt.Fprintf(b, "// API is what an implementation of %s must have: a method for every served op.\ntype API interface {\n", g.model.Metadata.ServiceFullName)
	for _, op := range g.served {
		fmt.Fprintf(b, "%s(ctx context.Context, in *%sInput) (*%sOutput, error)\n", op.Name, op.Name, op.Name)
	}
	for _, op := range g.served {
		if g.actions[op.Name].resource == "method" {
			fmt.Fprintf(b, "// Resources%s gives the ARNs that the call acts on, for the authorizer.\n", op.Name)
			fmt.Fprintf(b, "Resources%s(ctx context.Context, in *%sInput) ([]string, error)\n", op.Name, op.Name)
		}
	}
	b.WriteString("}\n\n")
	b.WriteString(clientText)
	for _, op := range g.served {
		fmt.Fprintf(b, "\n// %s calls the op of that name.\nfunc (c *Client) %s(ctx context.Context, in *%sInput) (*%sOutput, error) {\nreturn do[%sOutput](ctx, c.doer, Op%s, in)\n}\n",
			op.Name, op.Name, op.Name, op.Name, op.Name, op.Name)
	}
	return nil
}

const clientText = `// Client calls the service in this process, by a Doer that authorizes and audits like the front door does.
//
// Each call is a copy of the call that ctx belongs to (aws.CallFrom) with op and input replaced: a service that acts as
// somebody else puts a Call that says so into ctx first (aws.WithCall).
type Client struct {
	doer aws.Doer
}

// NewClient is a client whose calls d carries out.
func NewClient(d aws.Doer) *Client { return &Client{doer: d} }

func do[Out any](ctx context.Context, d aws.Doer, op *aws.Op, in any) (*Out, error) {
	call := *aws.CallFrom(ctx)
	call.Op, call.Input = op, in
	out, err := d.Do(ctx, &call)
	if err != nil {
		return nil, err
	}
	return out.(*Out), nil
}
`
