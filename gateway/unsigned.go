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
// It reads a form, for only that says which op it is; whatever else it is, the answer is the one that it would have had unread.
func (q *request) acceptUnsigned() (*aws.Call, error) {
	var body []byte
	if wire.IsForm(q.r) && q.r.Method == http.MethodPost && q.r.ContentLength <= maxUnsigned {
		q.begun = true
		var release func()
		var err error
		if body, release, err = q.readBody(maxUnsigned); err != nil {
			return nil, err
		}
		release()
		q.match, err = q.g.router.Route(q.r, "", body)
		if errors.Is(err, aws.ErrNotImplemented) {
			return nil, err
		}
	}
	if q.match == nil || !q.match.Op.Unsigned {
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

// do carries a call out. Where its input proves who calls, a refusal counts for the source like a wrong signature.
func (q *request) do(call *aws.Call) (out any, err error) {
	if !call.Op.Unsigned {
		return q.g.doer.Do(q.r.Context(), call)
	}
	err = q.g.guard.check(q.r, func() error {
		var e *aws.Error
		out, err = q.g.doer.Do(q.r.Context(), call)
		if errors.As(err, &e) && !e.Type.Server {
			return e.Because(errors.Join(e.Cause, sigv4.ErrRefused))
		}
		return err
	})
	return out, err
}
