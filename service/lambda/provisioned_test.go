package lambda

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/worker"
)

func (w *world) provision(name, qualifier string, n int) error {
	_, err := w.PutProvisionedConcurrencyConfig(w.ctx, &api.PutProvisionedConcurrencyConfigInput{
		FunctionName: &name, Qualifier: &qualifier, ProvisionedConcurrentExecutions: &n,
	})
	return err
}

func (w *world) unprovision(name, qualifier string) error {
	_, err := w.DeleteProvisionedConcurrencyConfig(w.ctx, &api.DeleteProvisionedConcurrencyConfigInput{FunctionName: &name, Qualifier: &qualifier})
	return err
}

func (w *world) allocated(name, qualifier string) (*api.GetProvisionedConcurrencyConfigOutput, error) {
	return w.GetProvisionedConcurrencyConfig(w.ctx, &api.GetProvisionedConcurrencyConfigInput{FunctionName: &name, Qualifier: &qualifier})
}

// alias makes an alias, or moves it. other is a second version, with its weight.
func (w *world) alias(name, alias, version, other string, weight float64) error {
	routing := &api.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{}}
	if other != "" {
		routing.AdditionalVersionWeights[other] = weight
	}
	_, err := w.CreateAlias(w.ctx, &api.CreateAliasInput{FunctionName: &name, Name: &alias, FunctionVersion: &version, RoutingConfig: routing})
	if errors.As(err, new(*aws.Error)) && strings.Contains(err.Error(), "already exists") {
		_, err = w.UpdateAlias(w.ctx, &api.UpdateAliasInput{FunctionName: &name, Name: &alias, FunctionVersion: &version, RoutingConfig: routing})
	}
	return err
}

// kept is how many of each version of a function the worker was told to provision: "1:3 2:1".
func (w *world) kept() string {
	w.pool.mu.Lock()
	defer w.pool.mu.Unlock()
	var all []string
	for key, n := range w.pool.wanted {
		parts := strings.Split(key, "/")
		all = append(all, fmt.Sprintf("%s:%s:%d", parts[2], parts[3], n))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// keeps waits until the worker was told that, and nothing else.
func (w *world) keeps(want string) {
	w.t.Helper()
	w.eventually("the worker keeps "+want, func() bool { return w.kept() == want })
}

func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if is() {
			return
		}
	}
	w.t.Fatalf("not in a minute: %s; the worker keeps %q", what, w.kept())
}

// status is "READY 3 of 3", with the reason if there is one.
func (w *world) status(name, qualifier string) string {
	w.t.Helper()
	out := must(w.allocated(name, qualifier))(w.t)
	if *out.AllocatedProvisionedConcurrentExecutions != *out.AvailableProvisionedConcurrentExecutions {
		w.t.Errorf("%d are allocated and %d available", *out.AllocatedProvisionedConcurrentExecutions, *out.AvailableProvisionedConcurrentExecutions)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %d of %d %s", *out.Status, *out.AllocatedProvisionedConcurrentExecutions,
		*out.RequestedProvisionedConcurrentExecutions, str(out.StatusReason)))
}

func (w *world) statusIs(name, qualifier, want string) {
	w.t.Helper()
	w.eventually(name+":"+qualifier+" is "+want, func() bool { return w.status(name, qualifier) == want })
}

func (p *pool) set(short int, broken error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.short, p.broken = short, broken
}

