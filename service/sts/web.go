package sts

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	fetchTime    = 10 * time.Second // for an issuer's configuration and its keys together
	maxFetched   = 512 << 10        // bytes of either
	maxFetchHead = 64 << 10         // bytes of the head of an answer
	maxRedirects = 3
	dialTimeout  = 5 * time.Second
	userAgent    = "Enfold-STS"
)

var (
	errUnreachable = errors.New("the identity provider was not reached")
	errThumbprint  = errors.New("the certificate is signed by nobody who is trusted, and has none of the provider's thumbprints")
	errRedirect    = errors.New("too many redirects, or to something that is not https")
	errPrivate     = errors.New("the address is not public: name the host with --private-issuers if it is an identity provider of yours")
)

// web is how issuers are asked: by TLS alone, at public addresses but for the hosts that the operator names, so that whoever
// registers a provider cannot make the server look around in its own network.
type web struct {
	private map[string]bool
	wait    time.Duration // for an issuer's configuration and its keys together
}

func newWeb(private []string) web {
	w := web{map[string]bool{}, fetchTime}
	for _, host := range private {
		w.private[strings.ToLower(host)] = true
	}
	return w
}

// client is for one conversation with an issuer. A certificate must be signed by an authority that the system trusts, or
// by one that is in the chain and has one of the thumbprints.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc_verify-thumbprint.html.
func (w web) client(thumbprints []string) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				return w.dial(ctx, network, addr, thumbprints)
			},
			DialContext:        func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("not by TLS") },
			DisableKeepAlives:  true,
			DisableCompression: true,
			// The connection is HTTP/1.1: nothing was negotiated.
			MaxResponseHeaderBytes: maxFetchHead,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Scheme != "https" || len(via) > maxRedirects {
				return errRedirect
			}
			return nil
		},
	}
}

func (w web) dial(ctx context.Context, network, addr string, thumbprints []string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	// net/http goes on connecting when a request is over: it hopes for another one.
	ctx, cancel := context.WithTimeout(ctx, w.wait)
	defer cancel()
	d := net.Dialer{Timeout: dialTimeout}
	if !w.private[strings.ToLower(addr)] {
		d.Control = publicOnly
	}
	conn, err := d.DialContext(ctx, network, addr)
	if errors.Is(err, errPrivate) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	c := tls.Client(conn, &tls.Config{
		ServerName: host, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does it all, with one more way to be trusted
		VerifyConnection:   func(s tls.ConnectionState) error { return trusted(s.PeerCertificates, host, thumbprints) },
	})
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close()
		if errors.Is(err, errThumbprint) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	return c, nil
}

// publicOnly is a net.Dialer's Control: it sees the address that a name stands for, right before it is connected to.
func publicOnly(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !isPublic(at.Addr()) {
		return errPrivate
	}
	return nil
}

// notPublic are the networks that are nobody's on the Internet, or lead into ones that are not: 64:ff9b::/96, 2002::/16 and
// 2001::/32 have an IPv4 address inside.
// See https://www.iana.org/assignments/iana-ipv4-special-registry and https://www.iana.org/assignments/iana-ipv6-special-registry.
var notPublic = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/3", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	"5f00::/16", "fc00::/7", "fe80::/9", "ff00::/8")

func prefixes(list ...string) (all []netip.Prefix) {
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func isPublic(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return ip.IsValid() && !slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// trusted says whether a chain of certificates, the host's own first, is good for the host.
func trusted(chain []*x509.Certificate, host string, thumbprints []string) error {
	if len(chain) == 0 {
		return errThumbprint
	}
	opts := x509.VerifyOptions{DNSName: host, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(opts); err == nil {
		return nil
	}
	for _, c := range chain {
		if !slices.ContainsFunc(thumbprints, func(t string) bool { return strings.EqualFold(t, thumbprint(c)) }) {
			continue
		}
		opts.Roots = x509.NewCertPool()
		opts.Roots.AddCert(c)
		if _, err := chain[0].Verify(opts); err == nil {
			return nil
		}
	}
	return errThumbprint
}

// thumbprint is how IAM names a certificate.
func thumbprint(c *x509.Certificate) string {
	sum := sha1.Sum(c.Raw)
	return hex.EncodeToString(sum[:])
}

// get reads a document. What the network does wrong is errUnreachable, and so is an answer that says "try again".
func get(ctx context.Context, client *http.Client, from string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, errThumbprint) || errors.Is(err, errPrivate) || errors.Is(err, errRedirect):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
		return nil, fmt.Errorf("%w: it answers %s", errUnreachable, resp.Status)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxFetched+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	case len(b) > maxFetched:
		return nil, fmt.Errorf("its answer has more than %d bytes", maxFetched)
	}
	return b, nil
}
