package sns

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	kmsapi "github.com/enfold-run/enfold/api/kms"
	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/target"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = "111122223333"
	other   = "444455556666"
	region  = "us-east-1"
	queue   = "arn:aws:sqs:us-east-1:111122223333:q"
	topicT  = "arn:aws:sns:us-east-1:111122223333:t"
)

// world is a service on a store of its own, with a relay that runs when the test says so and places that keep what they get.
type world struct {
	*Service
	t     testing.TB
	ctx   context.Context // of the account's root user
	dir   string
	db    store.Store
	relay func() *event.Relay // a new one
	mail  bool

	mu     sync.Mutex
	got    []*target.Message             // in the order in which it came
	fail   map[string]error              // by target
	picky  func(m *target.Message) error // what targets refuse of messages; nil for nothing
	at     time.Time                     // the service's clock; zero for the real one
	keys   []string                      // that were used
	opened []string                      // who opened data keys
	lines  []*StatusLine                 // of delivery status logs
	full   error                         // of the logs
	deny   error                         // of KMS
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, dir: t.TempDir(), fail: map[string]error{}, mail: true}
	w.ctx = as(t.Context(), aws.RootOf(account, "AKIA"), account)
	w.open()
	t.Cleanup(func() { w.db.Close() })
	return w
}

// as is a context of calls by a principal that act in an account.
func as(ctx context.Context, p *aws.Principal, acct string) context.Context {
	return aws.WithCall(ctx, &aws.Call{Principal: p, Account: acct, Region: region, BaseURL: "http://enfold.example"})
}

func (w *world) open() {
	w.t.Helper()
	db, err := sqlite.Open(context.Background(), w.dir, sqlite.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	root, err := seal.NewRoot([]byte(strings.Repeat("k", seal.RootSize)))
	if err != nil {
		w.t.Fatal(err)
	}
	outbox, log := event.NewOutbox(root.Key("event"), nil), slog.New(slog.DiscardHandler)
	w.db = db
	d := Deps{Store: db, Outbox: outbox, Seal: root.Key("sns"), Places: w, Endpoints: w, KMS: w, Status: w, Log: log, Now: w.now}
	if w.mail {
		d.Mail = w
	}
	w.Service = New(d)
	w.relay = func() *event.Relay {
		return event.NewRelay(event.Deps{Store: db, Outbox: outbox, Log: log, Handlers: map[string]event.Handler{
			PublishKind: w.FanOut(), DeliveryKind: w.Deliveries(), DeadLetterKind: w.DeadLetters(), StatusKind: w.Statuses(),
		}})
	}
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at.IsZero() {
		return time.Now()
	}
	return w.at
}

// set sets the service's clock.
func (w *world) set(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = at
}

// Send implements target.Sender.
func (w *world) Send(_ context.Context, m *target.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fail[m.Target]; err != nil {
		return err
	}
	if w.picky != nil {
		if err := w.picky(m); err != nil {
			return err
		}
	}
	w.got = append(w.got, m)
	m.Answer = target.Answer{Status: http.StatusOK, Text: `{"id":"1"}`}
	return nil
}

// Check implements Endpoints.
func (w *world) Check(url string) error {
	if strings.Contains(url, "inside") {
		return errors.New("it is inside")
	}
	return nil
}

// DataKey implements KMS.
func (w *world) DataKey(_ context.Context, key, topicArn string) (plain, blob []byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deny != nil {
		return nil, nil, w.deny
	}
	w.keys = append(w.keys, key+" "+topicArn)
	return bytes.Repeat([]byte{7}, seal.RootSize), []byte("sealed " + topicArn), nil
}

// Open implements KMS.
func (w *world) Open(ctx context.Context, blob []byte, topicArn string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened = append(w.opened, aws.CallFrom(ctx).Principal.Arn)
	if string(blob) != "sealed "+topicArn {
		return nil, kmsapi.ErrInvalidCiphertext.New("")
	}
	return bytes.Repeat([]byte{7}, seal.RootSize), w.deny
}

// Log implements StatusLog.
func (w *world) Log(_ context.Context, l *StatusLine) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, l)
	return w.full
}

// logged are the lines that were to be written so far.
func (w *world) logged() []*StatusLine {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.lines)
}

// messages are those that came so far.
func (w *world) messages() []*target.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.got)
}

// run lets the relay work until cond holds of what came.
func (w *world) run(cond func(got []*target.Message) bool) []*target.Message {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended, relay := make(chan struct{}), w.relay()
	go func() {
		defer close(ended)
		if err := relay.Run(ctx, context.Background()); err != nil {
			w.t.Error(err)
		}
	}()
	defer func() {
		stop()
		<-ended
	}()
	deadline := time.Now().Add(3 * time.Minute)
	for !cond(w.messages()) {
		if time.Now().After(deadline) {
			w.t.Fatalf("after three minutes there are %d messages", len(w.messages()))
		}
		time.Sleep(time.Millisecond)
	}
	return w.messages()
}

// count is a condition: so many messages came.
func count(n int) func([]*target.Message) bool {
	return func(got []*target.Message) bool { return len(got) >= n }
}

// must is for calls that cannot fail here.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// topic makes a topic.
func (w *world) topic(name string, attributes map[string]string) string {
	w.t.Helper()
	return *must(w.CreateTopic(w.ctx, &api.CreateTopicInput{Name: &name, Attributes: attributes}))(w.t).TopicArn
}

// subscribe makes a subscription and answers its ARN.
func (w *world) subscribe(topic, protocol, endpoint string, attributes map[string]string) string {
	w.t.Helper()
	return *must(w.Subscribe(w.ctx, &api.SubscribeInput{
		TopicArn: &topic, Protocol: &protocol, Endpoint: &endpoint, Attributes: attributes, ReturnSubscriptionArn: new(true),
	}))(w.t).SubscriptionArn
}

// publish publishes a text.
func (w *world) publish(topic, text string) *api.PublishOutput {
	w.t.Helper()
	return must(w.Publish(w.ctx, &api.PublishInput{TopicArn: &topic, Message: &text}))(w.t)
}

// refusal compares an error with code and message.
func refusal(t testing.TB, err error, want string) {
	t.Helper()
	var e *aws.Error
	if !errors.As(err, &e) {
		t.Errorf("%v, want %s", err, want)
		return
	}
	if got := e.Type.QueryCode + ": " + e.Message; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// doerFunc is an aws.Doer.
type doerFunc func(call *aws.Call) (any, error)

func (f doerFunc) Do(_ context.Context, call *aws.Call) (any, error) { return f(call) }

// fetch gets a page.
func fetch(t testing.TB, url string) (code int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return resp.StatusCode, string(b)
}

// depth is how many deliveries of a kind to a target wait.
func (w *world) depth(d event.Delivery) (n int64, err error) {
	err = w.db.View(context.Background(), func(tx store.Tx) error {
		depth, err := tx.Depth("event\x00"+d.Kind+"\x00"+d.Target, store.Scope{Account: account, Region: region}, time.Now())
		n = depth.Due + depth.Delayed + depth.Claimed
		return err
	})
	return n, err
}
