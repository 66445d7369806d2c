package worker

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/enfold-run/enfold/runtimeapi"
	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/sandbox"
)

// initLimit is how long the Init phase may take before it is abandoned and done again inside the invocation.
const initLimit = 10 * time.Second

// lastWords is how long what a dead process has sent may take to be read.
const lastWords = 100 * time.Millisecond

// quietLooks is how often in a row, a millisecond apart, a dead process must have no connection: its last one may not have
// been accepted yet.
const quietLooks = 5

var (
	// errExited is why a wait ends when the function's process died under it.
	errExited = errors.New("worker: the runtime exited")
	// errLost means that no process can be started in a sandbox any more.
	errLost = errors.New("worker: the sandbox is lost")
)

// environment is one sandbox with the process and the Runtime API session in it. One goroutine uses it at a time; kill and
// the goroutines of watch are the exceptions.
type environment struct {
	pool      *Pool
	function  *Function
	driver    sandbox.Driver // that made the box
	box       sandbox.Sandbox
	session   *runtimeapi.Session
	launch    runtimes.Launch
	entry     string // what the function is told was started: a path of the sandbox
	unfit     error  // why there is nothing to start
	identity  identity
	at        place
	stopAPI   func()
	log       *output
	created   time.Time
	used      time.Time
	begun     bool          // the Init phase is over, well or not
	channeled bool          // the runtime has a connection that we made
	deadline  time.Time     // of the last invocation: until then its process may take to call next
	broken    bool          // may not be used again
	of        *provision    // that it was made for; nil if it was made for an invocation
	snap      *snap         // nil without SnapStart
	ahead     time.Duration // what a provisioned sandbox's Init phase took, until its first invocation has told
	ice       ice
	pin       pin
	looks     time.Duration  // how long its runtime may look for the event after this invocation's
	watching  sync.WaitGroup // one watch for every process

	// The process of a sandbox that was claimed with it, and what it writes, until start has taken them.
	claimed    sandbox.Process
	claimedLog *os.File

	mu      sync.Mutex
	process sandbox.Process
	abort   context.CancelCauseFunc // of the running wait, set while there is one
	killed  error                   // why every wait ends at once
	mourned sandbox.Process         // the last one that died, once what it had sent was read
}

// create makes a sandbox, for of if it is not nil. A function that cannot be launched gets one too: its invocation says so, in a log stream.
func (p *Pool) create(ctx context.Context, f *Function, of *provision) (*environment, error) {
	e := &environment{pool: p, function: f, of: of}
	if f.SnapStart {
		if of == nil {
			if e := p.takeStandby(f); e != nil {
				return e, nil
			}
		}
		e.snap = &snap{token: newToken()}
	}
	return p.furnish(ctx, e)
}

// furnish makes the sandbox of an environment.
func (p *Pool) furnish(ctx context.Context, e *environment) (*environment, error) {
	f := e.function
	driver, err := p.driver(f)
	if err != nil {
		return nil, err
	}
	e.driver = driver
	launch, err := p.deps.launch(ctx, f)
	unfit := notLaunchable(err)
	if err != nil && unfit == nil {
		return nil, fmt.Errorf("prepare runtime %s: %w", f.Runtime, err)
	}
	name := newID()
	now := time.Now()
	stream := &LogStream{
		Account: f.Account, Region: f.Region, Group: f.LogGroup, Function: f.Name,
		Name: now.UTC().Format("2006/01/02/") + streamPrefix(f) + "[" + f.Version + "]" + name,
	}
	e.unfit, e.broken, e.created = unfit, unfit != nil, now
	e.at.stream, e.at.initType = stream.Name, e.initType()
	if err := e.move(ctx, spec(f, name, launch.Root), launch); err != nil {
		return nil, fmt.Errorf("create sandbox for %s: %w", f.Owner, err)
	}
	e.skate()
	e.pinnable()
	e.session = e.newSession()
	e.log = newOutput(p.deps.Logger, stream, f)
	e.log.system.initType = e.at.initType
	e.stopAPI = p.serveAPI(e.box.APIListener(), f)
	return e, nil
}

// move gets a sandbox, and an identity for it: one that waits with the runtime booted, or a new one.
func (e *environment) move(ctx context.Context, spec sandbox.Spec, launch runtimes.Launch) error {
	if e.snap != nil {
		if err := e.identify(ctx); err != nil {
			return err
		}
		return e.moveSnap(ctx, spec, launch)
	}
	if e.pool.refused.lately(e.function) { // so that not one sandbox after the other is made or taken for nothing
		if err := e.identify(ctx); err != nil {
			return err
		}
	}
	if w := e.ready(launch); w != nil {
		err := e.claim(ctx, w, spec, launch)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errMint): // nor would a new one get any
			e.pool.ready.giveUp(w)
			return err
		}
		e.pool.ready.spoilt(w, err)
	}
	spec.Mounts = append(spec.Mounts, mounts(launch)...)
	identified := make(chan error, 1)
	go func() { identified <- e.identify(ctx) }() // the sandbox mounts meanwhile
	box, err := e.driver.Create(ctx, spec)
	if err = errors.Join(err, <-identified); err != nil {
		if box != nil {
			err = errors.Join(err, box.Destroy())
		}
		return err
	}
	e.box = box
	e.settle(launch)
	return nil
}

