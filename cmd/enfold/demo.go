package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/enfold-run/enfold/examples"
)

type demoCmd struct {
	dataFlag
	Region   string `help:"Region to deploy in." default:"us-east-1" env:"ENFOLD_REGION"`
	Start    bool   `help:"Start a server on the data directory for the time of the demo, if none runs."`
	Binaries string `help:"Where make has put the compiled Go examples." default:"${binaries}" type:"path" placeholder:"DIR"`
}

// warmCalls is how many calls the warm figure is the median of.
const warmCalls = 20

// outcome is a row of the demo's table.
type outcome struct {
	example    examples.Example
	runtime    string
	cold, warm time.Duration
	answer     string
	skipped    string // why it was not run
}

// Run deploys the examples through the public API, calls them, and prints what happened and how to go on.
func (c demoCmd) Run(ctx context.Context) error {
	t, err := findServer(c.dataFlag, c.Region)
	if (err != nil || !t.answers(ctx)) && c.Start {
		var stop func()
		if t, stop, err = startServer(ctx, c.dir(), c.Region); err == nil {
			defer stop()
		}
	}
	if err != nil {
		return err
	}
	fmt.Printf("Deploying the examples to %s and calling them.\n\n", t.endpoint)
	var rows []outcome
	for _, e := range examples.List() {
		fmt.Printf("  %-18s ", e.Name)
		row, err := c.try(ctx, t, e)
		if err != nil {
			return fmt.Errorf("example %s: %w", e.Name, err)
		}
		if row.skipped != "" {
			fmt.Println("skipped:", row.skipped)
		} else {
			fmt.Println("→", row.answer)
		}
		rows = append(rows, row)
	}
	fmt.Print(c.howToGoOn(os.Args[0]))
	return printTable(rows)
}

// try deploys one example and calls it, cold and warm.
func (c demoCmd) try(ctx context.Context, t *target, e examples.Example) (outcome, error) {
	row := outcome{example: e}
	code, err := e.Zip(ctx, c.Binaries)
	var skip *examples.SkipError
	if errors.As(err, &skip) {
		row.skipped = skip.Reason
		return row, nil
	}
	if err != nil {
		return row, err
	}
	if row.runtime, row.skipped, err = deploy(ctx, t, e, code); err != nil || row.skipped != "" {
		return row, err
	}
	event := e.Event()
	var warm []time.Duration
	for i := range warmCalls + 1 {
		begun := time.Now()
		res, err := t.invoke(ctx, demoName(e), "", event)
		if err != nil {
			return row, err
		}
		took := time.Since(begun)
		if res.functionError != "" {
			return row, fmt.Errorf("the function failed: %s", res.payload)
		}
		if i == 0 {
			row.cold, row.answer = took, short(res.payload)
			continue
		}
		warm = append(warm, took)
	}
	slices.Sort(warm)
	row.warm = warm[len(warm)/2]
	return row, nil
}

func demoName(e examples.Example) string { return "demo-" + e.Name }

// deployment is what the demo reads of a function's configuration.
type deployment struct {
	State            string
	StateReason      string
	LastUpdateStatus string
	LastUpdateReason string `json:"LastUpdateStatusReason"`
}

const functionsPath = "/2015-03-31/functions"

// deploy creates or updates a function on the first of its runtimes that this host can run.
func deploy(ctx context.Context, t *target, e examples.Example, code []byte) (runtime, skipped string, err error) {
	role, err := executionRole(ctx, t, "enfold-demo")
	if err != nil {
		return "", "", err
	}
	path := functionsPath + "/" + demoName(e)
	err = t.rest(ctx, http.MethodDelete, path, nil, nil)
	var failed *apiError
	if err != nil && (!errors.As(err, &failed) || failed.Status != http.StatusNotFound) {
		return "", "", err
	}
	create := map[string]any{
		"FunctionName": demoName(e), "Runtime": e.Runtimes[0], "Handler": e.Handler, "MemorySize": e.MemoryMB, "Timeout": 30,
		"Role": role, "Description": "deployed by enfold demo",
		"Code": map[string]any{"ZipFile": code},
	}
	if err := t.rest(ctx, http.MethodPost, functionsPath, create, nil); err != nil {
		return "", "", err
	}
	for i, r := range e.Runtimes {
		if i > 0 {
			if err := t.rest(ctx, http.MethodPut, path+"/configuration", map[string]any{"Runtime": r}, nil); err != nil {
				return "", "", err
			}
		}
		d, err := settled(ctx, t, path)
		if err != nil {
			return "", "", err
		}
		if d.State == "Active" && d.LastUpdateStatus == "Successful" {
			return r, "", nil
		}
		if skipped == "" {
			skipped = strings.TrimSpace(d.StateReason + d.LastUpdateReason)
		}
	}
	return "", skipped, nil
}

// settled waits until a function is what it will be.
func settled(ctx context.Context, t *target, path string) (deployment, error) {
	for {
		var d deployment
		if err := t.rest(ctx, http.MethodGet, path+"/configuration", nil, &d); err != nil {
			return d, err
		}
		if d.State != "Pending" && d.LastUpdateStatus != "InProgress" {
			return d, nil
		}
		select {
		case <-ctx.Done():
			return d, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// short is an answer in one line of a terminal: long strings, which are pictures, are cut.
func short(payload []byte) string {
	const width = 100
	s := strings.Join(strings.Fields(string(payload)), " ")
	if len(s) > width {
		s = s[:width] + "…"
	}
	return s
}

func printTable(rows []outcome) error {
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "function\truntime\tcold\twarm (median of %d)\t\n", warmCalls)
	for _, r := range rows {
		if r.skipped != "" {
			fmt.Fprintf(w, "%s\tskipped\t\t\t\n", demoName(r.example))
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", demoName(r.example), r.runtime, inMillis(r.cold), inMillis(r.warm))
	}
	return w.Flush()
}

func inMillis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }

// howToGoOn are commands that reach what the demo has deployed, whatever directory and region it was told.
func (c demoCmd) howToGoOn(self string) string {
	data, region := "", ""
	if usual, err := filepath.Abs(dataFlag{}.dir()); err != nil || c.Data != "" && string(c.Data) != usual {
		data = " --data " + shellQuote(string(c.Data))
	}
	if c.Region != "us-east-1" {
		region = " --region " + shellQuote(c.Region)
	}
	return fmt.Sprintf(`
The functions stay deployed. To go on:
  %-44s start the server
  %-44s point the AWS CLI and SDKs at it
  %-44s … and use them as always
  %s demo-hello-python --payload '{"name":"you"}'
  %s demo-hello-python
`, self+" serve"+data, `eval "$(`+self+" env"+data+region+`)"`, "aws lambda list-functions", self+" invoke"+data+region, self+" logs"+data+region)
}

// binariesDir is where make puts the compiled Go examples: beside the binary.
func binariesDir() string {
	exe, err := os.Executable()
	if err != nil {
		return "bin/examples"
	}
	return filepath.Join(filepath.Dir(exe), "examples")
}
