package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

// Open opens the store in a directory, or fails the test. The suite closes it.
type Open func(t *testing.T, dir string) store.Store

// Run tests the contract of a backend.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open Open)
	}{
		{"records", testRecords},
		{"conditions", testConditions},
		{"scan", testScan},
		{"scan while writing", testScanWhileWriting},
		{"scopes", testScopes},
		{"limits", testLimits},
		{"queue", testQueue},
		{"enqueue leased", testEnqueueLeased},
		{"queue leases", testLeases},
		{"queue groups", testGroups},
		{"queue runs", testRuns},
		{"queue runs come back", testRunsComeBack},
		{"queue returns", testReturn},
		{"queue delays", testRedelay},
		{"queue lookups", testLookup},
		{"queue expiry", testExpire},
		{"queue deduplication", testDedup},
		{"queue large bodies", testLargeBodies},
		{"log of the main file", testMainLog},
		{"logs", testLogs},
		{"logs flushed while read", testLogsFlushed},
		{"logs of many", testLogsMany},
		{"blobs", testBlobs},
		{"blobs refused", testBlobsRefused},
		{"transaction undone", testUndone},
		{"transaction over", testOver},
		{"view", testView},
		{"context", testContext},
		{"closed", testClosed},
		{"restart", testRestart},
		{"counters", testCounters},
		{"versions contended", testContended},
		{"transfers", testTransfers},
		{"neighbours", testNeighbours},
		{"producers and consumers", testProducersConsumers},
		{"model", testModel},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

var (
	here  = store.Scope{Account: "111111111111", Region: "eu-central-1"}
	there = store.Scope{Account: "222222222222", Region: "eu-central-1"}
	away  = store.Scope{Account: "111111111111", Region: "us-east-1"}
	noon  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// opened opens a store in a directory of its own and closes it with the test.
func opened(t *testing.T, open Open) store.Store {
	t.Helper()
	s := open(t, t.TempDir())
	t.Cleanup(func() { shut(t, s) })
	return s
}

func shut(t *testing.T, s store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func update(t *testing.T, s store.Store, fn func(tx store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func view(t *testing.T, s store.Store, fn func(tx store.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatalf("view: %v", err)
	}
}

// put is the usual transaction: one row.
func put(t *testing.T, s store.Store, sc store.Scope, key, value string) int64 {
	t.Helper()
	var version int64
	update(t, s, func(tx store.Tx) (err error) {
		version, err = tx.Put("t", sc, key, []byte(value), store.Cond{})
		return err
	})
	return version
}

// get answers a row's value, or "-" if there is none.
func get(t *testing.T, s store.Store, sc store.Scope, key string) string {
	t.Helper()
	value := "-"
	view(t, s, func(tx store.Tx) error {
		r, err := tx.Get("t", sc, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		value = string(r.Value)
		return err
	})
	return value
}
