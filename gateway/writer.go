package gateway

import (
	"net/http"
	"time"
)

const (
	// An answer must be taken at minRate bytes a second, after writeGrace for each piece of it.
	writeGrace = 60 * time.Second
	// maxCall is how long a request may take altogether: fifteen minutes of invocation, and time to send the answer.
	maxCall = 20 * time.Minute
)

// writer is the way to the client. It knows whether an answer was begun and does not wait for clients that do not read.
type writer struct {
	http.ResponseWriter
	wrote bool
	until time.Time // the write deadline that was set last
}

func (w *writer) WriteHeader(status int) {
	w.wrote = w.wrote || status >= 200
	w.ResponseWriter.WriteHeader(status)
}

// Write writes with a deadline once there is so much that it may block.
func (w *writer) Write(b []byte) (int, error) {
	w.wrote = true
	if len(b) > 2<<10 {
		w.hurry(len(b))
	}
	return w.ResponseWriter.Write(b)
}

// FlushError sends what was written.
func (w *writer) FlushError() error {
	w.wrote = true
	w.hurry(0)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush sends what was written.
func (w *writer) Flush() { _ = w.FlushError() } // the next Write answers the error

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// hurry sets the deadline for the next n bytes, not more often than it matters.
func (w *writer) hurry(n int) {
	until := time.Now().Add(writeGrace + time.Duration(n)*time.Second/minRate)
	if until.Sub(w.until) < time.Second {
		return
	}
	w.until = until
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(until) // a recorder in a test has none
}

// Cut is for [aws.Answer].
func (w *writer) Cut() {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Unix(1, 0)) // a recorder in a test has none
}

func (w *writer) readDeadline(t time.Time) {
	_ = http.NewResponseController(w.ResponseWriter).SetReadDeadline(t)
}
