package wire

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/aws"
	"github.com/fxamacker/cbor/v2"
)

var (
	errGone = &aws.ErrorType{Code: "GoneException", QueryCode: "Gone", Status: 410, MessageAs: "Message"}
	errDown = &aws.ErrorType{Code: "DownException", Status: 503, Server: true, MessageAs: "message"}
)

func TestEncodeError(t *testing.T) {
	service := &aws.Service{Name: "t", XMLNamespace: "https://t/doc/", TypedErrors: true}
	for _, tc := range []struct {
		name   string
		p      aws.Protocol
		err    *aws.Error
		query  bool
		want   string
		header map[string]string
	}{
		{
			name: "rest-json", p: aws.RestJSON, err: errGone.New("it's <gone>"), want: `{"Message":"it's <gone>","Type":"User"}`,
			header: map[string]string{"X-Amzn-ErrorType": "GoneException", "Content-Type": "application/json"},
		},
		{
			name: "rest-json with fields and headers", p: aws.RestJSON, err: errDown.New("m").With("Reason", "R").WithHeader("Retry-After", "1"),
			want: `{"Reason":"R","Type":"Service","message":"m"}`, header: map[string]string{"Retry-After": "1"},
		},
		{
			name: "framework error", p: aws.RestJSON, err: aws.ErrValidation.New("m"), want: `{"message":"m"}`,
			header: map[string]string{"X-Amzn-ErrorType": "ValidationException"},
		},
		{
			name: "json", p: aws.JSON11, err: aws.ErrValidation.New("m"), want: `{"__type":"ValidationException","message":"m"}`,
			header: map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amzn-Query-Error": ""},
		},
		{
			name: "json of a query client", p: aws.JSON10, err: errGone.New(""), query: true, want: `{"Type":"User","__type":"GoneException"}`,
			header: map[string]string{"Content-Type": "application/x-amz-json-1.0", "X-Amzn-Query-Error": "Gone;Sender"},
		},
		{
			name: "query", p: aws.Query, err: errGone.New("<a> & b"), header: map[string]string{"Content-Type": "text/xml"},
			want: `<ErrorResponse xmlns="https://t/doc/"><Error><Type>Sender</Type><Code>Gone</Code><Message>&lt;a&gt; &amp; b</Message></Error><RequestId>id</RequestId></ErrorResponse>` + "\n",
		},
		{
			name: "ec2", p: aws.EC2Query, err: errDown.New("m"), header: map[string]string{"Content-Type": "text/xml;charset=UTF-8"},
			want: `<Response><Errors><Error><Code>DownException</Code><Message>m</Message></Error></Errors><RequestID>id</RequestID></Response>`,
		},
		{
			name: "rest-xml", p: aws.RestXML, err: errDown.New("m"), header: map[string]string{"X-Amz-Request-Id": "id"},
			want: `<ErrorResponse xmlns="https://t/doc/"><Error><Type>Receiver</Type><Code>DownException</Code><Message>m</Message></Error><RequestId>id</RequestId></ErrorResponse>`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			m := &Match{Service: service, Protocol: tc.p, queryMode: tc.query}
			m.EncodeError(w, "id", tc.err)
			body := strings.TrimPrefix(strings.TrimPrefix(w.Body.String(), xmlHeader), `<?xml version="1.0" encoding="UTF-8"?>`+"\n")
			if w.Code != tc.err.Type.Status || strings.TrimSpace(body) != strings.TrimSpace(tc.want) || w.Header().Get("x-amzn-RequestId") != "id" {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			for k, v := range tc.header {
				if got := w.Header().Get(k); got != v {
					t.Errorf("%s: got %q, want %q", k, got, v)
				}
			}
		})
	}
}

func TestCBORError(t *testing.T) {
	w := httptest.NewRecorder()
	(&Match{Protocol: aws.RPCv2CBOR}).EncodeError(w, "id", errGone.New("m"))
	var got map[string]string
	if err := cbor.Unmarshal(w.Body.Bytes(), &got); err != nil || got["__type"] != "GoneException" || got["Message"] != "m" || w.Code != 410 {
		t.Errorf("got %d %v %v", w.Code, got, err)
	}
}

