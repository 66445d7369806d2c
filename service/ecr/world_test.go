package ecr

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/dispatch"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = "111122223333"
	other   = "444455556666"
	region  = "us-east-1"
)

// noon is when tests begin.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// world is a service behind a dispatcher with policies, on a store of its own, with a clock that the test sets.
type world struct {
	*Service
	t        testing.TB
	ctx      context.Context // of calls by the root user of account
	dir      string
	db       store.Store
	at       time.Time
	calls    *dispatch.Dispatcher
	registry *Registry
	user     atomic.Pointer[string] // the policy of users; a client that was refused may still have requests under way
}

// allow sets the policy of users.
func (w *world) allow(document string) { w.user.Store(&document) }

func newWorld(t testing.TB) *world {
	w := &world{t: t, dir: t.TempDir(), at: noon}
	w.ctx = as(t.Context(), aws.RootOf(account, "AKIAROOT"))
	w.open()
	t.Cleanup(func() { w.db.Close() })
	return w
}

func (w *world) open() {
	w.t.Helper()
	db, err := sqlite.Open(context.Background(), w.dir, sqlite.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	root, err := seal.NewRoot(bytes.Repeat([]byte{7}, seal.RootSize))
	if err != nil {
		w.t.Fatal(err)
	}
	w.db = db
	w.Service = New(Deps{
		Store: db, Blobs: db.Blobs(), Seal: root.Key("ecr"), Endpoint: "http://127.0.0.1:4566", Now: func() time.Time { return w.at },
		Log: slog.New(slog.DiscardHandler),
	})
	w.calls = dispatch.New(dispatch.Deps{
		Authorizer: dispatch.NewPolicies(dispatch.PolicyDeps{Identities: w}), Log: slog.New(slog.DiscardHandler),
	})
	w.calls.Register(api.Service, w.Service)
	w.registry = NewRegistry(w.Service, w.calls, func(_ *http.Request, password string) (*Login, error) { return w.Open(password) })
}

// reopen is a restart of the server.
func (w *world) reopen() {
	w.t.Helper()
	if err := w.db.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

// Grants implements dispatch.Identities.
func (w *world) Grants(_ context.Context, p *aws.Principal) (*policy.Grants, error) {
	document := w.user.Load()
	if p.Type != aws.User || document == nil {
		return nil, nil
	}
	parsed, err := policy.Parse([]byte(*document), policy.KindIdentity)
	if err != nil {
		return nil, err
	}
	return &policy.Grants{Identity: []policy.Named{{Name: "user", Policy: parsed}}, Born: noon.Add(-time.Hour)}, nil
}

// as is a context of calls by a principal.
func as(ctx context.Context, p *aws.Principal) context.Context {
	return aws.WithCall(ctx, &aws.Call{Account: p.Account, Region: region, Principal: p, BaseURL: "http://registry.test"})
}

func userOf(account string) *aws.Principal {
	return &aws.Principal{Type: aws.User, Account: account, Arn: "arn:aws:iam::" + account + ":user/u", ID: "AIDAU", AccessKeyID: "AKIAUSER"}
}

// api is ECR as a client sees it.
func (w *world) client() *api.Client { return api.NewClient(w.calls) }

// check holds an error against what AWS answers, "Code: message"; empty for none.
func check(t testing.TB, err error, want string) {
	t.Helper()
	if got := fmt.Sprint(err); got != cmp.Or(want, "<nil>") {
		t.Fatalf("got  %s\nwant %s", got, cmp.Or(want, "<nil>"))
	}
}

// is holds an error against its kind.
func is(t testing.TB, err error, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(h[:])
}

// repository makes a repository.
func (w *world) repository(name string) {
	w.t.Helper()
	_, err := w.CreateRepository(w.ctx, &api.CreateRepositoryInput{RepositoryName: &name})
	check(w.t, err, "")
}

// layer pushes a layer in parts.
func (w *world) layer(repository string, pieces ...string) string {
	w.t.Helper()
	up, err := w.InitiateLayerUpload(w.ctx, &api.InitiateLayerUploadInput{RepositoryName: &repository})
	check(w.t, err, "")
	at := int64(0)
	for _, p := range pieces {
		check(w.t, w.part(repository, *up.UploadID, at, p), "")
		at += int64(len(p))
	}
	digest := sum([]byte(strings.Join(pieces, "")))
	_, err = w.CompleteLayerUpload(w.ctx, &api.CompleteLayerUploadInput{RepositoryName: &repository, UploadID: up.UploadID, LayerDigests: []string{digest}})
	check(w.t, err, "")
	return digest
}

func (w *world) part(repository, id string, at int64, text string) error {
	_, err := w.UploadLayerPart(w.ctx, &api.UploadLayerPartInput{
		RepositoryName: &repository, UploadID: &id, PartFirstByte: &at, PartLastByte: new(at + int64(len(text)) - 1), LayerPartBlob: []byte(text),
	})
	return err
}

// manifestOf is the manifest of an image of these layers, the first one of which is its configuration.
func manifestOf(digests ...string) string {
	var all []string
	for _, d := range digests {
		all = append(all, `{"mediaType":"application/octet-stream","digest":"`+d+`","size":1}`)
	}
	return `{"schemaVersion":2,"mediaType":"` + ociManifest + `","config":` + all[0] + `,"layers":[` + strings.Join(all[1:], ",") + `]}`
}

func indexOf(digests ...string) string {
	var all []string
	for _, d := range digests {
		all = append(all, `{"mediaType":"`+ociManifest+`","digest":"`+d+`","size":1}`)
	}
	return `{"schemaVersion":2,"mediaType":"` + ociIndex + `","manifests":[` + strings.Join(all, ",") + `]}`
}

// put puts an image.
func (w *world) put(repository, manifest, tag string) (string, error) {
	in := &api.PutImageInput{RepositoryName: &repository, ImageManifest: &manifest}
	if tag != "" {
		in.ImageTag = &tag
	}
	out, err := w.PutImage(w.ctx, in)
	if err != nil {
		return "", err
	}
	return *out.Image.ImageID.ImageDigest, nil
}

// serve serves the registry.
func (w *world) serve() *httptest.Server {
	s := httptest.NewServer(w.registry)
	w.t.Cleanup(s.Close)
	return s
}

// blobs counts what lies on the disk.
func (w *world) stored() int {
	w.t.Helper()
	n := 0
	for _, err := range w.db.Blobs().All() {
		if err != nil {
			w.t.Fatal(err)
		}
		n++
	}
	return n
}

// password is a login of a principal.
func (w *world) password(p *aws.Principal, registries ...string) string {
	w.t.Helper()
	out, err := w.GetAuthorizationToken(as(w.t.Context(), p), &api.GetAuthorizationTokenInput{RegistryIDs: registries})
	check(w.t, err, "")
	return loginOf(w.t, out.AuthorizationData[0])
}
