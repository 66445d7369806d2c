// Command echo is the floor H of `make bench`: a plain net/http server that answers a POST with its body.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/enfold-run/enfold/test/floor"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	flag.Parse()
	err := floor.Serve(*listen, func(l net.Listener) error {
		err := http.Serve(l, http.HandlerFunc(echo))
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		return err
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}