func TestS3Error(t *testing.T) {
	w := httptest.NewRecorder()
	m := &Match{Service: &aws.Service{Name: "s3"}, Protocol: aws.RestXML}
	m.EncodeError(w, "id", errGone.New("m").With("Key", "k<").With("bad name", "x"))
	if want := xmlHeader + "<Error><Code>Gone</Code><Message>m</Message><Key>k&lt;</Key><RequestId>id</RequestId></Error>"; w.Body.String() != want {
		t.Errorf("got %s", w.Body)
	}
}

func TestStatusByProtocol(t *testing.T) {
	for _, tc := range []struct {
		p    aws.Protocol
		err  *aws.ErrorType
		want int
	}{
		{aws.RestJSON, aws.ErrUnknownOp, 404},
		{aws.JSON11, aws.ErrUnknownOp, 400},
		{aws.Query, aws.ErrUnknownOp, 400},
		{aws.RestJSON, aws.ErrAccessDenied, 403},
		{aws.JSON10, aws.ErrAccessDenied, 400},
		{aws.Query, aws.ErrAccessDenied, 403},
		{aws.RestJSON, &aws.ErrorType{Code: "A"}, 400},
	} {
		w := httptest.NewRecorder()
		(&Match{Protocol: tc.p}).EncodeError(w, "id", tc.err.New("m"))
		if w.Code != tc.want {
			t.Errorf("%s in %s: got %d, want %d", tc.err.Code, tc.p, w.Code, tc.want)
		}
	}
}

// TestDeniedCode: a service may have a word of its own for who is not allowed.
func TestDeniedCode(t *testing.T) {
	w := httptest.NewRecorder()
	m := &Match{Service: &aws.Service{Name: "sns", DeniedCode: "AuthorizationError"}, Protocol: aws.Query}
	m.EncodeError(w, "id", aws.ErrAccessDenied.New("m"))
	want := "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>m</Message></Error><RequestId>id</RequestId></ErrorResponse>\n"
	if w.Code != 403 || w.Body.String() != want {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if aws.ErrAccessDenied.QueryCode != "AccessDenied" {
		t.Error("the others have it, too")
	}
}

// TestWriteError checks that an error before routing takes the shape of the protocol that the request looks to be in.
func TestWriteError(t *testing.T) {
	for _, tc := range []struct {
		name, target, signing string
		header                map[string]string
		want                  string
	}{
		{name: "path", target: "/2015-03-31/functions", signing: "lambda", want: `{"message":"m"}`},
		{name: "nothing known", target: "/", want: `{"message":"m"}`},
		{name: "target", target: "/", header: map[string]string{"X-Amz-Target": "A.B"}, want: `{"__type":"DownException","message":"m"}`},
		{name: "form", target: "/", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, want: `<ErrorResponse><Error><Type>`},
		{name: "action in the URL", target: "/?Action=A", want: `<ErrorResponse><Error><Type>`},
		{name: "ec2", target: "/", signing: "ec2", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, want: xmlHeader + `<Response><Errors>`},
		{name: "s3", target: "/b/k", signing: "s3", want: xmlHeader + `<Error><Code>`},
		{name: "cbor", target: "/service/A/operation/B", header: map[string]string{"Smithy-Protocol": "rpc-v2-cbor"}, want: "\xa2\x66__type"},
	} {
		r := httptest.NewRequest("POST", tc.target, nil)
		for k, v := range tc.header {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		WriteError(w, r, "id", tc.signing, errDown.New("m"))
		if w.Code != 503 || !strings.HasPrefix(w.Body.String(), tc.want) {
			t.Errorf("%s: got %d %q", tc.name, w.Code, w.Body)
		}
	}
}

func TestHeadersCannotBeSplit(t *testing.T) {
	w := httptest.NewRecorder()
	WriteError(w, httptest.NewRequest("GET", "/", nil), "id", "", errDown.New("m").WithHeader("X-A", "a\r\nX-Evil: 1"))
	if got := w.Header().Get("X-A"); strings.ContainsAny(got, "\r\n") {
		t.Errorf("got %q", got)
	}
}

func TestTooLarge(t *testing.T) {
	m := &Match{Op: &aws.Op{Name: "Invoke", Action: "lambda:InvokeFunction", MaxBody: 6291456}}
	e := m.TooLarge()
	if !errors.Is(e, aws.ErrTooLarge) || e.Message != "Request must be smaller than 6291456 bytes for the InvokeFunction operation" {
		t.Errorf("got %v", e)
	}
	if m := (&Match{Op: &aws.Op{}}); m.MaxBody() != DefaultMaxBody {
		t.Errorf("got %d", m.MaxBody())
	}
}
