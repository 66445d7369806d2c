package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

type dlqCmd struct {
	List    dlqListCmd    `cmd:"" help:"List the dead-letter queues, what they are for and how much is in them."`
	Show    dlqShowCmd    `cmd:"" help:"Print dead letters with their cause. They stay where they are."`
	Redrive dlqRedriveCmd `cmd:"" help:"Send dead letters back through where they came from: a queue, a function, a subscription."`
}

// queueFlags say which server and region are meant.
type queueFlags struct {
	dataFlag
	Region string `default:"us-east-1" env:"AWS_REGION,AWS_DEFAULT_REGION" help:"Region of the queue."`
}

func (f queueFlags) open(queue string) (*target, *deadLetters, error) {
	t, err := findServer(f.dataFlag, f.Region)
	if err != nil {
		return nil, nil, err
	}
	return t, t.deadLetters(queue), nil
}

type dlqListCmd struct{ queueFlags }

// Run prints a line per queue that something names as its dead-letter queue.
func (c dlqListCmd) Run(ctx context.Context) error {
	t, _, err := c.open("")
	if err != nil {
		return err
	}
	origins, err := t.origins(ctx)
	if err != nil {
		return err
	}
	if len(origins.of) == 0 {
		fmt.Println("Nothing names a dead-letter queue in " + t.region + ".")
		return nil
	}
	for _, arn := range slices.Sorted(maps.Keys(origins.of)) {
		d := t.deadLetters(arn)
		count := "gone"
		if n, err := d.count(ctx); err == nil {
			count = strconv.Itoa(n)
		}
		fmt.Printf("%-40s %6s", d.name, count)
		for i, o := range origins.of[arn] {
			if i > 0 {
				fmt.Print(",")
			}
			fmt.Print("  of ", o)
		}
		fmt.Println()
	}
	return nil
}

type dlqShowCmd struct {
	queueFlags
	Queue string `arg:"" help:"Name, URL or ARN of the queue."`
	Max   int    `default:"10" help:"Letters to print."`
	Full  bool   `help:"Print bodies whole."`
}

// Run prints the letters that are visible now.
func (c dlqShowCmd) Run(ctx context.Context) error {
	t, d, err := c.open(c.Queue)
	if err != nil {
		return err
	}
	if err := d.find(ctx); err != nil {
		return err
	}
	origins, err := t.origins(ctx)
	if err != nil {
		return err
	}
	shown := 0
	var all []*letter
	for shown < c.Max {
		letters, err := d.receive(ctx, min(c.Max-shown, 10), showTime)
		if err != nil {
			return err
		}
		if len(letters) == 0 {
			break
		}
		for _, l := range letters {
			fmt.Print(l.show(d.trace(ctx, l, origins), c.Full))
		}
		shown += len(letters)
		all = append(all, letters...)
	}
	d.release(ctx, all)
	if shown == 0 {
		fmt.Println("No dead letters are visible in " + d.name + ".")
	}
	return nil
}

// showTime is how long letters that are looked at are hidden, so that none is shown twice.
const showTime = 15 * time.Second

// show is what is printed of a letter.
func (l *letter) show(w way, full bool) string {
	body := l.Body
	if !full && len(body) > 200 {
		body = body[:200] + "…"
	}
	return fmt.Sprintf("%s  sent %s  received %s times\n", l.ID, l.sent(), l.Attributes["ApproximateReceiveCount"]) +
		fmt.Sprintf("  cause   %s\n  back to %s\n", oneLine(l.cause()), w) +
		fmt.Sprintf("  body    %s\n", strings.ReplaceAll(printable(body), "\n", "\n          "))
}

// printable is a text with nothing in it that could steer a terminal: who sends a message decides what is in it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsGraphic(r) {
			return r
		}
		return '\ufffd'
	}, s)
}

// oneLine is a printable text with its line breaks as \r and \n: nothing in it looks like a line of ours.
func oneLine(s string) string {
	return printable(strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(s))
}

