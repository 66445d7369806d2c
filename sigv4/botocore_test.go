package sigv4

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"sort"
	"strings"
	"testing"
	"time"
)

// TestBotocore verifies requests that botocore signed, which is what boto3 and the AWS CLI sign with.
// testdata/sign_with_botocore.py made them.
func TestBotocore(t *testing.T) {
	b, err := os.ReadFile("testdata/botocore.json")
	if err != nil {
		t.Fatal(err)
	}
	var requests []struct {
		Name, Service, Region, Token, Method, URL, Body string
		Header                                          map[string]string
	}
	if err := json.Unmarshal(b, &requests); err != nil {
		t.Fatal(err)
	}
	if len(requests) < 10 {
		t.Fatalf("only %d requests", len(requests))
	}
	for _, c := range requests {
		t.Run(c.Name, func(t *testing.T) {
			const base = "http://127.0.0.1:4566"
			head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: 127.0.0.1:4566\r\n", c.Method, strings.TrimPrefix(c.URL, base))
			for name, value := range c.Header {
				head += name + ": " + value + "\r\n"
			}
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n" + c.Body)))
			if err != nil {
				t.Fatal(err)
			}
			at(t, time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC), func(t *testing.T) {
				v := New(oneKey{id: testKey, secret: testSecret, token: c.Token})
				id, err := v.Verify(r, []byte(c.Body))
				if err != nil {
					t.Fatal(err)
				}
				if id.Service != c.Service || id.Region != c.Region {
					t.Errorf("identity = %+v", id)
				}
				r.Method = "PATCH"
				if _, err := v.Verify(r, []byte(c.Body)); err == nil {
					t.Error("accepted with another method")
				}
			})
		})
	}
}

// FuzzAuthorization feeds the parser of the header form. Whatever it accepts must be fit for an ARN and a cache key.
func FuzzAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20000101/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=00", "20000101T000000Z")
	f.Add("AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=", "")
	f.Add("AWS4-HMAC-SHA256 a=b=c,,, Credential=////", "Sat, 01 Jan 2000 00:00:00 GMT")
	f.Fuzz(func(t *testing.T, auth, date string) {
		for _, name := range []string{"X-Amz-Date", "Date"} {
			s, err := parseAuthorization(auth, http.Header{name: {date}})
			if err != nil {
				continue
			}
			checkParsed(t, s)
		}
	})
}

func checkParsed(t *testing.T, s *signature) {
	t.Helper()
	if !isWord(s.region, 64) || !isWord(s.service, 64) || !isWord(s.accessKeyID, 128) || s.date != s.iso[:8] || s.headers == "" || s.hex == "" {
		t.Errorf("accepted %+v", s)
	}
}

// FuzzQuery feeds the parser of the query form, and checks that a canonical query is its own canonical form.
func FuzzQuery(f *testing.F) {
	f.Add("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20000101%2Fus-east-1%2Flambda%2Faws4_request&X-Amz-Date=20000101T000000Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=00")
	f.Add("a=b&a=%62&=&%zz=+&X-Amz-Signature")
	f.Fuzz(func(t *testing.T, raw string) {
		query, err := parseQuery(raw)
		if err != nil {
			return
		}
		if !sort.SliceIsSorted(query, func(i, j int) bool {
			return query[i].name < query[j].name || query[i].name == query[j].name && query[i].value < query[j].value
		}) {
			t.Errorf("not sorted: %v", query)
		}
		for _, p := range query {
			if recode(p.name) != p.name || recode(p.value) != p.value {
				t.Errorf("not canonical: %v", p)
			}
		}
		r := &http.Request{Header: http.Header{}}
		if s, err := parsePresigned(r, query); err == nil {
			checkParsed(t, s)
			if s.expires <= 0 || s.expires > MaxExpires {
				t.Errorf("accepted %s of life", s.expires)
			}
		}
	})
}

// FuzzPath checks that the canonical path of every service is made of what a canonical path may hold, and is stable.
func FuzzPath(f *testing.F) {
	f.Add("/a//b/../c/./d%20e/")
	f.Add("/%")
	f.Fuzz(func(t *testing.T, path string) {
		if !strings.HasPrefix(path, "/") {
			return
		}
		for _, isS3 := range []bool{false, true} {
			got := string(appendPath(nil, path, isS3))
			if !strings.HasPrefix(got, "/") || strings.Trim(got, "/%"+unreservedBytes()) != "" {
				t.Errorf("canonical path of %q = %q", path, got)
			}
			if isS3 && string(appendPath(nil, got, true)) != got {
				t.Errorf("canonical path of %q is not stable: %q", path, got)
			}
		}
	})
}

func unreservedBytes() string {
	var b []byte
	for c := range 256 {
		if unreserved[c] {
			b = append(b, byte(c))
		}
	}
	return string(b)
}
