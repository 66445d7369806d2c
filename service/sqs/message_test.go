package sqs

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/wire"
)

func TestSendReceiveDelete(t *testing.T) {
	w := newWorld(t)
	q := w.create("orders")
	if *q != "http://localhost:4566/"+account+"/orders" {
		t.Errorf("address %s", *q)
	}
	sent := w.sendIn(&api.SendMessageInput{
		QueueURL: q, MessageBody: new("This is a test message"),
		MessageAttributes: map[string]*api.MessageAttributeValue{
			"name": {DataType: new("String"), StringValue: new("value")},
			"num":  {DataType: new("Number.int"), StringValue: new("-1.5e3")},
			"bin":  {DataType: new("Binary"), BinaryValue: []byte{0, 1, 2}},
		},
		MessageSystemAttributes: map[string]*api.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: new("String"), StringValue: new("Root=1-2-3")}},
	})
	if *sent.MD5OfMessageBody != "fafb00f5732ab283681e124bf8747ed1" || sent.SequenceNumber != nil {
		t.Errorf("sent %v", sent)
	}
	got := w.receive(q, 10)
	if len(got) != 1 {
		t.Fatalf("received %d messages", len(got))
	}
	m := got[0]
	if *m.MessageID != *sent.MessageID || *m.Body != "This is a test message" || *m.MD5OfBody != *sent.MD5OfMessageBody || *m.MD5OfMessageAttributes != *sent.MD5OfMessageAttributes {
		t.Errorf("received %+v", m)
	}
	if m.Attributes["SenderId"] != account || m.Attributes["ApproximateReceiveCount"] != "1" || m.Attributes["AWSTraceHeader"] != "Root=1-2-3" {
		t.Errorf("attributes %v", m.Attributes)
	}
	if first, sent := m.Attributes["ApproximateFirstReceiveTimestamp"], m.Attributes["SentTimestamp"]; len(first) != 13 || len(sent) != 13 || first < sent {
		t.Errorf("sent at %s, first received at %s", sent, first)
	}
	if a := m.MessageAttributes; len(a) != 3 || *a["num"].StringValue != "-1.5e3" || string(a["bin"].BinaryValue) != "\x00\x01\x02" {
		t.Errorf("message attributes %v", a)
	}
	if c := w.counts(q); c != "0/1/0" {
		t.Errorf("counts %s", c)
	}
	w.delete(q, m)
	w.delete(q, m)
	if c := w.counts(q); c != "0/0/0" {
		t.Errorf("counts %s after the message was deleted", c)
	}
}

// The digests are those that the SDKs compute: of one String attribute, and of the trace header.
func TestDigests(t *testing.T) {
	if got := md5OfAttributes([]attribute{{name: "timestamp", dataType: "Number", value: []byte("1493147359900")}}); *got != "235c5c510d26fb653d073faed50ae77c" {
		t.Errorf("digest %s", *got)
	}
	if md5OfAttributes(nil) != nil || md5OfTrace("") != nil {
		t.Error("a digest of nothing")
	}
}

