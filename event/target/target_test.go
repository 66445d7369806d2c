package target

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	lambdaapi "github.com/enfold-run/enfold/api/lambda"
	snsapi "github.com/enfold-run/enfold/api/sns"
	sqsapi "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
)

// isPermanent says that the relay would not try again.
func isPermanent(err error) bool { return fmt.Sprintf("%T", err) == "event.permanent" }

// doer answers calls.
type doer func(call *aws.Call) (any, error)

func (d doer) Do(_ context.Context, call *aws.Call) (any, error) { return d(call) }

var from = Caller{
	Principal: aws.ServicePrincipal("sns.amazonaws.com"), SourceArn: "arn:aws:sns:eu-west-1:111111111111:t", SourceAccount: "111111111111", TraceID: "Root=1-2-3", Cause: "{}",
}

// TestPlaces looks at the calls that messages become: as whom, where, with what.
func TestPlaces(t *testing.T) {
	var got *aws.Call
	calls := doer(func(call *aws.Call) (any, error) { got = call; return call.Op.NewOutput(), nil })
	places := Senders{
		"sqs": SQS{sqsapi.NewClient(calls)}, "lambda": Lambda{lambdaapi.NewClient(calls)}, "sns": SNS{snsapi.NewClient(calls)},
	}
	attributes := map[string]Attribute{"a": {Type: "Number", Text: "1"}, "b": {Type: "Binary.x", Bytes: []byte{2}}}
	for _, c := range []struct {
		name, target string
		check        func(in any) bool
	}{
		{"a queue", "arn:aws:sqs:eu-west-2:222222222222:q.fifo", func(in any) bool {
			i := in.(*sqsapi.SendMessageInput)
			account, name, err := sqsapi.ParseQueueURL(*i.QueueURL)
			return err == nil && account == "222222222222" && name == "q.fifo" && *i.MessageBody == "body" && *i.MessageGroupID == "g" &&
				*i.MessageDeduplicationID == "d" && *i.MessageAttributes["a"].StringValue == "1" && i.MessageAttributes["b"].StringValue == nil &&
				string(i.MessageAttributes["b"].BinaryValue) == "\x02" && *i.MessageSystemAttributes["AWSTraceHeader"].StringValue == "Root=1-2-3"
		}},
		{"a function", "arn:aws:lambda:eu-west-2:222222222222:function:f:live", func(in any) bool {
			i := in.(*lambdaapi.InvokeInput)
			return *i.FunctionName == "arn:aws:lambda:eu-west-2:222222222222:function:f:live" && *i.InvocationType == "Event" && string(i.Payload) == "body"
		}},
		{"a topic", "arn:aws:sns:eu-west-2:222222222222:t.fifo", func(in any) bool {
			i := in.(*snsapi.PublishInput)
			return *i.TopicArn == "arn:aws:sns:eu-west-2:222222222222:t.fifo" && *i.Message == "body" && *i.Subject == "s" && *i.MessageGroupID == "g" &&
				*i.MessageAttributes["a"].StringValue == "1" && string(i.MessageAttributes["b"].BinaryValue) == "\x02"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &Message{Target: c.target, Body: []byte("body"), Subject: "s", Attributes: attributes, GroupID: "g", DedupID: "d", From: from}
			if err := places.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if !c.check(got.Input) {
				t.Errorf("the input is %+v", got.Input)
			}
			if got.Principal != from.Principal || got.Account != "111111111111" || got.Region != "eu-west-2" || got.SourceArn != from.SourceArn ||
				got.SourceAccount != from.SourceAccount || got.TraceID != from.TraceID || got.Cause != from.Cause || got.RequestID == "" {
				t.Errorf("the call is %+v", got)
			}
		})
	}
	strange := from
	strange.TraceID = "Root=\xff"
	if err := places.Send(t.Context(), &Message{Target: "arn:aws:sqs:eu-west-2:222222222222:q", Body: []byte("x"), From: strange}); err != nil ||
		got.Input.(*sqsapi.SendMessageInput).MessageSystemAttributes != nil {
		t.Errorf("a trace header that is no text goes on: %v", err)
	}
	for _, bad := range []string{"", "arn:aws:s3:::b", "https://example.com", "arn:aws:sqs:::"} {
		if err := places.Send(t.Context(), &Message{Target: bad, From: from}); !isPermanent(err) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestJudge tells what a later try may better.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		err  error
		ends bool
	}{
		{nil, false},
		{aws.ErrAccessDenied.New(""), true},
		{sqsapi.ErrQueueDoesNotExist.New(""), true},
		{aws.ErrThrottling.New(""), false},
		{aws.ErrInternalFailure.New(""), false},
		{aws.ErrUnavailable.New(""), false},
		{lambdaapi.ErrTooManyRequests.New(""), false},
		{lambdaapi.ErrResourceNotFound.New(""), true},
		{errors.New("the disk is full"), false},
	} {
		if got := judge(c.err); isPermanent(got) != c.ends || !errors.Is(got, c.err) {
			t.Errorf("%v: %T", c.err, got)
		}
	}
}

