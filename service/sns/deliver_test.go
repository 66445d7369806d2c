package sns

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/target"
	"github.com/enfold-run/enfold/store"
)

const function = "arn:aws:lambda:us-east-1:111122223333:function:f"

// mask replaces what differs each time.
func mask(t *testing.T, w *world, body []byte, sub string) string {
	t.Helper()
	s := string(body)
	for _, name := range []string{"MessageId", "Timestamp", "Signature", "UnsubscribeURL", "UnsubscribeUrl", "SigningCertURL", "SigningCertUrl"} {
		if i := strings.Index(s, `"`+name+`":`); i >= 0 {
			begin := i + len(name) + 3
			begin += strings.IndexByte(s[begin:], '"') + 1
			end := begin + strings.IndexByte(s[begin:], '"')
			if end == begin {
				t.Errorf("%s is empty", name)
			}
			s = s[:begin] + "*" + s[end:]
		}
	}
	return strings.ReplaceAll(s, sub, "SUB")
}

// TestShapes compares messages with what AWS was recorded to send.
func TestShapes(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	subs := map[string]string{
		queue: w.subscribe(topic, "sqs", queue, nil), function: w.subscribe(topic, "lambda", function, nil),
		queue + "raw": w.subscribe(topic, "sqs", queue+"raw", map[string]string{"RawMessageDelivery": "true"}),
	}
	must(w.Publish(w.ctx, &api.PublishInput{
		TopicArn: &topic, Message: new("a <b> & \"c\" ü"), Subject: new("S"), MessageAttributes: map[string]*api.MessageAttributeValue{
			"Test": text("String", "TestString"), "Bin": {DataType: new("Binary"), BinaryValue: []byte{2, 3, 4}},
		},
	}))(t)
	w.run(count(3))
	w.publish(topic, "plain")
	got := w.run(count(6))
	var bodies []string
	for _, m := range got {
		bodies = append(bodies, m.Target[strings.LastIndexByte(m.Target, ':')+1:]+" "+mask(t, w, m.Body, subs[m.Target]))
		if m.From.Principal.Service != "sns.amazonaws.com" || m.From.SourceArn != topic || m.From.SourceAccount != account {
			t.Errorf("sent as %+v", m.From)
		}
	}
	slices.Sort(bodies)
	want := []string{
		`f {"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","EventSubscriptionArn":"SUB","Sns":{"Type":"Notification","MessageId":"*","TopicArn":"` + topicT + `",` +
			`"Subject":"S","Message":"a <b> & \"c\" ü","Timestamp":"*","SignatureVersion":"1","Signature":"*","SigningCertUrl":"*","UnsubscribeUrl":"*",` +
			`"MessageAttributes":{"Bin":{"Type":"Binary","Value":"AgME"},"Test":{"Type":"String","Value":"TestString"}}}}]}`,
		`f {"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","EventSubscriptionArn":"SUB","Sns":{"Type":"Notification","MessageId":"*","TopicArn":"` + topicT + `",` +
			`"Subject":null,"Message":"plain","Timestamp":"*","SignatureVersion":"1","Signature":"*","SigningCertUrl":"*","UnsubscribeUrl":"*","MessageAttributes":{}}}]}`,
		"q {\n  \"Type\": \"Notification\",\n  \"MessageId\": \"*\",\n  \"TopicArn\": \"" + topicT + "\",\n  \"Message\": \"plain\",\n  \"Timestamp\": \"*\",\n  \"SignatureVersion\": \"1\",\n" +
			"  \"Signature\": \"*\",\n  \"SigningCertURL\": \"*\",\n  \"UnsubscribeURL\": \"*\"\n}",
		"q {\n  \"Type\": \"Notification\",\n  \"MessageId\": \"*\",\n  \"TopicArn\": \"" + topicT + "\",\n  \"Subject\": \"S\",\n  \"Message\": \"a <b> & \\\"c\\\" ü\",\n  \"Timestamp\": \"*\",\n" +
			"  \"SignatureVersion\": \"1\",\n  \"Signature\": \"*\",\n  \"SigningCertURL\": \"*\",\n  \"UnsubscribeURL\": \"*\",\n  \"MessageAttributes\": {\n    \"Bin\": {\n      \"Type\": \"Binary\",\n" +
			"      \"Value\": \"AgME\"\n    },\n    \"Test\": {\n      \"Type\": \"String\",\n      \"Value\": \"TestString\"\n    }\n  }\n}",
		"qraw a <b> & \"c\" ü",
		"qraw plain",
	}
	slices.Sort(want)
	for i := range want {
		if bodies[i] != want[i] {
			t.Errorf("got  %s\nwant %s", bodies[i], want[i])
		}
	}
	for _, m := range got {
		if m.Target == queue+"raw" && string(m.Body) != "plain" && (m.Attributes["Test"].Text != "TestString" || string(m.Attributes["Bin"].Bytes) != "\x02\x03\x04") {
			t.Errorf("attributes of a raw message: %+v", m.Attributes)
		}
	}
}

