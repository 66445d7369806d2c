package storetest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/enfold-run/enfold/store"
)

// Backend is what the crash tests open, in this process and in another.
type Backend struct {
	Open func(dir string) (store.Store, error)
	// Unsafe opens a store that never fsyncs: the control that shows that a power cut is one. Nil if there is no such thing.
	Unsafe func(dir string) (store.Store, error)
}

// The environment of the process that crashes.
const (
	childDir    = "STORETEST_CHILD_DIR"
	childRound  = "STORETEST_CHILD_ROUND"
	childUnsafe = "STORETEST_CHILD_UNSAFE"
)

// Workers of the process that crashes.
const (
	writers   = 12 // a row, a counter, a message and a chunk in each transaction
	consumers = 4  // claim and ack
	blobbers  = 2
	loggers   = 2
	longest   = 30 * time.Second
)

// Child does nothing in the test's own process. In one that a crash test started it writes to the store, prints what was
// acknowledged, and never returns. It is the first line of TestMain.
func Child(b Backend) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	open := b.Open
	if os.Getenv(childUnsafe) != "" {
		open = b.Unsafe
	}
	s, err := open(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "open:", err)
		os.Exit(1)
	}
	c := &child{s: s, round: os.Getenv(childRound)}
	go func() { // the test ended without killing it
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	time.AfterFunc(longest, func() { os.Exit(0) })
	c.work()
	os.Exit(0)
}

type child struct {
	s     store.Store
	round string
	mu    sync.Mutex
}

// acked prints a line that is the promise: what it names is durable.
func (c *child) acked(kind, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = os.Stdout.WriteString(kind + " " + what + "\n")
}

// work has every worker run until its store fails, as it does after a power cut.
func (c *child) work() {
	var failed atomic.Bool
	var group sync.WaitGroup
	start := func(n int, step func(worker, n int) error) {
		for w := range n {
			group.Go(func() {
				for i := 0; !failed.Load(); i++ {
					if err := step(w, i); err != nil && !failed.Swap(true) {
						fmt.Fprintln(os.Stderr, err)
					}
				}
			})
		}
	}
	start(writers, c.write)
	start(consumers, c.consume)
	start(blobbers, c.blob)
	start(loggers, c.log)
	group.Wait()
}

func (c *child) write(w, n int) error {
	worker := c.round + "." + strconv.Itoa(w)
	key := worker + "." + strconv.Itoa(n)
	err := c.s.Update(ctx, func(tx store.Tx) error {
		_, err1 := tx.Put("t", here, key, bytes.Repeat([]byte(key), 20), store.IfAbsent())
		err2 := setNumber(tx, worker, n, store.Cond{})
		_, err3 := tx.Enqueue("q", here, store.Message{ID: key})
		_, err4 := tx.Append("l", here, store.Chunk{Data: []byte(key)})
		return errors.Join(err1, err2, err3, err4)
	})
	if err == nil {
		c.acked("write", key)
	}
	return err
}

func (c *child) consume(int, int) error {
	var got []store.Claimed
	err := c.s.Update(ctx, func(tx store.Tx) (err error) {
		got, err = tx.Claim("q", here, 1, time.Now(), time.Hour)
		return err
	})
	if err != nil || len(got) == 0 {
		return err
	}
	err = c.s.Update(ctx, func(tx store.Tx) error { return tx.Ack("q", here, got[0].Receipt) })
	if err == nil {
		c.acked("consume", got[0].ID)
	}
	return err
}

func (c *child) blob(int, int) error {
	content := make([]byte, 10_000)
	_, _ = rand.Read(content) // crypto/rand never fails
	b, err := c.s.Blobs().Put(ctx, bytes.NewReader(content), 1<<20)
	if err == nil {
		c.acked("blob", fmt.Sprintf("%s %x", b.ID, sha256.Sum256(content)))
	}
	return err
}

func (c *child) log(w, n int) error {
	key := fmt.Sprintf("%s.%d.%d", c.round, w, n)
	err := c.s.Logs().Append(ctx, "lagging", here, store.Chunk{First: noon, Last: noon, Data: []byte(key)})
	if err == nil {
		err = c.s.Logs().Sync(ctx)
	}
	if err == nil {
		c.acked("log", key)
	}
	return err
}
