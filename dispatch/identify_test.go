package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/aws"
)

// bearer is a service whose op comes without a signature.
type bearer struct {
	t   *testing.T
	err error
}

func (b *bearer) Identify(ctx context.Context, call *aws.Call) (*aws.Principal, string, error) {
	if call.Principal.Type != aws.Anonymous || call.Principal.Arn != "" || call.Account != "" || aws.CallFrom(ctx) != call {
		b.t.Errorf("Identify is asked by %+v of account %q", call.Principal, call.Account)
	}
	return &aws.Principal{Type: aws.Anonymous, Session: &aws.Session{Subject: "me"}}, "111122223333", b.err
}

// witness is an authorizer and an auditor that writes down whose call it was.
type witness struct{ seen []string }

func (w *witness) note(what string, call *aws.Call) {
	who := "nobody"
	if call.Principal.Session != nil {
		who = call.Principal.Session.Subject
	}
	w.seen = append(w.seen, what+" "+who+" in "+call.Account)
}

func (w *witness) Authorize(_ context.Context, call *aws.Call, _ any) error {
	w.note("authorize", call)
	return nil
}

func (w *witness) Record(_ context.Context, call *aws.Call, _ any, _ *aws.Error) {
	w.note("audit", call)
}

func TestUnsigned(t *testing.T) {
	refused := aws.ErrAccessDenied.New("no")
	for _, c := range []struct {
		name string
		err  error
		want string // who saw whom
	}{
		{"identified", nil, "authorize me in 111122223333, handle me, audit me in 111122223333"},
		{"refused", refused, ""},
		{"failed", errors.New("the store is gone"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			svc, op := newService()
			op.Unsigned = true
			w := &witness{}
			op.Call = func(ctx context.Context, _, _ any) (any, error) {
				w.seen = append(w.seen, "handle "+aws.CallFrom(ctx).Principal.Session.Subject)
				return "out", nil
			}
			d := New(Deps{Authorizer: w, Auditor: w, Log: slog.New(slog.DiscardHandler)})
			d.Register(svc, &bearer{t, c.err})
			out, err := d.Do(t.Context(), newCall(op)) // which root has signed, for nothing
			if (c.err == nil) != (err == nil && out == "out") {
				t.Errorf("Do = %v, %v", out, err)
			}
			if got := strings.Join(w.seen, ", "); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestUnsignedNeedsAnIdentifier(t *testing.T) {
	svc, op := newService()
	op.Unsigned = true
	defer func() {
		if recover() == nil {
			t.Error("a service that identifies nobody may answer without a signature")
		}
	}()
	New(Deps{}).Register(svc, func(context.Context, *input) (any, error) { return nil, nil })
}