// TestPublic holds addresses that lead inside.
func TestPublic(t *testing.T) {
	for _, s := range []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1",
		"198.18.0.1", "224.0.0.1", "255.255.255.255", "192.0.0.192", "::", "::1", "::127.0.0.1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254",
		"ff02::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
	} {
		if isPublic(netip.MustParseAddr(s).Unmap()) {
			t.Errorf("%s counts as public", s)
		}
	}
	for _, s := range []string{"1.1.1.1", "172.32.0.1", "52.1.2.3", "2606:4700::1111", "2a00:1450::1"} {
		if !isPublic(netip.MustParseAddr(s)) {
			t.Errorf("%s does not count as public", s)
		}
	}
}

func TestCheck(t *testing.T) {
	h := NewHTTP([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, func(a netip.AddrPort) bool { return a.String() == "10.1.1.1:4566" })
	for url, ok := range map[string]bool{
		"http://example.com/": true, "https://1.1.1.1/": true, "http://10.1.2.3:80/x": true, "http://10.1.1.1:80/": true,
		"http://10.1.1.1:4566/": false, "http://127.0.0.1/": false, "http://localhost:9/": false, "http://a.LOCALHOST./": false, "http://[::1]/": false,
		"http://169.254.169.254/latest/": false, "http://[::ffff:7f00:1]/": false, "http://[fe80::1%25eth0]/": false, "http://": false,
	} {
		if err := h.Check(url); (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestSendNeverReachesInside has servers inside that must not notice anything, however they are named.
func TestSendNeverReachesInside(t *testing.T) {
	var reached atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inside.Close()
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	h := NewHTTP(nil, nil)
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]"} {
		if err := h.Send(t.Context(), &Message{Target: "http://" + host + ":" + port + "/"}); err == nil {
			t.Errorf("%s was reached", host)
		}
	}
	if reached.Load() != 0 {
		t.Errorf("the server inside got %d requests", reached.Load())
	}
	// A server that is allowed must not lead to one that is not.
	loop := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	own := func(a netip.AddrPort) bool { return fmt.Sprint(a.Port()) == port }
	outside := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusTemporaryRedirect))
	defer outside.Close()
	if err := NewHTTP(loop, own).Send(t.Context(), &Message{Target: outside.URL}); !isPermanent(err) {
		t.Errorf("a redirect: %v", err)
	}
	if err := NewHTTP(loop, own).Send(t.Context(), &Message{Target: inside.URL}); !isPermanent(err) {
		t.Errorf("the server's own port: %v", err)
	}
	if reached.Load() != 0 {
		t.Errorf("the server inside got %d requests", reached.Load())
	}
}

// TestRebinding: a name that stands for a public address when it is subscribed, and for one inside when it is connected to.
func TestRebinding(t *testing.T) {
	var reached atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inside.Close()
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	old := net.DefaultResolver
	defer func() { net.DefaultResolver = old }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			asked.Add(1)
			answerDNS(t, server, [4]byte{127, 0, 0, 1})
		}()
		return client, nil
	}}
	h := NewHTTP(nil, nil)
	url := "http://rebound.example.com:" + port + "/"
	if err := h.Check(url); err != nil {
		t.Fatalf("it is not subscribed: %v", err)
	}
	if err := h.Send(t.Context(), &Message{Target: url}); !isPermanent(err) || !errors.Is(err, errForbidden) {
		t.Errorf("what it led to was not refused: %v", err)
	}
	if asked.Load() == 0 || reached.Load() != 0 {
		t.Errorf("the name was asked for %d times, the server inside got %d requests", asked.Load(), reached.Load())
	}
}

// answerDNS answers one question, by TCP, as Go asks over what is no packet connection: with the address, or with none if it is
// not for one of IPv4.
func answerDNS(t *testing.T, c net.Conn, ip [4]byte) {
	length := make([]byte, 2)
	if _, err := io.ReadFull(c, length); err != nil {
		return
	}
	b := make([]byte, binary.BigEndian.Uint16(length))
	if _, err := io.ReadFull(c, b); err != nil {
		t.Error(err)
		return
	}
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil || len(m.Questions) != 1 {
		t.Errorf("asked %v: %v", m.Questions, err)
		return
	}
	q := m.Questions[0]
	answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
	if q.Type == dnsmessage.TypeA {
		answer.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: ip},
		}}
	}
	out, err := answer.Pack()
	if err == nil {
		_, err = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
	}
	if err != nil {
		t.Error(err)
	}
}

