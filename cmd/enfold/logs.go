package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
)

type logsCmd struct {
	dataFlag
	Function string        `arg:"" help:"Function name or ARN; with :VERSION or :ALIAS, what that has logged."`
	Follow   bool          `help:"Go on printing what comes." short:"f"`
	Since    time.Duration `help:"How far back to begin." default:"1h"`
	Region   string        `help:"Region of the function." default:"us-east-1" env:"ENFOLD_REGION"`
}

const (
	followEvery = 250 * time.Millisecond // how often -f asks for more
	// underWay is how long the lines of an invocation that has just ended are on their way, and firstLines those of a function's first
	// one: it has its log group made. With some to spare.
	underWay   = 250 * time.Millisecond
	firstLines = 2 * time.Second
)

// errNoLines says that the function has not logged anything.
var errNoLines = errors.New("nothing logged")

// Validate refuses a time to come; kong calls it.
func (c logsCmd) Validate() error {
	if c.Since <= 0 {
		return fmt.Errorf("--since %v: want how far back to begin, such as 30m", c.Since)
	}
	return nil
}

func (c logsCmd) Run(ctx context.Context) error {
	g, err := c.find(ctx)
	if err != nil {
		return err
	}
	wait, begun := underWay, time.Now()
	if c.Follow {
		wait = 0
	}
	for ; ; wait = followEvery {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		err = g.print(ctx)
		switch waits := time.Since(begun) < firstLines && !g.printed; {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errNoLines) && (c.Follow || waits):
		case errors.Is(err, errNoLines):
			if err := g.missing(ctx); err != nil {
				return err
			}
			return fmt.Errorf("function %s has logged nothing yet in region %s", c.Function, g.target.region)
		case err != nil:
			return err
		case !c.Follow && !waits:
			if !g.printed {
				if err := g.missing(ctx); err != nil {
					return err
				}
				fmt.Fprintf(os.Stderr, "enfold: nothing was logged in the last %v; --since looks further back\n", c.Since)
			}
			return nil
		}
	}
}

// tail is what a function logs, from some time on.
type tail struct {
	target   *target
	path     string         // of the function's configuration
	group    map[string]any // the parameter that names its log group, by the ARN if it was said whose function is meant
	versions []string       // whose lines are wanted; nil for all
	from     int64          // Unix milliseconds
	// seen are the ids of the events at from: the next question asks for that millisecond again.
	seen    map[string]bool
	printed bool // at least one
}

// find takes what Invoke takes: a name, a partial or a full ARN, each with or without a version or alias.
func (c logsCmd) find(ctx context.Context) (*tail, error) {
	f, ok := lambda.ParseFunctionName(c.Function)
	switch {
	case c.Function == "":
		return nil, errNoName
	case !ok:
		return nil, fmt.Errorf("%q is neither a function's name nor its ARN", c.Function)
	}
	t, err := findServer(c.dataFlag, cmp.Or(f.Region, c.Region))
	if err != nil {
		return nil, err
	}
	group := "/aws/lambda/" + f.Name
	g := &tail{target: t, group: map[string]any{"logGroupName": group}, from: time.Now().Add(-c.Since).UnixMilli(), seen: map[string]bool{}}
	if f.Account != "" {
		g.group = map[string]any{"logGroupIdentifier": aws.NewARN("logs", t.region, f.Account, "log-group:"+group).String()}
	}
	name := strings.TrimSuffix(c.Function, ":"+f.Qualifier)
	g.path = functionsPath + "/" + url.PathEscape(name) + "/configuration"
	if f.Qualifier != "" {
		g.path += "?Qualifier=" + url.QueryEscape(f.Qualifier)
	}
	if g.versions, err = t.versionsOf(ctx, name, f.Qualifier); err == nil && c.Follow {
		if missing := g.missing(ctx); missing != nil {
			fmt.Fprintf(os.Stderr, "enfold: %v; waiting for it\n", missing)
		}
	}
	return g, err
}

// missing says whether the function or its version is missing. What it has logged may still be there.
func (g *tail) missing(ctx context.Context) error {
	err := g.target.rest(ctx, http.MethodGet, g.path, nil, nil)
	if failed, ok := errors.AsType[*apiError](err); ok && failed.Code == "ResourceNotFoundException" {
		return err
	}
	return nil // that it cannot be told is no reason to fail
}

// versionsOf are the versions of a function that a qualifier names now; nil without one.
func (t *target) versionsOf(ctx context.Context, function, qualifier string) ([]string, error) {
	switch {
	case qualifier == "":
		return nil, nil
	case qualifier == "$LATEST" || strings.Trim(qualifier, "0123456789") == "":
		return []string{qualifier}, nil
	}
	var alias struct {
		FunctionVersion string
		RoutingConfig   struct{ AdditionalVersionWeights map[string]float64 }
	}
	if err := t.rest(ctx, http.MethodGet, functionsPath+"/"+url.PathEscape(function)+"/aliases/"+url.PathEscape(qualifier), nil, &alias); err != nil {
		return nil, err
	}
	return append(slices.Collect(maps.Keys(alias.RoutingConfig.AdditionalVersionWeights)), alias.FunctionVersion), nil
}

type logEvent struct {
	EventID   string `json:"eventId"`
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
	Stream    string `json:"logStreamName"` // "2026/01/31/[VERSION]…"
}

// wants says that an event is of a version whose lines are wanted.
func (g *tail) wants(e logEvent) bool {
	return g.versions == nil || slices.ContainsFunc(g.versions, func(v string) bool { return strings.Contains(e.Stream, "["+v+"]") })
}

// print prints what is new.
func (g *tail) print(ctx context.Context) error {
	in := maps.Clone(g.group)
	in["startTime"] = g.from
	terminal := isTerminal(os.Stdout)
	for {
		var out struct {
			Events    []logEvent `json:"events"`
			NextToken string     `json:"nextToken"`
		}
		err := g.target.json(ctx, "logs", "Logs_20140328.FilterLogEvents", in, &out)
		var failed *apiError
		if errors.As(err, &failed) && strings.HasSuffix(failed.Code, "ResourceNotFoundException") {
			return errNoLines
		}
		if err != nil {
			return err
		}
		for _, e := range out.Events {
			if g.seen[e.EventID] {
				continue
			}
			if e.Timestamp > g.from {
				g.from = e.Timestamp
				clear(g.seen)
			}
			g.seen[e.EventID] = true
			if g.wants(e) {
				g.printed = true
				fmt.Print(shown(e.Message, terminal))
			}
		}
		if out.NextToken == "" {
			return nil
		}
		in["nextToken"] = out.NextToken
	}
}

// shown is the lines of an event. A function may log what steers a terminal; a pipe gets it as it is.
func shown(message string, terminal bool) string {
	if terminal {
		message = printable(strings.ReplaceAll(message, "\r\n", "\n"))
	}
	return strings.TrimSuffix(message, "\n") + "\n"
}

// isTerminal says that somebody reads what is written to a file: it is a device, and no file or pipe.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
