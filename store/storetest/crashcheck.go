package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/enfold-run/enfold/store"
)

// contents is what the main file has after a crash.
type contents struct {
	rows     map[string]bool
	counters map[string]int
	messages map[string]bool
	chunks   map[string]bool
}

func readContents(s store.Store) (contents, error) {
	c := contents{map[string]bool{}, map[string]int{}, map[string]bool{}, map[string]bool{}}
	err := s.View(ctx, func(tx store.Tx) error {
		for r, err := range tx.Scan("t", here, store.Range{}) {
			if err != nil {
				return err
			}
			if strings.Count(r.Key, ".") == 2 {
				c.rows[r.Key] = string(r.Value) == strings.Repeat(r.Key, 20)
				continue
			}
			n, _, err := number(tx, r.Key)
			if err != nil {
				return err
			}
			c.counters[r.Key] = n
		}
		for ch, err := range tx.ReadLog("l", here, 0, 0) {
			if err != nil {
				return err
			}
			c.chunks[string(ch.Data)] = true
		}
		return nil
	})
	for n := 1; err == nil && n > 0; {
		err = s.Update(ctx, func(tx store.Tx) error {
			got, err := tx.Claim("q", here, 1000, time.Now().Add(10*time.Hour), 100*time.Hour)
			if n = len(got); err != nil {
				return err
			}
			for _, m := range got {
				c.messages[m.ID] = true
			}
			return nil
		})
	}
	return c, err
}

// checkMain looks at rows, messages and chunks, and takes the messages away, so that the next round has its own.
func checkMain(s store.Store, round int, now, before promises, lost func(string, ...any)) error {
	c, err := readContents(s)
	if err != nil {
		return err
	}
	for _, key := range slices.Concat(now.writes, before.writes) {
		if !c.rows[key] || !c.chunks[key] {
			lost("acknowledged transaction %s: row %v, chunk %v", key, c.rows[key], c.chunks[key])
		}
	}
	for _, key := range now.consumed {
		if c.messages[key] {
			lost("message %s was acked and is back", key)
		}
		delete(c.rows, key) // its row was seen above if it was acknowledged; its message is gone by right
	}
	for _, key := range now.late {
		delete(c.rows, key)
	}
	// A transaction is there whole or not at all. Of each consumer one ack may be done that it did not live to print.
	gone, mine := 0, fmt.Sprintf("r%d.", round)
	for key, whole := range c.rows {
		if !whole || !c.chunks[key] {
			lost("transaction %s is there in part: row %v, chunk %v", key, whole, c.chunks[key])
		}
		if strings.HasPrefix(key, mine) && !c.messages[key] {
			gone++
		}
	}
	if gone > consumers {
		lost("%d messages are gone that nobody acked, more than the %d that may have been under way", gone, consumers)
	}
	late := make(map[string]bool)
	for _, key := range now.late {
		late[key] = true
	}
	for key := range c.messages {
		if _, ok := c.rows[key]; !ok && !late[key] {
			lost("message %s without its row", key)
		}
	}
	for worker, n := range c.counters {
		if last := fmt.Sprintf("%s.%d", worker, n); !c.chunks[last] {
			lost("counter %s says %d, whose chunk is not there", worker, n)
		}
		if next := fmt.Sprintf("%s.%d", worker, n+1); c.chunks[next] {
			lost("counter %s says %d, and the chunk of the next is there", worker, n)
		}
	}
	return s.Update(ctx, func(tx store.Tx) error { return tx.Purge("q", here) })
}

// checkRest looks at logs and blobs.
func checkRest(s store.Store, p promises, lost func(string, ...any)) error {
	chunks := make(map[string]bool)
	for c, err := range s.Logs().Read(ctx, "lagging", here, store.LogRange{}) {
		if err != nil {
			return err
		}
		chunks[string(c.Data)] = true
	}
	for _, key := range p.logs {
		if !chunks[key] {
			lost("log chunk %s, which was synced", key)
		}
	}
	for id, hash := range p.blobs {
		f, err := s.Blobs().Open(id)
		if err != nil {
			lost("blob %s: %v", id, err)
			continue
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if got := fmt.Sprintf("%x", h.Sum(nil)); got != hash {
			lost("blob %s has another content", id)
		}
	}
	return nil
}
