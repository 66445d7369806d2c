package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/worker"
)

// named is a driver that is nothing but its name.
type named string

func (n named) Name() string { return string(n) }

func (n named) Create(context.Context, sandbox.Spec) (sandbox.Sandbox, error) {
	return nil, errors.ErrUnsupported
}
func (n named) Close() error { return nil }

func TestStrongestIsolationWins(t *testing.T) {
	const plain, guarded = "000000000000", "111111111111"
	for _, tc := range []struct {
		name, server, account, tag string
		snapStart                  bool
		want                       string // empty for an error
	}{
		{"the server's", "namespace", plain, "", false, "namespace"},
		{"the tag is stronger", "namespace", plain, "gvisor", false, "gvisor"},
		{"the tag is weaker", "gvisor", plain, "namespace", false, "gvisor"},
		{"the account is stronger", "namespace", guarded, "", false, "gvisor"},
		{"the account is stronger than the tag", "process", guarded, "namespace", false, "gvisor"},
		{"better than none", "process", plain, "namespace", false, "namespace"},
		{"snapshots are gVisor's", "namespace", plain, "", true, "gvisor"},
		{"an unknown tag", "namespace", plain, "firecracker", false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tiers := &tiers{
				cfg: Config{AccountIsolation: map[string]string{guarded: "gvisor"}}, first: named(tc.server), failed: map[string]error{},
				others: map[string]sandbox.Driver{"namespace": named("namespace"), "gvisor": named("gvisor")},
			}
			d, err := tiers.forFunction(&worker.Function{Account: tc.account, Isolation: tc.tag, SnapStart: tc.snapStart})
			if tc.want == "" {
				if err == nil {
					t.Errorf("it got %s", d.Name())
				}
				return
			}
			if err != nil || d.Name() != tc.want {
				t.Errorf("it got %v, %v; want %s", d, err, tc.want)
			}
		})
	}
}

// A function never gets less than it is to have, and one with SnapStart starts without where nothing can be stored.
func TestIsolationThatTheHostLacks(t *testing.T) {
	lacks := errors.New("there is no gVisor here")
	tiers := &tiers{first: named("namespace"), others: map[string]sandbox.Driver{}, failed: map[string]error{"gvisor": lacks}}
	if d, err := tiers.forFunction(&worker.Function{Isolation: "gvisor"}); !errors.Is(err, lacks) {
		t.Errorf("a function that wants gVisor got %v, %v", d, err)
	}
	if d, err := tiers.forFunction(&worker.Function{SnapStart: true}); err != nil || d.Name() != "namespace" {
		t.Errorf("a function with SnapStart got %v, %v", d, err)
	}
}

// What is not there is told in words that callers may read, and refused before anything is started with it.
func TestIsolationIsRefused(t *testing.T) {
	missing := fmt.Errorf("%w: there is no enfold-gvisor here: build it", sandbox.ErrUnsupported)
	const told = "there is no enfold-gvisor here: build it (`enfold doctor` says what is missing; a server finds it when it starts)"
	for _, tc := range []struct {
		name, server, tier string
		failed             error
		want               string // empty if it can
	}{
		{"missing", "namespace", "gvisor", missing, told},
		{"a fault of ours", "namespace", "gvisor", errors.New("open /secret: denied"), "the gvisor driver does not start: the server's log says why, and `enfold doctor` what is missing"},
		{"the server's own", "gvisor", "gvisor", missing, ""},
		{"less than the server's", "gvisor", "namespace", nil, ""},
		{"made before", "process", "namespace", nil, ""},
		{"none", "process", "vm", nil, `"vm" is no isolation`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tiers := &tiers{
				first: named(tc.server), failed: map[string]error{"gvisor": tc.failed}, others: map[string]sandbox.Driver{"namespace": named("namespace")},
			}
			got := ""
			if err := tiers.can(tc.tier); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
	guarded := &tiers{
		cfg: Config{AccountIsolation: map[string]string{"111111111111": "gvisor"}}, first: named("namespace"), failed: map[string]error{"gvisor": missing},
	}
	if err := guarded.readyAccounts(); !errors.Is(err, missing) || !strings.Contains(err.Error(), "--account-isolation 111111111111=gvisor: ") {
		t.Errorf("a server starts with an account's isolation missing: %v", err)
	}
	guarded.first = named("gvisor")
	if err := guarded.readyAccounts(); err != nil {
		t.Errorf("what all functions have is refused to an account: %v", err)
	}
}

// Without enfold-gvisor a server that is to isolate by it does not start.
func TestNewTiersWithoutGVisor(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(exe), "enfold-gvisor")); err == nil {
		t.Skip("enfold-gvisor lies beside this test")
	}
	t.Setenv("PATH", t.TempDir())
	for name, cfg := range map[string]Config{
		"for all":        {Isolation: "gvisor"},
		"for an account": {Isolation: "process", AccountIsolation: map[string]string{"111111111111": "gvisor"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Data, cfg.Log = t.TempDir(), slog.New(slog.DiscardHandler)
			tiers, err := newTiers(cfg)
			if err == nil {
				tiers.close()
			}
			if !errors.Is(err, sandbox.ErrUnsupported) || !strings.Contains(fmt.Sprint(err), "`enfold doctor`") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestBadIsolation(t *testing.T) {
	for name, cfg := range map[string]Config{
		"an unknown one":             {Isolation: "vm"},
		"an unknown one's account":   {AccountIsolation: map[string]string{"111111111111": "vm"}},
		"less for an account":        {AccountIsolation: map[string]string{"111111111111": "process"}},
		"an account that is no id":   {AccountIsolation: map[string]string{"me": "gvisor"}},
		"one that is named by a lot": {Isolation: strings.Repeat("x", 1000)},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Data, cfg.Log = t.TempDir(), slog.New(slog.DiscardHandler)
			if tiers, err := newTiers(cfg); err == nil {
				tiers.close()
				t.Error("was taken")
			}
		})
	}
}
