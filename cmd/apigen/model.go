package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// model is a service-2.json as botocore ships it, without its documentation. The order of members is kept: it is the
// order of struct fields and of elements in XML answers.
type model struct {
	Version    string              `json:"version"`
	Metadata   metadata            `json:"metadata"`
	Operations ordered[*operation] `json:"operations"`
	Shapes     ordered[*shape]     `json:"shapes"`
}

type metadata struct {
	APIVersion          string          `json:"apiVersion"`
	EndpointPrefix      string          `json:"endpointPrefix"`
	GlobalEndpoint      string          `json:"globalEndpoint,omitempty"`
	JSONVersion         string          `json:"jsonVersion,omitempty"`
	Protocol            string          `json:"protocol"`
	Protocols           []string        `json:"protocols,omitempty"`
	ServiceFullName     string          `json:"serviceFullName"`
	ServiceID           string          `json:"serviceId"`
	SigningName         string          `json:"signingName,omitempty"`
	TargetPrefix        string          `json:"targetPrefix,omitempty"`
	XMLNamespace        string          `json:"xmlNamespace,omitempty"`
	AWSQueryCompatible  json.RawMessage `json:"awsQueryCompatible,omitempty"`
	SignatureVersion    string          `json:"signatureVersion,omitempty"`
	UID                 string          `json:"uid,omitempty"`
	ServiceAbbreviation string          `json:"serviceAbbreviation,omitempty"`
}

type operation struct {
	Name       string    `json:"name"`
	HTTP       httpTrait `json:"http"`
	Input      *ref      `json:"input,omitempty"`
	Output     *ref      `json:"output,omitempty"`
	Errors     []*ref    `json:"errors,omitempty"`
	Readonly   bool      `json:"readonly,omitempty"`
	Idempotent bool      `json:"idempotent,omitempty"`
	Deprecated bool      `json:"deprecated,omitempty"`
	AuthType   string    `json:"authtype,omitempty"`
}

type httpTrait struct {
	Method       string `json:"method"`
	RequestURI   string `json:"requestUri"`
	ResponseCode int    `json:"responseCode,omitempty"`
}

// ref is a use of a shape: a member, a list's element, an op's input.
type ref struct {
	Shape            string        `json:"shape"`
	Location         string        `json:"location,omitempty"`
	LocationName     string        `json:"locationName,omitempty"`
	QueryName        string        `json:"queryName,omitempty"`
	ResultWrapper    string        `json:"resultWrapper,omitempty"`
	XMLNamespace     *xmlNamespace `json:"xmlNamespace,omitempty"`
	XMLAttribute     bool          `json:"xmlAttribute,omitempty"`
	Flattened        bool          `json:"flattened,omitempty"`
	Streaming        bool          `json:"streaming,omitempty"`
	JSONValue        bool          `json:"jsonvalue,omitempty"`
	IdempotencyToken bool          `json:"idempotencyToken,omitempty"`
	TimestampFormat  string        `json:"timestampFormat,omitempty"`
	EventPayload     bool          `json:"eventpayload,omitempty"`
	EventHeader      bool          `json:"eventheader,omitempty"`
	HostLabel        bool          `json:"hostLabel,omitempty"`
	// formName is the name in query requests and answers where the model has only the JSON one. Only overrides.txt sets it.
	formName string
}

