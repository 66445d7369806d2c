package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/server"
)

func TestPrintSeal(t *testing.T) {
	for _, c := range []struct {
		name string
		r    server.SealReport
		want string
	}{
		{"fine", server.SealReport{Source: "from a safe", Means: "one " + strings.Repeat("two ", 25), Do: []string{strings.Repeat("this ", 20), "that"}}, `
Sealing of the data:
  ok   root key                     from a safe
       one two two two two two two two two two two two two two two two two two two two two two two
       two two two
       → this this this this this this this this this this this this this this this this this this
         this this
       → that
`},
		{"not fine", server.SealReport{Source: "from a safe", Problem: errors.New("it is locked"), Means: "one", Do: []string{"this"}}, `
Sealing of the data:
  no   root key                     from a safe
                                    it is locked
       one
       → this
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			printSeal(&b, c.r)
			if b.String() != c.want {
				t.Errorf("printed %s\nwant %s", b.String(), c.want)
			}
		})
	}
}
