package sns

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/target"
	"github.com/enfold-run/enfold/store"
)

func (w *world) attributes(arn string) map[string]string {
	w.t.Helper()
	return must(w.GetSubscriptionAttributes(w.ctx, &api.GetSubscriptionAttributesInput{SubscriptionArn: &arn}))(w.t).Attributes
}

func (w *world) setAttribute(arn, name, v string) error {
	_, err := w.SetSubscriptionAttributes(w.ctx, &api.SetSubscriptionAttributesInput{SubscriptionArn: &arn, AttributeName: &name, AttributeValue: &v})
	return err
}

func TestSubscribe(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	arn := w.subscribe(topic, "sqs", queue, map[string]string{"RawMessageDelivery": "true"})
	for _, same := range []map[string]string{nil, {}, {"RawMessageDelivery": "true"}} {
		if again := w.subscribe(topic, "sqs", queue, same); again != arn {
			t.Errorf("once more with %v it is %s", same, again)
		}
	}
	want := map[string]string{
		"SubscriptionArn": arn, "TopicArn": topic, "Owner": account, "Protocol": "sqs", "Endpoint": queue, "RawMessageDelivery": "true",
		"PendingConfirmation": "false", "ConfirmationWasAuthenticated": "true", "SubscriptionPrincipal": "arn:aws:iam::" + account + ":root",
	}
	if got := w.attributes(arn); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	const p = "InvalidParameter: Invalid parameter: "
	for _, c := range []struct {
		protocol, endpoint string
		attributes         map[string]string
		want               string
	}{
		{"sqs", queue, map[string]string{"RawMessageDelivery": "false"}, p + "Attributes Reason: Subscription already exists with different attributes"},
		{"carrier", "x", nil, p + "Amazon SNS does not support this protocol string: carrier"},
		{"sqs", "https://sqs.us-east-1.amazonaws.com/111122223333/q", nil, p + "SQS endpoint ARN"},
		{"sqs", queue + ".fifo", nil, p + "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics"},
		{"lambda", queue, nil, p + "Lambda endpoint ARN"},
		{"http", "https://example.com/", nil, p + "Endpoint must match the specified protocol"},
		{"https", "example.com", nil, p + "Endpoint must match the specified protocol"},
		{"http", "http://inside/", nil, p + "Unreachable Endpoint: it is inside"},
		{"email", "nobody", nil, p + "Email address"},
		{"email", "A <a@example.com>", nil, p + "Email address"},
		{"sms", "+15551234567", nil, p + "Protocol Reason: Enfold does not deliver to sms"},
		{"firehose", "arn:aws:firehose:us-east-1:111122223333:deliverystream/s", nil, p + "Protocol Reason: Enfold does not deliver to firehose"},
		{"sqs", queue + "2", map[string]string{"RawMessageDelivery": "wrongvalue"}, p + "Attributes Reason: RawMessageDelivery: Invalid value [wrongvalue]. Must be true or false."},
		{"sqs", queue + "2", map[string]string{"FilterPolicyScope": "RandomValue"}, p + "Attributes Reason: FilterPolicyScope: Invalid value [RandomValue]. Please use either MessageBody or MessageAttributes"},
		{"sqs", queue + "2", map[string]string{"FilterPolicy": `{"a":["x"],"b":["x"],"c":["x"],"d":["x"],"e":["x"],"f":["x"]}`}, p + "Attributes Reason: FilterPolicy: Filter policy can not have more than 5 keys"},
		{"sqs", queue + "2", map[string]string{"FilterPolicy": `{"a":{"b":["x"]}}`}, p + "Filter policy scope MessageAttributes does not support nested filter policy"},
		{"sqs", queue + "2", map[string]string{"FilterPolicy": `{"a":[` + strings.Repeat(`"x",`, 150) + `"x"]}`}, p + "Attributes Reason: FilterPolicy: Filter policy is too complex"},
		{"sqs", queue + "2", map[string]string{"FilterPolicy": `{"a":[]}`}, p + "Attributes Reason: FilterPolicy: Empty arrays are not allowed\n at [Source: (String)\"{\"a\":[]}\"; line: 1, column: 8]"},
		{"sqs", queue + "2", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"fake"}`}, p + "Attributes Reason: RedrivePolicy: deadLetterTargetArn is an invalid arn"},
		{"sqs", queue + "2", map[string]string{"RedrivePolicy": `{invalid`}, p + "Attributes Reason: RedrivePolicy: failed to parse JSON. Unexpected character ('i' (code 105)): was expecting double-quote to start field name\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 2]"},
		{"sqs", queue + "2", map[string]string{"SubscriptionRoleArn": "x"}, p + "Attributes Reason: SubscriptionRoleArn: it is for Firehose, to which Enfold does not deliver"},
	} {
		_, err := w.Subscribe(w.ctx, &api.SubscribeInput{TopicArn: &topic, Protocol: &c.protocol, Endpoint: &c.endpoint, Attributes: c.attributes})
		refusal(t, err, c.want)
	}
	_, err := w.Subscribe(w.ctx, &api.SubscribeInput{TopicArn: new(topic + "x"), Protocol: new("sqs"), Endpoint: new(queue)})
	refusal(t, err, "NotFound: Topic does not exist")

	none := newWorld(t)
	none.mail = false
	none.db.Close()
	none.open()
	topic = none.topic("t", nil)
	_, err = none.Subscribe(none.ctx, &api.SubscribeInput{TopicArn: &topic, Protocol: new("email"), Endpoint: new("a@example.com")})
	refusal(t, err, p+"Protocol Reason: this server sends no mail: its operator has set no mail server")
}

func TestSubscriptionAttributes(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	arn := w.subscribe(topic, "sqs", queue, nil)
	for _, c := range [][3]string{
		{"FilterPolicyScope", "MessageBody", ""},
		{"FilterPolicy", `{"object":{"key":[{"prefix":"auto-"}]}}`, ""},
		{"FilterPolicyScope", "MessageAttributes", "InvalidParameter: Invalid parameter: Filter policy scope MessageAttributes does not support nested filter policy"},
		{"FilterPolicy", "{}", ""},
		{"RawMessageDelivery", "test-ValUe", "InvalidParameter: Invalid parameter: RawMessageDelivery: Invalid value [test-ValUe]. Must be true or false."},
		{"RawMessageDelivery", "", "InvalidParameter: Invalid parameter: RawMessageDelivery: Invalid value []. Must be true or false."},
		{"fake", "x", "InvalidParameter: Invalid parameter: AttributeName"},
		{"FilterPolicy", `{"key_a":"value_one"}`, "InvalidParameter: Invalid parameter: FilterPolicy: \"key_a\" must be an object or an array\n at [Source: (String)\"{\"key_a\":\"value_one\"}\"; line: 1, column: 11]"},
		{"RedrivePolicy", `{"deadLetterTargetArn":"` + queue + `"}`, ""},
	} {
		err := w.setAttribute(arn, c[0], c[1])
		switch {
		case c[2] != "":
			refusal(t, err, c[2])
		case err != nil:
			t.Errorf("%s = %s: %v", c[0], c[1], err)
		}
	}
	a := w.attributes(arn)
	if a["RedrivePolicy"] != `{"deadLetterTargetArn":"`+queue+`"}` || a["FilterPolicy"] != "" || a["FilterPolicyScope"] != "" {
		t.Errorf("%v", a)
	}
	refusal(t, w.setAttribute(topic+":0000", "RawMessageDelivery", "true"), "NotFound: Subscription does not exist")
	refusal(t, w.setAttribute("x", "RawMessageDelivery", "true"), "InvalidParameter: Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 1")
	stranger := as(t.Context(), aws.RootOf(other, ""), other)
	_, err := w.GetSubscriptionAttributes(stranger, &api.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
	refusal(t, err, "NotFound: Subscription does not exist")
	_, err = w.Unsubscribe(stranger, &api.UnsubscribeInput{SubscriptionArn: &arn})
	refusal(t, err, "AuthorizationError: Not authorized to unsubscribe: the subscription belongs to another account")
}

// TestFilterLimit fills a topic with filter policies.
func TestFilterLimit(t *testing.T) {
	w := newWorld(t)
	topic, policy := w.topic("t", nil), map[string]string{"FilterPolicy": `{"a":["x"]}`}
	var last string
	for i := range maxFilters {
		last = w.subscribe(topic, "sqs", fmt.Sprint(queue, i), policy)
	}
	in := &api.SubscribeInput{TopicArn: &topic, Protocol: new("sqs"), Endpoint: new(queue), Attributes: policy}
	_, err := w.Subscribe(w.ctx, in)
	refusal(t, err, "FilterPolicyLimitExceeded: Filter policy limit exceeded: a topic has at most 200")
	plain := w.subscribe(topic, "sqs", queue+"plain", nil)
	if err := w.setAttribute(plain, "FilterPolicy", `{"a":["x"]}`); err == nil {
		t.Error("one filter policy too many is set")
	}
	must(w.Unsubscribe(w.ctx, &api.UnsubscribeInput{SubscriptionArn: &last}))(t)
	must(w.Subscribe(w.ctx, in))(t)

	fifo := w.topic("f.fifo", map[string]string{"FifoTopic": "true"})
	for i := range maxFIFOSubscriptions {
		w.subscribe(fifo, "sqs", fmt.Sprintf("%s%d.fifo", queue, i), nil)
	}
	_, err = w.Subscribe(w.ctx, &api.SubscribeInput{TopicArn: &fifo, Protocol: new("sqs"), Endpoint: new(queue + ".fifo")})
	refusal(t, err, "SubscriptionLimitExceeded: Subscription limit exceeded: a topic of this kind has at most 100 subscriptions")
	_, err = w.Subscribe(w.ctx, &api.SubscribeInput{TopicArn: &fifo, Protocol: new("http"), Endpoint: new("http://example.com")})
	if err == nil {
		t.Error("a FIFO topic posts to endpoints")
	}
}

func TestListSubscriptions(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	for i := range 103 {
		w.subscribe(topic, "email", fmt.Sprintf("user%d@example.com", i), nil)
	}
	for _, list := range []func(token *string) ([]*api.Subscription, *string){
		func(token *string) ([]*api.Subscription, *string) {
			out := must(w.ListSubscriptions(w.ctx, &api.ListSubscriptionsInput{NextToken: token}))(t)
			return out.Subscriptions, out.NextToken
		},
		func(token *string) ([]*api.Subscription, *string) {
			out := must(w.ListSubscriptionsByTopic(w.ctx, &api.ListSubscriptionsByTopicInput{TopicArn: &topic, NextToken: token}))(t)
			return out.Subscriptions, out.NextToken
		},
	} {
		first, token := list(nil)
		if len(first) != 100 || token == nil {
			t.Fatalf("%d on the first page", len(first))
		}
		rest, end := list(token)
		if len(rest) != 3 || end != nil || *rest[0].SubscriptionArn != "PendingConfirmation" || *rest[0].Owner != account {
			t.Errorf("%d on the second page: %+v", len(rest), rest[0])
		}
	}
}

// handshake subscribes an endpoint and answers the question that it gets.
func (w *world) handshake(topic, url string, attributes map[string]string) (arn string, question envelope) {
	w.t.Helper()
	arn = w.subscribe(topic, "http", url, attributes)
	n := len(w.messages())
	got := w.run(count(n + 1))
	if err := json.Unmarshal(got[n].Body, &question); err != nil {
		w.t.Fatal(err)
	}
	return arn, question
}

func TestHandshake(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	out := must(w.Subscribe(w.ctx, &api.SubscribeInput{TopicArn: &topic, Protocol: new("http"), Endpoint: new("http://user:secret@example.com/x")}))(t)
	if *out.SubscriptionArn != "pending confirmation" {
		t.Errorf("the ARN is %s", *out.SubscriptionArn)
	}
	arn, q := w.handshake(topic, "http://user:secret@example.com/x", nil)
	head := w.messages()[0].Header
	if to := w.messages()[1].Target; to != "http://user:secret@example.com/x" {
		t.Errorf("asked %s", to)
	}
	if q.Type != typeSubscribe || q.Token == "" || q.SubscribeURL != "http://enfold.example/_enfold/sns/?Action=ConfirmSubscription&TopicArn="+topic+"&Token="+q.Token ||
		q.Message != "You have chosen to subscribe to the topic "+topic+".\nTo confirm the subscription, visit the SubscribeURL included in this message." ||
		head.Get("X-Amz-Sns-Message-Type") != typeSubscribe || head.Get("Content-Type") != "text/plain; charset=UTF-8" || head.Get("X-Amz-Sns-Subscription-Arn") != "" {
		t.Errorf("asked %+v, %v", q, head)
	}
	if a := w.attributes(arn); a["PendingConfirmation"] != "true" || a["Endpoint"] != "http://user:****@example.com/x" {
		t.Errorf("%v", a)
	}
	confirm := func(topic, token string) error {
		_, err := w.ConfirmSubscription(w.ctx, &api.ConfirmSubscriptionInput{TopicArn: &topic, Token: &token})
		return err
	}
	flipped := q.Token[:60] + string(q.Token[60]^1) + q.Token[61:]
	for _, bad := range []string{"", "abc123", flipped, q.Token + "00", strings.Repeat("0", 5000)} {
		refusal(t, confirm(topic, bad), "InvalidParameter: Invalid parameter: Token")
	}
	refusal(t, confirm(topic+"x", q.Token), "InvalidParameter: Invalid parameter: Token")
	refusal(t, confirm(strings.Replace(topic, region, "eu-west-1", 1), q.Token), "InvalidParameter: Invalid parameter: Topic")
	for range 2 {
		if err := confirm(topic, q.Token); err != nil {
			t.Fatal(err)
		}
	}
	if a := w.attributes(arn); a["PendingConfirmation"] != "false" || a["ConfirmationWasAuthenticated"] != "true" {
		t.Errorf("%v", a)
	}
	c := must(w.GetTopicAttributes(w.ctx, &api.GetTopicAttributesInput{TopicArn: &topic}))(t).Attributes
	if c["SubscriptionsConfirmed"] != "1" || c["SubscriptionsPending"] != "0" {
		t.Errorf("%v", c)
	}
}

// TestOnlyWhoWasThere: a message is expanded when its subscriptions may be others by now, as after a restart. It comes to those that
// were confirmed when it was published.
func TestOnlyWhoWasThere(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	arn, q := w.handshake(topic, "http://example.com/x", nil)
	confirm := func(token string) {
		t.Helper()
		must(w.ConfirmSubscription(w.ctx, &api.ConfirmSubscriptionInput{TopicArn: &topic, Token: &token}))(t)
	}
	came, queued := len(w.messages()), ""
	idle := func([]*target.Message) bool {
		return w.idle(event.Delivery{Kind: PublishKind, Target: topic}, event.Delivery{Kind: DeliveryKind, Target: arn}, event.Delivery{Kind: DeliveryKind, Target: queued})
	}
	want := func(when, texts string) {
		t.Helper()
		var got []string
		for _, m := range w.run(idle)[came:] {
			var e envelope
			if err := json.Unmarshal(m.Body, &e); err != nil {
				t.Fatal(err)
			}
			if e.Type == typeNotification {
				got = append(got, strings.TrimPrefix(m.Target, "http://example.com/")+"<"+e.Message)
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != texts {
			t.Errorf("%s: %v, want %s", when, got, texts)
		}
		came = len(w.messages())
	}
	restart := func() {
		t.Helper()
		if err := w.db.Close(); err != nil {
			t.Fatal(err)
		}
		w.open()
	}

	w.publish(topic, "early")
	restart()
	confirm(q.Token)
	queued = w.subscribe(topic, "sqs", queue, nil)
	w.publish(topic, "late")
	want("it was confirmed after the first", queue+"<late x<late")

	link := as(t.Context(), servicePrincipal, account) // of who was sent the link
	must(w.Unsubscribe(link, &api.UnsubscribeInput{SubscriptionArn: &arn}))(t)
	w.publish(topic, "between")
	restart()
	confirm(q.Token)
	w.publish(topic, "again")
	want("it was away for the first", queue+"<again "+queue+"<between x<again")
}

// links serves the links of messages.
func (w *world) links() *httptest.Server {
	srv := httptest.NewServer(Links{Service: w.Service, Doer: doerFunc(func(r *aws.Call) (any, error) {
		ctx := aws.WithCall(w.t.Context(), r)
		return r.Op.Call(ctx, w.Service, r.Input)
	})})
	w.t.Cleanup(srv.Close)
	return srv
}

// TestLinks follows the links of a message: confirm, unsubscribe, restore.
func TestLinks(t *testing.T) {
	w := newWorld(t)
	srv := w.links()
	topic := w.topic("t", nil)
	arn, q := w.handshake(topic, "http://example.com/x", nil)
	get := func(link string) (int, string) {
		t.Helper()
		return fetch(t, strings.Replace(link, "http://enfold.example", srv.URL, 1))
	}
	if code, body := get(q.SubscribeURL[:len(q.SubscribeURL)-2]); code != http.StatusBadRequest || !strings.Contains(body, "<Code>InvalidParameter</Code>") {
		t.Errorf("a wrong token: %d %s", code, body)
	}
	if code, body := get(q.SubscribeURL); code != http.StatusOK || !strings.Contains(body, "<SubscriptionArn>"+arn+"</SubscriptionArn>") {
		t.Fatalf("%d %s", code, body)
	}
	if a := w.attributes(arn); a["ConfirmationWasAuthenticated"] != "false" {
		t.Errorf("%v", a)
	}
	w.publish(topic, "hello")
	var m envelope
	got := w.run(count(2))
	if err := json.Unmarshal(got[1].Body, &m); err != nil || m.Message != "hello" || got[1].Header.Get("X-Amz-Sns-Subscription-Arn") != arn {
		t.Fatalf("%s, %v", got[1].Body, err)
	}
	bare, _, _ := strings.Cut(m.UnsubscribeURL, "&Token=")
	for _, bad := range []string{bare, bare + "&Token=" + q.Token} {
		if code, _ := get(bad); code != http.StatusBadRequest {
			t.Errorf("without its token: %d", code)
		}
	}
	if code, body := get(m.UnsubscribeURL); code != http.StatusOK || !strings.Contains(body, "UnsubscribeResponse") {
		t.Fatalf("%d %s", code, body)
	}
	_, err := w.GetSubscriptionAttributes(w.ctx, &api.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
	refusal(t, err, "NotFound: Subscription does not exist")
	got = w.run(count(3))
	var farewell envelope
	if err := json.Unmarshal(got[2].Body, &farewell); err != nil || farewell.Type != typeUnsubscribe || !strings.HasPrefix(farewell.Message, "You have chosen to deactivate subscription "+arn) {
		t.Fatalf("%s, %v", got[2].Body, err)
	}
	if code, body := get(farewell.SubscribeURL); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	w.publish(topic, "again")
	w.run(count(4))
	if code, _ := get("http://enfold.example/_enfold/sns/SimpleNotificationService-x.pem"); code != http.StatusNotFound {
		t.Errorf("another certificate: %d", code)
	}
	if code, _ := get("http://enfold.example/_enfold/sns/?Action=DeleteTopic&TopicArn=" + topic); code != http.StatusNotFound {
		t.Errorf("another action: %d", code)
	}
}

// TestNeverConfirmed waits for an answer for two days, and no longer.
func TestNeverConfirmed(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	keep := w.subscribe(topic, "sqs", queue, nil)
	arn, q := w.handshake(topic, "http://example.com/x", nil)
	w.set(time.Now().Add(47 * time.Hour))
	if err := w.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.attributes(arn)
	w.set(time.Now().Add(49 * time.Hour))
	_, err := w.ConfirmSubscription(w.ctx, &api.ConfirmSubscriptionInput{TopicArn: &topic, Token: &q.Token})
	refusal(t, err, "InvalidParameter: Invalid parameter: Token")
	if err := w.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = w.GetSubscriptionAttributes(w.ctx, &api.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
	refusal(t, err, "NotFound: Subscription does not exist")
	w.attributes(keep)
	c := must(w.GetTopicAttributes(w.ctx, &api.GetTopicAttributesInput{TopicArn: &topic}))(t).Attributes
	if c["SubscriptionsPending"] != "0" || c["SubscriptionsConfirmed"] != "1" {
		t.Errorf("%v", c)
	}
}

// TestHundredThousandSubscriptions: a topic with so many is published to, listed and asked about as one with a few, and a publish is
// one delivery; who subscribes one more finds its place. AWS allows 12,500,000.
func TestHundredThousandSubscriptions(t *testing.T) {
	const n, piece, known = 100_000, 10_000, 77
	w := newWorld(t)
	few, many := w.topic("few", nil), w.topic("many", nil)
	arn := must(aws.ParseARN(many))(t)
	for from := 0; from < n; from += piece {
		err := w.db.Update(t.Context(), func(tx store.Tx) error {
			tp, err := getTopic(tx, arn)
			if err != nil {
				return err
			}
			for i := from; i < from+piece; i++ {
				s := &subscription{arn, fmt.Sprintf("%08d", i), subscriptionRow{
					Protocol: "sqs", Endpoint: fmt.Sprint(queue, i), Hash: hashOf(fmt.Sprint(queue, i)), Owner: account,
				}}
				store := s.put // what finds it is needed of one only
				if i == known {
					store = s.add
				}
				if err := store(tx); err != nil {
					return err
				}
			}
			_, err = tp.count(tx, func(c *countRow) { c.Confirmed += piece })
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.subscribe(few, "sqs", queue, nil)
	again := w.subscribe(many, "sqs", fmt.Sprint(queue, known), nil)
	if !strings.HasSuffix(again, ":00000077") {
		t.Errorf("the same endpoint again is %s", again)
	}
	w.subscribe(many, "sqs", queue+"new", nil)
	topic := must(w.GetTopicAttributes(w.ctx, &api.GetTopicAttributesInput{TopicArn: &many}))(t)
	if got := topic.Attributes["SubscriptionsConfirmed"]; got != fmt.Sprint(n+1) {
		t.Errorf("%s are confirmed", got)
	}
	list := must(w.ListSubscriptionsByTopic(w.ctx, &api.ListSubscriptionsByTopicInput{TopicArn: &many}))(t)
	if len(list.Subscriptions) != 100 || list.NextToken == nil {
		t.Errorf("a page has %d", len(list.Subscriptions))
	}
	// What a publish stores does not depend on how many there are.
	for range 50 {
		w.publish(many, "m")
	}
	if got := must(w.depth(event.Delivery{Kind: PublishKind, Target: many}))(t); got != 50 {
		t.Errorf("50 publishes are %d deliveries", got)
	}
}

func TestUnsubscribe(t *testing.T) {
	w := newWorld(t)
	arn := w.subscribe(w.topic("t", nil), "sqs", queue, nil)
	for range 2 {
		must(w.Unsubscribe(w.ctx, &api.UnsubscribeInput{SubscriptionArn: &arn}))(t)
	}
	for bad, want := range map[string]string{
		"":                 "InvalidParameter: Invalid parameter: SubscriptionArn Reason: no value for required parameter",
		"randomstring":     "InvalidParameter: Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 1",
		"arn:aws:sns:us:x": "InvalidParameter: Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 5",
	} {
		_, err := w.Unsubscribe(w.ctx, &api.UnsubscribeInput{SubscriptionArn: &bad})
		refusal(t, err, want)
	}
	err := w.db.View(t.Context(), func(tx store.Tx) error {
		for _, table := range []string{subscriptions.Name, endpoints.Name, owned.Name, unsubscribed.Name} {
			if scopes, err := tx.Scopes(table); err != nil || len(scopes) > 0 {
				t.Errorf("%s still has rows: %v %v", table, scopes, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestAcrossAccounts subscribes what belongs to another account: its queue is asked, and its own account is not.
func TestAcrossAccounts(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	theirs := "arn:aws:sqs:us-east-1:" + other + ":q"
	arn := w.subscribe(topic, "sqs", theirs, nil)
	got := w.run(func(got []*target.Message) bool { return len(got) == 1 })
	var q envelope
	if err := json.Unmarshal(got[0].Body, &q); err != nil || q.Type != typeSubscribe || got[0].Target != theirs {
		t.Fatalf("%s %v", got[0].Body, err)
	}
	must(w.ConfirmSubscription(w.ctx, &api.ConfirmSubscriptionInput{TopicArn: &topic, Token: &q.Token}))(t)
	if w.attributes(arn)["PendingConfirmation"] != "false" {
		t.Error("it is still pending")
	}
	// The other account, which the topic's policy lets in, acts in the topic's.
	stranger := as(t.Context(), aws.RootOf(other, ""), account)
	out := must(w.Subscribe(stranger, &api.SubscribeInput{TopicArn: &topic, Protocol: new("sqs"), Endpoint: new(theirs + "2")}))(t)
	own := as(t.Context(), aws.RootOf(other, ""), other)
	if list := must(w.ListSubscriptions(own, &api.ListSubscriptionsInput{}))(t).Subscriptions; len(list) != 1 || *list[0].SubscriptionArn != *out.SubscriptionArn || *list[0].Owner != other {
		t.Errorf("%+v", list)
	}
	must(w.Unsubscribe(own, &api.UnsubscribeInput{SubscriptionArn: out.SubscriptionArn}))(t)
}
