package sigv4

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/enfold-run/enfold/aws"
)

const testKey = "AKIDEXAMPLE"

func testCredentials(service string) Credentials {
	return Credentials{AccessKeyID: testKey, Secret: []byte(testSecret), Region: "us-east-1", Service: service}
}

func testVerifier() *Verifier { return New(oneKey{id: testKey, secret: testSecret}) }

// signed is an Invoke, signed now by Sign.
func signed(body, service string) *http.Request {
	r := httptest.NewRequest("POST", "http://127.0.0.1:4566/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af/invocations?Qualifier=a+b", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Amz-Invocation-Type", "RequestResponse")
	Sign(r, []byte(body), testCredentials(service), time.Now())
	return r
}

func TestVerifySigned(t *testing.T) {
	for _, service := range []string{"lambda", "s3"} {
		id, err := testVerifier().Verify(signed("{}", service), []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if id.Service != service || id.Region != "us-east-1" || id.Presigned || string(id.Body) != "{}" || id.Principal.AccessKeyID != testKey {
			t.Errorf("identity = %+v", id)
		}
	}
}

func TestRefusals(t *testing.T) {
	const noMatch = "The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	auth := func(f func(a string) string) func(r *http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", f(r.Header.Get("Authorization"))) }
	}
	replace := func(old, with string) func(r *http.Request) {
		return auth(func(a string) string { return strings.Replace(a, old, with, 1) })
	}
	header := func(name string, values ...string) func(r *http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	for _, c := range []struct {
		name    string
		change  func(r *http.Request)
		want    *aws.ErrorType
		message string
	}{
		{"no signature", func(r *http.Request) { r.Header.Del("Authorization") }, ErrMissingToken, "Missing Authentication Token"},
		{"another secret", replace("Signature=", "Signature=0"), ErrInvalidSignature, noMatch},
		{"upper case signature", auth(func(a string) string {
			i := strings.Index(a, "Signature=")
			return a[:i+10] + strings.ToUpper(a[i+10:])
		}), ErrInvalidSignature, noMatch},
		{"another header value", header("Content-Type", "text/plain"), ErrInvalidSignature, noMatch},
		{"signed header twice", header("Content-Type", "application/json", "x"), ErrInvalidSignature, noMatch},
		{"signed header gone", func(r *http.Request) { r.Header.Del("Content-Type") }, ErrInvalidSignature, noMatch},
		{"unknown key", replace(testKey, "AKIDOTHER"), ErrUnrecognizedClient, "The security token included in the request is invalid."},
		{"odd key", replace(testKey, "AKID\x01"), ErrUnrecognizedClient, "The security token included in the request is invalid."},
		{"token for a key without", header("X-Amz-Security-Token", "x"), ErrUnrecognizedClient, "The security token included in the request is invalid."},
		{"not AWS's", header("Authorization", "Bearer abc"), ErrIncompleteSignature, "Invalid key=value pair (missing equal-sign) in Authorization header " +
			"(hashed with SHA-256 and encoded with Base64): 'w1Xc6WwWEogNEZQP/dkBTThsJT4MNlKmzQanIm970rY='."},
		{"nothing in it", header("Authorization", "AWS4-HMAC-SHA256"), ErrIncompleteSignature, "Authorization header requires 'Credential' parameter. " +
			"Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. " +
			"(Hashed with SHA-256 and encoded with Base64) Authorization=" + hashed("AWS4-HMAC-SHA256")},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, ErrIncompleteSignature, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."},
		{"two dates", header("X-Amz-Date", "20000101T000000Z", "20000101T000000Z"), ErrIncompleteSignature, "Authorization header requires existence of"},
		{"parameter twice", replace("Signature=", "Signature=a, Signature="), ErrIncompleteSignature, "Authorization header has more than one 'Signature' parameter."},
		{"two signatures", func(r *http.Request) { r.Header.Add("Authorization", "x") }, ErrIncompleteSignature, "Only one auth mechanism allowed"},
		{"both forms", func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Algorithm=AWS4-HMAC-SHA256" }, ErrIncompleteSignature, "Only one auth mechanism allowed"},
		{"version 4A", replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), ErrIncompleteSignature, "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'."},
		{"long", replace(", Signature", ", X="+strings.Repeat("x", maxAuthorization)+", Signature"), ErrIncompleteSignature, "Authorization header is too long"},
		{"short scope", replace("/us-east-1", ""), ErrIncompleteSignature, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + testKey + "/20000101/lambda/aws4_request'"},
		{"terminator", replace("aws4_request", "aws5_request"), ErrInvalidSignature, "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'."},
		{"region", replace("us-east-1", "us<east>1"), ErrInvalidSignature, "Credential should be scoped to a valid region, not 'us<east>1'."},
		{"no service", replace("/lambda/", "//"), ErrInvalidSignature, "Credential should be scoped to correct service, not ''."},
		{"another day", replace("20000101", "19991231"), ErrInvalidSignature, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '19991231' != '20000101', from '20000101T000000Z'."},
		{"another region", replace("us-east-1", "us-east-2"), ErrInvalidSignature, noMatch},
		{"no date at all", header("X-Amz-Date", "yesterday"), ErrIncompleteSignature, "Date must be in ISO-8601 'basic format'. Got 'yesterday'. See http://en.wikipedia.org/wiki/ISO_8601"},
		{"old", func(*http.Request) { time.Sleep(MaxSkew + time.Second) }, ErrInvalidSignature, "Signature expired: 20000101T000000Z is now earlier than 20000101T000001Z (20000101T001501Z - 15 min.)"},
		{"not yet", func(r *http.Request) {
			Sign(r, []byte("{}"), testCredentials("lambda"), time.Now().Add(MaxSkew+time.Second))
		}, ErrInvalidSignature, "Signature not yet current: 20000101T001501Z is still later than 20000101T001500Z (20000101T000000Z + 15 min.)"},
		{"host not signed", replace("host;", ""), ErrInvalidSignature, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		{"x-amz header not signed", header("X-Amz-Log-Type", "Tail"), ErrInvalidSignature, "'x-amz-log-type' must be a 'SignedHeader' in the AWS Authorization."},
		{"another body's hash", func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", string(appendHash(nil, []byte("other"))))
			Sign(r, []byte("{}"), testCredentials("lambda"), time.Now())
		}, ErrInvalidSignature, noMatch},
		{"many headers signed", replace("SignedHeaders=", "SignedHeaders="+strings.Repeat("a;", maxSignedHeaders/2)), ErrInvalidSignature, noMatch},
		{"long query", func(r *http.Request) { r.URL.RawQuery = strings.Repeat("a&", maxQueryParams) }, ErrIncompleteSignature, "The query string has more than 1000 parameters."},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := signed("{}", "lambda")
				c.change(r)
				id, err := testVerifier().Verify(r, []byte("{}"))
				var e *aws.Error
				if id != nil || !errors.As(err, &e) || e.Type != c.want || !strings.HasPrefix(e.Message, c.message) {
					t.Errorf("error = %v\nwant    %s: %s", err, c.want.Code, c.message)
				}
			})
		})
	}
}

