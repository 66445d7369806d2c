package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/wire"
)

// anyone is a gateway whose ops need no signature, but for those of the first service. What they answer is the test's.
func anyone(answer func(*aws.Call) (any, error)) *house {
	return newHouse(func(d *Deps) {
		all := services()
		for _, s := range all[1:] {
			s.Ops[0].Unsigned = true
			s.Absent = []aws.Absent{{Name: "Later", Method: "POST", URI: "/"}}
		}
		d.Router, d.Doer = wire.NewRouter(all...), doer(answer)
	})
}

type doer func(*aws.Call) (any, error)

func (d doer) Do(_ context.Context, call *aws.Call) (any, error) { return d(call) }

func formRequest(body string) *http.Request {
	return with(newRequest("POST", "/", body), "Content-Type", "application/x-www-form-urlencoded")
}

func TestUnsigned(t *testing.T) {
	chunked := func(r *http.Request) *http.Request {
		r.ContentLength, r.Body = -1, io.NopCloser(r.Body)
		return r
	}
	long := strings.Repeat("a", maxUnsigned)
	for _, c := range []struct {
		name    string
		request *http.Request
		status  int
		says    string
		text    string // of the call; empty: there is none
	}{
		{"form", formRequest("Action=Upper&Version=2020-01-01&Text=a"), 200, "<Text>ok</Text>", "a"},
		{"form in chunks", chunked(formRequest("Action=Upper&Version=2020-01-01&Text=a")), 200, "<Text>ok</Text>", "a"},
		{"form in the path", newRequest("GET", "/?Action=Upper&Version=2020-01-01&Text=a", ""), 200, "<Text>ok</Text>", "a"},
		{"JSON", with(newRequest("POST", "/", `{"Text":"a"}`), "X-Amz-Target", "Fake_20200101.Upper"), 200, `"ok"`, "a"},
		{"signed even so", sign(formRequest("Action=Upper&Version=2020-01-01&Text=a"), "fakequery", "Action=Upper&Version=2020-01-01&Text=a"), 200, "ok", "a"},
		{"signed for another body", sign(formRequest("Action=Upper&Version=2020-01-01&Text=a"), "fakequery", "x"), 403, "SignatureDoesNotMatch", ""},
		{"one that wants a signature", newRequest("POST", "/things/t/echo", "x"), 403, "Missing Authentication Token", ""},
		{"none", formRequest("Action=Nothing&Version=2020-01-01"), 403, "Missing Authentication Token", ""},
		{"not implemented", formRequest("Action=Later&Version=2020-01-01"), 501, "Later", ""},
		{"long", formRequest("Action=Upper&Version=2020-01-01&Text=" + long), 403, "Missing Authentication Token", ""},
		{"long, in chunks", chunked(formRequest("Action=Upper&Version=2020-01-01&Text=" + long)), 413, "", ""},
		{"compressed", with(formRequest("Action=Upper&Version=2020-01-01&Text=a"), "Content-Encoding", "gzip"), 415, "", ""},
		{"malformed", with(newRequest("POST", "/", `{"Text":`), "X-Amz-Target", "Fake_20200101.Upper"), 400, "SerializationException", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			h := anyone(func(call *aws.Call) (any, error) {
				got = *call.Input.(*textInput).Text
				if signed := c.request.Header.Get("Authorization") != ""; signed != (call.Principal.Type == aws.Root) || call.SourceIP != "127.0.0.1" || call.RequestID == "" {
					t.Errorf("the call is %+v by %+v", call, call.Principal)
				}
				return &textOutput{Text: new("ok")}, nil
			})
			w := serve(h, c.request)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || got != c.text {
				t.Errorf("%d %s with %q, want %d %s with %q", w.Code, w.Body, got, c.status, c.says, c.text)
			}
		})
	}
}

// TestUnsignedGuesses: where the input proves who calls, a wrong one counts like a wrong key. A fault of ours does not.
func TestUnsignedGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := func() (any, error) { return nil, aws.ErrAccessDenied.New("no") }
		h := anyone(func(*aws.Call) (any, error) { return answer() })
		try := func() string { return serve(h, formRequest("Action=Upper&Version=2020-01-01&Text=a")).Body.String() }
		for n := range maxFailures {
			if got := try(); !strings.Contains(got, "<Message>no</Message>") {
				t.Fatalf("failure %d: %s", n, got)
			}
		}
		if got := try(); !strings.Contains(got, "<Code>Throttling</Code>") {
			t.Errorf("beyond the limit: %s", got)
		}
		answer = func() (any, error) { return &textOutput{Text: new("ok")}, nil }
		if got := try(); !strings.Contains(got, "<Text>ok</Text>") {
			t.Errorf("what is right beside guesses: %s", got)
		}
	})
	h := anyone(func(*aws.Call) (any, error) { return nil, aws.ErrUnavailable.New("later") })
	for range 2 * maxFailures {
		if w := serve(h, formRequest("Action=Upper&Version=2020-01-01&Text=a")); w.Code != 503 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if n := h.guard.known.Load(); n != 0 {
		t.Errorf("%d sources are counted for what is our fault", n)
	}
}

// TestUnsignedWaits: an op that proves who calls may have to ask an identity provider first. While it does, others from the
// same address are served, suspect or not.
func TestUnsignedWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		h := anyone(func(call *aws.Call) (any, error) {
			if call.Op.Unsigned {
				<-answer
			}
			return &echoOutput{}, nil
		})
		exhaust(t, h, "127.0.0.1:1")
		for range 8 {
			go serve(h, formRequest("Action=Upper&Version=2020-01-01&Text=a"))
		}
		synctest.Wait()
		if w := serve(h, echo("x")); w.Code != 200 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		close(answer)
		synctest.Wait()
	})
}
