package sqlite

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

var scope = store.Scope{Account: "000000000000", Region: "us-east-1"}

func openBench(b *testing.B) store.Store {
	b.Helper()
	s, err := Open(b.Context(), b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// callers runs op by n goroutines, b.N times in all.
func callers(b *testing.B, n int, op func(i int64) error) {
	b.Helper()
	var i atomic.Int64
	b.SetParallelism((n + 1) / 2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := op(i.Add(1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

func BenchmarkUpdatePut(b *testing.B) {
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := openBench(b)
			value := make([]byte, 200)
			callers(b, n, func(i int64) error {
				return s.Update(b.Context(), func(tx store.Tx) error {
					_, err := tx.Put("bench", scope, fmt.Sprintf("key-%d", i%100_000), value, store.Cond{})
					return err
				})
			})
		})
	}
}

func BenchmarkViewGet(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := openBench(b)
			err := s.Update(b.Context(), func(tx store.Tx) error {
				for i := range 1000 {
					if _, err := tx.Put("bench", scope, fmt.Sprintf("key-%d", i), make([]byte, 200), store.Cond{}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			callers(b, n, func(i int64) error {
				return s.View(b.Context(), func(tx store.Tx) error {
					_, err := tx.Get("bench", scope, fmt.Sprintf("key-%d", i%1000))
					return err
				})
			})
		})
	}
}

func BenchmarkEnqueue(b *testing.B) {
	for _, n := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := openBench(b)
			body := make([]byte, 1024)
			callers(b, n, func(int64) error { return send(b, s, body) })
		})
	}
}

func BenchmarkClaimAck(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := openBench(b)
			body := make([]byte, 1024)
			err := s.Update(b.Context(), func(tx store.Tx) error {
				for range b.N {
					if _, err := tx.Enqueue("q", scope, store.Message{Body: body}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			callers(b, n, func(int64) error { return receive(b, s) })
		})
	}
}

// BenchmarkCycle is the whole life of a message: sent, claimed and removed, each durable.
func BenchmarkCycle(b *testing.B) {
	s := openBench(b)
	body := make([]byte, 1024)
	callers(b, 64, func(int64) error {
		if err := send(b, s, body); err != nil {
			return err
		}
		return receive(b, s)
	})
}

func send(b *testing.B, s store.Store, body []byte) error {
	return s.Update(b.Context(), func(tx store.Tx) error {
		_, err := tx.Enqueue("q", scope, store.Message{Body: body})
		return err
	})
}

func receive(b *testing.B, s store.Store) error {
	var got []store.Claimed
	err := s.Update(b.Context(), func(tx store.Tx) (err error) {
		got, err = tx.Claim("q", scope, 1, time.Now(), time.Minute)
		return err
	})
	if err != nil {
		return err
	}
	if len(got) != 1 {
		return fmt.Errorf("claimed %d messages", len(got))
	}
	return s.Update(b.Context(), func(tx store.Tx) error { return tx.Ack("q", scope, got[0].Receipt) })
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		s, err := Open(b.Context(), dir, Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkLogAppend(b *testing.B) {
	s := openBench(b)
	c := store.Chunk{First: time.Now(), Last: time.Now(), Count: 10, Data: make([]byte, 1024)}
	callers(b, 16, func(i int64) error { return s.Logs().Append(b.Context(), fmt.Sprint("log", i%8), scope, c) })
	if err := s.Logs().Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkDepth is of a queue of a hundred thousand messages; it must not depend on how many they are.
func BenchmarkDepth(b *testing.B) {
	s := openBench(b)
	const all, atOnce = 100_000, 1000
	for range all / atOnce {
		err := s.Update(b.Context(), func(tx store.Tx) error {
			_, err := tx.Enqueue("q", scope, make([]store.Message, atOnce)...)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for range b.N {
		err := s.View(b.Context(), func(tx store.Tx) error {
			d, err := tx.Depth("q", scope, time.Now())
			if err == nil && d.Due != all {
				b.Errorf("depth %+v", d)
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
