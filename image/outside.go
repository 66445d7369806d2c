package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

// outside reaches registries on the internet, and never an address that is not public unless it is allowed, nor this server itself:
// what a name stands for is looked at when the connection is made, so that neither a redirect nor a second answer of the DNS leads in.
type outside struct {
	transport *http.Transport
	allow     []netip.Prefix
	own       func(netip.AddrPort) bool
}

func newOutside(allow []netip.Prefix, own func(netip.AddrPort) bool, stall time.Duration) *outside {
	o := &outside{allow: allow, own: own}
	dialer := &net.Dialer{Timeout: stall, Control: o.control}
	o.transport = &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: stall, ResponseHeaderTimeout: stall, ForceAttemptHTTP2: true, MaxIdleConns: 32,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 256 << 10, DisableCompression: true,
	}
	return o
}

// control refuses a connection when its address is known, and before it is made.
func (o *outside) control(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return refuse(ErrNotAllowed, "the registry leads to an address of an unknown kind")
	}
	ip := a.Addr().Unmap().WithZone("")
	if o.own != nil && o.own(netip.AddrPortFrom(ip, a.Port())) {
		return refuse(ErrNotAllowed, "the registry leads to this server itself")
	}
	for _, p := range o.allow {
		if p.Contains(ip) {
			return nil
		}
	}
	if !isPublic(ip) {
		return refuse(ErrNotAllowed, "the registry leads to an address that is not public")
	}
	return nil
}

// notPublic are the blocks of addresses that do not lead out, or lead to the inside of something.
// See https://www.iana.org/assignments/iana-ipv4-special-registry/ and https://www.iana.org/assignments/iana-ipv6-special-registry/.
var notPublic = func() (all []netip.Prefix) {
	for _, s := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"::/8", "64:ff9b::/32", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/9", "ff00::/8",
	} {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}()

// isPublic says whether an address is one of the internet.
func isPublic(ip netip.Addr) bool {
	if !ip.IsValid() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// encrypted refuses to speak to a registry, or to where it redirects, without TLS.
type encrypted struct {
	inner http.RoundTripper
	plain func(host string) bool // the exceptions
}

// RoundTrip implements http.RoundTripper.
func (e *encrypted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !e.plain(r.URL.Host) {
		return nil, refuse(ErrNotAllowed, "the registry, or what it leads to, is to be spoken to without TLS")
	}
	return e.inner.RoundTrip(r)
}

// wholeBody is the key of contexts of requests whose body may be as long as it is: its reader counts.
type wholeBody struct{}

// patient gives up a request once nothing has come for a while. A body is cut off after most bytes and one.
type patient struct {
	inner http.RoundTripper
	stall time.Duration
	most  int64
}

// RoundTrip implements http.RoundTripper.
func (p *patient) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	b := &patientBody{asked: r.Context(), cancel: cancel, stall: p.stall, left: p.most + 1}
	b.timer = time.AfterFunc(p.stall, func() { b.stalled.Store(true); cancel() })
	resp, err := p.inner.RoundTrip(r.WithContext(ctx))
	b.timer.Stop()
	if err != nil {
		cancel()
		return nil, b.explain(err, "it did not answer within")
	}
	if whole, _ := r.Context().Value(wholeBody{}).(bool); whole {
		b.left = -1
	}
	b.body, resp.Body = resp.Body, b
	return resp, nil
}

// patientBody is a body that is given up like its request. Only waiting counts, not what its reader does in between.
type patientBody struct {
	asked   context.Context // the request's
	body    io.ReadCloser
	cancel  context.CancelFunc
	timer   *time.Timer
	stall   time.Duration
	left    int64 // bytes; below zero is no limit
	stalled atomic.Bool
}

// Read implements io.Reader.
func (b *patientBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if b.left > 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	b.timer.Reset(b.stall)
	n, err := b.body.Read(p)
	b.timer.Stop()
	if b.left > 0 {
		b.left -= int64(n)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.explain(err, "it stopped in the middle of an answer, and sent nothing for")
	}
	return n, err
}

// explain tells waiting in vain from other errors. Our own timer and those of the transport below may be the first.
func (b *patientBody) explain(err error, what string) error {
	var late net.Error
	if b.stalled.Load() || b.asked.Err() == nil && errors.As(err, &late) && late.Timeout() {
		return refuse(ErrUnreachable, fmt.Sprintf("%s %v", what, b.stall))
	}
	return err
}

// Close implements io.Closer.
func (b *patientBody) Close() error {
	b.timer.Stop()
	b.cancel()
	return b.body.Close()
}
