// Command precompile writes the system call filters that enfold-gvisor starts under into the file named. Working them out takes the
// better part of a hundred milliseconds, and is done at the start of each sandbox otherwise: gVisor's own builds have them inside, its Go
// module has not.
package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	_ "unsafe" // for go:linkname

	"gvisor.dev/gvisor/pkg/seccomp"
	"gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"
	"gvisor.dev/gvisor/pkg/sentry/platform"
	_ "gvisor.dev/gvisor/pkg/sentry/platform/platforms"
	"gvisor.dev/gvisor/runsc/boot/filter/config"
)

// rules are gVisor's, for values that are known when it starts.
//
//go:linkname rules gvisor.dev/gvisor/runsc/boot/filter/config.rules
func rules(opt config.Options, vars precompiledseccomp.Values) (allowed, denied seccomp.SyscallRules)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: precompile FILE")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "precompile:", err)
		os.Exit(1)
	}
}

func write(file string) error {
	var all []precompiledseccomp.Program
	systrap, err := platform.Lookup("systrap")
	if err != nil {
		return err
	}
	for _, info := range systrap.PrecompiledSeccompInfo() {
		// As the driver starts it: see sandbox/gvisor. Other options have their filters worked out.
		p, err := precompile(config.Options{Platform: info, HostNetwork: true, HostFilesystem: true})
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644)
}

func precompile(opt config.Options) (precompiledseccomp.Program, error) {
	names := slices.Sorted(maps.Keys(opt.Vars()))
	return precompiledseccomp.Precompile(opt.ConfigKey(), names, func(vars precompiledseccomp.Values) *seccomp.Program {
		allowed, denied := rules(opt, vars)
		return &seccomp.Program{
			RuleSets: []seccomp.RuleSet{{Rules: denied.Copy()}, {Rules: allowed.Copy(), Action: seccomp.Allow}},
			Options:  config.SeccompOptions(opt),
		}
	})
}
