package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/namespace"
)

type doctorCmd struct {
	dataFlag
	RuntimeMap map[string]string `help:"Interpreter of a runtime, as serve has it." env:"ENFOLD_RUNTIME_MAP" mapsep:"," placeholder:"RUNTIME=PATH"`
}

// Run prints what this host can do. It fails if functions could only run without isolation.
func (c doctorCmd) Run() error {
	fmt.Printf("Host: %s/%s, %d CPUs, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), who())
	rep := namespace.Report()
	fmt.Println("\nIsolation by namespaces:", yes(rep.OK))
	for _, check := range rep.Checks {
		printCheck(check)
	}
	fmt.Println("\nLanguage runtimes:")
	for _, f := range runtimes.New(runtimes.Options{DataDir: c.dir(), Map: c.RuntimeMap}).Found() {
		check := sandbox.Check{Name: f.Runtime, OK: f.OK, Detail: f.Path, Fix: f.Fix}
		if f.OK && f.Version != "" {
			check.Detail += " (" + f.Version + ")"
		}
		printCheck(check)
	}
	fmt.Println("\n  provided.al2, provided.al2023 (Go, Rust, …) need no interpreter.")
	if !rep.OK {
		fmt.Println("\nWithout namespaces `enfold serve` runs functions as plain processes: they can read what you can read.")
		return exitCode(1)
	}
	return nil
}

func printCheck(c sandbox.Check) {
	fmt.Printf("  %-4s %-28s %s\n", yes(c.OK), c.Name, c.Detail)
	if !c.OK && c.Fix != "" {
		fmt.Printf("       %-28s → %s\n", "", c.Fix)
	}
}

func yes(ok bool) string {
	if ok {
		return "ok"
	}
	return "no"
}

func who() string {
	if os.Geteuid() == 0 {
		return "running as root"
	}
	return fmt.Sprintf("running as user %d, not root", os.Geteuid())
}