// TestErrorsOfS3 checks that S3 gets its own codes.
func TestErrorsOfS3(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *http.Request)
		want   *aws.ErrorType
	}{
		{"unknown key", func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), testKey, "OTHER", 1))
		}, ErrS3InvalidAccessKeyID},
		{"signature", func(r *http.Request) { r.Method = "PUT" }, ErrS3SignatureMismatch},
		{"unsigned header", func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") }, ErrS3AccessDenied},
		{"old", func(*http.Request) { time.Sleep(MaxSkew + time.Second) }, ErrS3TimeTooSkewed},
		{"body", func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", emptyHash)
			Sign(r, nil, testCredentials("s3"), time.Now())
		}, ErrS3ContentSHA256},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := signed("{}", "s3")
				c.change(r)
				if _, err := testVerifier().Verify(r, []byte("{}")); !errors.Is(err, c.want) {
					t.Errorf("error = %v, want %s", err, c.want.Code)
				}
			})
		})
	}
}

func TestKeysErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, c := range []struct {
		from error
		want error
	}{
		{ErrUnknownKey, ErrUnrecognizedClient},
		{fmt.Errorf("look: %w", ErrUnknownKey), ErrUnrecognizedClient},
		{ErrSessionExpired, ErrExpiredToken},
		{broken, broken},
	} {
		if _, err := New(oneKey{err: c.from}).Verify(signed("{}", "lambda"), []byte("{}")); !errors.Is(err, c.want) {
			t.Errorf("error = %v, want %v", err, c.want)
		}
	}
}

