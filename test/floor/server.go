package floor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// maxEvent is the most bytes of a request to the relay.
const maxEvent = 6291556

// Relay answers every POST on l with what the pool makes of its body, until l is closed. It reads just the HTTP that load
// writes: requests with a Content-Length on connections that stay.
func Relay(l net.Listener, p *Pool) error {
	// One deadline for all: a floor has no timers.
	ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
	defer cancel()
	for {
		nc, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		go func() {
			defer nc.Close()
			_ = relay(ctx, nc, p)
		}()
	}
}

// relay serves one connection.
func relay(ctx context.Context, nc net.Conn, p *Pool) error {
	in := bufio.NewReaderSize(nc, 4<<10)
	var event, out []byte
	for {
		n, err := readHead(in)
		if err != nil {
			return err
		}
		if cap(event) < n {
			event = make([]byte, n)
		}
		event = event[:n]
		if _, err := io.ReadFull(in, event); err != nil {
			return err
		}
		status := "200 OK"
		answer, err := p.Invoke(ctx, event)
		if err != nil {
			status, answer = "500 Internal Server Error", []byte(err.Error())
		}
		out = append(out[:0], "HTTP/1.1 "...)
		out = append(out, status...)
		out = append(out, "\r\nContent-Type: application/json\r\nContent-Length: "...)
		out = strconv.AppendInt(out, int64(len(answer)), 10)
		out = append(out, "\r\n\r\n"...)
		out = append(out, answer...)
		if _, err := nc.Write(out); err != nil {
			return err
		}
	}
}

var errRequest = errors.New("floor: not a POST with a Content-Length")

// readHead reads a request's head and returns its Content-Length.
func readHead(in *bufio.Reader) (int, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(line, []byte("POST ")) {
		return 0, errRequest
	}
	n := -1
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		if len(name) == len("content-length") && bytes.EqualFold(name, []byte("content-length")) {
			if n, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, errRequest
			}
		}
	}
	if n < 0 || n > maxEvent {
		return 0, errRequest
	}
	return n, nil
}
