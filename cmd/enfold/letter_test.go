package main

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
)

func TestWayOfLetters(t *testing.T) {
	const f, g, sub = "arn:aws:lambda:r:1:function:f", "arn:aws:lambda:r:1:function:g", "arn:aws:sns:r:1:t:id"
	record := `{"version":"1.0","requestContext":{"functionArn":"` + f + `:$LATEST","condition":"RetriesExhausted"},"requestPayload":{}}`
	dead := map[string]messageAttribute{"RequestID": {StringValue: "id"}, "ErrorCode": {StringValue: "200"}, "ErrorMessage": {StringValue: "oops"}}
	const failed = `,"MessageAttributes":{"RequestID":{"Type":"String","Value":"id"},"ErrorCode":{"Type":"Number","Value":"200"}}`
	refused := map[string]string{"EnfoldCause": `{"Subscription":"` + sub + `","Condition":"RetriesExhausted","Error":"it is gone"}`}
	moved := map[string]string{"DeadLetterQueueSourceArn": "arn:aws:sqs:r:1:q"}
	sns := map[string]string{"SenderId": "sns.amazonaws.com"}
	subscription := way{subscription: sub, endpoint: "arn:aws:sqs:r:1:q"}
	for _, c := range []struct {
		what    string
		letter  letter
		origins []way
		want    way
	}{
		{"a failure record", letter{Body: record}, []way{subscription, {function: f}}, way{function: f + ":$LATEST"}},
		{"a record of a function that sends nothing here", letter{Body: record}, []way{{function: g}, {function: f + "x"}}, way{}},
		{"a record where nothing is sent", letter{Body: record}, nil, way{}},
		{"a record that somebody published", letter{Body: record, Attributes: sns}, []way{subscription, {function: g}}, subscription},
		{"a failure record by a topic", letter{Body: wrap(record, "")}, []way{{function: f}}, way{function: f + ":$LATEST"}},
		{"a failure record that a topic could not deliver", letter{Body: wrap(record, ""), Attributes: sns}, []way{subscription}, subscription},
		{"a failure record that nobody took from its queue", letter{Body: record, Attributes: moved}, nil, way{queue: "arn:aws:sqs:r:1:q"}},
		{"of a function by a topic", letter{Body: wrap("{}", failed)}, []way{{function: f}}, way{function: f}},
		{"of a queue", letter{Body: "x", Attributes: map[string]string{"DeadLetterQueueSourceArn": "arn:aws:sqs:r:1:q"}}, nil, way{queue: "arn:aws:sqs:r:1:q"}},
		{"of a function", letter{Body: "{}", MessageAttributes: dead}, []way{{function: f}, subscription}, way{function: f}},
		{"of one of two functions", letter{Body: "{}", MessageAttributes: dead}, []way{{function: f}, {function: g}}, way{}},
		{"of a subscription", letter{Body: "{}", Attributes: sns}, []way{{function: f}, subscription, {queue: "arn:aws:sqs:r:1:q"}}, subscription},
		{"what somebody sent to a subscription's queue", letter{Body: "{}", Attributes: map[string]string{"SenderId": "AIDA"}}, []way{subscription}, way{}},
		{"what somebody sent in the form of a notification", letter{Body: wrap("{}", "")}, []way{subscription}, way{}},
		{"of one of two subscriptions", letter{Body: "{}", Attributes: refused}, []way{{subscription: "arn:aws:sns:r:1:t:other"}, subscription}, subscription},
		{"a failure record that a topic could not deliver raw", letter{Body: record, Attributes: refused}, []way{subscription, {function: f}}, subscription},
		{"of a subscription that names another queue by now", letter{Body: record, Attributes: refused}, []way{{function: f}, {subscription: "x"}}, way{}},
		{"of nobody known", letter{Body: "hello"}, nil, way{}},
		{"what only looks like a record", letter{Body: `{"version":"1.0","requestContext":{}}`}, nil, way{}},
	} {
		if got := c.letter.way(c.origins); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.what, got, c.want)
		}
		if c.letter.cause() == "" {
			t.Errorf("%s: no cause", c.what)
		}
	}
}

func TestCauseOfRefusal(t *testing.T) {
	record := `{"version":"1.0","requestContext":{"requestId":"r","functionArn":"f","condition":"Success"},"requestPayload":{}}`
	l := letter{ID: "m", Body: record, Attributes: map[string]string{"EnfoldCause": `{"Subscription":"sub","Condition":"RetriesExhausted","Error":"it is gone"}`}}
	if got, want := l.cause(), "RetriesExhausted delivering to sub: it is gone"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if l.succeeded() || l.eventID() != "m" {
		t.Error("what a topic could not deliver is no result of a function")
	}
	if got := l.errUnknown().Error(); !strings.Contains(got, "sub") {
		t.Error(got)
	}
}

// wrap is a message as a topic sends it to a queue.
func wrap(message, more string) string {
	return `{"Type":"Notification","MessageId":"n","Message":` + strconv.Quote(message) + more + `}`
}