// verify checks a message's signature as subscribers do: with the certificate that it names.
func verify(t *testing.T, w *world, e *envelope) {
	t.Helper()
	code, body := fetch(t, strings.Replace(e.SigningCertURL, "http://enfold.example", w.links().URL, 1))
	block, _ := pem.Decode([]byte(body))
	if code != http.StatusOK || block == nil || !strings.HasSuffix(e.SigningCertURL, ".pem") {
		t.Fatalf("%s: %d %s", e.SigningCertURL, code, body)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	parts := []string{"Message", e.Message, "MessageId", e.MessageID}
	if e.Subject != nil {
		parts = append(parts, "Subject", *e.Subject)
	}
	if e.SubscribeURL != "" {
		parts = append(parts, "SubscribeURL", e.SubscribeURL)
	}
	parts = append(parts, "Timestamp", e.Timestamp)
	if e.Token != "" {
		parts = append(parts, "Token", e.Token)
	}
	signed := []byte(strings.Join(append(parts, "TopicArn", e.TopicArn, "Type", e.Type), "\n") + "\n")
	signature, err := base64.StdEncoding.DecodeString(e.Signature)
	if err != nil {
		t.Fatal(err)
	}
	old, sum := sha1.Sum(signed), sha256.Sum256(signed)
	switch e.SignatureVersion {
	case "1":
		err = rsa.VerifyPKCS1v15(cert.PublicKey.(*rsa.PublicKey), crypto.SHA1, old[:], signature)
	case "2":
		err = rsa.VerifyPKCS1v15(cert.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], signature)
	default:
		t.Errorf("version %q", e.SignatureVersion)
	}
	if err != nil {
		t.Errorf("%s of version %s: %v", e.Type, e.SignatureVersion, err)
	}
}

func TestSignatures(t *testing.T) {
	w := newWorld(t)
	for _, version := range []string{"1", "2"} {
		topic := w.topic("t"+version, map[string]string{"SignatureVersion": version})
		w.mu.Lock()
		w.got = nil
		w.mu.Unlock()
		arn, q := w.handshake(topic, "http://example.com/", nil)
		verify(t, w, &q)
		must(w.ConfirmSubscription(w.ctx, &api.ConfirmSubscriptionInput{TopicArn: &topic, Token: &q.Token}))(t)
		must(w.Publish(w.ctx, &api.PublishInput{TopicArn: &topic, Message: new("m"), Subject: new("s")}))(t)
		w.publish(topic, "without a subject")
		for _, m := range w.run(count(3))[1:] {
			var e envelope
			if err := json.Unmarshal(m.Body, &e); err != nil || e.SignatureVersion != version {
				t.Fatalf("%s %v", m.Body, err)
			}
			verify(t, w, &e)
		}
		_ = arn
	}
	// The key is the same after a restart, and lies sealed.
	before := must(w.getSigner(t.Context()))(t)
	w.db.Close()
	w.open()
	if after := must(w.getSigner(t.Context()))(t); after.name != before.name || !after.key.Equal(before.key) {
		t.Error("after a restart there is another key")
	}
}

