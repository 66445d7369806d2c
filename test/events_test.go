package test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// TestEvents: standard and FIFO queues, topics with filters, and a function that is fed by a queue, with batches that fail in part
// and a concurrency that is not exceeded, by each of the clients that judge.
func TestEvents(t *testing.T) {
	t.Parallel() // it mostly waits
	s := startServer(t)
	s.cli(t).allow("lambda-role", "sqs:*")
	python, sdk := tool(t, "py", "bin", "python"), tool(t, "js", "node_modules", "@aws-sdk", "client-sqs")
	for client, run := range map[string]func(t *testing.T, function, processed string){
		"go":    func(t *testing.T, fn, processed string) { walkEvents(t, newGoEvents(t, s), fn, processed) },
		"cli":   func(t *testing.T, fn, processed string) { walkEvents(t, &cliEvents{s.cli(t), s}, fn, processed) },
		"boto3": func(t *testing.T, fn, processed string) { s.script(t, python, "boto3_events.py", fn, processed) },
		"js": func(t *testing.T, fn, processed string) {
			s.script(t, "node", "js_events.mjs", filepath.Join(sdk, "..", "..", ".."), fn, processed)
		},
	} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			processed, _ := s.openQueue(t, "processed-"+client, nil)
			fn := "consumer-" + client
			s.create(t, lambda.CreateFunctionInput{
				FunctionName: &fn, Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.consumer)}, Timeout: aws.Int32(60),
				Environment: &types.Environment{Variables: map[string]string{"PROCESSED": processed}},
			})
			run(t, fn, processed)
		})
	}
}

// eventsClient is a client of the walk through events.
type eventsClient interface {
	queue(name string, attributes map[string]string) (url string)
	send(url, group string, bodies ...string)
	receive(url string, wait int) []eventMessage // ten at most
	remove(url string, all []eventMessage)
	show(url, handle string) // make it visible
	counts(url string) (visible, inFlight string)
	topic(name string) (arn string)
	subscribe(topic, queue string, attributes map[string]string)
	publish(topic, text string, attributes map[string]string)
	feed(function, queue string, partly bool, batch, concurrency int) (id string)
	state(mapping string) string
}

type eventMessage struct{ Body, Handle, Group string }

// eventWalk is the state of one walk.
type eventWalk struct {
	*testing.T
	eventsClient
	name string // of the client, in the names of its queues
}

func walkEvents(t *testing.T, c eventsClient, function, processed string) {
	w := &eventWalk{t, c, strings.TrimPrefix(function, "consumer-")}
	w.standard()
	w.fifo()
	w.filters()
	w.partly(function, processed)
	w.concurrency(function, processed)
}

func (w *eventWalk) equal(got, want any, what string) {
	w.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// take receives n messages and deletes them.
func (w *eventWalk) take(url string, n int) (all []eventMessage) {
	w.Helper()
	for deadline := time.Now().Add(2 * time.Minute); len(all) < n; {
		if time.Now().After(deadline) {
			w.Fatalf("%s had %v, want %d messages", url, all, n)
		}
		got := w.receive(url, 20)
		w.remove(url, got)
		all = append(all, got...)
	}
	return all
}

func bodiesOf(all []eventMessage) (bodies []string) {
	for _, m := range all {
		bodies = append(bodies, m.Body)
	}
	return bodies
}

// await waits until a queue has so many messages.
func (w *eventWalk) await(url, visible, inFlight string) {
	w.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		v, f := w.counts(url)
		if v == visible && f == inFlight {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("%s has %s messages and %s in flight, want %s and %s", url, v, f, visible, inFlight)
		}
	}
}

func (w *eventWalk) standard() {
	url := w.queue(w.name+"-standard", map[string]string{"VisibilityTimeout": "600"})
	w.send(url, "", "one", "two")
	bodies := bodiesOf(w.take(url, 2))
	slices.Sort(bodies)
	w.equal(bodies, []string{"one", "two"}, "a standard queue")
	w.await(url, "0", "0")
}