func TestRefusedMessages(t *testing.T) {
	w := newWorld(t)
	q, f := w.create("q", attrMaxSize, "1024"), w.create("f.fifo")
	attr := func(name, kind, v string) map[string]*api.MessageAttributeValue {
		return map[string]*api.MessageAttributeValue{name: {DataType: &kind, StringValue: &v}}
	}
	for name, test := range map[string]struct {
		in   api.SendMessageInput
		want string
	}{
		"no queue":        {api.SendMessageInput{QueueURL: url("none"), MessageBody: new("x")}, "QueueDoesNotExist: The specified queue does not exist."},
		"address":         {api.SendMessageInput{QueueURL: new("http://x/y"), MessageBody: new("x")}, "InvalidAddress: The address http://x/y is not valid for this endpoint."},
		"empty":           {api.SendMessageInput{QueueURL: q, MessageBody: new("")}, "MissingRequiredParameterException: The request must contain the parameter MessageBody."},
		"size":            {api.SendMessageInput{QueueURL: q, MessageBody: new(strings.Repeat("x", 1025))}, "InvalidParameterValueException: One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."},
		"size with attrs": {api.SendMessageInput{QueueURL: q, MessageBody: new(strings.Repeat("x", 1015)), MessageAttributes: attr("abc", "String", "d")}, "InvalidParameterValueException: One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."},
		"characters":      {api.SendMessageInput{QueueURL: q, MessageBody: new("a\x00b")}, "InvalidMessageContents: " + forbidden},
		"bytes":           {api.SendMessageInput{QueueURL: q, MessageBody: new("a\xffb")}, "InvalidMessageContents: " + forbidden},
		"delay":           {api.SendMessageInput{QueueURL: q, MessageBody: new("x"), DelaySeconds: new(901)}, "InvalidParameterValueException: Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."},
		"fifo delay":      {api.SendMessageInput{QueueURL: f, MessageBody: new("x"), DelaySeconds: new(2), MessageGroupID: new("g")}, "InvalidParameterValueException: Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type."},
		"no group":        {api.SendMessageInput{QueueURL: f, MessageBody: new("x")}, "MissingRequiredParameterException: The request must contain the parameter MessageGroupId."},
		"no dedup":        {api.SendMessageInput{QueueURL: f, MessageBody: new("x"), MessageGroupID: new("g")}, "InvalidParameterValueException: The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"},
		"bad group":       {api.SendMessageInput{QueueURL: q, MessageBody: new("x"), MessageGroupID: new("group 123")}, "InvalidParameterValueException: Value group 123 for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length."},
		"bad dedup":       {api.SendMessageInput{QueueURL: f, MessageBody: new("x"), MessageGroupID: new("g"), MessageDeduplicationID: new("")}, "InvalidParameterValueException: Value  for parameter MessageDeduplicationId is invalid. Reason: MessageDeduplicationId can only include alphanumeric and punctuation characters. 1 to 128 in length."},
		"empty attr":      {api.SendMessageInput{QueueURL: q, MessageBody: new("x"), MessageAttributes: attr("ErrorDetails", "String", "")}, "InvalidParameterValueException: Message (user) attribute 'ErrorDetails' must contain a non-empty value of type 'String'."},
		"attr type":       {api.SendMessageInput{QueueURL: q, MessageBody: new("x"), MessageAttributes: attr("a", "Text", "x")}, "InvalidParameterValueException: The message (user) attribute 'a' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."},
		"attr number":     {api.SendMessageInput{QueueURL: q, MessageBody: new("x"), MessageAttributes: attr("a", "Number", "0x1")}, "InvalidParameterValueException: Can't cast the value of message (user) attribute 'a' to a number."},
		"attr name":       {api.SendMessageInput{QueueURL: q, MessageBody: new("x"), MessageAttributes: attr("AWS.x", "String", "x")}, "InvalidParameterValueException: Message (user) attribute name 'AWS.x' must not start with a reserved prefix such as AWS. or Amazon."},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.SendMessage(w.ctx, &test.in)
			wantError(t, err, test.want)
		})
	}
	if c := w.counts(q); c != "0/0/0" {
		t.Errorf("counts %s after what was refused", c)
	}
}

