package sigv4

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/enfold-run/enfold/aws"
)

const testSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

// oneKey is a Keys with one key in it.
type oneKey struct {
	id, token, secret string
	err               error
}

func (k oneKey) Lookup(_ context.Context, id, token string) (Key, error) {
	if k.err != nil {
		return Key{}, k.err
	}
	if id != k.id || token != k.token {
		return Key{}, ErrUnknownKey
	}
	return Key{Secret: []byte(k.secret), Principal: aws.RootOf("000000000000", id)}, nil
}

// at runs f in a bubble whose clock shows t.
func at(t *testing.T, when time.Time, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(when))
		f(t)
	})
}

// readRequest is http.ReadRequest for the suite's files, some of whose request lines no server would accept.
func readRequest(t *testing.T, text string) (*http.Request, []byte) {
	t.Helper()
	line, rest, _ := strings.Cut(text, "\n")
	method, target, _ := strings.Cut(strings.TrimSuffix(line, " HTTP/1.1"), " ")
	head, body, _ := strings.Cut(rest, "\n\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " / HTTP/1.1\n" + head + "\n\n" + body)))
	if err != nil {
		t.Fatal(err)
	}
	r.RequestURI = target
	path, query, _ := strings.Cut(target, "?")
	r.URL = &url.URL{Path: path, RawQuery: query}
	if n := r.ContentLength; n > 0 {
		return r, []byte(body[:n])
	}
	return r, nil
}

// suiteCase is one folder of AWS's test suite.
type suiteCase struct {
	Credentials struct {
		SecretAccessKey string `json:"secret_access_key"`
		Token           string `json:"token"`
	} `json:"credentials"`
	Normalize bool      `json:"normalize"`
	OmitToken bool      `json:"omit_session_token"`
	SignBody  bool      `json:"sign_body"`
	Timestamp time.Time `json:"timestamp"`
	files     map[string]string
}

func suite(t *testing.T) map[string]*suiteCase {
	t.Helper()
	b, err := os.ReadFile("testdata/aws-sig-v4-test-suite.txtar")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]*suiteCase{}
	for _, f := range txtar.Parse(b).Files {
		name, file, _ := strings.Cut(f.Name, "/")
		c := cases[name]
		if c == nil {
			c = &suiteCase{
				files: map[string]string{}, Normalize: true, Timestamp: time.Date(2021, 5, 11, 15, 40, 45, 0, time.UTC),
			}
			cases[name] = c
		}
		if file == "context.json" {
			if err := json.Unmarshal(f.Data, c); err != nil {
				t.Fatal(err)
			}
			continue
		}
		c.files[file] = string(f.Data)
	}
	if len(cases) < 35 {
		t.Fatalf("only %d cases in the suite", len(cases))
	}
	return cases
}

// TestSuite runs AWS's test suite in both forms: the canonical request is AWS's, the signature is accepted, and it is not
// after any one thing was changed.
func TestSuite(t *testing.T) {
	for name, c := range suite(t) {
		for _, form := range []string{"header", "query"} {
			signed, ok := c.files[form+"-signed-request.txt"]
			if !ok {
				continue // double-url-encode has no query form
			}
			t.Run(name+"/"+form, func(t *testing.T) {
				at(t, c.Timestamp, func(t *testing.T) {
					r, body := readRequest(t, signed)
					checkCanonical(t, r, body, c, c.files[form+"-canonical-request.txt"])
					if !c.Normalize {
						return // only S3 signs paths as they are, and the suite signs for "service"
					}
					checkVerify(t, r, body, c)
				})
			})
		}
	}
}

func checkCanonical(t *testing.T, r *http.Request, body []byte, c *suiteCase, want string) {
	t.Helper()
	s, err := parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Normalize {
		s.service = s3
	}
	query := s.query
	if c.OmitToken {
		query = without(query, "X-Amz-Security-Token")
	}
	got := string(appendCanonical(nil, r, s, query, string(appendHash(nil, body))))
	if want = strings.TrimSpace(want); got != want {
		t.Errorf("canonical request:\n%s\nwant:\n%s", got, want)
	}
}

func checkVerify(t *testing.T, r *http.Request, body []byte, c *suiteCase) {
	t.Helper()
	token := c.Credentials.Token
	v := New(oneKey{id: "AKIDEXAMPLE", token: token, secret: testSecret})
	id, err := v.Verify(r, body)
	if err != nil {
		t.Fatal(err)
	}
	if id.Principal.AccessKeyID != "AKIDEXAMPLE" || !id.SignedAt.Equal(c.Timestamp) {
		t.Errorf("identity = %+v", id)
	}
	for name, change := range map[string]func(r *http.Request){
		"method": func(r *http.Request) { r.Method = "PATCH" },
		"path":   func(r *http.Request) { r.RequestURI = "/other" },
		"query":  func(r *http.Request) { r.URL.RawQuery += "&a=b" },
		"host":   func(r *http.Request) { r.Host = "example.org" },
	} {
		changed := r.Clone(r.Context())
		change(changed)
		if _, err := v.Verify(changed, body); err == nil {
			t.Errorf("accepted with another %s", name)
		}
	}
	if _, err := v.Verify(r, append([]byte("x"), body...)); err == nil {
		t.Error("accepted with another body")
	}
	if _, err := New(oneKey{id: "AKIDEXAMPLE", token: token, secret: "other"}).Verify(r, body); err == nil {
		t.Error("accepted with another secret")
	}
}
