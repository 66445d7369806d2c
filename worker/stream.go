package worker

import "io"

// stream passes a streamed answer on and remembers whether it could. Run of the session that writes to it returns after the
// last Write.
type stream struct {
	to      io.Writer
	written int64
	err     error // the caller reads no more
}

func (s *stream) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	s.written += int64(n)
	s.err = err
	return n, err
}

// Flush passes pieces on at once, where the caller can.
func (s *stream) Flush() {
	if f, ok := s.to.(interface{ Flush() }); ok {
		f.Flush()
	}
}
