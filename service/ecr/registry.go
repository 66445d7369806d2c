package ecr

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/aws"
)

// RegistryPath is where container tools look for a registry.
const RegistryPath = "/v2/"

// Registry serves the OCI distribution API: what docker, crane and others push to and pull from. Each request is carried out by
// calls of ECR's operations as the one whom the login speaks for.
// See https://github.com/opencontainers/distribution-spec/blob/main/spec.md.
type Registry struct {
	Service *Service
	Doer    aws.Doer
	// Login says whom the password of a request speaks for. The error is ErrToken, ErrExpired, an *aws.Error that is answered as
	// such, or a fault of ours.
	Login func(r *http.Request, password string) (*Login, error)

	rooms sync.Map // account -> chan struct{}, in which is one for each part that it has in memory
}

const (
	// partsInMemory is how many parts of an account's uploads may be in memory at once: who sends slowly keeps its own waiting.
	partsInMemory = 8
	// roomWait is how long a part waits for another to be stored.
	roomWait = 15 * time.Second
)

// enter waits until an account may have one more part in memory. leave must be called.
func (g *Registry) enter(ctx context.Context, account string) (leave func(), err error) {
	found, _ := g.rooms.LoadOrStore(account, make(chan struct{}, partsInMemory))
	room := found.(chan struct{})
	ctx, cancel := context.WithTimeout(ctx, roomWait)
	defer cancel()
	select {
	case room <- struct{}{}:
		return func() { <-room }, nil
	case <-ctx.Done():
		return nil, &registryError{http.StatusTooManyRequests, codeTooManyRequests, "Too many layers are being uploaded at once."}
	}
}

// NewRegistry is a Registry.
func NewRegistry(s *Service, d aws.Doer, login func(r *http.Request, password string) (*Login, error)) *Registry {
	return &Registry{Service: s, Doer: d, Login: login}
}

// visit is one request to the registry.
type visit struct {
	*Registry
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context // with the call that others are copies of
	api *api.Client

	account, region string // of the registry
	name            string // of the repository
	begun           bool   // reading the body
}

// ServeHTTP implements http.Handler.
func (g *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	who, err := g.authenticate(r)
	if err != nil {
		g.refuseLogin(w, r, err)
		return
	}
	call := &aws.Call{
		Principal: who.Principal, Account: who.Principal.Account, Region: who.Region, RequestID: uuid.NewString(), SourceIP: hostOf(r.RemoteAddr),
		UserAgent: r.UserAgent(), Secure: r.TLS != nil, BaseURL: baseOf(r),
	}
	if account, region, ok := api.ParseHost(r.Host); ok {
		who.Account, call.Region = account, region
	}
	g.serve(w, r, call, who.Account)
}

// serve answers a request of somebody who is known, for the registry of an account in the call's Region.
func (g *Registry) serve(w http.ResponseWriter, r *http.Request, call *aws.Call, account string) {
	v := &visit{Registry: g, w: w, r: r, ctx: aws.WithCall(r.Context(), call), api: api.NewClient(g.Doer), account: account, region: call.Region}
	if err := v.route(); err != nil {
		v.fail(err)
	}
}

func (g *Registry) authenticate(r *http.Request) (*Login, error) {
	user, password, ok := r.BasicAuth()
	if !ok || user != loginUser {
		return nil, errNoLogin
	}
	return g.Login(r, password)
}

var errNoLogin = errors.New("ecr: nobody logged in")

// refuseLogin asks for a login, as clients expect it.
func (g *Registry) refuseLogin(w http.ResponseWriter, r *http.Request, err error) {
	var e *aws.Error
	switch {
	case errors.Is(err, ErrExpired):
		writeError(w, r, &registryError{http.StatusForbidden, codeDenied, "Your authorization token has expired. Reauthenticate and try again."})
	case errors.As(err, &e):
		writeError(w, r, translate(e))
	case errors.Is(err, errNoLogin), errors.Is(err, ErrToken):
		w.Header().Set("WWW-Authenticate", `Basic realm="`+baseOf(r)+`/",service="ecr.amazonaws.com"`)
		writeError(w, r, &registryError{http.StatusUnauthorized, codeUnauthorized, "Not Authorized"})
	default:
		g.Service.deps.Log.Error("log in to the registry", "error", err)
		writeError(w, r, internalError())
	}
}

func baseOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: strings.Map(printable, r.Host)}).String()
}

// printable keeps what could end a header's value out of it.
func printable(c rune) rune {
	if c <= ' ' || c > '~' || c == '"' || c == '\\' {
		return -1
	}
	return c
}

func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// route is the table of what the registry answers.
func (v *visit) route() error {
	path, ok := strings.CutPrefix(v.r.URL.Path, RegistryPath)
	if !ok || path == "" {
		return v.base()
	}
	t, ok := parseTarget(path)
	if !ok {
		return &registryError{http.StatusNotFound, codeUnsupported, "The registry has nothing at this path."}
	}
	v.name = t.name
	switch t.kind {
	case "manifests":
		return v.manifests(t.what)
	case "blobs":
		return v.blobs(t.what)
	case "uploads":
		return v.uploads(t.what)
	case "tags":
		return v.tags()
	}
	return &registryError{http.StatusNotFound, codeUnsupported, "The registry does not list referrers."}
}

// base tells clients that there is a registry, and that they are logged in.
func (v *visit) base() error {
	if !v.isRead() {
		return v.notAllowed("GET, HEAD")
	}
	v.w.Header().Set("Content-Type", "application/json")
	_, err := v.w.Write([]byte("{}"))
	return gone(err)
}

// target is what a path names.
type target struct{ name, kind, what string }

// parseTarget splits a path below RegistryPath: NAME/manifests/REFERENCE, NAME/blobs/DIGEST, NAME/blobs/uploads/[ID],
// NAME/tags/list, NAME/referrers/DIGEST. A name may have such words in it.
func parseTarget(path string) (t target, ok bool) {
	parts := strings.Split(path, "/")
	n := len(parts)
	switch {
	case n < 3 || len(path) > 1024:
		return t, false
	case n >= 4 && parts[n-3] == "blobs" && parts[n-2] == "uploads":
		t = target{strings.Join(parts[:n-3], "/"), "uploads", parts[n-1]}
	case n >= 3 && parts[n-2] == "blobs" && parts[n-1] == "uploads":
		t = target{strings.Join(parts[:n-2], "/"), "uploads", ""}
	case parts[n-2] == "manifests", parts[n-2] == "blobs", parts[n-2] == "referrers":
		t = target{strings.Join(parts[:n-2], "/"), parts[n-2], parts[n-1]}
	case parts[n-2] == "tags" && parts[n-1] == "list":
		t = target{strings.Join(parts[:n-2], "/"), "tags", ""}
	default:
		return t, false
	}
	return t, api.IsRepositoryName(t.name) && (t.what != "" || t.kind == "uploads" || t.kind == "tags")
}

func (v *visit) isRead() bool { return v.r.Method == http.MethodGet || v.r.Method == http.MethodHead }

func (v *visit) notAllowed(methods string) error {
	v.w.Header().Set("Allow", methods)
	return &registryError{http.StatusMethodNotAllowed, codeUnsupported, "The operation is unsupported."}
}

// gone is for errors of writing an answer: nobody is there to be told.
func gone(error) error { return nil }
