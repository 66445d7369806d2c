package gateway

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/semaphore"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/sigv4"
	"github.com/enfold-run/enfold/wire"
)

// The paths that are ours and not AWS's all begin with internalPath.
const (
	internalPath = "/_enfold/"
	healthPath   = "/_enfold/health"
	metricsPath  = "/_enfold/metrics"
)

// Deps are what a Gateway needs.
type Deps struct {
	Router   *wire.Router
	Verifier *sigv4.Verifier
	Doer     aws.Doer
	Region   string       // of requests whose signature names none
	Log      *slog.Logger // nil: slog.Default
	Guard    *Guard       // against guessing; nil: one that counts nowhere

	Health       func() any              // answered as JSON to anybody
	Metrics      prometheus.Gatherer     // nil: there are none
	MetricsToken string                  // bearer token that opens the metrics to other machines; empty: none does
	Internal     map[string]http.Handler // by prefix under /_enfold/; they authenticate their own requests
	Registry     http.Handler            // what container tools find under /v2/; it authenticates its own requests; nil: there is none
}

// Gateway is the http.Handler of the AWS API. It is safe for concurrent use.
type Gateway struct {
	router   *wire.Router
	verifier *sigv4.Verifier
	guard    *Guard
	doer     aws.Doer
	region   string
	log      *slog.Logger

	health       func() any
	metrics      http.Handler
	metricsToken [sha256.Size]byte // its hash; all zero if there is none
	hasToken     bool
	internal     map[string]http.Handler
	registry     http.Handler
	unverified   *semaphore.Weighted // bytes of large bodies whose signature was not compared yet
}

// New is a Gateway.
func New(d Deps) *Gateway {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Guard == nil {
		d.Guard = NewGuard(d.Log, nil)
	}
	g := &Gateway{
		router: d.Router, verifier: d.Verifier, guard: d.Guard, doer: d.Doer, region: d.Region, log: d.Log,
		health: d.Health, internal: d.Internal, registry: d.Registry, unverified: semaphore.NewWeighted(maxUnverified),
	}
	if d.Metrics != nil {
		g.metrics = promhttp.HandlerFor(d.Metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
	}
	if d.MetricsToken != "" {
		g.metricsToken, g.hasToken = sha256.Sum256([]byte(d.MetricsToken)), true
	}
	return g
}

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w := &writer{ResponseWriter: rw}
	if r.ContentLength != 0 { // whoever answers without reading the body must not wait for it for ever
		w.readDeadline(time.Now().Add(bodyGrace))
	}
	if strings.HasPrefix(r.URL.Path, internalPath) && g.serveInternal(w, r) {
		return
	}
	if g.registry != nil && isRegistry(r) {
		r.Body = io.NopCloser(&pacedBody{w: w, body: r.Body})
		g.registry.ServeHTTP(w, r)
		return
	}
	q := &request{g: g, w: w, r: r, id: uuid.NewString()}
	defer q.recover()
	q.serve()
}

// recover turns a panic into an InternalFailure and a log line. An answer that was begun is cut off, so that the client
// sees that it is not whole.
func (q *request) recover() {
	p := recover()
	if p == nil {
		return
	}
	aborted := p == any(http.ErrAbortHandler)
	if !aborted {
		q.g.log.Error("request failed", "requestId", q.id, "method", q.r.Method, "path", q.r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	}
	if q.w.wrote || aborted {
		panic(http.ErrAbortHandler)
	}
	q.refuse(aws.ErrInternalFailure.New("The request processing has failed because of an unknown error, exception or failure."))
}

// serveInternal answers what is not AWS's, and false if it is nothing of ours either.
func (g *Gateway) serveInternal(w http.ResponseWriter, r *http.Request) bool {
	switch path := r.URL.Path; {
	case path == healthPath && g.health != nil && isGet(r):
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(g.health()) // the client is gone: nothing to be done
		return true
	case path == metricsPath && g.metrics != nil && isGet(r):
		switch err := g.mayReadMetrics(r); {
		case err == nil:
			g.metrics.ServeHTTP(w, r)
			return true
		case errors.Is(err, aws.ErrThrottling):
			wire.WriteError(w, r, uuid.NewString(), "", throttled())
			return true
		}
	}
	for prefix, h := range g.internal {
		if strings.HasPrefix(r.URL.Path, prefix) {
			h.ServeHTTP(w, r)
			return true
		}
	}
	return false
}

// isRegistry says that a request is for the registry of container images: below /v2/, and not signed as those to the AWS API.
func isRegistry(r *http.Request) bool {
	if r.URL.Path != "/v2" && !strings.HasPrefix(r.URL.Path, "/v2/") {
		return false
	}
	_, _, signed := sigv4.Scope(r)
	return !signed
}

func isGet(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }
