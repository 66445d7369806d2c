package gateway

import (
	"container/list"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/sigv4"
)

const (
	// A source may fail to authenticate maxFailures times at once and failureRate times a second.
	maxFailures = 100
	failureRate = 10.0

	maxSources  = 4096 // that are remembered; the one that failed longest ago goes first
	maxReported = 20   // lines in the log for sources new to it, and as many for the others, each reportEvery
	reportEvery = time.Minute
)

// Guard counts who fails to authenticate, by source: an IPv4 address, an IPv6 network of 64 bits. A source beyond its limit
// is suspect. What it sends is still verified, so that guessing locks nobody else out behind the same address, but all that
// fails is answered the same, Throttling, whether the key was wrong or the signature; and all suspects together take half of
// the processors at most. It is safe for concurrent use.
type Guard struct {
	log     *slog.Logger
	lane    *semaphore.Weighted // of suspects
	known   atomic.Int64        // len(sources), to be read without the lock: mostly nobody failed lately
	refused *prometheus.CounterVec

	mu      sync.Mutex
	sources map[netip.Prefix]*list.Element
	recent  list.List // of *source, whoever failed last in front
	ticking bool      // report will run
	lines   int       // in the log since it ran
}

// source is who failed lately.
type source struct {
	prefix netip.Prefix
	left   float64 // failures it may still have, as of at
	at     time.Time
	count  int    // failures beyond the limit since the last line in the log
	warned bool   // there was a line already
	keyID  string // access key that was tried last
}

// NewGuard is a Guard that logs to log, slog.Default if nil, and counts in metrics, nowhere if nil.
func NewGuard(log *slog.Logger, metrics prometheus.Registerer) *Guard {
	if log == nil {
		log = slog.Default()
	}
	g := &Guard{
		log: log, lane: semaphore.NewWeighted(int64(max(1, runtime.GOMAXPROCS(0)/2))), sources: map[netip.Prefix]*list.Element{},
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "enfold_authentication_failures_total",
			Help: "Requests whose access key, signature, session token or metrics token was wrong.",
		}, []string{"throttled"}),
	}
	if metrics != nil {
		metrics.MustRegister(g.refused)
	}
	return g
}

// Verify is v.Verify for handlers of their own: what fails counts for the source of r.
func (g *Guard) Verify(v *sigv4.Verifier, r *http.Request, body []byte) (id *sigv4.Identity, err error) {
	err = g.check(r, func() error {
		id, err = v.Verify(r, body)
		return err
	})
	return id, err
}

// Check runs a step of authentication of handlers of their own that is none of sigv4's. An error with sigv4.ErrRefused in its chain
// counts for the source of r, and for a suspect is an ErrThrottling.
func (g *Guard) Check(r *http.Request, step func() error) error { return g.check(r, step) }

// check runs a step of authentication. A failure counts if it tried a key, and for a suspect is an ErrThrottling.
func (g *Guard) check(r *http.Request, step func() error) error {
	if g.known.Load() > 0 && g.isSuspect(r.RemoteAddr) {
		if err := g.lane.Acquire(r.Context(), 1); err != nil {
			return throttled()
		}
		defer g.lane.Release(1)
	}
	return g.judge(r, step())
}

// judge counts the error of a step of authentication and answers what the client gets. It is for steps that may wait for
// others: these must not have suspects wait for them.
func (g *Guard) judge(r *http.Request, err error) error {
	if err != nil && errors.Is(err, sigv4.ErrRefused) && g.failed(r.RemoteAddr, accessKeyID(r)) {
		return throttled()
	}
	return err
}

func throttled() *aws.Error { return aws.ErrThrottling.New("Rate exceeded") }

// isSuspect says that a source is beyond its limit.
func (g *Guard) isSuspect(addr string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.sources[sourceOf(addr)]
	return e != nil && e.Value.(*source).refill(time.Now()) < 1
}