// twoVersions is a function f with the versions 1 and 2 and the alias live of 1.
func twoVersions(t *testing.T) *world {
	w := newWorld(t)
	w.create("f", func(in *api.CreateFunctionInput) { in.Publish = new(true) })
	w.publish("f", "second")
	if err := w.alias("f", "live", "1", "", 0); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestProvisionedConcurrency(t *testing.T) {
	w := twoVersions(t)
	w.pool.set(3, nil)
	out := must(w.PutProvisionedConcurrencyConfig(w.ctx, &api.PutProvisionedConcurrencyConfigInput{
		FunctionName: new("f"), Qualifier: new("1"), ProvisionedConcurrentExecutions: new(3),
	}))(t)
	if _, err := time.Parse(provisionedDate, *out.LastModified); err != nil || !strings.HasSuffix(*out.LastModified, "+0000") {
		t.Errorf("LastModified is %s: %v", *out.LastModified, err)
	}
	modified := out.LastModified
	out.LastModified = nil
	sameJSON(t, out, `{"RequestedProvisionedConcurrentExecutions": 3, "AvailableProvisionedConcurrentExecutions": 0,
		"AllocatedProvisionedConcurrentExecutions": 0, "Status": "IN_PROGRESS"}`)
	w.keeps("f:1:3")
	w.statusIs("f", "1", "IN_PROGRESS 0 of 3")
	w.pool.set(1, nil)
	w.statusIs("f", "1", "IN_PROGRESS 2 of 3")
	w.pool.set(1, fmt.Errorf("%w: error Runtime.ExitError", worker.ErrInit))
	w.statusIs("f", "1", "FAILED 2 of 3 FUNCTION_ERROR_INIT_FAILURE")
	w.pool.set(1, fmt.Errorf("no: %w", worker.ErrRole))
	w.statusIs("f", "1", "FAILED 2 of 3 The role defined for the function cannot be assumed by Lambda.")
	w.pool.set(1, worker.ErrFull)
	w.statusIs("f", "1", "FAILED 2 of 3 As many execution environments exist on this host as there may be.")
	w.pool.set(0, nil)
	w.statusIs("f", "1", "READY 3 of 3")
	if got := must(w.allocated("f", "1"))(t).LastModified; *got != *modified {
		t.Errorf("LastModified has changed from %s to %s", *modified, *got)
	}
	if err := w.provision("f", "1", 1); err != nil {
		t.Fatal(err)
	}
	w.keeps("f:1:1")
	for range 2 {
		if err := w.unprovision("f", "1"); err != nil {
			t.Fatal(err)
		}
	}
	w.keeps("")
	if _, err := w.allocated("f", "1"); coded(err) != "404 ProvisionedConcurrencyConfigNotFoundException: No Provisioned Concurrency Config found for this function" {
		t.Error(coded(err))
	}
}

// TestProvisionedErrors holds the service against what AWS was recorded to answer.
func TestProvisionedErrors(t *testing.T) {
	w := twoVersions(t)
	w.create("g", func(in *api.CreateFunctionInput) { in.Publish = new(true) })
	for _, a := range []struct{ name, version, other string }{{"both", "1", "2"}, {"newest", latest, ""}} {
		if err := w.alias("f", a.name, a.version, a.other, 0.5); err != nil {
			t.Fatal(err)
		}
	}
	put := func(name, q string, n int) func() error { return func() error { return w.provision(name, q, n) } }
	get := func(name, q string) func() error {
		return func() error { _, err := w.allocated(name, q); return err }
	}
	del := func(name, q string) func() error { return func() error { return w.unprovision(name, q) } }
	list := func(name string) func() error {
		return func() error {
			_, err := w.ListProvisionedConcurrencyConfigs(w.ctx, &api.ListProvisionedConcurrencyConfigsInput{FunctionName: &name})
			return err
		}
	}
	reserve := func(name string, n int) func() error {
		return func() error {
			_, err := w.PutFunctionConcurrency(w.ctx, &api.PutFunctionConcurrencyInput{FunctionName: &name, ReservedConcurrentExecutions: &n})
			return err
		}
	}
	move := func(alias, version, other string) func() error {
		return func() error { return w.alias("f", alias, version, other, 0.5) }
	}
	const (
		unpublished = "400 InvalidParameterValueException: Provisioned Concurrency Configs cannot be applied to unpublished function versions."
		neither     = "400 InvalidParameterValueException: The function resource provided must be an alias or a published version."
		twice       = "409 ResourceConflictException: Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
		pointed     = "409 ResourceConflictException: Version is pointed by a Provisioned Concurrency alias"
		noFunction  = "404 ResourceNotFoundException: Function not found: " + fnArn
		noAlias     = "404 ResourceNotFoundException: Cannot find alias arn: " + fnArn
		none        = "404 ProvisionedConcurrencyConfigNotFoundException: No Provisioned Concurrency Config found for this function"
		toReserved  = "400 InvalidParameterValueException: Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
		ok          = "<nil>"
	)
	for _, step := range []struct {
		name string
		do   func() error
		want string
	}{
		{"none", put("f", "1", 0), "400 ValidationException: 1 validation error detected: Value '0' at 'provisionedConcurrentExecutions' " +
			"failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"$LATEST", put("f", latest, 1), unpublished},
		{"an alias of $LATEST", put("f", "newest", 1), unpublished},
		{"no such function", put("none", "1", 1), noFunction + "none:1"},
		{"no such version", put("f", "10", 1), noFunction + "f:10"},
		{"no such alias", put("f", "doesnotexist", 1), noAlias + "f:doesnotexist"},
		{"get $LATEST", get("f", latest), neither},
		{"get no such function", get("none", "noalias"), noAlias + "none:noalias"},
		{"get no such version", get("f", "10"), noFunction + "f:10"},
		{"get what is not there", get("f", "1"), none},
		{"delete $LATEST", del("f", latest), neither},
		{"delete no such alias", del("f", "noalias"), noAlias + "f:noalias"},
		{"delete what is not there", del("f", "1"), ok},
		{"list no such function", list("none"), noFunction + "none"},
		{"list a version", list("f:1"), coded(errUnqualified)},

		{"more than the account has", put("f", "1", 1001), "400 InvalidParameterValueException: " +
			"Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000]."},
		{"more than the account gives", put("f", "1", 901), "400 InvalidParameterValueException: Specified ConcurrentExecutions for function " +
			"decreases account's UnreservedConcurrentExecution below its minimum value of [100]."},
		{"all that the account gives", put("f", "1", 900), ok},
		{"nothing is left", put("g", "1", 1), "400 InvalidParameterValueException: Specified ConcurrentExecutions for function " +
			"decreases account's UnreservedConcurrentExecution below its minimum value of [100]."},
		{"nothing to reserve", reserve("g", 1), "400 InvalidParameterValueException: Specified ReservedConcurrentExecutions for function " +
			"decreases account's UnreservedConcurrentExecution below its minimum value of [100]."},
		{"as much again, which is its own", put("f", "1", 900), ok},
		{"less", put("f", "1", 2), ok},

		{"the version's alias", put("f", "live", 1), twice},
		{"an alias that has it as its second", put("f", "both", 1), twice},
		{"less reserved than provisioned", reserve("f", 1), "400 InvalidParameterValueException:  ReservedConcurrentExecutions  1 " +
			"should not be lower than function's total provisioned concurrency [2]."},
		{"as much reserved as provisioned", reserve("f", 2), ok},
		{"more than reserved", put("f", "1", 3), toReserved},
		{"of another version, together more than reserved", put("f", "2", 1), toReserved},
		{"more reserved", reserve("f", 5), ok},
		{"of another version, together as much as reserved", put("f", "2", 3), ok},
		{"delete", del("f", "1"), ok},
		{"the alias of a version without", put("f", "live", 1), ok},
		{"a version that an alias has", put("f", "1", 1), pointed},
		{"the alias to a version that has its own", move("live", "2", ""), twice},
		{"the alias to such a version as its second", move("live", "1", "2"), twice},
		{"the alias to $LATEST", move("live", latest, ""), unpublished},
		{"delete the other version's", del("f", "2"), ok},
		{"the alias to two versions", move("live", "1", "2"), ok},
		{"its second version", put("f", "2", 1), pointed},
		{"two aliases of the same versions", put("f", "both", 1), ok},
		{"the function by its ARN", get(fnArn+"f", "both"), ok},
		{"the alias in its ARN", get(fnArn+"f:both", "both"), ok},
		{"another alias in its ARN", get(fnArn+"f:both", "live"), "400 InvalidParameterValueException: " +
			"The derived qualifier from the function name does not match the specified qualifier."},
	} {
		if got := coded(step.do()); got != step.want {
			t.Errorf("%s:\n%s\nwant\n%s", step.name, got, step.want)
		}
	}
}

// An alias takes its provisioned concurrency along, and shares it between two versions by their weights.
func TestProvisionedAlias(t *testing.T) {
	w := twoVersions(t)
	for _, step := range []struct {
		name string
		do   func() error
		want string
	}{
		{"provisioned", func() error { return w.provision("f", "live", 10) }, "f:1:10"},
		{"moved", func() error { return w.alias("f", "live", "2", "", 0) }, "f:2:10"},
		{"moving on", func() error { return w.alias("f", "live", "2", "1", 0.3) }, "f:1:3 f:2:7"},
		{"one at least", func() error { return w.alias("f", "live", "2", "1", 0.01) }, "f:1:1 f:2:9"},
		{"none", func() error { return w.alias("f", "live", "2", "1", 0) }, "f:2:10"},
		{"one at least of the first", func() error { return w.alias("f", "live", "2", "1", 0.99) }, "f:1:9 f:2:1"},
		{"one has no half", func() error { return w.provision("f", "live", 1) }, "f:1:1"},
		{"another alias", func() error { return w.alias("f", "beta", "1", "", 0) }, "f:1:1"},
		{"which has some too", func() error { return w.provision("f", "beta", 4) }, "f:1:5"},
		{"deleted alias", func() error {
			_, err := w.DeleteAlias(w.ctx, &api.DeleteAliasInput{FunctionName: new("f"), Name: new("live")})
			return err
		}, "f:1:4"},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		w.keeps(step.want)
	}
	w.pool.set(1, nil)
	if err := w.alias("f", "alpha", "1", "", 0); err != nil {
		t.Fatal(err)
	}
	if err := w.provision("f", "alpha", 2); err != nil {
		t.Fatal(err)
	}
	w.keeps("f:1:6")
	w.statusIs("f", "alpha", "READY 2 of 2")
	w.statusIs("f", "beta", "IN_PROGRESS 3 of 4")
	var all []string
	in := &api.ListProvisionedConcurrencyConfigsInput{FunctionName: new("f"), MaxItems: new(1)}
	for {
		out := must(w.ListProvisionedConcurrencyConfigs(w.ctx, in))(t)
		for _, c := range out.ProvisionedConcurrencyConfigs {
			all = append(all, fmt.Sprint(strings.TrimPrefix(*c.FunctionArn, fnArn), *c.RequestedProvisionedConcurrentExecutions,
				*c.AllocatedProvisionedConcurrentExecutions, *c.AvailableProvisionedConcurrentExecutions, *c.Status, *c.LastModified != ""))
		}
		if in.Marker = out.NextMarker; in.Marker == nil {
			break
		}
	}
	if got, want := strings.Join(all, ", "), "f:alpha2 2 2READYtrue, f:beta4 3 3IN_PROGRESStrue"; got != want {
		t.Errorf("listed %s, want %s", got, want)
	}
}

// What is provisioned ends with what it is of, is there again after a restart, and is off the account's books when it ends.
func TestProvisionedEnds(t *testing.T) {
	w := twoVersions(t)
	w.create("g", func(in *api.CreateFunctionInput) { in.Publish = new(true) })
	for name, n := range map[string]int{"f:2": 3, "f:live": 4, "g:1": 5} {
		function, q, _ := strings.Cut(name, ":")
		if err := w.provision(function, q, n); err != nil {
			t.Fatal(err)
		}
	}
	left := func(want int) {
		t.Helper()
		got := must(w.GetAccountSettings(w.ctx, &api.GetAccountSettingsInput{}))(t).AccountLimit.UnreservedConcurrentExecutions
		if *got != want {
			t.Errorf("unreserved: %d, want %d", *got, want)
		}
	}
	w.keeps("f:1:4 f:2:3 g:1:5")
	left(988)
	w.pool.mu.Lock()
	clear(w.pool.wanted) // as the pool of a new process
	w.pool.mu.Unlock()
	w.restart()
	w.keeps("f:1:4 f:2:3 g:1:5")
	w.statusIs("f", "live", "READY 4 of 4")

	must(w.PutFunctionConcurrency(w.ctx, &api.PutFunctionConcurrencyInput{FunctionName: new("f"), ReservedConcurrentExecutions: new(20)}))(t)
	left(975)
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f:2")}))(t)
	w.keeps("f:1:4 g:1:5")
	left(975)
	must(w.DeleteFunctionConcurrency(w.ctx, &api.DeleteFunctionConcurrencyInput{FunctionName: new("f")}))(t)
	left(991)
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f")}))(t)
	w.keeps("g:1:5")
	left(995)
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("g")}))(t)
	w.keeps("")
	left(1000)
	err := w.store.View(w.ctx, func(tx store.Tx) error {
		rows, err := everyProvisioned(tx)
		if len(rows) > 0 {
			t.Errorf("rows are left: %v", rows)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if told := w.keeper.all(); len(told) > 0 {
		t.Errorf("what the worker was told of deleted functions is remembered: %v", slices.Collect(maps.Keys(told)))
	}
}

// A version that is still Pending, or has failed, is provisioned as soon as it can be.
func TestProvisionedPending(t *testing.T) {
	w := newWorld(t)
	release := w.host.hold()
	must(w.CreateFunction(w.ctx, w.simple("f", func(in *api.CreateFunctionInput) { in.Publish = new(true) })))(t)
	if err := w.provision("f", "1", 2); err != nil {
		t.Fatal(err)
	}
	w.statusIs("f", "1", "IN_PROGRESS 0 of 2")
	release()
	w.keeps("f:1:2")
	w.statusIs("f", "1", "READY 2 of 2")

	w.host.lose(api.RuntimeRuby33, "there is no Ruby")
	must(w.CreateFunction(w.ctx, w.simple("g", func(in *api.CreateFunctionInput) { in.Publish, in.Runtime = new(true), new(api.RuntimeRuby33) })))(t)
	w.wait("g")
	if err := w.provision("g", "1", 2); err != nil {
		t.Fatal(err)
	}
	w.statusIs("g", "1", "FAILED 0 of 2 The operation cannot be performed at this time. "+
		"The function is currently in the following state: Failed. there is no Ruby")
	w.host.install(api.RuntimeRuby33)
	w.restart()
	w.keeps("f:1:2 g:1:2")
}

// The variables of a function that is provisioned are decrypted for it; without the key there is a reason.
func TestProvisionedVariables(t *testing.T) {
	w := newWorld(t)
	w.create("f", func(in *api.CreateFunctionInput) {
		in.Publish, in.Environment = new(true), &api.Environment{Variables: map[string]string{"KEY": "1"}}
	})
	if err := w.provision("f", "1", 1); err != nil {
		t.Fatal(err)
	}
	w.keeps("f:1:1")
	k := functionKey{store.Scope{Account: account, Region: region}, "f"}
	w.eventually("the worker is told", func() bool { told, _ := w.keeper.of(k); return told["1"].function != nil })
	told, _ := w.keeper.of(k)
	if f := told["1"].function; f.Env["KEY"] != "1" || f.Task == "" || f.Version != "1" {
		t.Errorf("the worker was told to provision %+v", f)
	}
}

// A function that cannot be described to the worker is looked at again after a minute, however often it was tried, and one that is
// being looked at waits for its turn.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, k := newKeeper(), functionKey{name: "f"}
		var mu sync.Mutex
		looks, atOnce, most := 0, 0, 0
		broken := true
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan bool)
		go func() {
			defer close(done)
			q.run(ctx, func(context.Context, functionKey) error {
				mu.Lock()
				looks, atOnce = looks+1, atOnce+1
				most = max(most, atOnce)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				defer mu.Unlock()
				if atOnce--; broken {
					return worker.ErrRole
				}
				return nil
			})
		}()
		is := func(step string, want int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if looks != want || most > 1 {
				t.Errorf("%s: looked at %d times, %d at once; want %d, one at a time", step, looks, most, want)
			}
		}
		q.look(k)
		is("the first", 1)
		for range 10 {
			q.look(k)
		}
		is("more while it is looked at", 1)
		if _, changing := q.of(k); !changing {
			t.Error("it is not said to be changing")
		}
		time.Sleep(3 * time.Second)
		is("the one that stands for all of them", 2)
		if _, changing := q.of(k); changing {
			t.Error("it is said to be changing")
		}
		time.Sleep(keepAgain)
		is("a minute later", 3)
		mu.Lock()
		broken = false
		mu.Unlock()
		time.Sleep(10 * keepAgain)
		is("when it works again", 3+1)
		cancel()
		<-done
	})
}

