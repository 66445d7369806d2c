package gateway

import (
	"net/http"
	"time"
)

const (
	headerTimeout = 10 * time.Second // for the whole head of a request, and for the TLS handshake
	idleTimeout   = 3 * time.Minute  // between requests
	maxHeader     = 64 << 10         // bytes of a request's head; more is answered 431
	maxConns      = 4096             // at once; idle ones make room for new ones
	maxStreams    = 250              // of one HTTP/2 connection, at once
)

// NewServer is an http.Server that is not hurt by clients that send much, slowly or nothing, or do not read. With TLS it
// speaks HTTP/2 too. Shutdown waits for running requests.
func NewServer(h http.Handler) *http.Server {
	return newServer(h, maxConns)
}

func newServer(h http.Handler, conns int) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      maxCall,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         newCrowd(conns).changed,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},

		DisableGeneralOptionsHandler: true, // nobody is answered "OPTIONS *" unsigned
	}
}