func TestFilters(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	for name, a := range map[string]map[string]string{
		"number": {"FilterPolicy": `{"n":[{"numeric":[">",0,"<=",100]}]}`},
		"array":  {"FilterPolicy": `{"list":["x",5]}`},
		"none":   {"FilterPolicy": `{"n":[{"exists":false}]}`},
		"body":   {"FilterPolicy": `{"o":{"k":[{"prefix":"a"}]}}`, "FilterPolicyScope": "MessageBody"},
		"all":    {},
	} {
		a["RawMessageDelivery"] = "true"
		w.subscribe(topic, "sqs", queue+name, a)
	}
	total := 0
	for _, c := range []struct {
		text       string
		attributes map[string]*api.MessageAttributeValue
		want       string
	}{
		{"x", map[string]*api.MessageAttributeValue{"n": text("Number", "99.5")}, "all number"},
		{"x", map[string]*api.MessageAttributeValue{"n": text("Number", "100.01")}, "all"},
		{"x", map[string]*api.MessageAttributeValue{"n": text("String", "99")}, "all"},
		{"x", map[string]*api.MessageAttributeValue{"list": text("String.Array", `["y",5]`)}, "all array none"},
		{"x", map[string]*api.MessageAttributeValue{"list": text("String.Array", `["y"`)}, "all none"},
		{"x", map[string]*api.MessageAttributeValue{"n": {DataType: new("Binary"), BinaryValue: []byte("1")}}, "all none"},
		{`{"o":{"k":"abc"}}`, nil, "all body none"},
		{`{"o":{"k":"xyz"}}`, nil, "all none"},
	} {
		must(w.Publish(w.ctx, &api.PublishInput{TopicArn: &topic, Message: &c.text, MessageAttributes: c.attributes}))(t)
		names := strings.Fields(c.want)
		got := w.run(count(total + len(names)))[total:]
		var to []string
		for _, m := range got {
			to = append(to, strings.TrimPrefix(m.Target, queue))
		}
		slices.Sort(to)
		if strings.Join(to, " ") != c.want {
			t.Errorf("%s %v went to %v, want %s", c.text, c.attributes, to, c.want)
		}
		total += len(got)
	}
}

// TestFanOut reaches every one of many subscriptions, and none twice, over a restart in between.
func TestFanOut(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	const n = 2*fanOutPiece + 17
	for i := range n {
		w.subscribe(topic, "sqs", fmt.Sprint(queue, i), nil)
	}
	w.publish(topic, "hello")
	w.run(count(20))
	w.db.Close()
	w.open()
	got := w.run(count(n))
	to := map[string]bool{}
	for _, m := range got {
		to[m.Target] = true
	}
	if len(to) != n || len(got) != n {
		t.Errorf("%d messages to %d queues of %d", len(got), len(to), n)
	}
}

func TestOrder(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("f.fifo", map[string]string{"FifoTopic": "true", "ContentBasedDeduplication": "true"})
	for _, q := range []string{"a", "b"} {
		w.subscribe(topic, "sqs", queue+q+".fifo", map[string]string{"RawMessageDelivery": "true"})
	}
	const n = 40
	for i := range n {
		must(w.Publish(w.ctx, &api.PublishInput{TopicArn: &topic, Message: new(fmt.Sprintf("%03d", i)), MessageGroupID: new(fmt.Sprint("g", i%3))}))(t)
	}
	seen := map[string]string{}
	for _, m := range w.run(count(2 * n)) {
		key := m.Target + m.GroupID
		if last := seen[key]; last >= string(m.Body) {
			t.Errorf("%s: %s after %s", key, m.Body, last)
		}
		seen[key] = string(m.Body)
		if m.DedupID == "" {
			t.Errorf("%s has no deduplication id", m.Body)
		}
	}
	if len(seen) != 6 {
		t.Errorf("groups %v", seen)
	}
}