// What runs in a provisioned sandbox is no cold start, though it tells how long its Init phase took.
func TestProvisionedMetrics(t *testing.T) {
	w := twoVersions(t)
	registry := prometheus.NewRegistry()
	w.metrics = newMetrics(registry)
	registry.MustRegister(provisionedUse{w.Service})
	running, end := make(chan bool, 2), make(chan bool)
	w.pool.run = func(f *worker.Function, _ *worker.Request) (*worker.Response, error) {
		running <- true
		<-end
		return &worker.Response{Payload: []byte("1"), Provisioned: f.Version == "1", Init: time.Second}, nil
	}
	if err := w.provision("f", "live", 1); err != nil {
		t.Fatal(err)
	}
	w.statusIs("f", "live", "READY 1 of 1")
	done := make(chan error)
	invoke := func(q string) {
		_, err := w.Invoke(callIn(account, region), &api.InvokeInput{FunctionName: new("f"), Qualifier: &q})
		done <- err
	}
	go invoke("live")
	<-running
	go invoke("1") // its alias's concurrency is the version's, and in use
	<-running
	is := func(want map[string]float64) {
		t.Helper()
		got := gathered(t, registry)
		for name, n := range want {
			if got["enfold_lambda_"+name] != n {
				t.Errorf("%s is %v, want %v", name, got["enfold_lambda_"+name], n)
			}
		}
	}
	is(map[string]float64{
		"provisioned_concurrent_executions": 1, "provisioned_concurrency_utilization": 1,
		"provisioned_concurrency_spillover_invocations_total": 1,
	})
	close(end)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	go invoke("2") // which has none
	if err := <-done; err != nil {
		t.Error(err)
	}
	is(map[string]float64{
		"provisioned_concurrent_executions": 0, "provisioned_concurrency_utilization": 0, "provisioned_concurrency_invocations_total": 2,
		"provisioned_concurrency_spillover_invocations_total": 1, "invocations_total": 3, "cold_starts_total": 1,
	})
}

