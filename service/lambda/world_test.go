package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
	"github.com/enfold-run/enfold/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = "123456789012"
	region  = "eu-west-1"
	role    = "arn:aws:iam::123456789012:role/lambda"
	fnArn   = "arn:aws:lambda:eu-west-1:123456789012:function:"
	lyArn   = "arn:aws:lambda:eu-west-1:123456789012:layer:"
)

// world is a service on a real store, with the pool and the runtimes of the host played by the test.
type world struct {
	*Service
	t     testing.TB
	ctx   context.Context // a call of the account's root user
	store store.Store
	data  string // the service's DataDir
	dir   string // the store's
	pool  *pool
	host  *host
	roles *roles
	kms   *kms
	// images has the images of the host, nil for a host without; it counts from the next open on.
	images Images
	root   *seal.Root
	snaps  Snapshots // nil: no SnapStart
	// isolates counts from the next open on; nil for a host that can all.
	isolates func(tier string) error
	stop     func()

	outbox *event.Outbox
}

func newWorld(t testing.TB) *world {
	root, err := seal.NewRoot(bytes.Repeat([]byte{7}, seal.RootSize))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, data: t.TempDir(), dir: t.TempDir(), pool: &pool{}, host: &host{missing: map[string]string{}},
		roles: &roles{}, kms: &kms{key: root.Key("a customer's key")}, root: root,
	}
	w.ctx = callIn(account, region)
	w.open()
	t.Cleanup(w.close)
	return w
}

func callIn(account, region string) context.Context {
	return aws.WithCall(context.Background(), &aws.Call{
		Account: account, Region: region, Principal: aws.RootOf(account, ""), BaseURL: "http://host",
	})
}

// open opens the store and starts the service.
func (w *world) open() {
	w.t.Helper()
	db, err := sqlite.Open(context.Background(), w.dir, sqlite.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store, w.outbox = db, event.NewOutbox(w.root.Key("event"), nil)
	w.Service, err = New(Deps{
		Store: db, DataDir: w.data, Runtimes: w.host, Runner: w.pool, Snapshots: w.snaps, Seal: w.root.Key("lambda"), Outbox: w.outbox,
		Roles: w.roles, KMS: w.kms, Images: w.images, CanIsolate: w.isolates, Log: slog.New(slog.DiscardHandler),
		CodeURL: func(_ context.Context, blob string) string { return "http://host/code/" + blob },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		if err := w.Close(); err != nil {
			w.t.Error(err)
		}
		if err := db.Close(); err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) close() { w.stop() }

// lastTrace is the trace header that the last run got.
func (w *world) lastTrace() string {
	w.pool.mu.Lock()
	defer w.pool.mu.Unlock()
	return w.pool.trace
}

// call is the call in a context.
func call(ctx context.Context) *aws.Call { return aws.CallFrom(ctx) }

// restart is what a crash and a new process are to the rows: nothing is finished that was not stored.
func (w *world) restart() {
	w.t.Helper()
	w.close()
	w.open()
}

// host plays the host's runtimes.
type host struct {
	mu      sync.Mutex
	missing map[string]string // runtime -> why it is
	gate    chan struct{}     // if set, Check waits until it is closed
}

func (h *host) Check(ctx context.Context, runtime string) error {
	h.mu.Lock()
	why, gate := h.missing[runtime], h.gate
	h.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if why != "" {
		return fmt.Errorf("%s", why)
	}
	return nil
}

// hold makes every activation wait until release is called.
func (h *host) hold() (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	gate := make(chan struct{})
	h.gate = gate
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.gate = nil
		close(gate)
	})
}

func (h *host) lose(runtime, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missing[runtime] = why
}

func (h *host) install(runtime string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.missing, runtime)
}

// pool plays the worker: it remembers what was retired, and runs nothing but run.
type pool struct {
	mu      sync.Mutex
	retired []string
	trace   string // of the last request
	run     func(f *worker.Function, r *worker.Request) (*worker.Response, error)

	wanted   map[string]int // by key, as Provision said
	short    int            // how many of the wanted ones are not there yet
	broken   error          // why
	expected []*worker.Function
}

func (p *pool) Run(_ context.Context, f *worker.Function, r *worker.Request) (*worker.Response, error) {
	p.mu.Lock()
	p.trace = r.TraceID
	p.mu.Unlock()
	if p.run != nil {
		return p.run(f, r)
	}
	return &worker.Response{Payload: []byte("null")}, nil
}

func (p *pool) Retire(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = append(p.retired, key)
}

func (p *pool) Provision(f *worker.Function, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted == nil {
		p.wanted = map[string]int{}
	}
	if p.wanted[f.Key] = n; n == 0 {
		delete(p.wanted, f.Key)
	}
}

func (p *pool) Provisioned(key string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.wanted[key]-p.short), p.broken
}

func (p *pool) Expect(f *worker.Function) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, f)
}

