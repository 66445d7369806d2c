package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/enfold-run/enfold/sigv4"
)

var (
	errNoMetrics  = errors.New("the metrics are for this machine and for whoever has the token")
	errWrongToken = fmt.Errorf("another metrics token: %w", sigv4.ErrRefused)
)

// mayReadMetrics answers nil to whoever may: who has the token, and the machine itself. A proxy on this machine is not the
// machine itself, and neither is a web page that had its name point here: hence the looks at Forwarded, Origin and Host.
func (g *Gateway) mayReadMetrics(r *http.Request) error {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && g.hasToken {
		return g.guard.check(r, func() error {
			if sum := sha256.Sum256([]byte(token)); subtle.ConstantTimeCompare(sum[:], g.metricsToken[:]) != 1 {
				return errWrongToken
			}
			return nil
		})
	}
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via", "Origin"} {
		if r.Header.Get(h) != "" {
			return errNoMetrics
		}
	}
	if isLoopback(r.RemoteAddr) && (isLoopback(r.Host) || hostname(r.Host) == "localhost") {
		return nil
	}
	return errNoMetrics
}

// isLoopback says that a host, with or without a port, is a loopback address.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(hostname(host))
	return err == nil && ip.Unmap().IsLoopback()
}

// hostname is a host without its port.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return strings.Trim(host, "[]")
}