// gathered are the counters and gauges of the one function that has them.
func gathered(t *testing.T, from prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			all[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return all
}

// The worker is told which functions are next: those that were made or changed, and at a start those that were changed last.
func TestExpect(t *testing.T) {
	w := newWorld(t)
	expected := func() (all []string) {
		w.pool.mu.Lock()
		defer w.pool.mu.Unlock()
		for _, f := range w.pool.expected {
			if f.Runtime != api.RuntimePython312 || f.Key == "" {
				t.Errorf("expected %+v", f)
			}
			all = append(all, fmt.Sprint(f.Name, ":", f.Version, " of ", f.MemoryMB))
		}
		return all
	}
	is := func(step, want string) {
		t.Helper()
		w.eventually(step, func() bool { return slices.Contains(expected(), want) })
	}
	w.create("f")
	is("created", "f:$LATEST of 128")
	w.create("g")
	is("created", "g:$LATEST of 128")
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), MemorySize: new(256)}))(t)
	w.wait("f")
	is("updated", "f:$LATEST of 256")
	must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t)
	is("published", "f:1 of 256")
	w.close()
	w.pool.mu.Lock()
	w.pool.expected = nil
	w.pool.mu.Unlock()
	w.open()
	w.eventually("restarted", func() bool { return strings.Join(expected(), ", ") == "f:$LATEST of 256, g:$LATEST of 128" }) // f was changed last
}

func TestRecentVersions(t *testing.T) {
	var all recentVersions
	begin := time.Now()
	for i := range 1000 {
		n := i * 7 % 1000 // all of them, in some order
		all.add(store.Scope{}, &version{Version: fmt.Sprint(n), Modified: begin.Add(time.Duration(n) * time.Second)})
	}
	if len(all) != expectAtStart || all[0].version.Version != "999" || all[len(all)-1].version.Version != "900" {
		t.Errorf("%d versions, from %s to %s", len(all), all[0].version.Version, all[len(all)-1].version.Version)
	}
	if !slices.IsSortedFunc(all, func(a, b recentVersion) int { return b.version.Modified.Compare(a.version.Modified) }) {
		t.Error("they are not in order")
	}
}
