package sqs

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/store"
)

// callers runs op by n goroutines, b.N times in all.
func callers(b *testing.B, n int, op func() error) {
	b.Helper()
	b.SetParallelism((n + 1) / 2) // of two processors
	var failed atomic.Bool
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() && !failed.Load() {
			if err := op(); err != nil {
				failed.Store(true)
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

func (w *world) benchSend(q *string) error {
	_, err := w.SendMessage(w.ctx, &api.SendMessageInput{QueueURL: q, MessageBody: &benchBody})
	return err
}

func (w *world) benchCycle(q *string) error {
	out, err := w.ReceiveMessage(w.ctx, &api.ReceiveMessageInput{QueueURL: q})
	if err != nil {
		return err
	}
	if len(out.Messages) != 1 {
		return fmt.Errorf("received %d messages", len(out.Messages))
	}
	_, err = w.DeleteMessage(w.ctx, &api.DeleteMessageInput{QueueURL: q, ReceiptHandle: out.Messages[0].ReceiptHandle})
	return err
}

var benchBody = strings.Repeat("x", 1024)

func BenchmarkSend(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b)
			q := w.create("q")
			callers(b, n, func() error { return w.benchSend(q) })
		})
	}
}

func BenchmarkReceiveDelete(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b)
			q := w.create("q")
			w.fill(q, b.N)
			callers(b, n, func() error { return w.benchCycle(q) })
		})
	}
}

// BenchmarkFullQueue is a send, a receive and a delete of a queue of 200,000 messages.
func BenchmarkFullQueue(b *testing.B) {
	w := newWorld(b)
	q := w.create("q")
	w.fill(q, 200_000)
	callers(b, 1, func() error {
		if err := w.benchSend(q); err != nil {
			return err
		}
		return w.benchCycle(q)
	})
}

// fill puts messages into a queue, many in a transaction.
func (w *world) fill(q *string, n int) {
	w.t.Helper()
	found, err := w.named(w.ctx, q)
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := w.seal(w.ctx, found, &content{body: benchBody}, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	for n > 0 {
		batch := make([]store.Message, min(n, 1000))
		for i := range batch {
			batch[i].Body = body
		}
		n -= len(batch)
		err := w.db.Update(w.ctx, func(tx store.Tx) error {
			_, err := tx.Enqueue(found.messages(), found.scope, batch...)
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}
