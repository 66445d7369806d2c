package lambda

import (
	"log/slog"
	"testing"
	"time"
)

// BenchmarkShip is what an honest line costs on its way in, and with its share of the shipping of two hundred.
func BenchmarkShip(b *testing.B) {
	stream := streamOf("1", "f")
	line, at := make([]byte, 100), time.Now()
	for _, c := range []struct {
		name string
		ship func(s *LogShipper)
	}{
		{"in", func(s *LogShipper) {
			p := s.streams[stream]
			p.data, p.events, p.cost, s.total = p.data[:0], p.events[:0], 0, 0
		}},
		{"whole", func(s *LogShipper) {
			s.Flush(b.Context())
			s.api = newLogbook() // or it grows
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := NewLogShipper(newLogbook(), plenty, nil, slog.New(slog.DiscardHandler))
			b.ReportAllocs()
			for i := 1; b.Loop(); i++ {
				s.Log(stream, at, line)
				if i%200 > 0 {
					continue
				}
				f := s.shares.of(stream)
				f.bucket, f.account.waiting = shareBurst, 0 // it is honest, however fast the benchmark
				c.ship(s)
			}
		})
	}
}
