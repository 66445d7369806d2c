package sns

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	kmsapi "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/target"
	"github.com/enfold-run/enfold/seal"
)

// again is the same service after a restart: it has no data key in memory.
func (w *world) again() {
	w.t.Helper()
	w.db.Close()
	w.open()
}

// refuse makes KMS refuse everything; nil lets it answer again.
func (w *world) refuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deny = err
}

// openings is how often KMS was asked to open a data key.
func (w *world) openings() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.opened...)
}

// TestLockedMessage: what was published to a topic with a key cannot be read without it. It waits while the key is disabled, at its
// fan-out and on its way, and is opened in the name of who published it.
func TestLockedMessage(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", map[string]string{"KmsMasterKeyId": "alias/k"})
	w.subscribe(topic, "sqs", queue, map[string]string{"RawMessageDelivery": "true"})
	w.subscribe(topic, "sqs", queue+"2", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + queue + `dead"}`})
	w.publish(topic, "secret")
	w.again()
	w.refuse(kmsapi.ErrDisabled.New("it is disabled"))
	before := len(w.openings())
	if got := w.run(func([]*target.Message) bool { return len(w.openings()) > before }); len(got) > 0 {
		t.Fatalf("without its key there came %s", got[0].Body)
	}
	w.refuse(nil)
	w.mu.Lock()
	w.fail[queue+"2"] = errors.New("not now")
	w.mu.Unlock()
	got := w.run(count(1))
	if string(got[0].Body) != "secret" {
		t.Errorf("got %s", got[0].Body)
	}
	// The other is on its way still, and becomes a dead letter.
	w.again()
	w.mu.Lock()
	w.fail[queue+"2"] = event.Permanent(errors.New("never"))
	w.mu.Unlock()
	got = w.run(count(2))
	if m := got[1]; m.Target != queue+"dead" || !strings.Contains(string(m.Body), `"Message": "secret"`) {
		t.Errorf("the dead letter is %+v", m)
	}
	for _, who := range w.openings() {
		if who != "arn:aws:iam::"+account+":root" {
			t.Errorf("%s opened it", who)
		}
	}
}

// TestLostKey: a message whose key is gone ends; nothing else of its topic waits for it.
func TestLostKey(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", map[string]string{"KmsMasterKeyId": "alias/k"})
	w.subscribe(topic, "sqs", queue, nil)
	w.publish(topic, "lost")
	w.again()
	w.refuse(kmsapi.ErrNotFound.New("gone"))
	w.run(func([]*target.Message) bool { return w.idle(event.Delivery{Kind: PublishKind, Target: topic}) })
	w.refuse(nil)
	w.publish(topic, "found")
	if got := w.run(count(1)); len(got) != 1 || !strings.Contains(string(got[0].Body), "found") {
		t.Errorf("got %d messages, %s", len(got), got[0].Body)
	}
}

func TestPatienceForKeys(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		age  time.Duration
		err  error
		ends bool
	}{
		{time.Hour, kmsapi.ErrDisabled.New(""), false},
		{time.Hour, kmsapi.ErrNotFound.New(""), true},
		{keyPatience + time.Hour, kmsapi.ErrDisabled.New(""), true},
	} {
		d := &event.Delivery{Emitted: time.Now().Add(-c.age)}
		got := w.lockedOut(d, c.err)
		if ends := fmt.Sprintf("%T", got) == fmt.Sprintf("%T", event.Permanent(nil)); ends != c.ends {
			t.Errorf("%v after %v: ends %v", c.err, c.age, ends)
		}
	}
}

func TestDamagedLock(t *testing.T) {
	w := newWorld(t)
	root, err := seal.NewRoot(bytes.Repeat([]byte{7}, seal.RootSize))
	if err != nil {
		t.Fatal(err)
	}
	l := &lock{lockRow: lockRow{Blob: []byte("sealed t"), Topic: "t", By: publisher{Principal: servicePrincipal}}, key: root.Key("sns message")}
	whole, err := l.seal([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	d := &event.Delivery{Emitted: time.Now()}
	if plain, got, err := w.unlock(w.ctx, d, whole); err != nil || string(plain) != "{}" || got.Topic != "t" {
		t.Fatalf("%s %v", plain, err)
	}
	if sumOf(whole) != sha256.Sum256([]byte("sealed t{}")) {
		t.Error("its sum is another")
	}
	for n := 1; n < len(whole); n++ {
		if plain, _, err := w.unlock(w.ctx, d, whole[:n]); err == nil {
			t.Fatalf("cut off at %d it is %s", n, plain)
		}
	}
}