// failed counts a failure and says whether the source is beyond its limit.
func (g *Guard) failed(addr, keyID string) (beyond bool) {
	s, beyond, log := g.count(sourceOf(addr), keyID)
	g.refused.WithLabelValues(strconv.FormatBool(beyond)).Inc()
	if log {
		g.warn(s)
	}
	return beyond
}

// count answers the source, whether it is beyond its limit, and whether the log should have that now.
func (g *Guard) count(p netip.Prefix, keyID string) (line source, beyond, log bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.source(p)
	if s.refill(time.Now()) >= 1 {
		s.left--
		return source{}, false, false
	}
	s.count++
	s.keyID = keyID
	if s.warned || g.lines >= maxReported {
		return source{}, true, false
	}
	g.lines++
	return s.line(), true, true
}

// source is the entry of a source, made if it is not there.
func (g *Guard) source(p netip.Prefix) *source {
	if e := g.sources[p]; e != nil {
		g.recent.MoveToFront(e)
		return e.Value.(*source)
	}
	if len(g.sources) >= maxSources {
		g.forget(g.recent.Back())
	}
	s := &source{prefix: p, left: maxFailures, at: time.Now()}
	g.sources[p] = g.recent.PushFront(s)
	g.known.Store(int64(len(g.sources)))
	if !g.ticking {
		g.ticking = true
		time.AfterFunc(reportEvery, g.report)
	}
	return s
}

func (g *Guard) forget(e *list.Element) {
	delete(g.sources, e.Value.(*source).prefix)
	g.recent.Remove(e)
	g.known.Store(int64(len(g.sources)))
}

// report logs who went on in the last minute and forgets who did not. It runs as long as there is somebody.
func (g *Guard) report() {
	lines, others, failures := g.sweep()
	for _, s := range lines {
		g.warn(s)
	}
	if others > 0 {
		g.log.Warn("authentication failures beyond the limit, from further sources", "sources", others, "failures", failures)
	}
}

// sweep answers the lines for the log, and how many sources with how many failures have none.
func (g *Guard) sweep() (lines []source, others, failures int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.lines = 0
	for e := g.recent.Front(); e != nil; {
		s, next := e.Value.(*source), e.Next()
		switch {
		case s.count > 0 && len(lines) < maxReported:
			lines = append(lines, s.line())
		case s.count > 0:
			others, failures = others+1, failures+s.line().count
		}
		if s.refill(now) >= maxFailures {
			g.forget(e)
		}
		e = next
	}
	if g.ticking = len(g.sources) > 0; g.ticking {
		time.AfterFunc(reportEvery, g.report)
	}
	return lines, others, failures
}

// line is the source as its line in the log has it. It counts anew from here.
func (s *source) line() source {
	line := *s
	s.count, s.warned = 0, true
	return line
}

// warn writes the line of a source: at its first failure beyond the limit, then once a minute.
func (g *Guard) warn(s source) {
	g.log.Warn("authentication failures beyond the limit", "source", s.prefix.String(), "failures", s.count, "accessKeyId", s.keyID)
}

// refill is what a source has left now.
func (s *source) refill(now time.Time) float64 {
	s.left = min(maxFailures, s.left+failureRate*max(0, now.Sub(s.at).Seconds()))
	s.at = now
	return s.left
}

// sourceOf is the network that an address counts for. All that have no address, as those of a socket in the file system,
// are one.
func sourceOf(addr string) netip.Prefix {
	ip, err := netip.ParseAddr(hostname(addr))
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // of that many bits every address has one
	return p
}

// accessKeyID is the access key that a request names, for the log. What does not look like one, as a secret that somebody
// mistook for it, is not shown.
func accessKeyID(r *http.Request) string {
	id := sigv4.ClaimedKey(r)
	if len(id) < 16 || len(id) > 32 {
		return "?"
	}
	for _, c := range []byte(id) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return "?"
		}
	}
	return id
}
