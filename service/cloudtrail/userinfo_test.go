package cloudtrail

import (
	"strings"
	"testing"

	snsapi "github.com/enfold-run/enfold/api/sns"
)

func TestWithoutUserinfo(t *testing.T) {
	const h = hiddenText
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"arn:aws:sns:us-east-1:000000000000:topic", "arn:aws:sns:us-east-1:000000000000:topic"},
		{"https://example.com/a@b?c@d#e@f", "https://example.com/a@b?c@d#e@f"},
		{"https://example.com?mail=a@b", "https://example.com?mail=a@b"},
		{"mail a@b and https://example.com", "mail a@b and https://example.com"},
		{"https://user:pass@example.com/x", "https://" + h + "@example.com/x"},
		{"https://token@example.com", "https://" + h + "@example.com"},
		{"https://user:p@ss@example.com", "https://" + h + "@example.com"},
		{"HTTPS://user:p%40ss@[::1]:8080", "HTTPS://" + h + "@[::1]:8080"},
		{"https://@example.com", "https://@example.com"},
		{"from http://a:b@c/ to http://d:e@f/", "from http://" + h + "@c/ to http://" + h + "@f/"},
		{"http://http://a:b@c", "http://http://" + h + "@c"},
		{"://", "://"},
		{"x://a:b@", "x://" + h + "@"},
		{`{"Sid":"://","Action":"iam:*","Resource":"@"}`, `{"Sid":"://","Action":"iam:*","Resource":"@"}`},
	} {
		if got := withoutUserinfo(c.in); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

// TestNoSecretsOfSNS: neither what is published nor how an endpoint is opened is in a record; the rest of it is.
func TestNoSecretsOfSNS(t *testing.T) {
	const topic = "arn:aws:sns:us-east-1:000000000000:topic"
	f := newFixture(t)
	subscribe := f.call(root, snsapi.OpSubscribe, topic, &snsapi.SubscribeInput{
		TopicArn: new(topic), Protocol: new("https"), Endpoint: new("https://user:pass-secret@example.com/hook"),
	})
	f.change(subscribe)
	f.record(subscribe, &snsapi.SubscribeOutput{}, nil)
	long := "https://user:" + strings.Repeat("secret", maxMessage) + "@example.com/hook"
	f.record(subscribe, nil, snsapi.ErrInvalidParameter.Withf("Unreachable Endpoint: %s", long))
	f.record(f.call(root, snsapi.OpConfirmSubscription, topic, &snsapi.ConfirmSubscriptionInput{TopicArn: new(topic), Token: new("token-secret")}), nil, nil)
	f.record(f.call(root, snsapi.OpPublish, topic, &snsapi.PublishInput{
		TopicArn: new(topic), Message: new("message-secret"), Subject: new("subject-secret"),
	}), nil, nil)
	f.record(f.call(root, snsapi.OpPublishBatch, topic, &snsapi.PublishBatchInput{
		TopicArn: new(topic), PublishBatchRequestEntries: []*snsapi.PublishBatchRequestEntry{
			{ID: new("one"), Message: new("message-secret"), Subject: new("subject-secret")},
		},
	}), nil, nil)
	n, whole := 0, 0
	for _, e := range f.events(Query{}) {
		n++
		if strings.Contains(e.Record, "secret") {
			t.Errorf("a secret in %s", e.Record)
		}
		if strings.Contains(e.Record, `"endpoint":"https://`+hiddenText+`@example.com/hook"`) {
			whole++
		}
	}
	if n != 5 || whole != 2 {
		t.Errorf("%d events, %d with the endpoint; want 5, 2", n, whole)
	}
}
