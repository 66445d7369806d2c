// Command enfold runs AWS Lambda functions on this machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/enfold-run/enfold/sandbox/namespace"
)

// cli is every command and flag; each flag is also an ENFOLD_… environment variable.
type cli struct {
	Serve   serveCmd   `cmd:"" help:"Start Enfold. Functions, layers, logs and keys live in the data directory."`
	Env     envCmd     `cmd:"" help:"Print the export lines that point AWS clients at Enfold: eval \"$$(enfold env)\"."`
	Account accountCmd `cmd:"" help:"Make and list AWS accounts: one server holds many, fully separate."`
	Demo    demoCmd    `cmd:"" help:"Deploy the examples through the public API, call them and show the times."`
	Invoke  invokeCmd  `cmd:"" help:"Call a function and print its answer."`
	Logs    logsCmd    `cmd:"" help:"Print what a function has logged."`
	Runtime runtimeCmd `cmd:"" help:"Show the language runtimes of this host, or install the SDKs that AWS's runtimes carry."`
	DLQ     dlqCmd     `cmd:"" name:"dlq" help:"Dead-letter queues: what is in them, why, and back through where it came from."`
	Event   eventCmd   `cmd:"" help:"Run an event again that has failed, by any id that it is known by."`
	Trail   trailCmd   `cmd:"" help:"Verify the audit trail."`
	Policy  policyCmd  `cmd:"" help:"Least privilege: write a policy from what a role did, list unused grants, check a policy."`
	Doctor  doctorCmd  `cmd:"" help:"Say what this host can do, and what to do about what is missing."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// dataFlag is where the server keeps everything, for commands that find it by its directory.
type dataFlag struct {
	Data string `help:"Data directory (default .enfold)." env:"ENFOLD_DATA" type:"path" placeholder:"DIR"`
}

// dir is the data directory, the flag's or the default one.
func (d dataFlag) dir() string {
	if d.Data == "" {
		return ".enfold"
	}
	return d.Data
}

func main() {
	namespace.MaybeInit() // in a sandbox this process is the sandbox's init, and never returns
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	var c cli
	parser, err := kong.New(&c,
		kong.Name("enfold"),
		kong.Description("AWS Lambda on your own machine: one binary, no Docker, the security model switched on.\n\n"+
			"Start with: enfold serve, and in another terminal: enfold demo"),
		kong.ShortUsageOnError(),
		kong.Vars{"binaries": binariesDir()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "enfold:", err)
		return 2
	}
	kctx, err := parser.Parse(args)
	if err != nil {
		parser.FatalIfErrorf(err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	kctx.BindTo(ctx, (*context.Context)(nil))
	err = kctx.Run()
	var exit exitCode
	if errors.As(err, &exit) {
		return int(exit)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "enfold:", err)
		return 1
	}
	return 0
}

// exitCode ends the program with a status and no message.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
