package sqs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
)

const (
	account = "111122223333"
	region  = "eu-central-1"
)

// world is the service on a store in a directory, with a clock that the test may set forward.
type world struct {
	*Service
	t     testing.TB
	ctx   context.Context
	dir   string
	db    store.Store
	later time.Duration
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.ctx = aws.WithCall(t.Context(), &aws.Call{
		Account: account, Region: region, Principal: aws.RootOf(account, "AKIATEST"), BaseURL: "http://localhost:4566", RequestID: "test",
	})
	w.open()
	t.Cleanup(func() { _ = w.db.Close() }) // tests that close it themselves check its error
	return w
}

func (w *world) open() {
	w.t.Helper()
	db, err := sqlite.Open(w.t.Context(), w.dir, sqlite.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	root, err := seal.NewRoot([]byte(strings.Repeat("k", seal.RootSize)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.db = db
	w.Service = New(Deps{Store: db, Seal: root, Now: func() time.Time { return time.Now().Add(w.later) }})
}

// reopen closes the store and opens it again, as a new process does.
func (w *world) reopen() {
	w.t.Helper()
	if err := w.db.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

func url(name string) *string { return new("http://localhost:4566/" + account + "/" + name) }

// create makes a queue; attributes are names and values in turn.
func (w *world) create(name string, attributes ...string) *string {
	w.t.Helper()
	in := &api.CreateQueueInput{QueueName: &name, Attributes: map[string]string{}}
	for i := 0; i+1 < len(attributes); i += 2 {
		in.Attributes[attributes[i]] = attributes[i+1]
	}
	if strings.HasSuffix(name, fifoSuffix) {
		in.Attributes[attrFIFO] = "true"
	}
	out, err := w.CreateQueue(w.ctx, in)
	if err != nil {
		w.t.Fatalf("create %s: %v", name, err)
	}
	return out.QueueURL
}

func (w *world) sendTo(q *string, body string) *api.SendMessageOutput {
	w.t.Helper()
	return w.sendIn(&api.SendMessageInput{QueueURL: q, MessageBody: &body})
}

func (w *world) sendIn(in *api.SendMessageInput) *api.SendMessageOutput {
	w.t.Helper()
	out, err := w.SendMessage(w.ctx, in)
	if err != nil {
		w.t.Fatalf("send: %v", err)
	}
	return out
}

func (w *world) fifo(q *string, group, body string) *api.SendMessageOutput {
	w.t.Helper()
	return w.sendIn(&api.SendMessageInput{QueueURL: q, MessageBody: &body, MessageGroupID: &group, MessageDeduplicationID: new(group + "-" + body)})
}

func (w *world) receive(q *string, most int) []*api.Message {
	w.t.Helper()
	out, err := w.ReceiveMessage(w.ctx, &api.ReceiveMessageInput{QueueURL: q, MaxNumberOfMessages: &most, AttributeNames: []string{"All"}, MessageAttributeNames: []string{"All"}})
	if err != nil {
		w.t.Fatalf("receive: %v", err)
	}
	return out.Messages
}

func (w *world) delete(q *string, m *api.Message) {
	w.t.Helper()
	if _, err := w.DeleteMessage(w.ctx, &api.DeleteMessageInput{QueueURL: q, ReceiptHandle: m.ReceiptHandle}); err != nil {
		w.t.Fatalf("delete: %v", err)
	}
}

func (w *world) attributes(q *string) map[string]string {
	w.t.Helper()
	out, err := w.GetQueueAttributes(w.ctx, &api.GetQueueAttributesInput{QueueURL: q, AttributeNames: []string{"All"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Attributes
}

// counts are the messages visible, in flight and delayed: "1/0/2".
func (w *world) counts(q *string) string {
	a := w.attributes(q)
	return a[attrVisible] + "/" + a[attrInFlight] + "/" + a[attrDelayed]
}

func bodies(all []*api.Message) string {
	var b []string
	for _, m := range all {
		b = append(b, *m.Body)
	}
	return strings.Join(b, " ")
}

// wantError compares an error's code and text.
func wantError(t testing.TB, err error, want string) {
	t.Helper()
	e, ok := errors.AsType[*aws.Error](err)
	switch {
	case err == nil:
		t.Errorf("no error, want %s", want)
	case !ok || e.Error() != want:
		t.Errorf("error %v\n want %s", err, want)
	}
}