func TestPresign(t *testing.T) {
	for _, c := range []struct {
		name   string
		age    time.Duration
		change func(q url.Values)
		want   error // nil: accepted
	}{
		{name: "fresh"},
		{name: "older than the skew", age: 59 * time.Minute},
		{name: "expired", age: 61 * time.Minute, want: ErrRequestExpired},
		{name: "another parameter", change: func(q url.Values) { q.Set("id", "2") }, want: ErrInvalidSignature},
		{name: "lives longer", change: func(q url.Values) { q.Set("X-Amz-Expires", "3601") }, want: ErrInvalidSignature},
		{name: "no life", change: func(q url.Values) { q.Set("X-Amz-Expires", "0") }, want: ErrIncompleteSignature},
		{name: "eight days", change: func(q url.Values) { q.Set("X-Amz-Expires", "604801") }, want: ErrIncompleteSignature},
		{name: "life is no number", change: func(q url.Values) { q.Set("X-Amz-Expires", "1h") }, want: ErrIncompleteSignature},
		{name: "no date", change: func(q url.Values) { q.Del("X-Amz-Date") }, want: ErrIncompleteSignature},
		{name: "no signature", change: func(q url.Values) { q.Del("X-Amz-Signature") }, want: ErrIncompleteSignature},
		{name: "two signatures", change: func(q url.Values) { q.Add("X-Amz-Signature", "x") }, want: ErrIncompleteSignature},
		{name: "algorithm", change: func(q url.Values) { q.Set("X-Amz-Algorithm", "none") }, want: ErrIncompleteSignature},
		{name: "host not signed", change: func(q url.Values) { q.Set("X-Amz-SignedHeaders", "x-amz-date") }, want: ErrInvalidSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, _ := url.Parse("http://127.0.0.1:4566/_enfold/code/a%20b?id=1&x=a%2Bb")
				link, err := url.Parse(Presign(u, testCredentials("lambda"), time.Now(), time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.age)
				if c.change != nil {
					q := link.Query()
					c.change(q)
					link.RawQuery = q.Encode()
				}
				id, err := testVerifier().Verify(httptest.NewRequest("GET", link.String(), nil), nil)
				if c.want == nil && (err != nil || !id.Presigned) || c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("Verify = %v, want %v", err, c.want)
				}
			})
		})
	}
}

func TestDateHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Date", now.UTC().Format(http.TimeFormat))
		s := &signature{scope: testCredentials("lambda").scope(now), iso: now.UTC().Format(isoBasic), headers: "date;host"}
		r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%s",
			testKey, appendScope(nil, s.scope), s.headers, sign(r, s, []byte(testSecret), emptyHash)))
		if _, err := testVerifier().Verify(r, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestUnsignedPayload(t *testing.T) {
	r := httptest.NewRequest("PUT", "http://localhost/b/k", nil)
	r.Header.Set("X-Amz-Content-Sha256", UnsignedPayload)
	Sign(r, nil, testCredentials("s3"), time.Now())
	if _, err := testVerifier().Verify(r, []byte("anything")); err != nil {
		t.Error(err)
	}
}

func TestHeadersThatNetHTTPKeepsElsewhere(t *testing.T) {
	now := time.Now()
	r := httptest.NewRequest("POST", "http://localhost:4566/", strings.NewReader("abc"))
	r.TransferEncoding = []string{"chunked"}
	s := &signature{
		scope: testCredentials("lambda").scope(now), iso: now.UTC().Format(isoBasic),
		headers: "content-length;host;transfer-encoding;x-amz-date",
	}
	r.Header.Set("X-Amz-Date", s.iso)
	canonical := string(appendHeaders(nil, r, s.headers))
	if want := "content-length:3\nhost:localhost:4566\ntransfer-encoding:chunked\nx-amz-date:" + s.iso + "\n"; canonical != want {
		t.Errorf("headers = %q, want %q", canonical, want)
	}
}

// TestCanonicalPath has what the suite does not: encodings, and S3 which signs paths as they are.
func TestCanonicalPath(t *testing.T) {
	for _, c := range []struct{ raw, want, s3 string }{
		{"/", "/", "/"},
		{"/test/@connections/JBDvjfGEIAMCERw%3D", "/test/%40connections/JBDvjfGEIAMCERw%253D", "/test/%40connections/JBDvjfGEIAMCERw%3D"},
		{"/a%2Fb", "/a%252Fb", "/a/b"},
		{"/a%2fb%zz%", "/a%252fb%25zz%25", "/a/b%25zz%25"},
		{"/a//b/./c/../d/", "/a/b/d/", "/a//b/./c/../d/"},
		{"/../..", "/", "/../.."},
		{"/a+b~c", "/a%2Bb~c", "/a%2Bb~c"},
	} {
		if got := string(appendPath(nil, c.raw, false)); got != c.want {
			t.Errorf("%s: canonical path = %s, want %s", c.raw, got, c.want)
		}
		if got := string(appendPath(nil, c.raw, true)); got != c.s3 {
			t.Errorf("%s: canonical path of S3 = %s, want %s", c.raw, got, c.s3)
		}
	}
}

func TestScope(t *testing.T) {
	presigned, _ := url.Parse("http://localhost/")
	for _, c := range []struct {
		name            string
		r               *http.Request
		region, service string
		ok              bool
	}{
		{"header", signed("", "lambda"), "us-east-1", "lambda", true},
		{"query", httptest.NewRequest("GET", Presign(presigned, testCredentials("sts"), time.Now(), time.Hour), nil), "us-east-1", "sts", true},
		{"none", httptest.NewRequest("GET", "/", nil), "", "", false},
		{"bad", &http.Request{URL: &url.URL{}, Header: http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=a/b/c/d"}}}, "", "", false},
		{"bearer", &http.Request{URL: &url.URL{}, Header: http.Header{"Authorization": {"Bearer x"}}}, "", "", false},
	} {
		if region, service, ok := Scope(c.r); region != c.region || service != c.service || ok != c.ok {
			t.Errorf("%s: Scope = %q, %q, %t", c.name, region, service, ok)
		}
	}
}

// TestSigningKeys checks that the cache is bounded, that only right signatures fill it, and that a new secret counts.
func TestSigningKeys(t *testing.T) {
	v := testVerifier()
	for i := range 10 {
		c := testCredentials("lambda")
		c.Secret, c.Region = []byte("wrong"), fmt.Sprint("r", i)
		r := httptest.NewRequest("GET", "http://localhost/", nil)
		Sign(r, nil, c, time.Now())
		if _, err := v.Verify(r, nil); err == nil {
			t.Fatal("accepted")
		}
	}
	if n := len(v.signing.keys); n != 0 {
		t.Errorf("%d keys kept for strangers", n)
	}
	for i := range maxSigningKeys + 10 {
		c := testCredentials("lambda")
		c.Region = fmt.Sprint("r", i)
		r := httptest.NewRequest("GET", "http://localhost/", nil)
		Sign(r, nil, c, time.Now())
		if _, err := v.Verify(r, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(v.signing.keys); n != maxSigningKeys {
		t.Errorf("%d keys kept, want %d", n, maxSigningKeys)
	}
	r := signed("{}", "lambda")
	if _, err := v.Verify(r, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	v.keys = oneKey{id: testKey, secret: "rotated"}
	if _, err := v.Verify(r, []byte("{}")); err == nil {
		t.Error("accepted with a secret that was replaced")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	k := Key{Secret: []byte("hunter2")}
	c := Credentials{AccessKeyID: "AKID", Secret: []byte("hunter2"), SessionToken: "hunter2"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format+format, k, c); strings.Contains(s, "hunter2") || strings.Contains(s, "104") {
			t.Errorf("%s prints %s", format, s)
		}
	}
}

func TestStreamOfKnownHash(t *testing.T) {
	body := strings.Repeat("x", 10_000)
	for _, c := range []struct {
		name, sent string
		limit      int64
		want       error
	}{
		{"right", body, 10_000, nil},
		{"another", body[1:] + "y", 10_000, ErrS3ContentSHA256},
		{"short", body[1:], 10_000, ErrS3ContentSHA256},
		{"too large", body, 9_999, ErrStreamEntityTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			claim, err := testVerifier().Claim(signed(body, "s3"))
			if err != nil {
				t.Fatal(err)
			}
			_, stream, err := claim.Stream(strings.NewReader(c.sent), c.limit)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, stream); c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("error = %v, want %v", err, c.want)
			}
		})
	}
}

func TestStreamNeedsTheHash(t *testing.T) {
	claim, err := testVerifier().Claim(signed("{}", "lambda"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := claim.Stream(strings.NewReader("{}"), 2); !errors.Is(err, ErrInvalidSignature) {
		t.Errorf("error = %v", err)
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, size := range []int{300, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			body := bytes.Repeat([]byte("x"), size)
			r := signed(string(body), "lambda")
			r = r.WithContext(context.Background())
			v := testVerifier()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(r, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
