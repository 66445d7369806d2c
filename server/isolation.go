package server

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/gvisor"
	"github.com/enfold-run/enfold/sandbox/namespace"
	"github.com/enfold-run/enfold/sandbox/process"
	"github.com/enfold-run/enfold/worker"
)

// tierNames are the ways to isolate functions, the weakest first: names of drivers.
var tierNames = []string{"process", "namespace", "gvisor"}

// snapshotTier is the one whose sandboxes can be stored.
const snapshotTier = "gvisor"

// strength compares them: -1 for what is none.
func strength(tier string) int { return slices.Index(tierNames, tier) }

// tiers are the sandbox drivers: the one that the server was started with, and stronger ones, made when the first function wants one.
type tiers struct {
	cfg   Config
	first sandbox.Driver

	mu     sync.Mutex
	others map[string]sandbox.Driver
	failed map[string]error // why one cannot be made here
}

func newTiers(cfg Config) (*tiers, error) {
	for account, tier := range cfg.AccountIsolation {
		if !isAccountID(account) || strength(tier) <= 0 {
			return nil, fmt.Errorf("--account-isolation %s=%s: want an account id and namespace or gvisor", account, tier)
		}
	}
	first, err := newDriver(cfg)
	if errors.Is(err, sandbox.ErrUnsupported) {
		return nil, fmt.Errorf("--isolation %s: %w (`enfold doctor` says what is missing)", cfg.Isolation, err)
	}
	if err != nil {
		return nil, err
	}
	t := &tiers{cfg: cfg, first: first, others: map[string]sandbox.Driver{}, failed: map[string]error{}}
	if err := t.readyAccounts(); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// readyAccounts makes the drivers that accounts are to have. A server without them would refuse all that their functions do.
func (t *tiers) readyAccounts() error {
	for _, account := range slices.Sorted(maps.Keys(t.cfg.AccountIsolation)) {
		tier := t.cfg.AccountIsolation[account]
		if strength(tier) <= strength(t.first.Name()) {
			continue
		}
		if _, err := t.get(tier); err != nil {
			return fmt.Errorf("--account-isolation %s=%s: %w (`enfold doctor` says what is missing)", account, tier, err)
		}
	}
	return nil
}

// can says why this host cannot isolate functions so, for callers to read; nil if it can, or if the server isolates all better. What it
// says of the host is what to do: other faults are the log's.
func (t *tiers) can(tier string) error {
	switch {
	case strength(tier) < 0:
		return fmt.Errorf("%q is no isolation", tier)
	case strength(tier) <= strength(t.first.Name()):
		return nil
	}
	_, err := t.get(tier)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sandbox.ErrUnsupported):
		why := strings.TrimPrefix(err.Error(), sandbox.ErrUnsupported.Error()+": ")
		return fmt.Errorf("%s (`enfold doctor` says what is missing; a server finds it when it starts)", why)
	}
	return fmt.Errorf("the %s driver does not start: the server's log says why, and `enfold doctor` what is missing", tier)
}

// canStore is can of the driver that stores sandboxes.
func (t *tiers) canStore() error { return t.can(snapshotTier) }

// forFunction is the driver that isolates a function as the server, its account and its tag want it, the strongest of the three. A
// function with SnapStart has one that can store sandboxes, if this host can.
func (t *tiers) forFunction(f *worker.Function) (sandbox.Driver, error) {
	tier := t.first.Name()
	for _, want := range []string{t.cfg.AccountIsolation[f.Account], f.Isolation} {
		if want == "" {
			continue
		}
		if strength(want) < 0 {
			return nil, fmt.Errorf("%q is no isolation", want)
		}
		if strength(want) > strength(tier) {
			tier = want
		}
	}
	if f.SnapStart {
		if d, err := t.get(snapshotTier); err == nil {
			return d, nil
		}
	}
	return t.get(tier)
}

// get is a driver by its name. One that cannot be made is not tried again: what is missing is the host's, or the user's.
func (t *tiers) get(tier string) (sandbox.Driver, error) {
	if tier == t.first.Name() {
		return t.first, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if d, err := t.others[tier], t.failed[tier]; d != nil || err != nil {
		return d, err
	}
	cfg := t.cfg
	cfg.Isolation = tier
	d, err := newDriver(cfg)
	if err != nil {
		t.failed[tier] = err
		if !errors.Is(err, sandbox.ErrUnsupported) {
			t.cfg.Log.Error("a sandbox driver does not start", "isolation", tier, "error", err)
		}
		return nil, err
	}
	t.others[tier] = d
	return d, nil
}

func (t *tiers) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	errs := []error{t.first.Close()}
	for _, tier := range slices.Sorted(maps.Keys(t.others)) {
		errs = append(errs, t.others[tier].Close())
	}
	return errors.Join(errs...)
}

// newDriver is the sandbox driver that the configuration asks for. "auto" takes namespaces where this host has them and
// falls back to plain processes loudly.
func newDriver(cfg Config) (sandbox.Driver, error) {
	dir := filepath.Join(cfg.Data, "sandboxes")
	tier := cmp.Or(cfg.Isolation, "auto")
	switch {
	case tier == "process":
		return process.New(process.Options{StateDir: dir, Log: cfg.Log})
	case tier == "gvisor":
		return opened(gvisor.New(gvisor.Options{Log: cfg.Log}))
	case tier != "auto" && strength(tier) < 0:
		return nil, fmt.Errorf("--isolation %q: want auto, process, namespace or gvisor", cfg.Isolation)
	}
	d, err := namespace.New(namespace.Options{StateDir: dir, Log: cfg.Log})
	if err == nil || tier == "namespace" || !errors.Is(err, sandbox.ErrUnsupported) {
		return opened(d, err)
	}
	cfg.Log.Warn("FUNCTIONS RUN WITHOUT ISOLATION: they can read what you can read. `enfold doctor` says what is missing", "reason", err)
	return process.New(process.Options{StateDir: dir, Log: cfg.Log})
}

// opened keeps a nil pointer from becoming a driver.
func opened[D sandbox.Driver](d D, err error) (sandbox.Driver, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}
