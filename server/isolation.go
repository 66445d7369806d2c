package server

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/namespace"
	"github.com/enfold-run/enfold/sandbox/process"
)

// newDriver is the sandbox driver that the configuration asks for. "auto" takes namespaces where this host has them and
// falls back to plain processes loudly.
func newDriver(cfg Config) (sandbox.Driver, error) {
	dir := filepath.Join(cfg.Data, "sandboxes")
	switch cfg.Isolation {
	case "process":
		return process.New(process.Options{StateDir: dir, Log: cfg.Log})
	case "namespace", "auto", "":
	default:
		return nil, fmt.Errorf("--isolation %q: want auto, namespace or process", cfg.Isolation)
	}
	d, err := namespace.New(namespace.Options{StateDir: dir, Log: cfg.Log})
	if err == nil || cfg.Isolation == "namespace" || !errors.Is(err, sandbox.ErrUnsupported) {
		return d, err
	}
	cfg.Log.Warn("FUNCTIONS RUN WITHOUT ISOLATION: they can read what you can read. `enfold doctor` says what is missing", "reason", err)
	return process.New(process.Options{StateDir: dir, Log: cfg.Log})
}