func (w *eventWalk) fifo() {
	url := w.queue(w.name+"-orders.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "600"})
	w.send(url, "a", "a1", "a2")
	w.send(url, "b", "b1")
	w.send(url, "a", "a1") // a duplicate
	groups := map[string][]string{}
	got := w.receive(url, 0)
	for _, m := range got {
		groups[m.Group] = append(groups[m.Group], m.Body)
	}
	w.equal(groups, map[string][]string{"a": {"a1", "a2"}, "b": {"b1"}}, "a FIFO queue")
	w.send(url, "a", "a3")
	w.equal(len(w.receive(url, 0)), 0, "messages of a group that is being worked on")
	w.remove(url, got)
	w.equal(bodiesOf(w.take(url, 1)), []string{"a3"}, "the rest of the group")
}

func (w *eventWalk) filters() {
	policy := map[string]string{
		"Policy": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}}`,
	}
	arn := func(name string) string { return "arn:aws:sqs:" + region + ":" + account + ":" + w.name + name }
	topic := w.topic(w.name)
	red, large := w.queue(w.name+"-red", policy), w.queue(w.name+"-large", policy)
	w.subscribe(topic, arn("-red"), map[string]string{"FilterPolicy": `{"color":["red",{"prefix":"dark"}]}`})
	w.subscribe(topic, arn("-large"), map[string]string{
		"FilterPolicyScope": "MessageBody", "FilterPolicy": `{"order":{"size":[{"numeric":[">",9]}]}}`, "RawMessageDelivery": "true",
	})
	w.publish(topic, `{"order":{"size":1}}`, map[string]string{"color": "red"})
	w.publish(topic, `{"order":{"size":10}}`, map[string]string{"color": "blue"})
	w.publish(topic, `{"order":{"size":11}}`, map[string]string{"color": "darkgreen"})
	var texts []string
	for _, m := range w.take(red, 2) {
		var n snsMessage
		if err := json.Unmarshal([]byte(m.Body), &n); err != nil || n.TopicArn != topic {
			w.Errorf("a notification is %s", m.Body)
		}
		texts = append(texts, n.Message)
	}
	slices.Sort(texts)
	w.equal(texts, []string{`{"order":{"size":11}}`, `{"order":{"size":1}}`}, "filtered by an attribute")
	texts = bodiesOf(w.take(large, 2))
	slices.Sort(texts)
	w.equal(texts, []string{`{"order":{"size":10}}`, `{"order":{"size":11}}`}, "filtered by the body")
	for _, url := range []string{red, large} {
		w.await(url, "0", "0")
	}
}

// handled is what the function reports of a message.
type handled struct {
	Body, Count, Handle string
	From, To            int64
}

func (w *eventWalk) reports(processed string, n int) (all []handled) {
	w.Helper()
	for _, m := range w.take(processed, n) {
		var h handled
		if err := json.Unmarshal([]byte(m.Body), &h); err != nil {
			w.Fatalf("the function reported %s", m.Body)
		}
		all = append(all, h)
	}
	return all
}

// fed is a queue that feeds the function, once the mapping works.
func (w *eventWalk) fed(function, name string, partly bool, batch, concurrency int) (url string) {
	w.Helper()
	url = w.queue(w.name+name, map[string]string{"VisibilityTimeout": "600"})
	id := w.feed(function, "arn:aws:sqs:"+region+":"+account+":"+w.name+name, partly, batch, concurrency)
	for deadline := time.Now().Add(time.Minute); w.state(id) != "Enabled"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("the mapping is %s", w.state(id))
		}
	}
	return url
}

// partly: of a batch, what failed comes again and the rest does not.
func (w *eventWalk) partly(function, processed string) {
	url := w.fed(function, "-work", true, 10, 0)
	w.send(url, "", "good-1", "good-2", "bad-3", "good-4", "good-5", "good-6")
	handle, seen := "", map[string]string{}
	for _, h := range w.reports(processed, 6) {
		seen[h.Body] = h.Count
		if h.Body == "bad-3" {
			handle = h.Handle
		}
	}
	w.equal(seen, map[string]string{"good-1": "1", "good-2": "1", "bad-3": "1", "good-4": "1", "good-5": "1", "good-6": "1"}, "the batch")
	w.await(url, "0", "1") // the one that failed
	w.show(url, handle)
	again := w.reports(processed, 1)[0]
	w.equal([]string{again.Body, again.Count}, []string{"bad-3", "2"}, "what comes again")
	w.await(url, "0", "0")
}

// concurrency: a mapping never has more batches under way than it may.
func (w *eventWalk) concurrency(function, processed string) {
	url := w.fed(function, "-few", false, 1, 2)
	w.send(url, "", "slow-1", "slow-2", "slow-3", "slow-4", "slow-5", "slow-6", "slow-7", "slow-8")
	all := w.reports(processed, 8)
	for _, h := range all {
		atOnce := 0
		for _, other := range all {
			if other.From <= h.From && h.From < other.To {
				atOnce++
			}
		}
		if atOnce > 2 {
			w.Errorf("%d batches were under way at once: %+v", atOnce, all)
			break
		}
	}
	w.await(url, "0", "0")
}
