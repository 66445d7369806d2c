package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

type logsCmd struct {
	dataFlag
	Function string        `arg:"" help:"Function name."`
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

func (c logsCmd) Run(ctx context.Context) error {
	t, err := findServer(c.dataFlag, c.Region)
	if err != nil {
		return err
	}
	from := time.Now().Add(-c.Since).UnixMilli()
	seen := map[string]bool{} // ids of the events at the newest timestamp: the next question asks for that millisecond again
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
		from, err = c.print(ctx, t, from, seen)
		switch waits := time.Since(begun) < firstLines && len(seen) == 0; {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errNoLines) && (c.Follow || waits):
		case errors.Is(err, errNoLines):
			return fmt.Errorf("function %s has logged nothing yet in region %s", c.Function, t.region)
		case err != nil:
			return err
		case !c.Follow && !waits:
			if len(seen) == 0 {
				fmt.Fprintf(os.Stderr, "enfold: nothing was logged in the last %v; --since looks further back\n", c.Since)
			}
			return nil
		}
	}
}

type logEvent struct {
	EventID   string `json:"eventId"`
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
}

// print prints what is new since from and answers where to go on.
func (c logsCmd) print(ctx context.Context, t *target, from int64, seen map[string]bool) (int64, error) {
	in := map[string]any{"logGroupName": "/aws/lambda/" + c.Function, "startTime": from}
	terminal := isTerminal(os.Stdout)
	for {
		var out struct {
			Events    []logEvent `json:"events"`
			NextToken string     `json:"nextToken"`
		}
		err := t.json(ctx, "logs", "Logs_20140328.FilterLogEvents", in, &out)
		var failed *apiError
		if errors.As(err, &failed) && strings.HasSuffix(failed.Code, "ResourceNotFoundException") {
			return from, errNoLines
		}
		if err != nil {
			return from, err
		}
		for _, e := range out.Events {
			if seen[e.EventID] {
				continue
			}
			if e.Timestamp > from {
				from = e.Timestamp
				clear(seen)
			}
			seen[e.EventID] = true
			fmt.Print(shown(e.Message, terminal))
		}
		if out.NextToken == "" {
			return from, nil
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
