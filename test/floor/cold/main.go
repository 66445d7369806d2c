// Command cold measures the bare exec of a function binary, from just before the fork to the answer to its first event, and
// prints a floor.Report.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/enfold-run/enfold/test/floor"
)

func main() {
	function := flag.String("function", "", "path of the function's binary")
	event := flag.String("event", `{"name":"x"}`, "event")
	rounds := flag.Int("rounds", 30, "measured starts")
	settling := flag.Duration("settling", 0, "how long to wait before each start")
	warmup := flag.Int("warmup", 3, "starts before, which bring the binary into the page cache")
	flag.Parse()
	if *function == "" || *rounds < 1 {
		fmt.Fprintln(os.Stderr, "usage: cold --function PATH [--event JSON] [--rounds N] [--warmup N]")
		os.Exit(2)
	}
	r, err := measure(*function, []byte(*event), *rounds, *warmup, *settling)
	if err == nil {
		err = r.Print()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cold:", err)
		os.Exit(1)
	}
}

func measure(function string, event []byte, rounds, warmup int, settling time.Duration) (*floor.Report, error) {
	var took []time.Duration
	sum := time.Duration(0)
	for i := range warmup + rounds {
		time.Sleep(settling)
		d, err := once(function, event)
		if err != nil {
			return nil, err
		}
		if i >= warmup {
			took = append(took, d)
			sum += d
		}
	}
	r := &floor.Report{Mode: "cold", Clients: 1, Requests: rounds}
	r.Measure(took, sum)
	return r, nil
}

func once(function string, event []byte) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	start := time.Now()
	f, err := floor.Start(function)
	if err != nil {
		return 0, err
	}
	defer f.Stop()
	_, err = f.Invoke(ctx, event)
	return time.Since(start), err
}