// Half of a surrogate pair is no character: a client's JSON can say it all the same, and nothing takes its place before SQS sees it.
// A whole pair is one.
func TestSurrogates(t *testing.T) {
	w := newWorld(t)
	q := w.create("q")
	send := func(body string) error {
		text := []byte(`{"QueueUrl":"` + *q + `","MessageBody":` + body + `}`)
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
		r.Header.Set("Content-Type", "application/x-amz-json-1.0")
		m, err := wire.NewRouter(api.Service).Route(r, "sqs", nil)
		if err != nil {
			t.Fatal(err)
		}
		in, err := m.Decode(r, text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.SendMessage(w.ctx, in.(*api.SendMessageInput))
		return err
	}
	for _, body := range []string{`"a\ud83db"`, `"\ude00"`, `"\ude00\ud83d"`, `"\ud83d\u0041"`} {
		wantError(t, send(body), "InvalidMessageContents: "+forbidden)
	}
	if err := send(`"\ud83d\ude00 \ufffd"`); err != nil {
		t.Fatal(err)
	}
	if got := w.receive(q, 1); len(got) != 1 || *got[0].Body != "😀 \uFFFD" {
		t.Errorf("received %v", got)
	}
}

func TestVisibility(t *testing.T) {
	w := newWorld(t)
	q := w.create("q", attrVisibility, "60")
	w.sendTo(q, "a")
	first := w.receive(q, 1)[0]
	change := func(m *api.Message, seconds int) error {
		_, err := w.ChangeMessageVisibility(w.ctx, &api.ChangeMessageVisibilityInput{QueueURL: q, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: &seconds})
		return err
	}
	if err := change(first, 120); err != nil {
		t.Fatal(err)
	}
	w.later += 61 * time.Second
	if got := w.receive(q, 1); len(got) != 0 {
		t.Errorf("received %s, which is hidden for longer", bodies(got))
	}
	w.later += 60 * time.Second
	wantError(t, change(first, 10), "MessageNotInflight: The specified message isn't in flight.")
	second := w.receive(q, 1)
	if len(second) != 1 || second[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Fatalf("received %v", second)
	}
	if second[0].Attributes["ApproximateFirstReceiveTimestamp"] != first.Attributes["ApproximateFirstReceiveTimestamp"] {
		t.Error("the time of the first receive changed")
	}
	wantError(t, change(first, 10), "InvalidParameterValueException: Value "+*first.ReceiptHandle+" for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.")
	w.delete(q, first) // an old handle: no error, and nothing happens
	if c := w.counts(q); c != "0/1/0" {
		t.Errorf("counts %s", c)
	}
	if err := change(second[0], 0); err != nil {
		t.Fatal(err)
	}
	if c := w.counts(q); c != "1/0/0" {
		t.Errorf("counts %s", c)
	}
	wantError(t, change(second[0], 43201), "InvalidParameterValueException: Value 43201 for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and 43200.")
	third := w.receive(q, 1)[0]
	w.later += 30 * time.Second
	wantError(t, change(third, 43200), "InvalidParameterValueException: Value 43200 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds].")
}

func TestDelay(t *testing.T) {
	w := newWorld(t)
	q := w.create("q", attrDelay, "10")
	w.sendTo(q, "later")
	w.sendIn(&api.SendMessageInput{QueueURL: q, MessageBody: new("now"), DelaySeconds: new(0)})
	if c := w.counts(q); c != "1/0/1" {
		t.Errorf("counts %s", c)
	}
	if got := bodies(w.receive(q, 10)); got != "now" {
		t.Errorf("received %q", got)
	}
	w.later += 10 * time.Second
	if got := bodies(w.receive(q, 10)); got != "later" {
		t.Errorf("received %q", got)
	}
}

func TestRetention(t *testing.T) {
	w := newWorld(t)
	q := w.create("q", attrRetention, "60")
	for _, b := range []string{"a", "b", "c"} {
		w.sendTo(q, b)
	}
	w.later += 61 * time.Second
	w.sendIn(&api.SendMessageInput{QueueURL: q, MessageBody: new("d")})
	if got := w.receive(q, 10); bodies(got) != "" { // stored by the clock of the store: "d" is as old as the others here
		t.Errorf("received %q, which is too old", bodies(got))
	}
	if c := w.counts(q); c != "0/0/0" {
		t.Errorf("counts %s", c)
	}
	w.later = 0
	w.sendTo(q, "e")
	w.later += 61 * time.Second
	if err := w.sweep(w.ctx); err != nil {
		t.Fatal(err)
	}
	if c := w.counts(q); c != "0/0/0" {
		t.Errorf("counts %s after the sweep", c)
	}
}

func TestReceiptHandles(t *testing.T) {
	w := newWorld(t)
	q, other := w.create("q"), w.create("other")
	w.sendTo(q, "a")
	m := w.receive(q, 1)[0]
	h := *m.ReceiptHandle
	for _, forged := range []string{"", "x", "AAAA", h[1:], h[:len(h)-4], strings.Repeat("A", 2000), "B" + h[1:]} {
		_, err := w.DeleteMessage(w.ctx, &api.DeleteMessageInput{QueueURL: q, ReceiptHandle: &forged})
		if !errors.Is(err, api.ErrReceiptHandleIsInvalid) {
			t.Errorf("handle %.20q: %v", forged, err)
		}
	}
	_, err := w.DeleteMessage(w.ctx, &api.DeleteMessageInput{QueueURL: other, ReceiptHandle: &h})
	wantError(t, err, "ReceiptHandleIsInvalid: The input receipt handle \""+clip(h)+"\" is not a valid receipt handle.")
	w.delete(q, m)
}

// What was answered as sent is there after the process ended, and what was deleted is not.
func TestSurvivesRestart(t *testing.T) {
	w := newWorld(t)
	q, f := w.create("q"), w.create("f.fifo")
	for _, b := range []string{"a", "b", "c"} {
		w.sendTo(q, b)
		w.fifo(f, "g", b)
	}
	inFlight := w.receive(q, 1)[0]
	w.reopen()
	if c := w.counts(q); c != "2/1/0" {
		t.Errorf("counts %s", c)
	}
	w.delete(q, inFlight) // the handle outlives the process
	if got := bodies(w.receive(q, 10)); got != "b c" {
		t.Errorf("received %q", got)
	}
	if got := bodies(w.receive(f, 10)); got != "a b c" {
		t.Errorf("received %q", got)
	}
	again := w.fifo(f, "g", "b")
	if c := w.counts(f); c != "0/3/0" {
		t.Errorf("counts %s: a duplicate was stored (%v)", c, again)
	}
}

// Nothing that a message says is on the disk as it is.
func TestSealedAtRest(t *testing.T) {
	w := newWorld(t)
	q := w.create("q")
	w.sendIn(&api.SendMessageInput{
		QueueURL: q, MessageBody: new("top-secret-body"),
		MessageAttributes: map[string]*api.MessageAttributeValue{"a": {DataType: new("String"), StringValue: new("secret-attribute")}},
	})
	found, err := w.named(w.ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	err = w.Service.messages.Update(w.ctx, func(tx store.Tx) error {
		all, err := tx.Claim(found.messages(), found.scope, 1, time.Now(), time.Minute)
		if err != nil || len(all) != 1 {
			t.Errorf("claimed %d messages, %v", len(all), err)
			return err
		}
		if b := string(all[0].Body); strings.Contains(b, "secret") {
			t.Errorf("stored as it is: %q", b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The trace that a request belongs to goes on with its messages, unless the sender gave another. Its digest is told for what
// was given only: clients compare it with what they sent.
func TestTraceOfTheRequest(t *testing.T) {
	w := newWorld(t)
	q := w.create("q")
	const own = "Root=1-67891233-abcdef012345678912345678;Lineage=252f10c8:3"
	call := *aws.CallFrom(w.ctx)
	call.TraceID = own
	ctx := aws.WithCall(w.ctx, &call)
	out, err := w.SendMessage(ctx, &api.SendMessageInput{QueueURL: q, MessageBody: new("a")})
	if err != nil || out.MD5OfMessageSystemAttributes != nil {
		t.Errorf("sent %+v, %v", out, err)
	}
	if got := w.receive(q, 1); len(got) != 1 || got[0].Attributes["AWSTraceHeader"] != own {
		t.Errorf("received %+v", got)
	}
	entry := &api.SendMessageBatchRequestEntry{ID: new("1"), MessageBody: new("b")}
	if _, err := w.SendMessageBatch(ctx, &api.SendMessageBatchInput{QueueURL: q, Entries: []*api.SendMessageBatchRequestEntry{entry}}); err != nil {
		t.Fatal(err)
	}
	if got := w.receive(q, 1); len(got) != 1 || got[0].Attributes["AWSTraceHeader"] != own {
		t.Errorf("of a batch, received %+v", got)
	}
	for _, bad := range []string{strings.Repeat("x", 1025), "a\x01b"} {
		call.TraceID = bad
		if _, err := w.SendMessage(ctx, &api.SendMessageInput{QueueURL: q, MessageBody: new("c")}); err != nil {
			t.Fatal(err)
		}
		if got := w.receive(q, 1); len(got) != 1 || got[0].Attributes["AWSTraceHeader"] != "" {
			t.Errorf("received %+v", got)
		}
	}
}

// TestCause: a queue keeps why a service put a message there, and says so to who asks for it by name. Nobody else sets it.
func TestCause(t *testing.T) {
	w := newWorld(t)
	q := w.create("dead")
	const cause = `{"Error":"it is gone"}`
	for _, c := range []struct {
		by   *aws.Principal
		want string
	}{
		{aws.ServicePrincipal("sns.amazonaws.com"), cause},
		{aws.RootOf(account, "AKIATEST"), ""},
	} {
		call := *aws.CallFrom(w.ctx)
		call.Principal, call.Cause = c.by, cause
		if _, err := w.SendMessage(aws.WithCall(w.ctx, &call), &api.SendMessageInput{QueueURL: q, MessageBody: new("m")}); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"All": "", "EnfoldCause": c.want} {
			out, err := w.ReceiveMessage(w.ctx, &api.ReceiveMessageInput{
				QueueURL: q, MessageSystemAttributeNames: []string{name}, VisibilityTimeout: new(0),
			})
			if err != nil || len(out.Messages) != 1 {
				t.Fatalf("%v, %v", out, err)
			}
			if m := out.Messages[0]; m.Attributes["EnfoldCause"] != want || m.MessageAttributes != nil {
				t.Errorf("sent by %s, asked for %s: %v %v", c.by.Arn, name, m.Attributes, m.MessageAttributes)
			}
		}
		w.delete(q, w.receive(q, 1)[0])
	}
}
