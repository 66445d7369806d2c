package main

import "testing"

func TestWayOfLetters(t *testing.T) {
	const f, g, sub = "arn:aws:lambda:r:1:function:f", "arn:aws:lambda:r:1:function:g", "arn:aws:sns:r:1:t:id"
	record := `{"version":"1.0","requestContext":{"functionArn":"` + f + `:$LATEST","condition":"RetriesExhausted"},"requestPayload":{}}`
	dead := map[string]messageAttribute{"RequestID": {StringValue: "id"}, "ErrorCode": {StringValue: "200"}, "ErrorMessage": {StringValue: "oops"}}
	subscription := way{subscription: sub, endpoint: "arn:aws:sqs:r:1:q"}
	for _, c := range []struct {
		what    string
		letter  letter
		origins []way
		want    way
	}{
		{"a failure record", letter{Body: record}, nil, way{function: f + ":$LATEST"}},
		{"of a queue", letter{Body: "x", Attributes: map[string]string{"DeadLetterQueueSourceArn": "arn:aws:sqs:r:1:q"}}, nil, way{queue: "arn:aws:sqs:r:1:q"}},
		{"of a function", letter{Body: "{}", MessageAttributes: dead}, []way{{function: f}, subscription}, way{function: f}},
		{"of one of two functions", letter{Body: "{}", MessageAttributes: dead}, []way{{function: f}, {function: g}}, way{}},
		{"of a subscription", letter{Body: "{}"}, []way{{function: f}, subscription, {queue: "arn:aws:sqs:r:1:q"}}, subscription},
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
	if got := printable("a\x1b[2Jb\r\nc\td\u202e\u009bé"); got != "a\ufffd[2Jb\ufffd\nc\td\ufffd\ufffdé" {
		t.Errorf("got %q", got)
	}
}