func TestIDsOfLetters(t *testing.T) {
	dead := map[string]messageAttribute{"RequestID": {StringValue: "r"}, "ErrorCode": {StringValue: "200"}}
	refused := map[string]string{causeName: `{"Subscription":"sub","Condition":"Refused","Error":"no","MessageId":"n"}`}
	record := `{"version":"1.0","requestContext":{"requestId":"r","functionArn":"f","condition":"Success"},"requestPayload":{"Records":[{"Sns":{"MessageId":"n"}}]}}`
	for _, c := range []struct {
		what      string
		letter    letter
		ids       string
		event     string
		succeeded bool
	}{
		{"any message", letter{ID: "m", Body: "hello"}, "m", "m", false},
		{"a dead letter of a function", letter{ID: "m", Body: "{}", MessageAttributes: dead}, "m r", "r", false},
		{"that a topic invoked", letter{ID: "m", Body: `{"Records":[{"Sns":{"MessageId":"n"}}]}`, MessageAttributes: dead}, "m r n", "r", false},
		{"a result", letter{ID: "m", Body: record}, "m r n", "r", true},
		{"a result that nobody took from its queue", letter{ID: "m", Body: record, Attributes: map[string]string{"DeadLetterQueueSourceArn": "q"}}, "m r n", "m", false},
		{"what a topic could not deliver", letter{ID: "m", Body: wrap("hi", ""), Attributes: refused}, "m n", "m", false},
		{"what a topic could not deliver raw", letter{ID: "m", Body: "hi", Attributes: refused}, "m n", "m", false},
		{"that of an earlier version", letter{ID: "m", Body: "hi", Attributes: map[string]string{causeName: `{"Subscription":"sub"}`}}, "m", "m", false},
	} {
		if got := strings.Join(c.letter.ids(), " "); got != c.ids {
			t.Errorf("%s: ids %s, want %s", c.what, got, c.ids)
		}
		if got := c.letter.eventID(); got != c.event {
			t.Errorf("%s: event %s, want %s", c.what, got, c.event)
		}
		if got := c.letter.succeeded(); got != c.succeeded {
			t.Errorf("%s: succeeded %v", c.what, got)
		}
	}
}

func TestStartLine(t *testing.T) {
	for line, want := range map[string]string{
		"START RequestId: 8f507cfc Version: 7\n":                                              "7",
		`{"time":"t","type":"platform.start","record":{"requestId":"r","version":"$LATEST"}}`: "$LATEST",
		"END RequestId: 8f507cfc":                                                             "",
	} {
		got := ""
		if m := startLine().FindStringSubmatch(line); m != nil {
			got = m[1] + m[2]
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestRecordsOfNotifications(t *testing.T) {
	got := string(asRecords("arn:sub", `{"Type":"Notification","Message":"hi","SigningCertURL":"u"}`))
	want := `{"Records":[{"EventSource":"aws:sns","EventSubscriptionArn":"arn:sub","EventVersion":"1.0","Sns":` +
		`{"Message":"hi","MessageAttributes":{},"SigningCertUrl":"u","Subject":null,"Type":"Notification"}}]}`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	for _, same := range []string{`{"Records":[]}`, "hello"} {
		if got := string(asRecords("arn:sub", same)); got != same {
			t.Errorf("%s became %s", same, got)
		}
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("a\u00a0b"); got != "a\u00a0b" {
		t.Errorf("got %q", got)
	}
	if got := printable("a\x1b[2Jb\r\nc\td\u202e\u009bé"); got != "a\ufffd[2Jb\ufffd\nc\td\ufffd\ufffdé" {
		t.Errorf("got %q", got)
	}
}

// TestLettersKeepToTheirLines has senders put lines of ours into what they say.
func TestLettersKeepToTheirLines(t *testing.T) {
	const forged = "x\r\n  back to arn:aws:lambda:us-east-1:1:function:theirs"
	failed := letter{ID: "1", Body: forged, MessageAttributes: map[string]messageAttribute{
		"RequestID": {StringValue: forged}, "ErrorCode": {StringValue: "200" + forged}, "ErrorMessage": {StringValue: forged},
	}}
	refused := letter{ID: "2", Attributes: map[string]string{causeName: `{"Subscription":"s","Error":"x\n  back to y"}`}}
	for _, l := range []letter{failed, refused} {
		text := l.show(way{function: "arn:aws:lambda:us-east-1:1:function:f:" + forged}, true)
		if strings.Count(text, "\n  back to ") != 1 || strings.Contains(text, "\r") || !strings.Contains(text, `x\n  back to `) && !strings.Contains(text, `x\r\n  back to `) {
			t.Errorf("it shows\n%s", text)
		}
	}
}

func TestShownLogs(t *testing.T) {
	const message = "a\x1b[2J\x00\tb\r\nc\n"
	if got := shown(message, false); got != message {
		t.Errorf("a pipe gets %q", got)
	}
	if got, want := shown(message, true), "a\ufffd[2J\ufffd\tb\nc\n"; got != want {
		t.Errorf("a terminal gets %q, want %q", got, want)
	}
}

func TestRates(t *testing.T) {
	for rate, ok := range map[string]bool{"0": true, "0.5": true, "nan": false, "inf": false, "-inf": false, "-1": false, "1e-10": false, "1e-4": true} {
		args := []string{"dlq", "redrive", "q", "--rate=" + rate}
		_, err := parserOf(t, meant(args), new(bytes.Buffer)).Parse(args)
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "want a number of letters a second") {
			t.Errorf("--rate %s: %v", rate, err)
		}
	}
}