// identify gives the environment its identity, if it has none.
func (e *environment) identify(ctx context.Context) (err error) {
	if e.identity.AccessKeyID == "" {
		e.identity, err = e.pool.mint(ctx, e.function)
		e.pool.refused.note(e.function, err)
	}
	return err
}

// ready is a sandbox that waits with the runtime booted, nil if there is none: they are all of the server's own kind.
func (e *environment) ready(launch runtimes.Launch) *waiting {
	if e.driver != e.pool.deps.Driver {
		return nil
	}
	return e.pool.ready.take(launch)
}

// claim takes a sandbox in which the runtime waits. It goes on at once: start finds it under way.
func (e *environment) claim(ctx context.Context, w *waiting, spec sandbox.Spec, launch runtimes.Launch) error {
	e.launch, e.entry = launch, launch.Args[0]
	runtime, api := e.pool.ready.driver.Endpoints()
	e.at.endpoint, e.at.path = runtime, func(target string) string { return target }
	if e.pool.deps.API != nil {
		e.at.api = "http://" + api
	}
	box, process, err := w.Claim(ctx, spec, func() (config []byte, err error) {
		if err := e.identify(ctx); err != nil {
			return nil, err
		}
		for _, v := range e.variables(launch) {
			config = append(append(config, v...), 0)
		}
		return config, nil
	})
	if err != nil {
		return err
	}
	e.box, e.claimed, e.claimedLog = box, process, w.log
	return nil
}

// initType is why there is an Init phase.
func (e *environment) initType() string {
	switch {
	case e.snap != nil:
		return snapStartInit
	case e.of != nil:
		return provisionedInit
	}
	return onDemandInit
}

// launch is how to start a Function's runtime.
func (d Deps) launch(ctx context.Context, f *Function) (runtimes.Launch, error) {
	if f.Image != nil {
		return f.Image.Launch()
	}
	return d.Runtimes.Launch(ctx, runtimes.Request{
		Runtime: f.Runtime, Task: f.Task, Layers: f.Layers, MemoryMB: f.MemoryMB, Wrapper: f.Env["AWS_LAMBDA_EXEC_WRAPPER"], Env: f.Env, SnapStart: f.SnapStart,
	})
}

// notLaunchable is err if the function is to blame for it, or this host: no bootstrap in the code, no interpreter.
func notLaunchable(err error) error {
	var entry *runtimes.EntrypointError
	var missing *runtimes.MissingError
	if errors.As(err, &entry) || errors.As(err, &missing) {
		return err
	}
	return nil
}

// streamPrefix names the function in streams of a log group that is not its own.
func streamPrefix(f *Function) string {
	if f.LogGroup == "/aws/lambda/"+f.Name {
		return ""
	}
	return f.Name
}

func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// spec is the sandbox of a Function, with an image's layers for a root or none, and without the mounts that its runtime needs. AWS gives
// one core at 1,769 MB.
func spec(f *Function, id string, root []string) sandbox.Spec {
	s := sandbox.Spec{
		ID: id, Owner: f.Owner,
		Tmp:    int64(f.TmpMB) << 20,
		Memory: int64(f.MemoryMB) << 20,
		CPU:    max(f.MemoryMB*1000/1769, 1),
	}
	if len(root) > 0 {
		s.Root = &sandbox.Root{Layers: root}
	}
	if f.Image != nil {
		return s
	}
	s.Mounts = append(s.Mounts, sandbox.Mount{Source: f.Task, Target: "/var/task"})
	for _, dir := range f.Layers {
		s.Mounts = append(s.Mounts, sandbox.Mount{Source: dir, Target: "/opt"})
	}
	return s
}

