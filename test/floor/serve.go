package floor

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// Serve listens, prints the address as a line of its own, and serves until SIGINT or SIGTERM. serve returns when the
// listener is closed.
func Serve(listen string, serve func(net.Listener) error) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		l.Close()
	}()
	fmt.Println(l.Addr())
	return serve(l)
}
