package ecr

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/aws"
)

// Puller is an http.RoundTripper to the registry of this process, for a service of it that pulls images: Lambda. Whom a request
// asks in the name of says the call that its context belongs to: a client, through the service, or the service itself for the
// call's account. What is of another account than theirs needs the consent of the repository's policy.
type Puller struct {
	Registry *Registry
	Service  *aws.Principal // lambda.amazonaws.com
}

// RoundTrip implements http.RoundTripper. A request without a call is refused, and so is what would change something.
func (p Puller) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	behalf := aws.CallFrom(r.Context())
	if behalf.Account == "" || behalf.Principal == nil {
		return nil, errors.New("pull from the registry: in nobody's name")
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, fmt.Errorf("pull from the registry: %s", r.Method)
	}
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	account, region, ok := api.ParseHost(host)
	if !ok { // by the address of the server: the account's own registry
		account, region = behalf.Account, behalf.Region
	}
	call := p.call(behalf, region, host)
	in := r.Clone(r.Context())
	in.Body, in.RequestURI, in.Host = http.NoBody, r.URL.RequestURI(), host
	body, out := io.Pipe()
	w := &answer{header: http.Header{}, body: out, begun: make(chan struct{}), request: r}
	go func() {
		defer w.end()
		p.Registry.serve(w, in, call, account)
	}()
	select {
	case <-w.begun:
	case <-r.Context().Done():
		_ = body.Close() // ends what is being written
		return nil, r.Context().Err()
	}
	return w.response(body), nil
}

// call is what the calls of a pull are copies of.
func (p Puller) call(behalf *aws.Call, region, host string) *aws.Call {
	call := &aws.Call{
		Principal: behalf.Principal, Account: behalf.Principal.Account, Region: region, RequestID: uuid.NewString(), SourceIP: p.Service.Service,
		UserAgent: p.Service.Service, Secure: true, BaseURL: "https://" + host,
	}
	if behalf.Principal.Service == p.Service.Service {
		call.Account, call.SourceAccount, call.SourceArn = behalf.Account, behalf.Account, behalf.SourceArn
		return call
	}
	call.Via = append(slices.Clone(behalf.Via), p.Service.Service)
	return call
}

// answer is an http.ResponseWriter whose body is read while it is written.
type answer struct {
	header  http.Header
	body    *io.PipeWriter
	request *http.Request

	once   sync.Once
	begun  chan struct{} // closed when status and sent are set
	status int
	sent   http.Header // as they were when the answer was begun
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.once.Do(func() {
		a.status, a.sent = status, a.header.Clone()
		close(a.begun)
	})
}

// Write implements http.ResponseWriter. It fails when nobody reads any more.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// end ends the body: whole, or broken off if the handler panicked, as one does whose layer cannot be read.
func (a *answer) end() {
	if p := recover(); p != nil {
		a.WriteHeader(http.StatusInternalServerError)
		_ = a.body.CloseWithError(io.ErrUnexpectedEOF)
		return
	}
	a.WriteHeader(http.StatusOK)
	_ = a.body.Close()
}

func (a *answer) response(body io.ReadCloser) *http.Response {
	length := int64(-1)
	if text := a.sent.Get("Content-Length"); text != "" && strings.Trim(text, "0123456789") == "" {
		if _, err := fmt.Sscan(text, &length); err != nil {
			length = -1
		}
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.sent, Body: body, ContentLength: length, Request: a.request,
	}
}
