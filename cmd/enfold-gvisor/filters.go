package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	_ "unsafe" // for go:linkname

	"gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"
	"gvisor.dev/gvisor/runsc/boot/filter"
)

//go:embed embedded
var embedded embed.FS

// precompiled are the filters that gVisor has ready, by what they are for.
//
//go:linkname precompiled gvisor.dev/gvisor/runsc/boot/filter.precompiledPrograms
var precompiled map[string]precompiledseccomp.Program

// haveFilters gives gVisor the filters that precompile has made of its own rules, where this process is a sandbox: then it need not work
// them out.
func haveFilters() error {
	if !slices.Contains(os.Args[1:], "boot") {
		return nil
	}
	b, err := embedded.ReadFile("embedded/filters-" + runtime.GOARCH + ".json")
	if err != nil {
		return nil // it was built for another machine: they are worked out
	}
	var all []precompiledseccomp.Program
	if err := json.Unmarshal(b, &all); err != nil {
		return fmt.Errorf("read the system call filters: %w", err)
	}
	filter.ListPrecompiled() // makes the map, once
	for _, p := range all {
		precompiled[p.Name] = p
	}
	return nil
}
