package ecr

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/dispatch"
	"github.com/enfold-run/enfold/store"
)

const diskIsFull = "The disk of this host is full: the registry has no space left."

// fullStore is a store on a disk without space.
type fullStore struct{ store.Store }

func (fullStore) Update(context.Context, func(store.Tx) error) error {
	return fmt.Errorf("%w: commit", store.ErrFull)
}

// logged is a log that a test may read.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// fill leaves no space for rows, or none for blobs. What the service says of it is in the answer.
func (w *world) fill(rows, blobs bool) *logged {
	said := new(logged)
	d := w.deps
	d.Log = slog.New(slog.NewTextHandler(said, nil))
	if rows {
		d.Store = fullStore{d.Store}
	}
	if blobs {
		d.Blobs = full{d.Blobs}
	}
	w.Service = New(d)
	w.calls = dispatch.New(dispatch.Deps{
		Authorizer: dispatch.NewPolicies(dispatch.PolicyDeps{Identities: w}), Log: slog.New(slog.DiscardHandler),
	})
	w.calls.Register(api.Service, w.Service)
	w.registry = NewRegistry(w.Service, w.calls, func(_ *http.Request, password string) (*Login, error) { return w.Open(password) })
	return said
}

// TestNoRoomForRows: operations and the registry say that it is the disk, and the log does.
func TestNoRoomForRows(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	up, err := w.InitiateLayerUpload(w.ctx, &api.InitiateLayerUploadInput{RepositoryName: new("app")})
	check(t, err, "")
	check(t, w.part("app", *up.UploadID, 0, "content"), "")
	manifest := manifestOf(w.layer("app", "config"))
	said := w.fill(true, false)
	_, err = w.client().CreateRepository(w.ctx, &api.CreateRepositoryInput{RepositoryName: new("other")})
	is(t, err, api.ErrServer)
	check(t, err, "ServerException: "+diskIsFull)
	if !strings.Contains(said.String(), "level=ERROR") || !strings.Contains(said.String(), "the disk is full") {
		t.Errorf("the log has %q", said)
	}
	uploads := "/v2/app/blobs/uploads/"
	digest := sum([]byte("content"))
	for _, c := range []struct{ method, path, body string }{
		{http.MethodPost, uploads, ""},
		{http.MethodPost, uploads + "?digest=" + digest, "content"},
		{http.MethodPatch, uploads + *up.UploadID, "more"},
		{http.MethodPut, uploads + *up.UploadID + "?digest=" + digest, ""},
		{http.MethodDelete, uploads + *up.UploadID, ""},
		{http.MethodPut, "/v2/app/manifests/v1", manifest},
	} {
		r, err := http.NewRequest(c.method, "http://registry.test"+c.path, strings.NewReader(c.body))
		check(t, err, "")
		r.SetBasicAuth("AWS", w.password(aws.RootOf(account, "AKIAROOT")))
		r.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		status, body := answerOf(w.registry, r)
		if status != http.StatusInsufficientStorage || !strings.Contains(body, diskIsFull) {
			t.Errorf("%s %s is answered with %d %s", c.method, c.path, status, body)
		}
	}
}

// TestNoRoomForLayer: a client that sends a whole layer before it reads anything hears why it was not taken.
func TestNoRoomForLayer(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	up, err := w.InitiateLayerUpload(w.ctx, &api.InitiateLayerUploadInput{RepositoryName: new("app")})
	check(t, err, "")
	for _, c := range []struct {
		name        string
		rows, blobs bool
		path        string
	}{
		{"none for its bytes", false, true, *up.UploadID + "?digest=" + sum([]byte("x"))},
		{"none for the upload", true, false, "?digest=" + sum([]byte("x"))}, // which fails before the body is read
	} {
		t.Run(c.name, func(t *testing.T) {
			w.fill(c.rows, c.blobs)
			s := w.serve()
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			check(t, err, "")
			defer conn.Close()
			check(t, conn.SetDeadline(time.Now().Add(time.Minute)), "")
			method := http.MethodPut
			if c.rows {
				method = http.MethodPost
			}
			const size = 48 << 20 // more than a connection holds
			r, err := http.NewRequest(method, s.URL+"/v2/app/blobs/uploads/"+c.path, io.LimitReader(zeros{}, size))
			check(t, err, "")
			r.ContentLength = size
			r.SetBasicAuth("AWS", w.password(aws.RootOf(account, "AKIAROOT")))
			if err := r.Write(conn); err != nil {
				t.Fatalf("while the layer was sent: %v", err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), r)
			if err != nil {
				t.Fatalf("when the layer was sent: %v", err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusInsufficientStorage || !strings.Contains(string(body), diskIsFull) {
				t.Errorf("the answer is %d %s, %v", resp.StatusCode, body, err)
			}
		})
	}
}

// TestNoRoomIsNotAskedFor: a client that waits to be asked for its layer is not, when there is no room for it.
func TestNoRoomIsNotAskedFor(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	w.fill(true, false)
	body := &counted{r: strings.NewReader("x")}
	r, err := http.NewRequest(http.MethodPost, "http://registry.test/v2/app/blobs/uploads/?digest="+sum([]byte("x")), body)
	check(t, err, "")
	r.Header.Set("Expect", "100-continue")
	r.ContentLength = 1
	r.SetBasicAuth("AWS", w.password(aws.RootOf(account, "AKIAROOT")))
	status, _ := answerOf(w.registry, r)
	equal(t, "status", status, http.StatusInsufficientStorage)
	equal(t, "reads", body.n, 0)
}

type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	c.n++
	return c.r.Read(p)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
