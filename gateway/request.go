package gateway

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/sigv4"
	"github.com/enfold-run/enfold/wire"
)

// request is one request to the AWS API on its way through.
type request struct {
	g     *Gateway
	w     *writer
	r     *http.Request
	id    string
	match *wire.Match // nil until it is routed
	begun bool        // the body is being read, or is
}

// serve is the whole way of a request.
func (q *request) serve() {
	call, err := q.accept()
	if err != nil {
		q.fail(err)
		return
	}
	out, err := q.do(call)
	if err != nil {
		q.fail(err)
		return
	}
	if call.TraceID != "" {
		q.w.Header().Set("X-Amzn-Trace-Id", call.TraceID)
	}
	if err := q.match.Encode(q.w, q.id, out); err != nil {
		q.g.log.Debug("answer was cut off", "op", q.match.Op.Action, "requestId", q.id, "error", err)
		panic(http.ErrAbortHandler)
	}
}

// accept takes a request in: it is authentic and decoded when accept returns a call.
func (q *request) accept() (*aws.Call, error) {
	_, service, signed := sigv4.Scope(q.r)
	isForm := wire.IsForm(q.r) && q.r.Method == http.MethodPost
	var routeErr error
	if !isForm { // whose op is in the body
		q.match, routeErr = q.g.router.Route(q.r, service, nil)
	}
	if !signed && !hasSignature(q.r) {
		return q.acceptUnsigned()
	}
	claim, err := q.claim()
	if err != nil {
		return nil, err
	}
	if routeErr != nil {
		return nil, routeErr
	}
	if err := q.checkService(service); err != nil {
		return nil, err
	}
	id, body, err := q.authenticate(claim)
	if err != nil {
		return nil, err
	}
	if isForm {
		if q.match, err = q.g.router.Route(q.r, service, body); err != nil {
			return nil, err
		}
		if err := q.checkService(service); err != nil {
			return nil, err
		}
		if int64(len(body)) > q.match.MaxBody() {
			return nil, q.match.TooLarge()
		}
	}
	in, err := q.match.Decode(q.r, body)
	if err != nil {
		return nil, err
	}
	return q.call(id, in), nil
}

// hasSignature says that there is something that means to be a signature, right or wrong.
func hasSignature(r *http.Request) bool {
	return len(r.Header["Authorization"]) > 0 || strings.Contains(r.URL.RawQuery, "X-Amz-Signature=") ||
		strings.Contains(r.URL.RawQuery, "X-Amz-Algorithm=")
}

// checkService demands that the signature was made for the service that the request means.
func (q *request) checkService(service string) error {
	if q.match == nil || q.match.Service.SigningName == service {
		return nil
	}
	return sigv4.ErrInvalidSignature.Withf("Credential should be scoped to correct service: '%s'.", q.match.Service.SigningName)
}

// authenticate reads the body and compares the signature. The body it answers is decoded of its codings; it is nil if the
// op takes it as a stream, which is then the request's Body.
func (q *request) authenticate(claim *sigv4.Claim) (*sigv4.Identity, []byte, error) {
	limit := int64(wire.DefaultMaxBody)
	if q.match != nil {
		limit = q.match.MaxBody()
	}
	coding, err := contentCoding(q.r.Header)
	if err != nil {
		return nil, nil, err
	}
	q.begun = true
	if q.match != nil && q.match.Streams() {
		id, err := q.stream(claim, limit)
		return id, nil, err
	}
	raw := limit
	if claim.Streaming() {
		raw += limit/64 + 16<<10 // the chunks' own lines
	}
	body, release, err := q.readBody(raw)
	if err != nil {
		return nil, nil, err
	}
	id, err := q.verify(claim, body)
	release()
	if err != nil {
		return nil, nil, err
	}
	if int64(len(id.Body)) > limit {
		return nil, nil, q.tooLarge()
	}
	if coding != "gzip" {
		return id, id.Body, nil
	}
	if release, err = q.reserve(min(limit, maxInflation*int64(len(id.Body)))); err != nil {
		return nil, nil, err
	}
	defer release()
	body, err = gunzip(id.Body, limit)
	if errors.Is(err, errTooLarge) {
		err = q.tooLarge()
	}
	return id, body, err
}

// claim finds the key that the request says it is signed with.
func (q *request) claim() (c *sigv4.Claim, err error) {
	err = q.g.guard.check(q.r, func() error {
		c, err = q.g.verifier.Claim(q.r)
		return err
	})
	return c, err
}

// verify compares the signature.
func (q *request) verify(c *sigv4.Claim, body []byte) (id *sigv4.Identity, err error) {
	err = q.g.guard.check(q.r, func() error {
		id, err = c.Verify(body)
		return err
	})
	return id, err
}

// stream compares the signature and leaves the body to be read.
func (q *request) stream(c *sigv4.Claim, limit int64) (id *sigv4.Identity, err error) {
	err = q.g.guard.check(q.r, func() error {
		var body io.Reader
		id, body, err = c.Stream(&pacedBody{w: q.w, body: q.r.Body}, limit)
		q.r.Body = io.NopCloser(body)
		return err
	})
	return id, err
}

func (q *request) tooLarge() error {
	if q.match == nil {
		return aws.ErrTooLarge.Withf("Request must be smaller than %d bytes", int64(wire.DefaultMaxBody))
	}
	return q.match.TooLarge()
}

// call is what the services see of the request.
func (q *request) call(id *sigv4.Identity, in any) *aws.Call {
	c := &aws.Call{
		Op: q.match.Op, Principal: id.Principal, Account: id.Principal.Account, Region: id.Region, RequestID: q.id,
		SourceIP: hostname(q.r.RemoteAddr), UserAgent: q.r.Header.Get("User-Agent"), TraceID: q.r.Header.Get("X-Amzn-Trace-Id"),
		Secure: q.r.TLS != nil, Input: in,
	}
	c.Client, _ = q.w.ResponseWriter.(aws.Client)
	c.Answer = q.w
	if c.Region == "" {
		c.Region = q.g.region
	}
	if c.Secure {
		c.BaseURL = "https://" + q.r.Host
	} else {
		c.BaseURL = "http://" + q.r.Host
	}
	return c
}

// fail answers an error. What is no *aws.Error is a fault of ours: a line in the log and an InternalFailure.
func (q *request) fail(err error) {
	var e *aws.Error
	if !errors.As(err, &e) {
		if q.r.Context().Err() == nil {
			q.g.log.Error("request failed", "requestId", q.id, "method", q.r.Method, "path", q.r.URL.Path, "error", err)
		}
		e = aws.ErrInternalFailure.New("The request processing has failed because of an unknown error, exception or failure.")
	}
	q.refuse(e)
}

// refuse writes an error in the protocol of the request, as far as it is known.
func (q *request) refuse(e *aws.Error) {
	if !q.begun && q.r.Header["Expect"] != nil { // the client was not asked for its body: do not wait for it
		q.w.readDeadline(time.Now())
	}
	if q.match != nil {
		q.match.EncodeError(q.w, q.id, e)
		return
	}
	_, service, _ := sigv4.Scope(q.r)
	wire.WriteError(q.w, q.r, q.id, service, e)
}
