// Command relay is the floor F of `make bench`: POST bodies to a Go function with nothing in between.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"

	"github.com/enfold-run/enfold/test/floor"
)

func main() {
	function := flag.String("function", "", "path of the function's binary")
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	max := flag.Int("max", 64, "most processes of the function")
	flag.Parse()
	if err := run(*function, *listen, *max); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

func run(function, listen string, max int) error {
	if function == "" || max < 1 {
		return fmt.Errorf("usage: relay --function PATH [--listen ADDRESS] [--max N]")
	}
	p := floor.NewPool(function, max)
	defer p.Stop()
	return floor.Serve(listen, func(l net.Listener) error { return floor.Relay(l, p) })
}
