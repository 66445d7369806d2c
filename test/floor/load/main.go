//go:build unix

// Command load measures a server with keep-alive connections that each send one request after the other, and prints a
// floor.Report. Credentials of all modes but plain come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
//
// It exits with 0 whatever the server answered: failed requests are counted in the report.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

// options are the flags.
type options struct {
	mode     string
	address  string
	clients  int
	count    int
	duration time.Duration
	warmup   int
	timeout  time.Duration
	body     string
	function string
	region   string
	queue    string
}

func main() {
	var o options
	flag.StringVar(&o.mode, "mode", "plain", `"plain": POST /; signed: "lambda": Invoke; "async": Invoke of an event; "send": SendMessage; "cycle": send, receive, delete`)
	flag.StringVar(&o.address, "address", "", "host:port of the server")
	flag.IntVar(&o.clients, "clients", 1, "connections")
	flag.IntVar(&o.count, "count", 0, "measured requests of all clients together; 0: as --duration says")
	flag.DurationVar(&o.duration, "duration", 2*time.Second, "how long to measure, if there is no --count")
	flag.IntVar(&o.warmup, "warmup", 100, "requests of each client before that, unmeasured")
	flag.DurationVar(&o.timeout, "timeout", 30*time.Second, "of a request")
	flag.StringVar(&o.body, "body", `{"name":"x"}`, "what is posted")
	flag.StringVar(&o.function, "function", "hello", "function of --mode lambda")
	flag.StringVar(&o.region, "region", "us-east-1", "region of the signature")
	flag.StringVar(&o.queue, "queue", "", "URL of the queue of --mode send and cycle")
	flag.Parse()
	if err := run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	if o.address == "" || o.clients < 1 || o.count < 0 || o.duration <= 0 {
		return fmt.Errorf("usage: load --address HOST:PORT [flags]; see --help")
	}
	source, err := newSource(o)
	if err != nil {
		return err
	}
	r, err := measure(o, source)
	if err != nil {
		return err
	}
	return r.Print()
}
