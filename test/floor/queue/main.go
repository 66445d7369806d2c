// Command queue is the floor of the queues in `make bench`: a net/http server that reads the same signed requests of SQS,
// verifies their signature, parses them, and stores nothing. Every message that it gives out is the last one that it got.
package main

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/sigv4"
	"github.com/enfold-run/enfold/test/floor"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	flag.Parse()
	s := &server{keys: sigv4.New(oneKey{os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")})}
	err := floor.Serve(*listen, func(l net.Listener) error {
		if err := http.Serve(l, s); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "queue:", err)
		os.Exit(1)
	}
}

// oneKey is the only key there is.
type oneKey struct{ id, secret string }

// Lookup implements sigv4.Keys.
func (k oneKey) Lookup(_ context.Context, id, _ string) (sigv4.Key, error) {
	if id != k.id {
		return sigv4.Key{}, sigv4.ErrUnknownKey
	}
	return sigv4.Key{Secret: []byte(k.secret), Principal: aws.RootOf("000000000000", id)}, nil
}

type server struct {
	keys *sigv4.Verifier
	last atomic.Pointer[string]
}

// input is what requests of the three operations hold.
type input struct {
	QueueURL          string `json:"QueueUrl"`
	MessageBody       string
	ReceiptHandle     string
	MessageAttributes map[string]struct{ DataType, StringValue string }
}

const messageID = "1f9a0a52-3e6c-4f1c-9d1a-0123456789ab"

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2<<20))
	if err == nil {
		_, err = s.keys.Verify(r, body)
	}
	var in input
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out := map[string]any{}
	switch strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.") {
	case "SendMessage":
		s.last.Store(&in.MessageBody)
		out["MessageId"], out["MD5OfMessageBody"] = messageID, sum(in.MessageBody)
	case "ReceiveMessage":
		if last := s.last.Load(); last != nil {
			out["Messages"] = []any{map[string]any{
				"MessageId": messageID, "ReceiptHandle": "AQEB" + messageID, "Body": *last, "MD5OfBody": sum(*last),
			}}
		}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		return // the client has gone
	}
}

func sum(s string) string {
	h := md5.Sum([]byte(s))
	return hex.EncodeToString(h[:])
}
