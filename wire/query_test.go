package wire

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/aws"
)

// queueInput is an input whose members have other names in the query protocol than in JSON.
type queueInput struct {
	QueueURL   *string           `wire:"QueueUrl"`
	Attributes map[string]string `wire:"Attributes,flat,form=Attribute" wire.k:"Name" wire.v:"Value"`
	Entries    []string          `wire:"Entries,flat" wire.e:"Entry"`
	Parts      []part            `wire:"Parts,flat" wire.e:"Part"`
}

type part struct {
	ID   *string           `wire:"Id"`
	Tags map[string]string `wire:"Tags,flat,form=Tag" wire.k:"Key" wire.v:"Value"`
}

func queueService() *aws.Service {
	s := &aws.Service{
		Name: "q", SigningName: "q", Version: "1", TargetPrefix: "Q", PathMember: "QueueUrl", Protocols: []aws.Protocol{aws.JSON10, aws.Query},
	}
	s.Ops = []*aws.Op{{Service: s, Name: "Set", Action: "q:Set", NewInput: func() any { return new(queueInput) }}}
	return s
}

func TestQueryNames(t *testing.T) {
	router := NewRouter(queueService())
	decode := func(path, contentType, target, body string) *queueInput {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		if target != "" {
			r.Header.Set("X-Amz-Target", target)
		}
		m, err := router.Route(r, "q", []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		in, err := m.Decode(r, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return in.(*queueInput)
	}
	const form = "application/x-www-form-urlencoded"
	want := &queueInput{QueueURL: new("http://example.com/1/q"), Attributes: map[string]string{"a": "b"}, Entries: []string{"x", "y"}}
	const params = "Action=Set&Version=1&Attribute.1.Name=a&Attribute.1.Value=b&Entry.1=x&Entry.2=y"
	for name, got := range map[string]*queueInput{
		"JSON":           decode("/1/q", "application/x-amz-json-1.0", "Q.Set", `{"QueueUrl":"http://example.com/1/q","Attributes":{"a":"b"},"Entries":["x","y"]}`),
		"form":           decode("/", form, "", params+"&QueueUrl=http%3A%2F%2Fexample.com%2F1%2Fq"),
		"form by path":   decode("/1/q", form, "", params),
		"both: the form": decode("/2/other", form, "", params+"&QueueUrl=http%3A%2F%2Fexample.com%2F1%2Fq"),
	} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	for body, want := range map[string]*queueInput{
		"&Attribute.Name=a&Attribute.Value=b&Entry=x":              {Attributes: map[string]string{"a": "b"}, Entries: []string{"x"}},
		"&Attribute.Name=a&Attribute.1.Name=c&Attribute.1.Value=d": {Attributes: map[string]string{"c": "d"}},
		"&Entry=x&Entry.1=y":                                               {Entries: []string{"y"}},
		"&Attribute.Value=b&Entry=":                                        {Attributes: nil, Entries: []string{}},
		"&Part.Id=i&Part.Tag.Key=k&Part.Tag.Value=v":                       {Parts: []part{{ID: new("i"), Tags: map[string]string{"k": "v"}}}},
		"&Part.1.Id=i&Part.1.Tag.Key=k&Part.1.Tag.Value=v&Part.2.Id=other": {Parts: []part{{ID: new("i"), Tags: map[string]string{"k": "v"}}, {ID: new("other")}}},
	} {
		if got := decode("/", form, "", "Action=Set&Version=1"+body); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", body, got, want)
		}
	}
	if got := decode("/", form, "", params); got.QueueURL != nil {
		t.Errorf("the root names %s", *got.QueueURL)
	}
	v := reflect.ValueOf(want).Elem()
	const answer = "<QueueUrl>http://example.com/1/q</QueueUrl><Attribute><Name>a</Name><Value>b</Value></Attribute><Entry>x</Entry><Entry>y</Entry>"
	if got := string(xmlWriter{}.members(nil, planOf(v.Type()), v)); got != answer {
		t.Errorf("answer %s", got)
	}
	const inJSON = `{"QueueUrl":"http://example.com/1/q","Attributes":{"a":"b"},"Entries":["x","y"]}`
	if got := string(appendJSONStruct(nil, planOf(v.Type()), v)); got != inJSON {
		t.Errorf("JSON answer %s", got)
	}
}
