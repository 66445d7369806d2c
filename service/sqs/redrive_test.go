package sqs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
)

func arnOf(name string) string { return "arn:aws:sqs:" + region + ":" + account + ":" + name }

func redriveTo(name string, most int) string {
	return fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, arnOf(name), most)
}

// running runs the service until the test ends.
func (w *world) running() {
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

func TestDeadLetters(t *testing.T) {
	for _, suffix := range []string{"", fifoSuffix} {
		t.Run("queue"+suffix, func(t *testing.T) {
			w := newWorld(t)
			dead := w.create("dead" + suffix)
			q := w.create("q"+suffix, attrVisibility, "10", attrRedrive, redriveTo("dead"+suffix, 2))
			send := w.sendTo
			if suffix != "" {
				send = func(q *string, body string) *api.SendMessageOutput { return w.fifo(q, "g", body) }
			}
			sent := send(q, "poison")
			send(q, "good")
			first := ""
			for n := range 2 {
				got := w.receive(q, 10)
				if bodies(got) != "poison good" || got[0].Attributes["ApproximateReceiveCount"] != fmt.Sprint(n+1) {
					t.Fatalf("receive %d: %q, %v", n+1, bodies(got), got[0].Attributes)
				}
				first = got[0].Attributes["ApproximateFirstReceiveTimestamp"]
				w.later += 11 * time.Second
			}
			send(q, "later")
			if got := w.receive(q, 10); bodies(got) != "later" {
				t.Errorf("received %q", bodies(got))
			}
			got := w.receive(dead, 10)
			if bodies(got) != "poison good" || *got[0].MessageID != *sent.MessageID || got[0].Attributes["DeadLetterQueueSourceArn"] != arnOf("q"+suffix) ||
				got[0].Attributes["ApproximateReceiveCount"] != "3" || got[0].Attributes["ApproximateFirstReceiveTimestamp"] != first {
				t.Errorf("dead letters %q, %+v", bodies(got), got[0])
			}
			if c := w.counts(q) + " " + w.counts(dead); c != "0/1/0 0/2/0" {
				t.Errorf("counts %s", c)
			}
		})
	}
}

// A dead-letter queue that has one of its own keeps a message as often as its policy says, whatever was before, and the message
// tells of all its receives.
func TestDeadLettersOfDeadLetters(t *testing.T) {
	w := newWorld(t)
	last := w.create("last")
	dead := w.create("dead", attrVisibility, "0", attrRedrive, redriveTo("last", 2))
	q := w.create("q", attrVisibility, "0", attrRedrive, redriveTo("dead", 3))
	w.sendTo(q, "poison")
	n, first := 0, ""
	for _, at := range []struct {
		queue *string
		times int
	}{{q, 3}, {dead, 2}, {last, 1}} {
		for range at.times {
			n++
			got := w.receive(at.queue, 1)
			if len(got) != 1 || got[0].Attributes["ApproximateReceiveCount"] != fmt.Sprint(n) {
				t.Fatalf("receive %d from %s: %q", n, *at.queue, bodies(got))
			}
			if first == "" {
				first = got[0].Attributes["ApproximateFirstReceiveTimestamp"]
			}
			if at := got[0].Attributes["ApproximateFirstReceiveTimestamp"]; at != first {
				t.Errorf("receive %d: the first was at %s, and not %s", n, at, first)
			}
			w.later += time.Second
		}
		if got := w.receive(at.queue, 1); len(got) != 0 {
			t.Fatalf("received %q from %s once more", bodies(got), *at.queue)
		}
	}
}

func TestRedrivePolicies(t *testing.T) {
	w := newWorld(t)
	w.create("dead")
	w.create("closed", attrRedriveAllow, `{"redrivePermission":"denyAll"}`)
	w.create("some", attrRedriveAllow, `{"redrivePermission":"byQueue","sourceQueueArns":["`+arnOf("q")+`"]}`)
	w.create("dead.fifo")
	q := w.create("q")
	set := func(name, v string) error {
		_, err := w.SetQueueAttributes(w.ctx, &api.SetQueueAttributesInput{QueueURL: q, Attributes: map[string]string{name: v}})
		return err
	}
	for policy, reason := range map[string]string{
		"x":                                "Redrive policy is not a valid JSON map.",
		`{"maxReceiveCount":1}`:            "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.",
		`{"deadLetterTargetArn":"arn:x"}`:  "Redrive policy does not contain mandatory attribute: maxReceiveCount.",
		redriveTo("dead", 1001):            "Invalid value for maxReceiveCount: 1001, valid values are from 1 to 1000 both inclusive.",
		redriveTo("none", 1):               "Dead letter target does not exist.",
		redriveTo("dead.fifo", 1):          "Dead-letter queue must be same type of queue as the source.",
		redriveTo("closed", 1):             "The dead letter target does not allow this queue: see its RedriveAllowPolicy.",
		strings.Repeat(" ", 9000) + "null": "Redrive policy is not a valid JSON map.",
	} {
		err := set(attrRedrive, policy)
		if err == nil || !strings.HasSuffix(err.Error(), " for parameter RedrivePolicy is invalid. Reason: "+reason) {
			t.Errorf("%s: %v, want %s", clip(policy), err, reason)
		}
	}
	for _, good := range []string{redriveTo("some", 1), `{"deadLetterTargetArn":"` + arnOf("dead") + `","maxReceiveCount":"5"}`} {
		if err := set(attrRedrive, good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	list := func() []string {
		out, err := w.ListDeadLetterSourceQueues(w.ctx, &api.ListDeadLetterSourceQueuesInput{QueueURL: url("dead")})
		if err != nil {
			t.Fatal(err)
		}
		return out.QueueURLs
	}
	if got := list(); len(got) != 1 || got[0] != *q {
		t.Errorf("sources %v", got)
	}
	for _, given := range []string{
		redriveTo("dead", 3), ` { "maxReceiveCount" : "3", "deadLetterTargetArn": "` + arnOf("dead") + `" }`,
	} {
		if err := set(attrRedrive, given); err != nil {
			t.Fatal(err)
		}
		if got, want := w.attributes(q)[attrRedrive], `{"deadLetterTargetArn":"`+arnOf("dead")+`","maxReceiveCount":3}`; got != want {
			t.Errorf("%s is answered as %s", given, got)
		}
		if _, err := w.CreateQueue(w.ctx, &api.CreateQueueInput{QueueName: new("q"), Attributes: map[string]string{attrRedrive: given}}); err != nil {
			t.Errorf("made again with %s: %v", given, err)
		}
	}
	if err := set(attrRedrive, ""); err != nil {
		t.Error(err)
	}
	if got := list(); len(got) != 0 {
		t.Errorf("sources %v after the policy was taken away", got)
	}
}

// task starts a task and waits until it is over.
func (w *world) task(in *api.StartMessageMoveTaskInput) *api.ListMessageMoveTasksResultEntry {
	w.t.Helper()
	if _, err := w.StartMessageMoveTask(w.ctx, in); err != nil {
		w.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		out, err := w.ListMessageMoveTasks(w.ctx, &api.ListMessageMoveTasksInput{SourceArn: in.SourceArn})
		if err != nil {
			w.t.Fatal(err)
		}
		if r := out.Results[0]; *r.Status != taskRunning {
			return r
		}
		if time.Now().After(deadline) {
			w.t.Fatal("the task does not end")
		}
	}
}

func TestMoveTask(t *testing.T) {
	w := newWorld(t)
	w.running()
	dead := w.create("dead")
	q := w.create("q", attrVisibility, "0", attrRedrive, redriveTo("dead", 1))
	other := w.create("other")
	for i := range 25 {
		w.sendTo(q, fmt.Sprint(i))
	}
	for w.counts(dead) != "25/0/0" {
		w.receive(q, 10)
	}
	moved := w.task(&api.StartMessageMoveTaskInput{SourceArn: new(arnOf("dead")), MaxNumberOfMessagesPerSecond: new(500)})
	if *moved.Status != taskCompleted || *moved.ApproximateNumberOfMessagesMoved != 25 || *moved.ApproximateNumberOfMessagesToMove != 25 || moved.TaskHandle != nil {
		t.Errorf("task %+v", moved)
	}
	if c := w.counts(q) + " " + w.counts(dead); c != "25/0/0 0/0/0" {
		t.Errorf("counts %s", c)
	}
	m := w.receive(q, 1)[0]
	if m.Attributes["ApproximateReceiveCount"] != "1" || m.Attributes["DeadLetterQueueSourceArn"] != "" {
		t.Errorf("a message that was moved has %v", m.Attributes)
	}
	w.sendTo(dead, "by hand") // it came from nowhere
	if failed := w.task(&api.StartMessageMoveTaskInput{SourceArn: new(arnOf("dead"))}); *failed.Status != taskFailed || *failed.FailureReason != "CouldNotDetermineMessageSource" {
		t.Errorf("task %+v", failed)
	}
	if c := w.counts(dead); c != "1/0/0" {
		t.Errorf("counts %s: the message that could not be moved is lost", c)
	}
	if there := w.task(&api.StartMessageMoveTaskInput{SourceArn: new(arnOf("dead")), DestinationArn: new(arnOf("other"))}); *there.Status != taskCompleted {
		t.Errorf("task %+v", there)
	}
	if got := w.receive(other, 1); bodies(got) != "by hand" {
		t.Errorf("received %q", bodies(got))
	}
	_, err := w.StartMessageMoveTask(w.ctx, &api.StartMessageMoveTaskInput{SourceArn: new(arnOf("q"))})
	wantError(t, err, "InvalidParameterValueException: Source queue must be configured as a Dead Letter Queue.")
	_, err = w.StartMessageMoveTask(w.ctx, &api.StartMessageMoveTaskInput{SourceArn: new(arnOf("dead")), DestinationArn: new(arnOf("none"))})
	wantError(t, err, "ResourceNotFoundException: The resource that you specified for the DestinationArn parameter doesn't exist.")
	_, err = w.CancelMessageMoveTask(w.ctx, &api.CancelMessageMoveTaskInput{TaskHandle: new("x")})
	wantError(t, err, "InvalidParameterValueException: Value for parameter TaskHandle is invalid.")
	_, err = w.CancelMessageMoveTask(w.ctx, &api.CancelMessageMoveTaskInput{TaskHandle: new(api.NewTaskHandle("none", arnOf("dead")))})
	wantError(t, err, "ResourceNotFoundException: Task does not exist.")
}

// A task that was running when the process ended goes on in the next one, and can be cancelled there.
func TestMoveTaskGoesOn(t *testing.T) {
	w := newWorld(t)
	dead := w.create("dead")
	w.create("q", attrRedrive, redriveTo("dead", 1))
	other := w.create("other")
	for i := range 3 {
		w.sendTo(dead, fmt.Sprint(i))
	}
	start := func() (*api.StartMessageMoveTaskOutput, error) {
		return w.StartMessageMoveTask(w.ctx, &api.StartMessageMoveTaskInput{SourceArn: new(arnOf("dead")), DestinationArn: new(arnOf("other"))})
	}
	first, err := start() // nothing runs yet
	if err != nil {
		t.Fatal(err)
	}
	_, err = start()
	wantError(t, err, "InvalidParameterValueException: There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
	if _, err := w.CancelMessageMoveTask(w.ctx, &api.CancelMessageMoveTaskInput{TaskHandle: first.TaskHandle}); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	w.running()
	until(t, "the task is cancelled", func() bool { _, err = start(); return err == nil })
	until(t, "all is moved", func() bool { return w.counts(other) == "3/0/0" })
	if c := w.counts(dead); c != "0/0/0" {
		t.Errorf("counts %s", c)
	}
}

// until waits for a condition.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after a minute: %s", what)
		}
	}
}

// A dead-letter queue that was deleted takes nothing: the message stays.
func TestDeadLetterQueueIsGone(t *testing.T) {
	w := newWorld(t)
	dead := w.create("dead")
	q := w.create("q", attrVisibility, "0", attrRedrive, redriveTo("dead", 1))
	w.sendTo(q, "a")
	if _, err := w.DeleteQueue(w.ctx, &api.DeleteQueueInput{QueueURL: dead}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := w.receive(q, 1); bodies(got) != "a" {
			t.Fatalf("received %q", bodies(got))
		}
	}
	if _, err := w.named(w.ctx, dead); !errors.Is(err, api.ErrQueueDoesNotExist) {
		t.Errorf("the queue is there: %v", err)
	}
}
