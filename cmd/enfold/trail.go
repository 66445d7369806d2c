package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/enfold-run/enfold/server"
	"github.com/enfold-run/enfold/service/cloudtrail"
)

type trailCmd struct {
	Verify trailVerifyCmd `cmd:"" help:"Prove that nothing was removed from the audit trail or changed in it, while the server runs or not."`
}

type trailVerifyCmd struct {
	dataFlag
	RootKeyCommand string   `help:"Shell command that prints the key which seals the data, as serve has it." env:"ENFOLD_ROOT_KEY_COMMAND" placeholder:"CMD"`
	RootKeyFile    string   `help:"File that holds that key, as serve has it." env:"ENFOLD_ROOT_KEY_FILE" type:"path" placeholder:"FILE"`
	Expect         []string `help:"Digest that an earlier run printed: it must be in the trail still. Finds that an old copy of all data was put back." placeholder:"DIGEST"`
}

// Run prints a line per log with its digest. It fails if the trail is not whole.
func (c trailVerifyCmd) Run(ctx context.Context) error {
	r, err := server.VerifyTrail(ctx, server.Config{Data: c.dir(), RootKeyCommand: c.RootKeyCommand, RootKeyFile: c.RootKeyFile})
	if err != nil {
		return err
	}
	for _, l := range r.Logs {
		printLog(l)
	}
	for _, digest := range c.Expect {
		if !slices.ContainsFunc(r.Logs, func(l cloudtrail.LogReport) bool { return l.Has(digest) }) {
			r.Problems = append(r.Problems, fmt.Sprintf("the digest %s is not in the trail (events that old may have expired)", digest))
		}
	}
	for _, p := range r.Problems {
		fmt.Println("PROBLEM", p)
	}
	if !r.OK() {
		fmt.Println("The audit trail is NOT whole.")
		return exitCode(1)
	}
	if len(r.Logs) == 0 {
		fmt.Println("The audit trail is empty: nothing was recorded yet on this directory, or all of its data was replaced.")
		return nil
	}
	fmt.Println("The audit trail is whole: nothing in it was removed or changed.")
	if len(c.Expect) == 0 {
		fmt.Println("That no older copy of all of it was put back only --expect can show, with a digest that was kept elsewhere.")
	}
	return nil
}

func printLog(l cloudtrail.LogReport) {
	fmt.Printf("account %s  %-10s  %d events in %d chunks", l.Account, l.Kind, l.Events, l.Chunks)
	if l.Events > 0 {
		fmt.Printf(", %s to %s", l.First.UTC().Format(time.RFC3339), l.Last.UTC().Format(time.RFC3339))
	}
	fmt.Printf("\n  digest %s\n", l.Digest)
}
