package runtimes

import "testing"

// BenchmarkLaunch is part of every cold start.
func BenchmarkLaunch(b *testing.B) {
	s := New(Options{DataDir: b.TempDir()})
	for _, name := range []string{"python3.13", "nodejs20.x", "java25"} {
		b.Run(name, func(b *testing.B) {
			q := Request{Runtime: name, Task: b.TempDir()}
			if _, err := s.Launch(b.Context(), q); err != nil {
				b.Skip(err)
			}
			for b.Loop() {
				if _, err := s.Launch(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
