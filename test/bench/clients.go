//go:build linux

package main

import (
	"archive/zip"
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/test/floor"
)

// A rival is a language whose own HTTP client is what our bootstrap is held against: the same handler, and the same interpreter in
// the same sandbox, which AWS_LAMBDA_EXEC_WRAPPER has run another program.
type rival struct {
	language
	client  string // what the other program is written on
	program string // in testdata/clients
	target  target
}

var rivals = []rival{
	{languages[0], "http.client", "runtime.py", atMost(0.6, "×")},
	{languages[1], "the stock http agent", "runtime.mjs", atMost(0.8, "×")},
}

//go:embed testdata/clients
var rivalPrograms embed.FS

// rivalWrapper gets the interpreter and its arguments.
const rivalWrapper = "#!/bin/sh\nexec \"$1\" /var/task/%s\n"

// clients measures warm invocations of our bootstraps against runtimes on the languages' own clients, and against a Go function.
func clients(ctx context.Context, o *options, p *programs, e *enfold, t *table) error {
	for _, r := range rivals {
		in, ok := p.interpreters[r.family]
		if !ok {
			t.note("SKIPPED: no %s on this host.", r.family)
			continue
		}
		if err := r.measure(ctx, o, p, e, t, in); err != nil {
			return fmt.Errorf("%s: %w", in.Runtime, err)
		}
	}
	return nil
}

func (r rival) measure(ctx context.Context, o *options, p *programs, e *enfold, t *table, in runtimes.Found) error {
	ours, theirs := "ours-"+string(r.family), "theirs-"+string(r.family)
	if err := e.createManaged(ctx, ours, in.Runtime, r.language); err != nil {
		return err
	}
	defer e.call(ctx, "DELETE", functionPath(ours), nil)
	if err := r.create(ctx, e, theirs, in.Runtime); err != nil {
		return err
	}
	defer e.call(ctx, "DELETE", functionPath(theirs), nil)
	if err := e.sameAnswers(ctx, ours, theirs); err != nil {
		return err
	}
	w := &warmth{o: o, p: p}
	var againstTheirs, againstGo pairs
	for i := range o.rounds {
		names := []string{ours, theirs, functionName}
		if i%2 == 1 {
			slices.Reverse(names)
		}
		p50 := map[string]float64{}
		for _, name := range names {
			r, err := w.one(ctx, e, name)
			if err != nil {
				return err
			}
			p50[name] = r.P50
		}
		againstTheirs.add(p50[ours], p50[theirs])
		againstGo.add(p50[ours], p50[functionName])
	}
	what := "warm Invoke of " + in.Runtime + ", 1 client, p50, against "
	t.add(againstTheirs.row(what+r.client, "%.0f µs", r.target, ""))
	t.add(againstGo.row(what+"the Go function", "%.0f µs", atMost(1, "×"), ""))
	return nil
}

// one runs one slice of one client. No invocation may fail.
func (w *warmth) one(ctx context.Context, e *enfold, name string) (*floor.Report, error) {
	r, err := w.load(ctx, side{name: name, args: []string{"--mode", "lambda", "--function", name, "--address", e.address}}, 1)
	if err != nil {
		return nil, fmt.Errorf("invoke %s: %w", name, err)
	}
	return r, nil
}

// create makes the function that runs the other program.
func (r rival) create(ctx context.Context, e *enfold, name, runtime string) error {
	file := filepath.Join("examples/hello", r.code)
	handler, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	program, err := rivalPrograms.ReadFile("testdata/clients/" + r.program)
	if err != nil {
		return err
	}
	code, err := zippedFiles(map[string][]byte{
		filepath.Base(file): handler, r.program: program, "wrapper": fmt.Appendf(nil, rivalWrapper, r.program),
	})
	if err != nil {
		return err
	}
	return e.createFunction(ctx, map[string]any{
		"FunctionName": name, "Runtime": runtime, "Handler": r.handler, "Code": map[string]any{"ZipFile": code},
		"Environment": map[string]any{"Variables": map[string]string{"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrapper"}},
	})
}

// zippedFiles makes a deployment package whose files may be run.
func zippedFiles(files map[string][]byte) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range files {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(0o755)
		w, err := z.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return b.Bytes(), err
}

// sameAnswers sees that both functions greet, and so that the other program is what runs.
func (e *enfold) sameAnswers(ctx context.Context, names ...string) error {
	for _, name := range names {
		a, _, err := e.invoke(ctx, name)
		if err != nil {
			return err
		}
		if !bytes.Contains(a.body, []byte("Hello, x!")) || !bytes.Contains(a.body, []byte(name)) {
			return errors.New(name + " answered " + string(a.body))
		}
	}
	return nil
}