func TestEnvelopeOfFIFO(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("f.fifo", map[string]string{"FifoTopic": "true"})
	w.subscribe(topic, "sqs", queue+".fifo", nil)
	w.subscribe(topic, "sqs", queue, nil)
	out := must(w.Publish(w.ctx, &api.PublishInput{TopicArn: &topic, Message: new("m"), MessageGroupID: new("g"), MessageDeduplicationID: new("d")}))(t)
	for _, m := range w.run(count(2)) {
		var e envelope
		if err := json.Unmarshal(m.Body, &e); err != nil || e.SequenceNumber != *out.SequenceNumber || e.Signature != "" || e.UnsubscribeURL == "" || m.GroupID != "g" {
			t.Errorf("%s %v", m.Body, err)
		}
		if fifo := strings.HasSuffix(m.Target, ".fifo"); fifo != (m.DedupID == "d") {
			t.Errorf("%s has deduplication id %q", m.Target, m.DedupID)
		}
	}
}

// TestDeadLetters gives up what cannot be delivered: to the subscription's queue if it has one.
func TestDeadLetters(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	redrive := map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + queue + `dead"}`}
	arn := w.subscribe(topic, "lambda", function, redrive)
	w.subscribe(topic, "sqs", queue+"gone", nil)
	refusing := event.Permanent(errors.New("access denied"))
	w.fail[function], w.fail[queue+"gone"] = refusing, refusing
	must(w.Publish(w.ctx, &api.PublishInput{TopicArn: &topic, Message: new("m"), MessageAttributes: map[string]*api.MessageAttributeValue{"a": text("Number", "1")}}))(t)
	got := w.run(count(1))
	var e envelope
	if err := json.Unmarshal(got[0].Body, &e); err != nil || got[0].Target != queue+"dead" || e.Message != "m" || !strings.Contains(e.UnsubscribeURL, arn) ||
		fmt.Sprint(e.MessageAttributes["a"]) != "{Number 1}" {
		t.Errorf("%s to %s: %v", got[0].Body, got[0].Target, err)
	}
	verify(t, w, &e)
}

// TestRetry has an endpoint that fails at first, by its delivery policy.
func TestRetry(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	const url = "http://example.com/"
	_, q := w.handshake(topic, url, map[string]string{
		"DeliveryPolicy": `{"healthyRetryPolicy":{"numRetries":3,"numNoDelayRetries":3},"requestPolicy":{"headerContentType":"application/json"}}`,
		"RedrivePolicy":  `{"deadLetterTargetArn":"` + queue + `dead"}`, "RawMessageDelivery": "true",
	})
	must(w.ConfirmSubscription(w.ctx, &api.ConfirmSubscriptionInput{TopicArn: &topic, Token: &q.Token}))(t)
	w.fail[url] = errors.New("it answered 500")
	w.publish(topic, "lost")
	got := w.run(count(2))
	if got[1].Target != queue+"dead" || string(got[1].Body) != "lost" {
		t.Errorf("%+v", got[1])
	}
	delete(w.fail, url)
	w.publish(topic, "arrives")
	got = w.run(count(3))
	if h := got[2].Header; got[2].Target != url || string(got[2].Body) != "arrives" || h.Get("Content-Type") != "application/json" || h.Get("X-Amz-Sns-Rawdelivery") != "true" {
		t.Errorf("%+v", got[2])
	}
}

func TestStructure(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	w.subscribe(topic, "sqs", queue, map[string]string{"RawMessageDelivery": "true"})
	w.subscribe(topic, "lambda", function, nil)
	_, q := w.handshakeMail(topic, "a@example.com")
	must(w.ConfirmSubscription(w.ctx, &api.ConfirmSubscriptionInput{TopicArn: &topic, Token: &q}))(t)
	must(w.Publish(w.ctx, &api.PublishInput{TopicArn: &topic, MessageStructure: new("json"), Subject: new("S"), Message: new(`{"default":"d","sqs":"{\"field\": \"value\"}","email":"e"}`)}))(t)
	for _, m := range w.run(count(4))[1:] {
		want := map[string]string{queue: `{"field": "value"}`, function: `"Message":"d"`, "a@example.com": "e\n\n--\n"}[m.Target]
		if !strings.Contains(string(m.Body), want) {
			t.Errorf("%s got %s", m.Target, m.Body)
		}
		if m.Target == "a@example.com" && (m.Subject != "S" || !strings.Contains(string(m.Body), "Action=Unsubscribe")) {
			t.Errorf("the mail is %q %s", m.Subject, m.Body)
		}
	}
}

