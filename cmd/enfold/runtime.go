package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/enfold-run/enfold/runtimes"
)

type runtimeCmd struct {
	List    runtimeListCmd    `cmd:"" help:"Show which language runtimes this host has."`
	Install runtimeInstallCmd `cmd:"" help:"Put the SDK that AWS's runtime carries (boto3, @aws-sdk) under the data directory."`
}

type runtimeListCmd struct {
	dataFlag
	RuntimeMap map[string]string `help:"Interpreter of a runtime, as serve has it." env:"ENFOLD_RUNTIME_MAP" mapsep:"," placeholder:"RUNTIME=PATH"`
}

// Run prints a line per runtime, and first where it looked: a server that runs finds others if it was started with another PATH, and
// does not tell.
func (c runtimeListCmd) Run() error {
	fmt.Printf("Found by this shell's PATH, %s. A server looks by the PATH that it was started with.\n\n", os.Getenv("PATH"))
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	for _, f := range runtimes.New(runtimes.Options{DataDir: c.dir(), Map: c.RuntimeMap}).Found() {
		if f.OK {
			fmt.Fprintf(w, "%s\t%s\t%s\n", f.Runtime, f.Version, f.Path)
		} else {
			fmt.Fprintf(w, "%s\tmissing\t%s\n", f.Runtime, f.Fix)
		}
	}
	return w.Flush()
}

type runtimeInstallCmd struct {
	dataFlag
	Runtime []string `arg:"" help:"Runtimes: python3.12, nodejs22.x …"`
}

func (c runtimeInstallCmd) Run(ctx context.Context) error {
	set := runtimes.New(runtimes.Options{DataDir: c.dir()})
	for _, r := range c.Runtime {
		if err := set.Install(ctx, r, os.Stdout); err != nil {
			return fmt.Errorf("install %s: %w", r, err)
		}
	}
	return nil
}
