//go:build unix

package server

import (
	"math"
	"testing"
)

func TestShareOfOpenFiles(t *testing.T) {
	for _, c := range []struct {
		name  string
		files uint64
		want  int
	}{
		{"few", 256, 256},
		{"a shell's", 1024, 256},
		{"a server's", 20_000, 5_000},
		{"no limit", math.MaxUint64, 1 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := shareOf(c.files); got != c.want {
				t.Errorf("%d of %d files, want %d", got, c.files, c.want)
			}
		})
	}
	if maxSandboxConns() < fewConns {
		t.Errorf("the limit of this process is not known")
	}
}