// handshakeMail subscribes an address and answers the token in the mail that it gets.
func (w *world) handshakeMail(topic, address string) (arn, token string) {
	w.t.Helper()
	arn = w.subscribe(topic, "email", address, nil)
	n := len(w.messages())
	got := w.run(func(got []*target.Message) bool { return len(got) > n })[n]
	_, token, ok := strings.Cut(string(got.Body), "&Token=")
	if !ok || got.Subject != "AWS Notification - Subscription Confirmation" {
		w.t.Fatalf("%q %s", got.Subject, got.Body)
	}
	return arn, strings.TrimSpace(token)
}

// TestThrottled lets an endpoint get ten messages a second.
func TestThrottled(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	_, q := w.handshake(topic, "http://example.com/", map[string]string{"DeliveryPolicy": `{"throttlePolicy":{"maxReceivesPerSecond":10}}`})
	must(w.ConfirmSubscription(w.ctx, &api.ConfirmSubscriptionInput{TopicArn: &topic, Token: &q.Token}))(t)
	for range 5 {
		w.publish(topic, "m")
	}
	begun := time.Now()
	w.run(count(6))
	if took := time.Since(begun); took < 300*time.Millisecond {
		t.Errorf("five messages went in %s", took)
	}
}

// TestPublishIsQuick publishes to a topic with many subscriptions: one transaction, however many there are.
func TestPublishIsOneDelivery(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	for i := range 150 {
		w.subscribe(topic, "sqs", fmt.Sprint(queue, i), nil)
	}
	w.publish(topic, "m")
	depth := must(w.depth(event.Delivery{Kind: PublishKind, Target: topic}))(t)
	if depth != 1 {
		t.Errorf("a publish is %d deliveries", depth)
	}
}

// TestFewOfMany finds the few subscriptions that a filter lets through, however many are looked at.
func TestFewOfMany(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	arn := must(aws.ParseARN(topic))(t)
	err := w.db.Update(t.Context(), func(tx store.Tx) error {
		for i := range fanOutLook + 300 {
			s := &subscription{arn, fmt.Sprintf("%08d", i), subscriptionRow{
				Protocol: "sqs", Endpoint: fmt.Sprint(queue, i), Hash: strconv.Itoa(i), Owner: account, Attributes: map[string]string{"FilterPolicy": `{"n":["x"]}`},
			}}
			if i == 0 || i >= fanOutLook+100 {
				s.row.Attributes = nil
			}
			if err := s.add(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.publish(topic, "m")
	to := map[string]int{}
	for _, m := range w.run(count(201)) {
		to[m.Target]++
	}
	if len(to) != 201 || to[queue+"0"] != 1 || to[fmt.Sprint(queue, fanOutLook+299)] != 1 {
		t.Errorf("%d queues got it", len(to))
	}
}

// TestAtRest looks for secrets in the files.
func TestAtRest(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	_, q := w.handshake(topic, "http://user:PassWordOfAnEndpoint@example.com/", nil)
	must(w.ConfirmSubscription(w.ctx, &api.ConfirmSubscriptionInput{TopicArn: &topic, Token: &q.Token}))(t)
	w.publish(topic, "TextOfAMessage")
	must(w.getSigner(t.Context()))(t)
	files := 0
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for _, secret := range []string{"PassWordOfAnEndpoint", "TextOfAMessage", q.Token, "PRIVATE KEY"} {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds %q", path, secret)
			}
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files: %v", files, err)
	}
	if got := w.run(count(2)); got[1].Target != "http://user:PassWordOfAnEndpoint@example.com/" {
		t.Errorf("delivered to %s", got[1].Target)
	}
}
