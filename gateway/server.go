package gateway

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/enfold-run/enfold/gateway/http1"
)

const (
	headerTimeout = 10 * time.Second // for the whole head of a request, and for the TLS handshake
	idleTimeout   = 3 * time.Minute  // between requests
	maxHeader     = 64 << 10         // bytes of a request's head; more is answered 431
	maxConns      = 4096             // at once; idle ones make room for new ones
	maxStreams    = 250              // of one HTTP/2 connection, at once
)

// Server serves plain connections. It is not net/http's, which takes thrice the processor time for a small request.
type Server = http1.Server

// NewServer is a server that is not hurt by clients that send much, slowly or nothing, or do not read. Its Shutdown waits
// for running requests.
func NewServer(h http.Handler, log *slog.Logger) *Server {
	return http1.New(http1.Options{
		Handler: h, Log: log, HeadTimeout: headerTimeout, IdleTimeout: idleTimeout, WriteGrace: writeGrace,
		MaxHead: maxHeader, MaxConns: maxConns,
	})
}

// NewTLSServer is the same for TLS connections, with HTTP/2. Its TLSConfig is the caller's to set.
func NewTLSServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      maxCall,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         newCrowd(maxConns).changed,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},

		DisableGeneralOptionsHandler: true, // nobody is answered "OPTIONS *" unsigned
	}
}
