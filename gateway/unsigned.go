package gateway

import (
	"errors"
	"net/http"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/sigv4"
	"github.com/enfold-run/enfold/wire"
)

// maxUnsigned is how many bytes a body may have of which nothing says who sent it.
const maxUnsigned = 64 << 10

// acceptUnsigned takes in a request that nobody signed, which is right for few ops: those whose input itself proves who calls.
// A form must be read to know which op it is.
func (q *request) acceptUnsigned() (*aws.Call, error) {
	isForm := wire.IsForm(q.r) && q.r.Method == http.MethodPost
	if !isForm && !q.isUnsigned() || q.r.ContentLength > maxUnsigned {
		return nil, sigv4.MissingToken()
	}
	q.begun = true
	body, release, err := q.readBody(maxUnsigned)
	if err != nil {
		return nil, err
	}
	release()
	if isForm {
		q.match, err = q.g.router.Route(q.r, "", body)
	}
	switch {
	case errors.Is(err, aws.ErrNotImplemented):
		return nil, err
	case !q.isUnsigned():
		return nil, sigv4.MissingToken()
	}
	if coding, err := contentCoding(q.r.Header); err != nil || coding != "" {
		return nil, errUnsupportedCoding.New("Unsupported Content-Encoding.")
	}
	in, err := q.match.Decode(q.r, body)
	if err != nil {
		return nil, err
	}
	return q.call(&sigv4.Identity{Principal: &aws.Principal{Type: aws.Anonymous}}, in), nil
}

func (q *request) isUnsigned() bool { return q.match != nil && q.match.Op.Unsigned }

// do carries a call out. Where its input proves who calls, a refusal counts for the source like a wrong signature.
func (q *request) do(call *aws.Call) (out any, err error) {
	if !call.Op.Unsigned {
		return q.g.doer.Do(q.r.Context(), call)
	}
	var e *aws.Error
	out, err = q.g.doer.Do(q.r.Context(), call)
	if errors.As(err, &e) && !e.Type.Server {
		err = e.Because(errors.Join(e.Cause, sigv4.ErrRefused))
	}
	return out, q.g.guard.judge(q.r, err)
}
