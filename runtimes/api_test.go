package runtimes

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience is how long anything may take on a machine that is busy with something else.
const patience = 60 * time.Second

var shared struct {
	once sync.Once
	dir  string
	set  *Set
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.dir != "" {
		os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// hostSet is a Set of this host, the same for all tests: interpreters are looked for once.
func hostSet(t testing.TB) *Set {
	t.Helper()
	shared.once.Do(func() {
		dir, err := os.MkdirTemp("", "enfold-runtimes-*")
		if err != nil {
			t.Fatal(err)
		}
		shared.dir = dir
		shared.set = New(Options{DataDir: dir, Map: testMap()})
	})
	return shared.set
}

// testMap lets more interpreters be tested than are installed: ENFOLD_TEST_RUNTIME_MAP=nodejs24.x=/path/to/node,…
func testMap() map[string]string {
	m := map[string]string{}
	for pair := range strings.SplitSeq(os.Getenv("ENFOLD_TEST_RUNTIME_MAP"), ",") {
		if name, path, ok := strings.Cut(pair, "="); ok {
			m[name] = path
		}
	}
	return m
}

// eachRuntime runs a test for every runtime of a family that this host can serve: with processes that are launched for the
// function, and with processes that were waiting for it.
func eachRuntime(t *testing.T, f Family, test func(t *testing.T, runtime string)) {
	t.Helper()
	eachInterpreter(t, f, func(t *testing.T, runtime string) {
		for _, mode := range []string{"launched", waiting} {
			t.Run(mode, func(t *testing.T) { test(t, runtime) })
		}
	})
}

// eachInterpreter runs a test for every runtime of a family that this host can serve.
func eachInterpreter(t *testing.T, f Family, test func(t *testing.T, runtime string)) {
	t.Helper()
	some := false
	for _, r := range served {
		if r.family != f {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			if _, err := hostSet(t).interpreter(context.Background(), r); err != nil {
				t.Skip(err)
			}
			some = true
			test(t, r.name)
		})
	}
	if !some {
		t.Logf("no runtime of family %s was found: nothing of it was tested", f)
	}
}

// waiting is the name of the subtests in which start starts processes that wait for their configuration.
const waiting = "waiting"

func isWaiting(t *testing.T) bool { return slices.Contains(strings.Split(t.Name(), "/"), waiting) }

// event is what the fake Runtime API hands out.
type event struct {
	id      string
	body    string
	headers map[string]string
}

// answer is one POST that a runtime made.
type answer struct {
	path    string
	body    string
	header  http.Header
	trailer http.Header
}

// fakeAPI is a Runtime API: small, and on net/http, so that it shares no code with the one that is judged elsewhere.
type fakeAPI struct {
	*httptest.Server
	events  chan event
	answers chan answer
	stop    chan struct{}
	restore http.HandlerFunc // of restore/next
	refused atomic.Value     // the body of the event whose answer is refused
	last    atomic.Value     // the body of the last event
}

func newFakeAPI(t *testing.T) *fakeAPI {
	a := &fakeAPI{events: make(chan event), answers: make(chan answer, 16), stop: make(chan struct{})}
	a.Server = httptest.NewServer(a)
	t.Cleanup(func() {
		close(a.stop)
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

func (a *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/2018-06-01/runtime/")
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if last := a.last.Load(); last != nil && last == a.refused.Load() {
			http.Error(w, "{}", http.StatusBadRequest)
			return
		}
		a.answers <- answer{path: path, body: string(body), header: r.Header, trailer: r.Trailer}
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, `{"status":"OK"}`)
		return
	}
	if path == "restore/next" && a.restore != nil {
		a.restore(w, r)
		return
	}
	select {
	case e := <-a.events:
		a.last.Store(e.body)
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", e.id)
		h.Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(5*time.Second).UnixMilli()))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:f:live")
		h.Set("Content-Type", "application/json")
		for k, v := range e.headers {
			h.Set(k, v)
		}
		io.WriteString(w, e.body)
	case <-a.stop:
	case <-r.Context().Done():
	}
}
