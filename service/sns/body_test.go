package sns

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/target"
	"github.com/enfold-run/enfold/store"
)

// rows is how many rows a table has.
func (w *world) rows(table string) (n int) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx store.Tx) error {
		n = 0
		for _, err := range tx.Scan(table, store.Scope{Account: account, Region: region}, store.Range{}) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestLargeMessageLiesOnce sends a large message to many subscriptions: of several protocols and pieces, some refused for good, one
// with a queue for that. Every delivery gets the whole, and nothing is left at the end.
func TestLargeMessageLiesOnce(t *testing.T) {
	for name, attributes := range map[string]map[string]string{"open": nil, "under a key": {"KmsMasterKeyId": "alias/k"}} {
		t.Run(name, func(t *testing.T) { largeMessageLiesOnce(t, attributes) })
	}
}

func largeMessageLiesOnce(t *testing.T, attributes map[string]string) {
	w := newWorld(t)
	topic := w.topic("t", attributes)
	const n = 2*fanOutPiece + 30
	for i := range n {
		a := map[string]string{"RawMessageDelivery": fmt.Sprint(i%2 == 0)}
		if i%5 == 0 {
			w.fail[fmt.Sprint(queue, i)] = event.Permanent(errors.New("refused"))
		}
		if i == 10 {
			a["RedrivePolicy"] = `{"deadLetterTargetArn":"` + queue + `dead"}`
		}
		w.subscribe(topic, "sqs", fmt.Sprint(queue, i), a)
	}
	own, other := strings.Repeat("q", inlineSize+1), strings.Repeat("d", inlineSize+1)
	w.subscribe(topic, "lambda", function, nil)
	must(w.Publish(w.ctx, &api.PublishInput{TopicArn: &topic, Message: new(`{"default":"` + other + `","sqs":"` + own + `"}`), MessageStructure: new("json")}))(t)
	const arrive = n - n/5 + 2 // the dead letter, and the function
	most := 0
	got := w.run(func(got []*target.Message) bool {
		most = max(most, w.rows(bodies.Name))
		return len(got) >= arrive && w.rows(bodyCounts.Name) == 0
	})
	for _, m := range got {
		want := own
		if m.Target == function {
			want = other
		}
		if !strings.Contains(string(m.Body), want) {
			t.Errorf("%s got %d bytes", m.Target, len(m.Body))
		}
	}
	if len(got) != arrive || most == 0 || most > 3 || w.rows(bodies.Name) != 0 {
		t.Errorf("%d messages of %d; %d bodies at most, %d left", len(got), arrive, most, w.rows(bodies.Name))
	}
}

// TestSmallMessageLiesWithItsDeliveries stores nothing beside them.
func TestSmallMessageLiesWithItsDeliveries(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	for i := range inlineCount {
		w.subscribe(topic, "sqs", fmt.Sprint(queue, i), nil)
	}
	w.publish(topic, strings.Repeat("x", maxMessage))
	w.run(func(got []*target.Message) bool {
		if w.rows(bodies.Name) > 0 {
			t.Fatal("it lies beside them")
		}
		return len(got) >= inlineCount
	})
}

// TestDeletedTopic deletes a topic whose large message is on its way.
func TestDeletedTopicLeavesNoBodies(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	for i := range fanOutPiece + 20 {
		w.subscribe(topic, "sqs", fmt.Sprint(queue, i), nil)
	}
	w.publish(topic, strings.Repeat("x", inlineSize+1))
	w.run(func([]*target.Message) bool { return w.rows(bodies.Name) > 0 })
	must(w.DeleteTopic(w.ctx, &api.DeleteTopicInput{TopicArn: &topic}))(t)
	w.run(func([]*target.Message) bool { return w.rows(bodies.Name)+w.rows(bodyCounts.Name) == 0 })
}
