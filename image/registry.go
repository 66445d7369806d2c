package image

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxRedirects is how often a registry may send us elsewhere for one answer.
const maxRedirects = 5

// registry is a repository of a registry.
// See https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pull.
type registry struct {
	ref    name.Reference
	client *http.Client
	scheme string
	most   int64 // bytes of a manifest
}

// openRegistry logs in at a registry, in this process or outside.
func (s *Store) openRegistry(ctx context.Context, ref name.Reference, auth *Auth) (source, error) {
	host := ref.Context().RegistryStr()
	r := &registry{ref: ref, scheme: "https", most: s.limits.Manifest}
	if s.opts.Transport != nil {
		if inside := s.opts.Transport(host); inside != nil {
			r.client = &http.Client{Transport: &patient{inner: inside, stall: s.limits.Stall, most: r.most}, CheckRedirect: noRedirect}
			return r, nil
		}
	}
	if s.opts.AllowHost == nil || !s.opts.AllowHost(host) {
		return nil, fmt.Errorf("%w: the operator of this server does not allow the registry %s", ErrNotAllowed, host)
	}
	plain := func(h string) bool { return s.opts.PlainHost != nil && s.opts.PlainHost(h) }
	var opts []name.Option
	if plain(host) {
		r.scheme, opts = "http", append(opts, name.Insecure)
	}
	reg, err := name.NewRegistry(host, opts...)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is no registry", ErrInvalid, host)
	}
	var who authn.Authenticator = authn.Anonymous
	if auth != nil {
		who = &authn.Basic{Username: auth.Username, Password: auth.Password}
	}
	through := &patient{inner: &encrypted{inner: s.client.transport, plain: plain}, stall: s.limits.Stall, most: r.most}
	login, err := transport.NewWithContext(ctx, reg, who, through, []string{ref.Scope(transport.PullScope)})
	if err != nil {
		return nil, registryError(ctx, err)
	}
	r.client = &http.Client{Transport: login, CheckRedirect: fewRedirects}
	return r, nil
}

// noRedirect is for a registry in this process, which has no reason to send us away.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func fewRedirects(_ *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return refuse(ErrUnreachable, fmt.Sprintf("it redirects more than %d times", maxRedirects))
	}
	return nil
}

// Close implements source.
func (r *registry) Close() error { return nil }

// pin implements source.
func (r *registry) pin(digest string) string { return r.ref.Context().Name() + "@" + digest }

// manifest implements source.
func (r *registry) manifest(ctx context.Context) (data []byte, mediaType, digest string, err error) {
	if d, ok := r.ref.(name.Digest); ok {
		digest = d.DigestStr()
	}
	data, mediaType, err = r.document(ctx, r.ref.Identifier())
	return data, mediaType, digest, err
}

// child implements source.
func (r *registry) child(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	data, _, err := r.document(ctx, d.Digest.String())
	return data, err
}

var accepted = strings.Join([]string{
	string(types.OCIImageIndex), string(types.OCIManifestSchema1), string(types.DockerManifestList), string(types.DockerManifestSchema2),
}, ", ")

func (r *registry) document(ctx context.Context, identifier string) (data []byte, mediaType string, err error) {
	resp, err := r.get(ctx, "manifests/"+identifier, accepted)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	if data, err = readAtMost(&blobBody{ctx: ctx, body: resp.Body}, r.most); err != nil {
		return nil, "", err
	}
	return data, resp.Header.Get("Content-Type"), nil
}

// blob implements source. What a descriptor says of other addresses is not followed.
func (r *registry) blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	resp, err := r.get(context.WithValue(ctx, wholeBody{}, true), "blobs/"+d.Digest.String(), "*/*")
	if err != nil {
		return nil, err
	}
	return &blobBody{ctx: ctx, body: resp.Body}, nil
}

func (r *registry) get(ctx context.Context, path, accept string) (*http.Response, error) {
	u := url.URL{Scheme: r.scheme, Host: r.ref.Context().RegistryStr(), Path: "/v2/" + r.ref.Context().RepositoryStr() + "/" + path}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: it is no reference to an image", ErrInvalid)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Accept-Encoding", "identity") // a layer is what it was pushed as
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, registryError(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, statusError(resp.StatusCode)
	}
	return resp, nil
}

// refusal is an error of ours that comes through a client of somebody else's, which puts URLs around it.
type refusal struct{ err error }

func refuse(kind error, text string) error { return &refusal{fmt.Errorf("%w: %s", kind, text)} }

// Error implements error.
func (r *refusal) Error() string { return r.err.Error() }

// Unwrap is for errors.Is.
func (r *refusal) Unwrap() error { return r.err }

// blobBody is a body whose errors are ours.
type blobBody struct {
	ctx  context.Context
	body io.ReadCloser
}

// Read implements io.Reader.
func (b *blobBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = registryError(b.ctx, err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *blobBody) Close() error { return b.body.Close() }

// statusError is what an answer of a registry means. What it says in words is hostile, and left out.
func statusError(status int) error {
	kind := ErrUnreachable
	switch {
	case status == http.StatusNotFound:
		kind = ErrNotFound
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		kind = ErrDenied
	case status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout:
		kind = ErrInvalid
	}
	return fmt.Errorf("%w: the registry answered %d", kind, status)
}

// registryError is an error of a request without its URL, which may be signed, and of one of our kinds.
func registryError(ctx context.Context, err error) error {
	var answered *transport.Error
	if errors.As(err, &answered) {
		return statusError(answered.StatusCode)
	}
	var ours *refusal
	if errors.As(err, &ours) {
		return ours
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, network(err))
}

// network is the part of an error that is about the network. What is about answers may quote them, tokens included, and is left out.
func network(err error) error {
	var (
		op   *net.OpError
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &dns):
		return dns
	case errors.As(err, &op):
		return op
	case errors.As(err, &cert):
		return cert
	case errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	}
	return errors.New("its answer cannot be understood")
}
