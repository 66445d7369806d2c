// Command enfold runs AWS Lambda functions on this machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/enfold-run/enfold/sandbox/namespace"
)

// A command is one of enfold's; each of its flags is also an ENFOLD_… environment variable.
type command struct {
	name, help string
	flags      any // points to what kong fills and runs
}

// commands are all of them, in the order of the help.
func commands() []command {
	return []command{
		{"serve", "Start Enfold. Functions, layers, logs and keys live in the data directory.", new(serveCmd)},
		{"env", `Print the export lines that point AWS clients at Enfold: eval "$$(enfold env)".`, new(envCmd)},
		{"account", "Make and list AWS accounts: one server holds many, fully separate.", new(accountCmd)},
		{"demo", "Deploy the examples through the public API, call them and show the times.", new(demoCmd)},
		{"invoke", "Call a function and print its answer.", new(invokeCmd)},
		{"logs", "Print what a function has logged.", new(logsCmd)},
		{"runtime", "Show the language runtimes of this host, or install the SDKs that AWS's runtimes carry.", new(runtimeCmd)},
		{"dlq", "Dead-letter queues: what is in them, why, and back through where it came from.", new(dlqCmd)},
		{"event", "Run an event again that has failed, by any id that it is known by.", new(eventCmd)},
		{"trail", "Verify the audit trail.", new(trailCmd)},
		{"policy", "Least privilege: write a policy from what a role did, list unused grants, check a policy.", new(policyCmd)},
		{"doctor", "Say what this host can do, and what to do about what is missing.", new(doctorCmd)},
		{"version", "Print the version.", new(versionCmd)},
	}
}

// meant are the commands that a command line can mean: the one that it begins with, else all. kong works out every flag of every command
// that it is given, and all of them were a tenth of a server's start.
func meant(args []string) []command {
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == args[0] })
	if i < 0 {
		return all
	}
	return all[i : i+1]
}

// dataFlag is where the server keeps everything, for commands that find it by its directory.
type dataFlag struct {
	Data dataDir `help:"Data directory (default .enfold)." env:"ENFOLD_DATA" placeholder:"DIR"`
}

// dir is the data directory, the flag's or the default one.
func (d dataFlag) dir() string {
	if d.Data == "" {
		return ".enfold"
	}
	return string(d.Data)
}

// dataDir is the path of a data directory.
type dataDir string

// UnmarshalText refuses an empty text, such as a variable of a script that is not set: it is no directory, and certainly not the current one.
func (d *dataDir) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		return errors.New("name a directory, or leave it out for .enfold")
	}
	*d = dataDir(kong.ExpandPath(string(b)))
	return nil
}

func main() {
	namespace.MaybeInit() // in a sandbox this process is the sandbox's init, and never returns
	os.Exit(run(os.Args[1:]))
}

// newParser reads command lines of these commands.
func newParser(of []command, options ...kong.Option) (*kong.Kong, error) {
	options = append(options,
		kong.Name("enfold"),
		kong.Description("AWS Lambda on your own machine: one binary, no Docker, the security model switched on.\n\n"+
			"Start with: enfold serve, and in another terminal: enfold demo"),
		kong.ShortUsageOnError(),
		kong.Vars{"binaries": binariesDir()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	for _, c := range of {
		options = append(options, kong.DynamicCommand(c.name, c.help, "", c.flags))
	}
	return kong.New(&struct{}{}, options...)
}

func run(args []string) int {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parser, err := newParser(meant(args))
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
