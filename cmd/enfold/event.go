package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

type eventCmd struct {
	Replay eventReplayCmd `cmd:"" help:"Run an event again through where it came from: a function, a subscription, a queue. Its dead letter is removed when it is on its way."`
}

type eventReplayCmd struct {
	queueFlags
	ID     string `arg:"" help:"Id of the event: of the request that invoked the function, of the message in its dead-letter or destination queue, or of the notification."`
	Queue  string `help:"Look in this queue only. Without, in all that something names for its dead letters or results." placeholder:"QUEUE"`
	To     string `help:"ARN of the queue or function to send to, instead of where it came from." placeholder:"ARN"`
	DryRun bool   `help:"Say what would be done, and do nothing."`
	Keep   bool   `help:"Leave the dead letter where it is."`
}

// Run looks for what is left of the event and sends it once more. It fails if there is nothing, or nowhere to send it.
func (c eventReplayCmd) Run(ctx context.Context) error {
	t, err := findServer(c.dataFlag, c.Region)
	if err != nil {
		return err
	}
	all, err := t.origins(ctx)
	if err != nil {
		return err
	}
	r := &replay{cmd: c, target: t, origins: all, done: map[string]string{}, said: time.Now()}
	queues := slices.Sorted(maps.Keys(all.of))
	for _, arn := range slices.Sorted(maps.Keys(all.results)) {
		if !slices.Contains(queues, arn) {
			queues = append(queues, arn)
		}
	}
	if c.Queue != "" {
		queues = []string{c.Queue}
	}
	for _, arn := range queues {
		if err := r.search(ctx, arn); err != nil {
			return err
		}
	}
	return r.run(ctx)
}

func (r *replay) run(ctx context.Context) error {
	if len(r.found) == 0 {
		return r.nothing()
	}
	// The record of an invocation says by which alias or version it went; other letters of the same event need not.
	slices.SortStableFunc(r.found, func(a, b match) int { return cmp.Compare(a.letter.vague(), b.letter.vague()) })
	failed := false
	for _, m := range r.found {
		err := r.replay(ctx, m)
		if err != nil {
			failed = true
			fmt.Fprintf(os.Stderr, "enfold: %s stays in %s: %v\n", m.letter.ID, m.queue.name, err)
		}
		if err != nil || r.cmd.DryRun || r.cmd.Keep || m.letter.succeeded() {
			m.queue.release(ctx, []*letter{m.letter})
		}
	}
	if failed {
		return exitCode(1)
	}
	return nil
}

// replay is one run of event replay.
type replay struct {
	cmd     eventReplayCmd
	target  *target
	origins *origins

	queues []string // that were looked through
	looked int      // letters
	busy   int      // letters that somebody else is receiving
	found  []match
	done   map[string]string // what was sent, by what it was: the same event may be in two queues
	said   time.Time
}

// match is a letter of the event.
type match struct {
	queue  *deadLetters
	letter *letter
}

// search looks through a queue. What is of another event is visible again afterwards.
func (r *replay) search(ctx context.Context, queue string) error {
	d := r.target.deadLetters(queue)
	total, err := d.count(ctx)
	switch {
	case r.cmd.Queue == "" && isGone(err): // or of another account: not ours to look at
		return nil
	case err != nil:
		return err
	}
	_, busy, err := d.counts(ctx)
	if err != nil {
		return err
	}
	r.queues, r.busy = append(r.queues, d.name), r.busy+busy
	var others []*letter
	defer func() { d.release(context.WithoutCancel(ctx), others) }()
	for seen := 0; seen < total; {
		batch, err := d.receive(ctx, 10, holdTime)
		if err != nil || len(batch) == 0 {
			return err
		}
		for _, l := range batch {
			if slices.Contains(l.ids(), r.cmd.ID) {
				r.found = append(r.found, match{d, l})
			} else {
				others = append(others, l)
			}
		}
		seen, r.looked = seen+len(batch), r.looked+len(batch)
		r.progress()
	}
	return nil
}

func (r *replay) progress() {
	if now := time.Now(); now.Sub(r.said) > time.Second {
		r.said = now
		fmt.Fprintf(os.Stderr, "enfold: looked at %d messages\n", r.looked)
	}
}

// replay sends the event of a letter on its way. The letter is removed then, unless it tells of a success, or is to be kept.
func (r *replay) replay(ctx context.Context, m match) error {
	d, l := m.queue, m.letter
	w := d.trace(ctx, l, r.origins)
	if r.cmd.To != "" {
		w = wayTo(r.cmd.To)
	}
	keep, after := r.cmd.Keep || l.succeeded(), "removed from "+d.name
	if keep {
		after = "stays in " + d.name
	}
	fmt.Printf("%s in %s\n  cause   %s\n  back to %s\n", l.ID, d.name, oneLine(l.cause()), w)
	if r.origins.published[w.function] {
		fmt.Println("          which version failed is not in its log (yet): it will be $LATEST; --to names another")
	}
	switch {
	case w.unknown():
		return l.errUnknown()
	case r.cmd.DryRun:
		fmt.Println("  would be sent, then " + after)
		return nil
	}
	as, known := r.done[l.eventID()]
	if known {
		fmt.Println("  is the event that was sent as " + as)
	} else {
		var err error
		if as, err = d.send(ctx, l, w); err != nil {
			return err
		}
		r.done[l.eventID()] = as
		fmt.Println("  sent as " + as)
	}
	if !keep {
		if err := d.remove(ctx, l); err != nil {
			return fmt.Errorf("it was sent, and could not be removed: %w", err)
		}
	}
	fmt.Println("  " + after)
	return nil
}

// nothing says what can be done when the event is not found.
func (r *replay) nothing() error {
	where := "There are no queues of dead letters or results"
	if len(r.queues) > 0 {
		where = fmt.Sprintf("It is none of the %d messages that are visible in %s", r.looked, strings.Join(r.queues, ", "))
	}
	hint := ""
	if r.busy > 0 {
		hint = fmt.Sprintf("\n  %d more are being received by somebody: try again when they are visible.", r.busy)
	}
	if slices.ContainsFunc(r.queues, func(name string) bool { return strings.HasSuffix(name, ".fifo") }) {
		hint += "\n  Of a FIFO queue, ten messages of a group are visible at a time: enfold dlq redrive QUEUE keeps their order."
	}
	return fmt.Errorf("no event %q was found in %s. %s.%s\n"+
		"  Elsewhere: --queue QUEUE, --region REGION.\n"+
		"  What failed for good without a dead-letter queue or a destination is gone, as on AWS. The next is kept after\n"+
		"    aws lambda put-function-event-invoke-config --function-name NAME --destination-config '{\"OnFailure\":{\"Destination\":\"QUEUE-ARN\"}}'",
		r.cmd.ID, r.target.region, where, hint)
}