type dlqRedriveCmd struct {
	queueFlags
	Queue  string  `arg:"" help:"Name, URL or ARN of the dead-letter queue."`
	To     string  `help:"ARN of the queue or function to send to, where that cannot be told from the letter." placeholder:"ARN"`
	DryRun bool    `help:"Say what would be done, and do nothing."`
	Rate   float64 `help:"Letters a second, at most; 0 for no limit." default:"0" placeholder:"N"`
	Max    int     `help:"Letters to send, at most; 0 for all that are there now." default:"0"`
}

// leastRate is a letter a day.
const leastRate = 1.0 / 86400

// Validate refuses rates that mean nothing; kong calls it.
func (c dlqRedriveCmd) Validate() error {
	if c.Rate != 0 && !(c.Rate >= leastRate) || math.IsInf(c.Rate, 0) {
		return fmt.Errorf("--rate %v: want a number of letters a second, at least one a day (%.6f), or 0 for no limit", c.Rate, leastRate)
	}
	return nil
}

// Run sends every letter back and removes it when it has arrived. One that cannot be sent stays.
func (c dlqRedriveCmd) Run(ctx context.Context) error {
	t, d, err := c.open(c.Queue)
	if err != nil {
		return err
	}
	if err := d.find(ctx); err != nil {
		return err
	}
	total, err := d.count(ctx)
	if err != nil {
		return err
	}
	if c.Max > 0 {
		total = min(total, c.Max)
	}
	origins, err := t.origins(ctx)
	if err != nil {
		return err
	}
	r := &redrive{cmd: c, letters: d, origins: origins, total: total, said: time.Now()}
	if err := r.run(ctx); err != nil {
		return err
	}
	if r.failed > 0 {
		return exitCode(1)
	}
	return nil
}

// redrive is one run of dlq redrive.
type redrive struct {
	cmd          dlqRedriveCmd
	letters      *deadLetters
	origins      *origins
	total        int
	sent, failed int
	looked       []*letter // that stay: visible again afterwards
	begun        time.Time
	said         time.Time
}

// holdTime is how long a letter is hidden while it is sent, and stays hidden if this program is killed meanwhile.
const holdTime = time.Minute

func (r *redrive) run(ctx context.Context) error {
	r.begun = time.Now()
	for r.sent+r.failed < r.total {
		batch, err := r.letters.receive(ctx, min(r.total-r.sent-r.failed, 10), holdTime)
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			break
		}
		for _, l := range batch {
			if err := r.pace(ctx); err != nil {
				return err
			}
			if err := r.one(ctx, l); err != nil {
				r.failed++
				r.looked = append(r.looked, l)
				fmt.Fprintf(os.Stderr, "enfold: %s stays: %s\n", l.ID, oneLine(err.Error()))
			} else {
				r.sent++
			}
		}
		r.progress()
	}
	r.letters.release(ctx, r.looked)
	what := "sent back"
	if r.cmd.DryRun {
		what = "would be sent back"
	}
	fmt.Printf("%d %s, %d stay in %s.\n", r.sent, what, r.failed, r.letters.name)
	return nil
}

func (r *redrive) one(ctx context.Context, l *letter) error {
	w := r.letters.trace(ctx, l, r.origins)
	if w.unknown() && r.cmd.To != "" {
		w = wayTo(r.cmd.To)
	}
	if w.unknown() {
		return l.errUnknown()
	}
	if r.cmd.DryRun {
		fmt.Printf("%s to %s (%s)\n", l.ID, w, oneLine(l.cause()))
		r.looked = append(r.looked, l)
		return nil
	}
	if _, err := r.letters.send(ctx, l, w); err != nil {
		return err
	}
	return r.letters.remove(ctx, l)
}

// pace waits until the rate allows another letter.
func (r *redrive) pace(ctx context.Context) error {
	if r.cmd.Rate <= 0 || r.cmd.DryRun {
		return ctx.Err()
	}
	due := r.begun.Add(time.Duration(float64(r.sent+r.failed) / r.cmd.Rate * float64(time.Second)))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(due)):
		return nil
	}
}

func (r *redrive) progress() {
	if now := time.Now(); now.Sub(r.said) > time.Second {
		r.said = now
		fmt.Fprintf(os.Stderr, "enfold: %d of %d\n", r.sent+r.failed, r.total)
	}
}
