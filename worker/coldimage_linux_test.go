package worker

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox/namespace"
)

// What a container image costs a cold start: the same program as an archive and as an image. Compare the two.
func BenchmarkColdStart(b *testing.B) {
	for _, tc := range []struct {
		name string
		make func(w *world) *Function
	}{
		{"zip", func(w *world) *Function { return w.function() }},
		{"image", func(w *world) *Function { return w.image() }},
		{"image/30 layers", func(w *world) *Function {
			f := w.image()
			for range 28 {
				f.Image.Layers = append(f.Image.Layers, b.TempDir())
			}
			return f
		}},
	} {
		b.Run(tc.name, func(b *testing.B) {
			w := newWorld(b, "namespace", Deps{})
			d, err := namespace.New(namespace.Options{StateDir: b.TempDir()})
			if err != nil {
				b.Skip(err)
			}
			defer d.Close()
			w.deps.Driver = d
			f := tc.make(w)
			var took []time.Duration
			for b.Loop() {
				b.StopTimer()
				one := *f
				one.Key = newID()
				time.Sleep(100 * time.Millisecond) // sandboxes wait again
				b.StartTimer()
				begun := time.Now()
				if _, err := w.Run(context.Background(), &one, w.request("echo")); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				took = append(took, time.Since(begun))
				w.Retire(one.Key)
				b.StartTimer()
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1000, "ms-median")
		})
	}
}
