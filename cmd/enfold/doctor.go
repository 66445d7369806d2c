package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/gvisor"
	"github.com/enfold-run/enfold/sandbox/namespace"
	"github.com/enfold-run/enfold/server"
)

type doctorCmd struct {
	dataFlag
	RuntimeMap     map[string]string `help:"Interpreter of a runtime, as serve has it." env:"ENFOLD_RUNTIME_MAP" mapsep:"," placeholder:"RUNTIME=PATH"`
	RootKeyCommand string            `help:"Command that prints the key which seals the data, as serve has it. It is run." env:"ENFOLD_ROOT_KEY_COMMAND" placeholder:"CMD"`
	RootKeyFile    string            `help:"File that holds that key, as serve has it." env:"ENFOLD_ROOT_KEY_FILE" type:"path" placeholder:"FILE"`
}

// Run prints what this host can do. It fails if functions could only run without isolation, or the data could not be opened.
func (c doctorCmd) Run(ctx context.Context) error {
	fmt.Printf("Host: %s/%s, %d CPUs, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), who())
	rep := namespace.Report()
	fmt.Println("\nIsolation by namespaces:", yes(rep.OK))
	for _, check := range rep.Checks {
		printCheck(check)
	}
	kernels := gvisor.Report(gvisor.Options{})
	fmt.Println("\nIsolation by a kernel of its own (gVisor), for functions of strangers and for SnapStart:", yes(kernels.OK))
	for _, check := range kernels.Checks {
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
	sealing := server.ReportSeal(ctx, server.Config{Data: c.dir(), RootKeyCommand: c.RootKeyCommand, RootKeyFile: c.RootKeyFile})
	printSeal(os.Stdout, sealing)
	if !rep.OK {
		fmt.Println("\nWithout namespaces `enfold serve` runs functions as plain processes: they can read what you can read.")
		return exitCode(1)
	}
	if sealing.Problem != nil {
		return exitCode(1)
	}
	return nil
}

// printSeal says where the key comes from that the data is sealed with, and what that means.
func printSeal(w io.Writer, r server.SealReport) {
	fmt.Fprintf(w, "\nSealing of the data:\n  %-4s %-28s %s\n", yes(r.Problem == nil), "root key", r.Source)
	if r.Problem != nil {
		fmt.Fprintf(w, "       %-28s %v\n", "", r.Problem)
	}
	printWrapped(w, "", r.Means)
	for _, do := range r.Do {
		printWrapped(w, "→ ", do)
	}
}

// printWrapped prints a paragraph below a check, in lines that fit a terminal, the first after a mark.
func printWrapped(w io.Writer, mark, text string) {
	const width = 100
	line := "       " + mark
	indent := strings.Repeat(" ", utf8.RuneCountInString(line))
	first := true
	for word := range strings.FieldsSeq(text) {
		if !first && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			fmt.Fprintln(w, line)
			line, first = indent, true
		}
		if !first {
			line += " "
		}
		line, first = line+word, false
	}
	fmt.Fprintln(w, line)
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
