package lambda

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/worker"
)

// reason is why an invocation was throttled, and which place it got if it was not.
func reason(p place, err error) string {
	if err == nil {
		return [...]string{"unreserved", "reserved", "provisioned"}[p]
	}
	return coded(err)
}

// reasonOf is the Reason member of an error.
func reasonOf(err error) any {
	var e *aws.Error
	if !errors.As(err, &e) {
		return err
	}
	return e.Fields["Reason"]
}

const tooMany = "429 TooManyRequestsException: Rate Exceeded."

// Every kind of place is used up in its order, and comes back.
func TestLimiter(t *testing.T) {
	base := allowance{scope: store.Scope{Account: account, Region: region}, function: "f", version: "1", pool: 2}
	with := func(change func(*allowance)) allowance { a := base; change(&a); return a }
	for _, c := range []struct {
		name string
		all  []allowance
		want []string
	}{
		{
			"the account's pool",
			[]allowance{base, base, base, with(func(a *allowance) { a.function = "g" })},
			[]string{"unreserved", "unreserved", tooMany, tooMany},
		},
		{
			"another account's",
			[]allowance{base, base, with(func(a *allowance) { a.scope.Account = "000000000000" })},
			[]string{"unreserved", "unreserved", "unreserved"},
		},
		{
			"reserved",
			[]allowance{with(func(a *allowance) { a.reserved = new(1) }), with(func(a *allowance) { a.reserved, a.version = new(1), "2" }), base},
			[]string{"reserved", tooMany, "unreserved"},
		},
		{"reserved nothing", []allowance{with(func(a *allowance) { a.reserved = new(0) })}, []string{tooMany}},
		{"provisioned, then the pool", []allowance{
			with(func(a *allowance) { a.provisioned, a.allProvisioned = 1, 1 }), with(func(a *allowance) { a.provisioned, a.allProvisioned = 1, 1 }),
			with(func(a *allowance) { a.provisioned, a.allProvisioned, a.version = 1, 2, "2" }), base, base,
		}, []string{"provisioned", "unreserved", "provisioned", "unreserved", tooMany}},
		{"provisioned, then what else is reserved", []allowance{
			with(func(a *allowance) { a.provisioned, a.allProvisioned, a.reserved = 1, 2, new(3) }),
			with(func(a *allowance) { a.provisioned, a.allProvisioned, a.reserved = 1, 2, new(3) }),
			with(func(a *allowance) { a.allProvisioned, a.reserved, a.version = 2, new(3), latest }),
			with(func(a *allowance) { a.provisioned, a.allProvisioned, a.reserved, a.version = 1, 2, new(3), "2" }),
		}, []string{"provisioned", "reserved", tooMany, "provisioned"}},
		{"all that is reserved is provisioned", []allowance{
			with(func(a *allowance) { a.allProvisioned, a.reserved, a.version = 1, new(1), latest }),
			with(func(a *allowance) { a.provisioned, a.allProvisioned, a.reserved = 1, 1, new(1) }),
		}, []string{tooMany, "provisioned"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLimiter(AccountConcurrency)
			for round := range 2 {
				places := map[int]place{}
				for i, a := range c.all {
					p, err := l.acquire(a)
					if got := reason(p, err); got != c.want[i] {
						t.Errorf("round %d, invocation %d: %s, want %s", round, i, got, c.want[i])
					}
					if err == nil {
						places[i] = p
					}
				}
				for i, p := range places {
					l.release(c.all[i], p)
				}
			}
			l.forget(base.scope, "f")
			for _, u := range l.scopes {
				if u.unreserved != 0 || len(u.functions) != 0 {
					t.Errorf("something is still in use: %+v", u)
				}
			}
		})
	}
}

// Invocations whose callers wait begin ten times a second for each that may run at once.
func TestInvocationRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(AccountConcurrency)
		a := allowance{scope: store.Scope{Account: account, Region: region}, function: "f", version: "1", pool: 1, paced: true}
		// begin counts how many may begin now, one after the other, and says what the next one gets.
		begin := func(a allowance) (n int, why any) {
			for {
				p, err := l.acquire(a)
				if err != nil {
					return n, reasonOf(err)
				}
				l.release(a, p)
				n++
			}
		}
		check := func(step string, a allowance, want int, wantWhy string) {
			t.Helper()
			if n, why := begin(a); n != want || why != wantWhy {
				t.Errorf("%s: %d began, then %v; want %d and %s", step, n, why, want, wantWhy)
			}
		}
		reserved, other := a, a
		reserved.function, reserved.reserved, other.function = "r", new(2), "g"
		check("at once", a, 10_000, throttledRate)
		check("another function of the account", other, 0, throttledRate)
		check("one with its own concurrency", reserved, 20, throttledReservedRate)
		time.Sleep(100 * time.Millisecond)
		check("a tenth of a second later", a, 1000, throttledRate)
		check("a tenth of a second later", reserved, 2, throttledReservedRate)
		time.Sleep(time.Hour)
		check("an hour later", reserved, 20, throttledReservedRate)

		events := a
		events.paced = false
		for range 20_000 {
			p, err := l.acquire(events)
			if err != nil {
				t.Fatalf("an event was throttled: %v", reasonOf(err))
			}
			l.release(events, p)
		}
		reserved.reserved = new(0)
		check("reserved nothing", reserved, 0, throttledReserved)
	})
}

// An invocation that finds no place is refused at once and not kept waiting.
func TestThrottledAtOnce(t *testing.T) {
	w := twoVersions(t)
	must(w.PutFunctionConcurrency(w.ctx, &api.PutFunctionConcurrencyInput{FunctionName: new("f"), ReservedConcurrentExecutions: new(1)}))(t)
	if err := w.provision("f", "1", 1); err != nil {
		t.Fatal(err)
	}
	running, end := make(chan bool, 10), make(chan bool)
	w.pool.run = func(*worker.Function, *worker.Request) (*worker.Response, error) {
		running <- true
		select {
		case <-end:
		case <-time.After(time.Minute): // nobody ends one that should not have begun
		}
		return &worker.Response{Payload: []byte("1")}, nil
	}
	invoke := func(q string) error {
		_, err := w.Invoke(callIn(account, region), &api.InvokeInput{FunctionName: new("f"), Qualifier: &q})
		return err
	}
	if err := invoke(latest); reasonOf(err) != throttledReserved {
		t.Errorf("$LATEST, with all that is reserved provisioned: %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := invoke("live"); err != nil {
			t.Error(err)
		}
	})
	<-running
	if err := invoke("1"); reasonOf(err) != throttledReserved {
		t.Errorf("the provisioned version, with all in use: %v", err)
	}
	close(end)
	wg.Wait()
	for err, want := range map[error]string{worker.ErrScaling: throttledAccount, worker.ErrFull: throttledAccount} {
		w.pool.run = func(*worker.Function, *worker.Request) (*worker.Response, error) { return nil, err }
		if err := invoke("1"); reasonOf(err) != want || coded(err) != tooMany {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
