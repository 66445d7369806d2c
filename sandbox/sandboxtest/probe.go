//go:build linux

package sandboxtest

import (
	"encoding/json"
	"fmt"
	"os"
)

// probeArg is the first argument of the test binary when it runs inside a sandbox.
const probeArg = "sandboxtest-probe"

// A probe is something that the test binary does inside a sandbox. It prints what it found; its exit code is the process's.
type probe func(args []string) int

// MaybeProbe runs a probe and exits, if the process was started as one.
func MaybeProbe() {
	if len(os.Args) < 3 || os.Args[1] != probeArg {
		return
	}
	run := probes()[os.Args[2]]
	if run == nil {
		fmt.Fprintln(os.Stderr, "no such probe:", os.Args[2])
		os.Exit(99)
	}
	os.Exit(run(os.Args[3:]))
}

func probes() map[string]probe {
	return map[string]probe{
		"look":        probeLook,
		"echo":        probeEcho,
		"exit":        probeExit,
		"raise":       probeRaise,
		"sleep":       probeSleep,
		"term":        probeTerm,
		"deaf":        probeDeaf,
		"daemons":     probeDaemons,
		"daemon":      probeDaemon,
		"orphans":     probeOrphans,
		"allocate":    probeAllocate,
		"burn":        probeBurn,
		"threads":     probeThreads,
		"open":        probeOpen,
		"fill":        probeFill,
		"write":       probeWrite,
		"read":        probeRead,
		"flood":       probeFlood,
		"fetch":       probeFetch,
		"refused":     probeRefused,
		"channel":     probeChannel,
		"attempt":     probeAttempt,
		"forkbomb":    probeForkBomb,
		"euid":        probeEUID,
		"tenant":      probeTenant,
		"grab":        probeGrab,
		"hog":         probeHog,
		"open-all":    probeOpenAll,
		"open-some":   probeOpenSome,
		"fill-all":    probeFillAll,
		"flood-all":   probeFloodAll,
		"connect-all": probeConnectAll,
		"work":        probeWork,
		"sockets":     probeSockets,
		"await":       probeAwait,
		"hold":        probeHold,
		"leave":       probeLeave,
		"search":      probeSearch,
		"race":        probeRace,
		"tell":        probeTell,
		"rights":      probeRights,
		"calls":       probeCalls,
		"arguments":   probeArguments,
		"true":        func([]string) int { return 0 },
	}
}

// printJSON is a probe's answer.
func printJSON(v any) int {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 98
	}
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 97
}
