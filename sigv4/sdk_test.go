package sigv4

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// asReceived is a client's request as a server reads it off the wire.
func asReceived(t *testing.T, r *http.Request, body []byte) *http.Request {
	t.Helper()
	r.Body = http.NoBody
	if len(body) > 0 {
		r.Body = struct {
			*bytes.Reader
			nopClose
		}{bytes.NewReader(body), nopClose{}}
		r.ContentLength = int64(len(body))
	}
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

type nopClose struct{}

func (nopClose) Close() error { return nil }

// TestSDK holds us against the signer of aws-sdk-go-v2, which signs as a client, in both directions.
func TestSDK(t *testing.T) {
	for _, c := range []struct {
		name, method, url, body, service, token string
		header                                  http.Header
	}{
		{name: "get", method: "GET", url: "http://127.0.0.1:4566/2015-03-31/functions/", service: "lambda"},
		{name: "invoke", method: "POST", url: "http://127.0.0.1:4566/2015-03-31/functions/f/invocations", body: `{"a":1}`, service: "lambda"},
		{
			name: "arn, query, utf-8", method: "DELETE", service: "lambda",
			url: "https://lambda.us-east-1.amazonaws.com/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A0%3Afunction%3Af%2Fg?b=2&a=%C3%A9+x&a=/&empty",
		},
		{name: "form", method: "POST", url: "http://localhost:4566/", body: "Action=GetCallerIdentity&Version=2011-06-15", service: "sts", token: "the token"},
		{
			name: "spaces in headers", method: "POST", url: "http://localhost:4566/", body: "{}", service: "logs",
			header: http.Header{"X-Amz-Target": {"Logs_20140328.PutLogEvents"}, "X-Amz-Meta-A": {"  a   b ", "c"}},
		},
		{name: "s3", method: "PUT", url: "http://localhost:4566/bucket/a//b/../c%20d%2Be/%C3%A9", body: "data", service: "s3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			creds := sdk.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret, SessionToken: c.token}
			signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = c.service == "s3" })
			v := New(oneKey{id: testKey, secret: testSecret, token: c.token})
			request := func() *http.Request {
				r, err := http.NewRequest(c.method, c.url, nil)
				if err != nil {
					t.Fatal(err)
				}
				for k, v := range c.header {
					r.Header[k] = v
				}
				r.ContentLength = int64(len(c.body))
				return r
			}
			hash := string(appendHash(nil, []byte(c.body)))

			r := request()
			if err := signer.SignHTTP(context.Background(), creds, r, hash, c.service, "us-east-1", time.Now()); err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(asReceived(t, r, []byte(c.body)), []byte(c.body)); err != nil {
				t.Errorf("signed by the SDK: %v", err)
			}

			r = request()
			ours := testCredentials(c.service)
			ours.SessionToken = c.token
			Sign(r, []byte(c.body), ours, time.Now())
			if _, err := v.Verify(asReceived(t, r, []byte(c.body)), []byte(c.body)); err != nil {
				t.Errorf("signed by us: %v", err)
			}

			r = request()
			q := r.URL.Query()
			q.Set("X-Amz-Expires", "60")
			r.URL.RawQuery = q.Encode()
			if c.service == "s3" {
				hash = UnsignedPayload
			}
			link, header, err := signer.PresignHTTP(context.Background(), creds, r, hash, c.service, "us-east-1", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			r, err = http.NewRequest(c.method, link, nil)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range header {
				r.Header[k] = v
			}
			id, err := v.Verify(asReceived(t, r, []byte(c.body)), []byte(c.body))
			if err != nil || !id.Presigned {
				t.Errorf("presigned by the SDK: %v", err)
			}
		})
	}
}

// TestPresignIsTheSDKs checks that our links are the SDK's, byte for byte but for the order of parameters.
func TestPresignIsTheSDKs(t *testing.T) {
	now := time.Now()
	u, _ := url.Parse("http://127.0.0.1:4566/2015-03-31/functions/a%20b?x=1&y=a%2Bb")
	for _, service := range []string{"lambda", "s3"} {
		ours, err := url.Parse(Presign(u, testCredentials(service), now, time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", u.String()+"&X-Amz-Expires=60", nil)
		hash := emptyHash
		if service == "s3" {
			hash = UnsignedPayload
		}
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
		link, _, err := signer.PresignHTTP(context.Background(), sdk.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}, r, hash, service, "us-east-1", now)
		if err != nil {
			t.Fatal(err)
		}
		theirs, _ := url.Parse(link)
		if a, b := ours.Query().Encode(), theirs.Query().Encode(); a != b {
			t.Errorf("%s: our query\n%s\nthe SDK's\n%s", service, a, b)
		}
	}
}

// TestSDKTrailer reads a body that is framed as the SDKs frame uploads with a checksum: unsigned chunks and a trailer.
func TestSDKTrailer(t *testing.T) {
	const body = "5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"
	r, _ := http.NewRequest("PUT", "http://localhost:4566/bucket/key", strings.NewReader(body))
	r.Header = http.Header{
		"Content-Encoding": {"aws-chunked"}, "X-Amz-Decoded-Content-Length": {"11"}, "X-Amz-Trailer": {"x-amz-checksum-crc32"},
		"X-Amz-Content-Sha256": {StreamingUnsignedTrailer},
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	creds := sdk.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}
	if err := signer.SignHTTP(context.Background(), creds, r, StreamingUnsignedTrailer, "s3", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	id, err := testVerifier().Verify(asReceived(t, r, []byte(body)), []byte(body))
	if err != nil || string(id.Body) != "hello world" {
		t.Errorf("Verify = %v, %v", id, err)
	}
}