// start runs a fresh process in the sandbox and waits until its runtime asks for an event. The error is the function's,
// unless it is ours.
func (e *environment) start(ctx context.Context) error {
	if e.unfit != nil {
		return e.unfit
	}
	if err := e.refresh(ctx); err != nil {
		return err
	}
	e.pool.cores.free(e) // as AWS's init phase
	process, err := e.launched(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.process = process
	e.mu.Unlock()
	c, ok := process.(sandbox.Channeled)
	if e.channeled = ok && c.Channel() != nil; e.channeled {
		e.session.Serve(c.Channel())
	}
	e.watching.Go(func() { e.watch(process) })
	ready := e.session.WaitReady
	if e.snap != nil && e.snap.hold {
		ready = e.session.WaitHeld
	}
	if err := e.guard(ctx, ready); err != nil {
		return err
	}
	e.box.EndInit()
	e.log.drain() // what static code wrote stands before START
	return nil
}

// flushLimit is how long what a function has written may be on its way when its invocation has ended.
const flushLimit = 100 * time.Millisecond

// flush waits until what the process has written so far can be read.
func (e *environment) flush() {
	if f, ok := e.process.(sandbox.Flusher); ok {
		f.Flush(flushLimit)
	}
}

// launched starts a process, or finds the one that was claimed.
func (e *environment) launched(ctx context.Context) (sandbox.Process, error) {
	if process := e.claimed; process != nil {
		e.log.attach(e.claimedLog)
		e.claimed, e.claimedLog = nil, nil
		return process, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("%w: make log pipe: %w", errLost, err)
	}
	e.log.attach(r)
	e.session.Begin()
	process, err := e.box.Start(ctx, sandbox.Command{
		Args: e.launch.Args, Env: e.variables(e.launch), Dir: e.box.Path(cmp.Or(e.launch.Dir, "/var/task")), Stdout: w, Stderr: w, Channel: e.launch.Channel,
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errLost, err)
	}
	return process, nil
}

// refresh gives a process that is to be started new credentials if the sandbox's have grown too old for it.
func (e *environment) refresh(ctx context.Context) error {
	if e.snap != nil || !e.identity.stale(time.Now()) { // what has SnapStart gets no second process, and asks for its credentials
		return nil
	}
	id, err := e.pool.mint(ctx, e.function)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	}
	e.identity = id
	return nil
}

// ours says that an error is about the sandbox: the function has seen nothing of the event, and the caller gets the error.
func ours(err error) bool {
	return errors.Is(err, errLost) || errors.Is(err, ErrDraining) || errors.Is(err, errMint)
}

// watch ends the running wait when the process dies. What it has sent before still counts, read or not.
func (e *environment) watch(process sandbox.Process) {
	<-process.Done()
	begun := time.Now()
	for quiet := 0; quiet < quietLooks && time.Since(begun) < lastWords; quiet++ {
		if e.session.Connected() {
			quiet = 0
		}
		time.Sleep(time.Millisecond)
	}
	e.mu.Lock()
	e.mourned = process
	if e.process == process && e.abort != nil {
		e.abort(errExited)
	}
	e.mu.Unlock()
	if e.of != nil {
		e.pool.died(e)
	}
}

// kill ends every wait with cause, from any goroutine. Whoever uses the sandbox gives it back then.
func (e *environment) kill(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.killed = cause
	if e.abort != nil {
		e.abort(cause)
	}
}

// guard runs wait with a context that also ends when the process dies, with errExited, or with the cause of kill.
func (e *environment) guard(ctx context.Context, wait func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.mu.Lock()
	e.abort = cancel
	killed, gone := e.killed, e.process == nil || e.process == e.mourned // one that has just died is watch's
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.abort = nil
		e.mu.Unlock()
	}()
	switch {
	case killed != nil:
		cancel(killed)
	case gone:
		cancel(errExited)
	}
	err := wait(ctx)
	if err == nil || ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	if cause := context.Cause(ctx); errors.Is(cause, errExited) || errors.Is(cause, ErrDraining) {
		return cause
	}
	return ctx.Err()
}

// alive says whether the process runs.
func (e *environment) alive() bool {
	if e.process == nil {
		return false
	}
	select {
	case <-e.process.Done():
		return false
	default:
		return true
	}
}

// died waits a moment for the death of a process that has cut its connection, and says whether it came.
func (e *environment) died() bool {
	select {
	case <-e.process.Done():
		return true
	case <-time.After(lastWords):
		return false
	}
}

// halt kills the process and everything it started, if it still runs; the next invocation starts a fresh one. /tmp stays.
func (e *environment) halt() {
	if e.process == nil {
		return
	}
	e.process.Kill()
	<-e.process.Done()
	e.log.finish()
	e.mu.Lock()
	e.process = nil
	e.mu.Unlock()
}

// destroy ends the sandbox. AWS kills a runtime without extensions at once, with no signal before. Its connections outlive
// it, so that it does not log their loss.
func (e *environment) destroy() {
	if err := e.box.Destroy(); err != nil {
		e.pool.deps.Log.Error("destroy sandbox", "owner", e.function.Owner, "error", err)
	}
	e.stopAPI()
	if err := e.session.Close(); err != nil {
		e.pool.deps.Log.Error("close Runtime API", "owner", e.function.Owner, "error", err)
	}
	e.watching.Wait()
	if e.claimedLog != nil {
		e.claimedLog.Close() // nobody has started it
	}
	e.log.close()
}
