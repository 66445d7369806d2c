package image

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKept keeps less of a small disk.
func TestKept(t *testing.T) {
	for _, c := range []struct{ reserve, total, want int64 }{
		{0, 1 << 40, 512 << 20}, {0, 8 << 30, 512 << 20}, {0, 4 << 30, 256 << 20}, {0, 64 << 20, 4 << 20}, {0, 0, 0}, {1, 1 << 40, 1},
	} {
		l := Limits{Reserve: c.reserve}.withDefaults()
		if got := l.kept(c.total); got != c.want {
			t.Errorf("of %d bytes %d are kept if Reserve is %d, want %d", c.total, got, c.reserve, c.want)
		}
	}
}

func TestFullError(t *testing.T) {
	for want, e := range map[string]*FullError{
		"3.5 MiB are free, and 4.0 MiB are kept for everything else":                                         {Free: 3<<20 + 1<<19, Kept: 4 << 20, Want: 1},
		"8.0 MiB are free, and 4.0 MiB are kept for everything else: there is no room for a file of 6.0 MiB": {Free: 8 << 20, Kept: 4 << 20, Want: 6 << 20},
	} {
		if e.Room() != want || e.Error() != "the disk is nearly full: "+want {
			t.Errorf("got %s", e)
		}
		if !errors.Is(e, syscall.ENOSPC) || errors.Is(e, syscall.EIO) {
			t.Errorf("%v is not what a full disk is", e)
		}
	}
}

type failing struct{ err error }

// RoundTrip implements http.RoundTripper.
func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

// TestDialTimesOut: an address that nobody answers at is told like a registry that is silent; other errors are not.
func TestDialTimesOut(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}, "image: registry unreachable: it did not answer within 30s"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, "image: registry unreachable: dial tcp: connection refused"},
		{errors.New("gibberish"), "image: registry unreachable: its answer cannot be understood"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://registry.test/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = (&http.Client{Transport: &patient{inner: failing{c.err}, stall: 30 * time.Second}}).Do(r)
		if got := registryError(ctx, err); got.Error() != c.want || !errors.Is(got, ErrUnreachable) {
			t.Errorf("got %v, want %s", got, c.want)
		}
		cancel()
		_, err = (&http.Client{Transport: &patient{inner: failing{c.err}, stall: 30 * time.Second}}).Do(r)
		if got := registryError(ctx, err); !errors.Is(got, context.Canceled) || strings.Contains(got.Error(), "within") {
			t.Errorf("when its caller has gone: %v", got)
		}
	}
}