type shape struct {
	Type            string        `json:"type"`
	Required        []string      `json:"required,omitempty"`
	Members         ordered[*ref] `json:"members,omitzero"`
	Member          *ref          `json:"member,omitempty"`
	Key             *ref          `json:"key,omitempty"`
	Value           *ref          `json:"value,omitempty"`
	Payload         string        `json:"payload,omitempty"`
	Min             json.Number   `json:"min,omitempty"`
	Max             json.Number   `json:"max,omitempty"`
	Pattern         string        `json:"pattern,omitempty"`
	Enum            []string      `json:"enum,omitempty"`
	Sensitive       bool          `json:"sensitive,omitempty"`
	Streaming       bool          `json:"streaming,omitempty"`
	Flattened       bool          `json:"flattened,omitempty"`
	Union           bool          `json:"union,omitempty"`
	Document        bool          `json:"document,omitempty"`
	EventStream     bool          `json:"eventstream,omitempty"`
	Event           bool          `json:"event,omitempty"`
	Exception       bool          `json:"exception,omitempty"`
	Fault           bool          `json:"fault,omitempty"`
	Error           *errorTrait   `json:"error,omitempty"`
	TimestampFormat string        `json:"timestampFormat,omitempty"`
	LocationName    string        `json:"locationName,omitempty"`
	XMLNamespace    *xmlNamespace `json:"xmlNamespace,omitempty"`
	Wrapper         bool          `json:"wrapper,omitempty"`
	JSONValue       bool          `json:"jsonvalue,omitempty"`
	// Only overrides.txt sets these: notNull is an element whose constraints end with "Member must not be null", bare is
	// a list whose elements' enum is written without "Member must satisfy constraint".
	notNull, bare bool
}

type errorTrait struct {
	Code           string `json:"code,omitempty"`
	HTTPStatusCode int    `json:"httpStatusCode,omitempty"`
	SenderFault    bool   `json:"senderFault,omitempty"`
	Fault          bool   `json:"fault,omitempty"`
}

// xmlNamespace is {"uri": …, "prefix": …} or, in old models, just the URI.
type xmlNamespace struct {
	URI    string `json:"uri"`
	Prefix string `json:"prefix,omitempty"`
}

func (n *xmlNamespace) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &n.URI)
	}
	type plain xmlNamespace
	return json.Unmarshal(b, (*plain)(n))
}

// ordered is a JSON object that remembers the order of its keys.
type ordered[V any] struct {
	keys   []string
	values map[string]V
}

func (o ordered[V]) IsZero() bool         { return o.values == nil }
func (o ordered[V]) get(key string) V     { return o.values[key] }
func (o ordered[V]) sortedKeys() []string { return slices.Sorted(slices.Values(o.keys)) }

func (o *ordered[V]) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	o.values = map[string]V{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var v V
		if err := d.Decode(&v); err != nil {
			return fmt.Errorf("%v: %w", key, err)
		}
		o.keys = append(o.keys, key.(string))
		o.values[key.(string)] = v
	}
	return nil
}

func (o ordered[V]) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, key := range o.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		k, err := marshal(key)
		if err != nil {
			return nil, err
		}
		v, err := marshal(o.values[key])
		if err != nil {
			return nil, err
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// importModel trims botocore's model of a service to what the generator reads and keeps it under api/models.
func importModel(root, from, svc string) error {
	ops, err := readOps(filepath.Join(root, "api", svc, "ops.txt"))
	if err != nil {
		return err
	}
	if ops.model == "" {
		return fmt.Errorf("ops.txt has no service line with model=NAME/VERSION")
	}
	m, err := readBotocore(filepath.Join(from, filepath.FromSlash(ops.model), "service-2.json"))
	if err != nil {
		return err
	}
	text, err := m.text()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "api", "models", svc+".json"), text, 0o644)
}

func readBotocore(path string) (*model, error) {
	m := new(model)
	b, err := os.ReadFile(path)
	if err == nil {
		return m, json.Unmarshal(b, m)
	}
	f, err := os.Open(path + ".gz")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return m, json.NewDecoder(z).Decode(m)
}

// text is the model with one shape or op a line, so that a newer model shows as a readable difference.
func (m *model) text() ([]byte, error) {
	var b bytes.Buffer
	meta, err := marshal(m.Metadata)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "{\"version\":%q,\n\"metadata\":%s,\n\"operations\":", m.Version, meta)
	if err := writeLines(&b, m.Operations); err != nil {
		return nil, err
	}
	b.WriteString(",\n\"shapes\":")
	if err := writeLines(&b, m.Shapes); err != nil {
		return nil, err
	}
	b.WriteString("}\n")
	return b.Bytes(), nil
}

func writeLines[V any](b *bytes.Buffer, o ordered[V]) error {
	b.WriteString("{\n")
	for i, key := range o.keys {
		v, err := marshal(o.values[key])
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "%q:%s", key, v)
		if i < len(o.keys)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteByte('}')
	return nil
}

func readModel(path string) (*model, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := new(model)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}
