package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/enfold-run/enfold/event"
)

// HTTP posts to endpoints on the internet. It never reaches an address that is not public, unless it is allowed, nor a port of this
// server: what the name of an endpoint stands for is looked at when the connection is made. Redirects are not followed.
type HTTP struct {
	client *http.Client
	allow  []netip.Prefix
	own    func(netip.AddrPort) bool
}

// endpointTime is how long an endpoint may take to answer.
// See https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html.
const endpointTime = 15 * time.Second

// maxAnswer is how much of an answer is read, in bytes. Nothing is done with it.
const maxAnswer = 64 << 10

// NewHTTP makes a sender. allow are addresses that are not public and may be reached; own tells the addresses of this server, which
// are never.
func NewHTTP(allow []netip.Prefix, own func(netip.AddrPort) bool) *HTTP {
	h := &HTTP{allow: allow, own: own}
	dialer := &net.Dialer{Timeout: endpointTime, Control: h.control}
	h.client = &http.Client{
		Timeout: endpointTime,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: endpointTime, ForceAttemptHTTP2: true, MaxIdleConns: 256, MaxIdleConnsPerHost: 4,
			IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return h
}

// errForbidden is why an address is not reached.
var errForbidden = errors.New("the address is not public, and the operator of this server does not allow it")

// control refuses a connection when its address is known, and before it is made.
func (h *HTTP) control(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return errForbidden
	}
	return h.check(a)
}

func (h *HTTP) check(a netip.AddrPort) error {
	ip := a.Addr().Unmap().WithZone("")
	if h.own != nil && h.own(netip.AddrPortFrom(ip, a.Port())) {
		return errForbidden
	}
	for _, p := range h.allow {
		if p.Contains(ip) {
			return nil
		}
	}
	if !isPublic(ip) {
		return errForbidden
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

// Check refuses a URL that names an address which is not reached. What a name stands for is not looked at.
func (h *HTTP) Check(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" {
		return errors.New("it is no URL")
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	var port uint16
	if a, err := netip.ParseAddrPort("0.0.0.0:" + u.Port()); err == nil {
		port = a.Port()
	}
	return h.check(netip.AddrPortFrom(ip, port))
}

// Send implements [Sender]. Done is an answer of the 2xx; what the endpoint refuses otherwise, and what is too many redirects to
// it, is for good, but for 429.
func (h *HTTP) Send(ctx context.Context, m *Message) error {
	ctx, cancel := context.WithTimeout(ctx, endpointTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Target, bytes.NewReader(m.Body))
	if err != nil {
		return event.Permanent(errors.New("target: it is no URL"))
	}
	for name, values := range m.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	resp, err := h.client.Do(req)
	if errors.Is(err, errForbidden) {
		return event.Permanent(errForbidden)
	}
	if err != nil {
		return hidden(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // so that the connection can be used again
	m.Answer.Status = resp.StatusCode
	err = fmt.Errorf("target: the endpoint answered %d", resp.StatusCode)
	switch c := resp.StatusCode; {
	case c >= 200 && c < 300:
		return nil
	case c >= 300 && c < 500 && c != http.StatusTooManyRequests:
		return event.Permanent(err)
	}
	return err
}

// hidden is an error without the URL, which may hold a password.
func hidden(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return fmt.Errorf("target: post to the endpoint: %w", u.Err)
	}
	return err
}