func (p *pool) gone(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.retired, key)
}

// must fails the test for an error.
func must[T any](out T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// simple is a valid CreateFunction; change may change it.
func (w *world) simple(name string, change ...func(*api.CreateFunctionInput)) *api.CreateFunctionInput {
	in := &api.CreateFunctionInput{
		FunctionName: &name, Runtime: new(api.RuntimePython312), Handler: new("index.handler"), Role: new(role),
		Code: &api.FunctionCode{ZipFile: archive(w.t, part{name: "index.py", body: "# " + name})},
	}
	for _, c := range change {
		c(in)
	}
	return in
}

// create makes a function and waits until it is Active.
func (w *world) create(name string, change ...func(*api.CreateFunctionInput)) {
	w.t.Helper()
	must(w.CreateFunction(w.ctx, w.simple(name, change...)))(w.t)
	w.wait(name)
}

// wait waits until nothing of a function is Pending or InProgress, and answers $LATEST.
func (w *world) wait(name string) *api.FunctionConfiguration {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		all, err := w.versions(name)
		if err != nil {
			w.t.Fatal(err)
		}
		if !slices.ContainsFunc(all, func(v version) bool { return v.unsettled() }) {
			return must(w.GetFunctionConfiguration(w.ctx, &api.GetFunctionConfigurationInput{FunctionName: &name}))(w.t)
		}
	}
	w.t.Fatalf("%s does not settle", name)
	return nil
}

func (w *world) versions(name string) (all []version, err error) {
	err = w.store.View(w.ctx, func(tx store.Tx) (err error) {
		all, err = collect(versions.Scan(tx, store.Scope{Account: account, Region: region}, store.Range{Prefix: store.Prefix(name)}))
		return err
	})
	return all, err
}

// publish publishes a version whose description makes it differ from the one before.
func (w *world) publish(name, description string) string {
	w.t.Helper()
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
		FunctionName: &name, Description: &description,
	}))(w.t)
	w.wait(name)
	return *must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: &name}))(w.t).Version
}

func (w *world) layer(name string, parts ...part) string {
	w.t.Helper()
	if len(parts) == 0 {
		parts = []part{{name: "python/x.py", body: name}}
	}
	out := must(w.PublishLayerVersion(w.ctx, &api.PublishLayerVersionInput{
		LayerName: &name, Content: &api.LayerVersionContentInput{ZipFile: archive(w.t, parts...)},
	}))(w.t)
	return *out.LayerVersionArn
}

// blobs counts the blobs of the store.
func (w *world) blobs() int {
	n := 0
	for _, err := range w.store.Blobs().All() {
		if err != nil {
			w.t.Fatal(err)
		}
		n++
	}
	return n
}

// toJSON is what the wire makes of an output, with what differs every time replaced by its kind.
func toJSON(t testing.TB, out any) string {
	t.Helper()
	b, err := json.MarshalIndent(members(reflect.ValueOf(out)), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	aRevision = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	aDate     = regexp.MustCompile(`^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$`)
	aRuntime  = regexp.MustCompile(`^arn:aws:lambda:eu-west-1::runtime:[0-9a-f]{64}$`)
)

func members(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return members(v.Elem())
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok {
			return at.IsZero()
		}
		m := map[string]any{}
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("wire"), ",")
			if f := v.Field(i); !f.IsNil() {
				m[name] = members(f)
			}
		}
		return m
	case reflect.Slice:
		list := []any{}
		for i := range v.Len() {
			list = append(list, members(v.Index(i)))
		}
		return list
	case reflect.Map:
		m := map[string]any{}
		for k, e := range v.Seq2() {
			m[k.String()] = members(e)
		}
		return m
	case reflect.String:
		return placeholder(v.String())
	}
	return v.Interface()
}

func placeholder(s string) string {
	switch {
	case aRevision.MatchString(s):
		return "<revision>"
	case aDate.MatchString(s):
		return "<date>"
	case aRuntime.MatchString(s):
		return "<runtime version>"
	case strings.HasPrefix(s, "http://host/code/") && len(s) > len("http://host/code/"):
		return "<link>"
	}
	if b, err := base64.StdEncoding.DecodeString(s); err == nil && len(b) == 32 {
		return "<sha256>"
	}
	return s
}

// sameJSON compares an output with its JSON. Members of change replace those of want; null removes one.
func sameJSON(t testing.TB, out any, want string, change ...string) {
	t.Helper()
	var w map[string]any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		var m map[string]any
		if err := json.Unmarshal([]byte(c), &m); err != nil {
			t.Fatal(err)
		}
		maps.Copy(w, m)
	}
	maps.DeleteFunc(w, func(_ string, v any) bool { return v == nil })
	b, err := json.MarshalIndent(w, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if got := toJSON(t, out); got != string(b) {
		t.Errorf("got  %s\nwant %s", got, b)
	}
}
