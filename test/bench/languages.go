//go:build linux

package main

import (
	"archive/zip"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/enfold-run/enfold/runtimes"
)

// A language is a managed runtime, and what its interpreter does alone: from its exec to the first byte of a program of one line.
type language struct {
	family  runtimes.Family
	handler string
	code    string   // of the function: a file in examples/hello
	bare    []string // arguments of the interpreter
	target  target
	where   string // how its sandboxes are isolated, if not as the others are
}

var languages = []language{
	{runtimes.Python, "lambda_function.lambda_handler", "python/lambda_function.py", []string{"-I", "-S", "-c", "import os; os.write(1, b'x')"}, atMost(0.35, "×"), ""},
	{runtimes.Node, "index.handler", "node/index.mjs", []string{"-e", "process.stdout.write('x')"}, atMost(0.15, "×"), ""},
	{runtimes.Java, "example.Hello::handleRequest", "java/function.jar", []string{"-cp", ".", "Bare"}, atMost(0.2, "×"), ""},
}

// Bare.class is what javac --release 11 makes of Bare.java.
//
//go:embed testdata/Bare.class
var bareClass []byte

// interpreters are the newest ones on this host.
func interpreters(dir string) map[runtimes.Family]runtimes.Found {
	found := map[runtimes.Family]runtimes.Found{}
	for _, f := range runtimes.New(runtimes.Options{DataDir: dir}).Found() {
		if f.OK {
			found[runtimes.FamilyOf(f.Runtime)] = f
		}
	}
	return found
}

// runtimeMap tells a server, whose environment is clean, where they are.
func (p *programs) runtimeMap() string {
	var list []string
	for _, f := range p.interpreters {
		list = append(list, f.Runtime+"="+f.Path)
	}
	return strings.Join(list, ",")
}

// prewarmed measures the first invocation of a function whose language runtime has booted before, against the bare exec of the
// interpreter.
func prewarmed(ctx context.Context, o *options, p *programs, e *enfold, t *table) error {
	if t.foreign {
		t.note("SKIPPED: cold starts of booted runtimes: none boots ahead with --isolation %s.", e.isolation)
		return nil
	}
	for _, l := range languages {
		in, ok := p.interpreters[l.family]
		if !ok {
			t.note("SKIPPED: no %s on this host.", l.family)
			continue
		}
		if err := l.measure(ctx, o, p, e, t, in); err != nil {
			return fmt.Errorf("%s: %w", in.Runtime, err)
		}
	}
	return nil
}

func (l language) measure(ctx context.Context, o *options, p *programs, e *enfold, t *table, in runtimes.Found) error {
	name := string(l.family)
	if err := e.createManaged(ctx, name, in.Runtime, l); err != nil {
		return err
	}
	defer e.call(ctx, "DELETE", functionPath(name), nil)
	dir, err := l.bareDir(p)
	if err != nil {
		return err
	}
	var ps pairs
	var inits []float64
	for i := range o.rounds {
		var bare, took []float64
		for j := range coldStarts {
			ms, err := l.exec(ctx, in.Path, dir)
			if err != nil {
				return err
			}
			bare = append(bare, ms)
			ms, init, err := e.claimed(ctx, name, in.Runtime, fmt.Sprintf("cold start %d.%d", i, j))
			if err != nil {
				return err
			}
			took, inits = append(took, ms), append(inits, init)
		}
		ps.add(median(took), median(bare))
	}
	t.add(ps.row("cold Invoke of "+in.Runtime+l.where+", against bare exec of the interpreter", "%.2f ms", l.target,
		fmt.Sprintf("REPORT's Init Duration %.2f ms", median(inits))))
	return nil
}

// bareDir is a directory with what the bare interpreter needs.
func (l language) bareDir(p *programs) (string, error) {
	dir := p.path("bare")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "Bare.class"), bareClass, 0o644)
}

// exec is how long a bare interpreter takes from before the fork to its program's first byte, in milliseconds. Its environment is
// clean: variables of certificates and packages triple it.
func (l language) exec(ctx context.Context, interpreter, dir string) (float64, error) {
	cmd := exec.CommandContext(ctx, interpreter, l.bare...)
	cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	_, err = io.ReadFull(out, make([]byte, 1))
	took := time.Since(begun)
	return float64(took.Microseconds()) / 1000, errors.Join(err, cmd.Wait())
}

// claimed makes the function's sandboxes obsolete, waits until a runtime has booted, and invokes.
func (e *enfold) claimed(ctx context.Context, name, runtime, description string) (took, init float64, err error) {
	if err := e.configure(ctx, name, description); err != nil {
		return 0, 0, err
	}
	if err := e.ready(ctx, runtime); err != nil {
		return 0, 0, err
	}
	return e.coldInvoke(ctx, name)
}

// ready waits until a sandbox waits in which this runtime has booted.
func (e *enfold) ready(ctx context.Context, runtime string) error {
	waits := regexp.MustCompile(`(?m)^enfold_sandboxes_ready\{runtime="` + regexp.QuoteMeta(runtime) + `"\} [1-9]`)
	for deadline := time.Now().Add(patience); ; {
		text, err := e.metrics(ctx)
		if err != nil || waits.MatchString(text) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no %s boots ahead", runtime)
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// createManaged makes a function of an example.
func (e *enfold) createManaged(ctx context.Context, name, runtime string, l language) error {
	file := filepath.Join("examples/hello", l.code)
	code, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if filepath.Ext(file) != ".jar" {
		if code, err = zipped(filepath.Base(file), code); err != nil {
			return err
		}
	}
	return e.createFunction(ctx, map[string]any{
		"FunctionName": name, "Runtime": runtime, "Handler": l.handler, "Code": map[string]any{"ZipFile": code},
	})
}

func zipped(name string, content []byte) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err == nil {
		_, err = w.Write(content)
	}
	err = errors.Join(err, z.Close())
	return b.Bytes(), err
}
