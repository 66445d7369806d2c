package main

import (
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		ok       bool
		want     []string
	}{
		{
			"leaves count",
			`{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
{"Action":"run","Package":"p","Test":"TestA/y"}
{"Action":"output","Package":"p","Test":"TestA/y","Output":"    a_test.go:12: needs root: run as root\n"}
{"Action":"output","Package":"p","Test":"TestA/y","Output":"    --- SKIP: TestA/y (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA/y"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Elapsed":1.25}`,
			true,
			[]string{"ok   p (1.2 s)", "needs root: run as root: p TestA/y", "\n1 passed, 0 failed, 1 skipped\n"},
		},
		{
			"a failure shows its output",
			`{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: got 1\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
			false,
			[]string{"got 1", "FAILED p TestA", "\n0 passed, 1 failed, 0 skipped\n"},
		},
		{
			"what does not build",
			`{"ImportPath":"p","Action":"build-output","Output":"a.go:1: syntax error\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"run","Package":"q","Test":"TestA"}
{"Action":"pass","Package":"q","Test":"TestA"}`,
			false,
			[]string{"syntax error", "\n1 passed, 1 failed, 0 skipped\n"},
		},
		{
			"a package that crashes",
			`{"Action":"output","Package":"p","Output":"panic: oh\n"}
{"Action":"fail","Package":"p"}`,
			false,
			[]string{"panic: oh", "\n0 passed, 1 failed, 0 skipped\n"},
		},
		{"nothing ran", "", false, []string{"\n0 passed, 0 failed, 0 skipped\n"}},
		{"a note", `{"Action":"note","Output":"no gcc"}`, false, []string{"  no gcc\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			s := newSummary(&out)
			if err := s.read(strings.NewReader(tt.in)); err != nil {
				t.Fatal(err)
			}
			if ok := s.close(); ok != tt.ok {
				t.Errorf("ok is %v, want %v", ok, tt.ok)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
		})
	}
}
