package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binaries are what the tests run, built once. ENFOLD_TEST_BINARY names another enfold to hold against them.
var binaries struct {
	enfold    string
	misbehave []byte // the bootstrap of testdata/functions/misbehave
	hello     []byte // the bootstrap of testdata/functions/hello-go
	ledger    []byte // the bootstrap of testdata/functions/ledger
	consumer  []byte // the bootstrap of testdata/functions/consumer
}

func TestMain(m *testing.M) {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "the shared server:", err)
		code = 1
	}
	os.Exit(code)
}

func build() error {
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	if binaries.enfold = os.Getenv("ENFOLD_TEST_BINARY"); binaries.enfold == "" {
		if out, err := exec.Command("make", "-C", root, "--no-print-directory", "build").CombinedOutput(); err != nil {
			return fmt.Errorf("make build: %w\n%s", err, out)
		}
		binaries.enfold = filepath.Join(root, "bin", "enfold")
	}
	dir, err := os.MkdirTemp("", "enfold-test")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, into := range map[string]*[]byte{
		"misbehave": &binaries.misbehave, "hello-go": &binaries.hello, "ledger": &binaries.ledger,
		"consumer": &binaries.consumer,
	} {
		file := filepath.Join(dir, name)
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-tags", "lambda.norpc", "-o", file, "./testdata/functions/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
		if *into, err = os.ReadFile(file); err != nil {
			return err
		}
	}
	return nil
}
