package worker

import (
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// cutAfter is how long a piece of a streamed answer may wait for its reader when the time of the invocation is over.
const cutAfter = 500 * time.Millisecond

// errOver is why nothing of a stream is passed on any more.
var errOver = errors.New("worker: the invocation is over")

// stream passes a streamed answer on and remembers whether it could. Run of the session that writes to it returns after the
// last Write.
type stream struct {
	to      io.Writer
	cut     func() // see Request.Cut
	written int64
	err     error // the caller reads no more

	over   atomic.Bool
	writes atomic.Int64 // how many have begun and ended: odd while one runs
}

func (s *stream) Write(p []byte) (int, error) {
	s.writes.Add(1)
	defer s.writes.Add(1)
	if s.over.Load() {
		return 0, errOver
	}
	n, err := s.to.Write(p)
	s.written += int64(n)
	s.err = err
	return n, err
}

// end is called when the time of the invocation is over: who does not read must not hold the sandbox, nor the caller's place.
func (s *stream) end() {
	s.over.Store(true)
	n := s.writes.Load()
	if n%2 == 1 && s.cut != nil {
		time.AfterFunc(cutAfter, func() {
			if s.writes.Load() == n {
				s.cut()
			}
		})
	}
}

// Flush passes pieces on at once, where the caller can.
func (s *stream) Flush() {
	if f, ok := s.to.(interface{ Flush() }); ok {
		f.Flush()
	}
}