func TestHTTPAnswers(t *testing.T) {
	var status atomic.Int32
	var body, header atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		user, secret, _ := r.BasicAuth()
		body.Store(string(b))
		header.Store(r.Header.Get("x-amz-sns-message-type") + " " + user + " " + secret)
		w.WriteHeader(int(status.Load()))
		_, _ = w.Write([]byte("whatever"))
	}))
	defer s.Close()
	h := NewHTTP([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil)
	url := strings.Replace(s.URL, "http://", "http://me:secret@", 1)
	for code, want := range map[int]string{200: "done", 204: "done", 302: "ends", 400: "ends", 404: "ends", 429: "again", 500: "again", 503: "again"} {
		status.Store(int32(code))
		err := h.Send(t.Context(), &Message{Target: url, Body: []byte("hello"), Header: http.Header{"x-amz-sns-message-type": {"Notification"}}})
		got := "again"
		if err == nil {
			got = "done"
		} else if isPermanent(err) {
			got = "ends"
		}
		if got != want {
			t.Errorf("%d: %s, want %s: %v", code, got, want, err)
		}
	}
	if body.Load() != "hello" || header.Load() != "Notification me secret" {
		t.Errorf("it got %q, %q", body.Load(), header.Load())
	}
	s.Close()
	if err := h.Send(t.Context(), &Message{Target: url}); err == nil || isPermanent(err) || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody there: %v", err)
	}
}

// TestSlowEndpoint is an endpoint that takes the request and never answers.
func TestSlowEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHTTP(nil, nil)
		client, server := net.Pipe()
		defer server.Close()
		go func() { _, _ = io.Copy(io.Discard, server) }()
		h.client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) { return client, nil }
		begun := time.Now()
		err := h.Send(t.Context(), &Message{Target: "http://example.com/", Body: []byte("x")})
		if took := time.Since(begun); err == nil || isPermanent(err) || took != endpointTime {
			t.Errorf("after %s: %v", took, err)
		}
		h.client.CloseIdleConnections()
	})
}

// mailServer takes one mail and answers what it got, line by line.
func mailServer(t *testing.T, refuse string) (address string, got chan string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got = make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		var all strings.Builder
		fmt.Fprint(conn, "220 hello\r\n")
		in, data := bufio.NewScanner(conn), false
		for in.Scan() {
			line := in.Text()
			all.WriteString(line + "\n")
			switch {
			case data && line != ".":
			case data:
				data = false
				fmt.Fprint(conn, "250 taken\r\n")
			case refuse != "" && strings.HasPrefix(line, "RCPT"):
				fmt.Fprint(conn, refuse+"\r\n")
			case strings.HasPrefix(line, "DATA"):
				data = true
				fmt.Fprint(conn, "354 go\r\n")
			case strings.HasPrefix(line, "QUIT"):
				fmt.Fprint(conn, "221 bye\r\n")
				got <- all.String()
				return
			default:
				fmt.Fprint(conn, "250 ok\r\n")
			}
		}
	}()
	return l.Addr().String(), got
}

func TestMail(t *testing.T) {
	address, got := mailServer(t, "")
	m, err := NewMail("smtp://"+address, "Enfold <sns@example.com>")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), &Message{Target: "you@example.com", Subject: "Grüße", Body: []byte(".\nline = ü\n" + strings.Repeat("x", 2000))}); err != nil {
		t.Fatal(err)
	}
	text := <-got
	for _, want := range []string{
		"MAIL FROM:<sns@example.com>", "RCPT TO:<you@example.com>", "From: sns@example.com", "To: you@example.com", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=", "line =3D =C3=BC",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	for refusal, ends := range map[string]bool{"550 no such user": true, "451 later": false} {
		address, _ := mailServer(t, refusal)
		m, err := NewMail("smtp://"+address, "sns@example.com")
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Send(t.Context(), &Message{Target: "you@example.com"}); err == nil || isPermanent(err) != ends {
			t.Errorf("%s: %v", refusal, err)
		}
	}
	if err := m.Send(t.Context(), &Message{Target: "a@example.com\r\nBcc: b@example.com"}); !isPermanent(err) {
		t.Errorf("a line break in an address: %v", err)
	}
	for _, bad := range []string{"", "http://x", "smtp://", "smtp://h/p", "mail.example.com:25"} {
		if _, err := NewMail(bad, "sns@example.com"); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
