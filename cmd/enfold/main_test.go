package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func TestHelpOfOneCommandIsThatOfAll(t *testing.T) {
	if got := meant([]string{"--help"}); len(got) != len(commands()) {
		t.Errorf("%d commands may be meant by --help, want all", len(got))
	}
	for _, c := range commands() {
		args := []string{c.name, "--help"}
		one := meant(args)
		if len(one) != 1 || one[0].name != c.name {
			t.Errorf("%s: %d commands may be meant", c.name, len(one))
		}
		if got, want := says(t, one, args), says(t, commands(), args); got != want || got == "" {
			t.Errorf("enfold %s --help says\n%s\nwant\n%s", c.name, got, want)
		}
	}
}

func TestWhatNoCommandIs(t *testing.T) {
	const line = "serv"
	_, err := parserOf(t, meant([]string{line}), new(bytes.Buffer)).Parse([]string{line})
	if want := `unexpected argument serv, did you mean one of "serve", "env"?`; err == nil || err.Error() != want {
		t.Errorf("%q is refused with %q, want %q", line, err, want)
	}
}

// says is what a parser prints, which exits after help only.
func says(t *testing.T, of []command, args []string) string {
	t.Helper()
	var out bytes.Buffer
	p := parserOf(t, of, &out)
	func() {
		defer func() { _ = recover() }()
		_, err := p.Parse(args)
		t.Errorf("%v goes on with %v, want help and an end", args, err)
	}()
	return out.String()
}

func parserOf(t *testing.T, of []command, out *bytes.Buffer) *kong.Kong {
	t.Helper()
	p, err := newParser(of, kong.Writers(out, out), kong.Exit(func(int) { panic("exit") }))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestEmptyDataDir: `--data "$DIR"` without a DIR is not the current directory.
func TestEmptyDataDir(t *testing.T) {
	for _, command := range []string{"serve", "env", "doctor"} {
		for _, args := range [][]string{{command, "--data", ""}, {command, "--data="}} {
			_, err := parserOf(t, meant(args), new(bytes.Buffer)).Parse(args)
			if err == nil || !strings.Contains(err.Error(), "--data: name a directory") {
				t.Errorf("%q: %v", args, err)
			}
		}
		args := []string{command, "--data", "x"}
		if _, err := parserOf(t, meant(args), new(bytes.Buffer)).Parse(args); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
}
