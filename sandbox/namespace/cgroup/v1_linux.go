package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
)

// controllersV1 are what a sandbox is held by, in the order in which dead servers' are swept: what is to die wants the processor
// first. cpuacct may be mounted with cpu or apart; without it CPUTime is unknown.
var controllersV1 = []struct {
	name     string
	required bool
}{{"cpu", true}, {"cpuacct", false}, {"memory", true}, {"pids", true}}

// openV1 makes a directory in each controller's tree, below the group that we are in: its limits hold for the sandboxes too.
func (h host) openV1(m mounts, name string) (*Tree, error) {
	t := &Tree{version: 1, dirs: map[string]string{}, beside: true, kernel: h.dirs, host: h, tops: m.v1Tops}
	made := map[string]bool{}
	for _, c := range controllersV1 {
		own := m.v1[c.name]
		if own == "" {
			if c.required {
				t.Close()
				return nil, fmt.Errorf("%w: cgroup v1 has no %s controller here", ErrNone, c.name)
			}
			continue
		}
		dir := filepath.Join(own, name)
		if !made[dir] && !madeElsewhere(made, dir) {
			h.sweep(own)
			if err := h.dirs.mkdir(dir); err != nil {
				t.Close()
				return nil, fmt.Errorf("%w: %w; run as root", ErrNone, err)
			}
		}
		made[dir] = true
		t.dirs[c.name] = dir
	}
	return t, nil
}

// madeElsewhere says that dir is another name of a directory that was made: cpu and cpuacct are often one tree with two names.
func madeElsewhere(made map[string]bool, dir string) bool {
	st, err := os.Stat(dir)
	if err != nil {
		return false
	}
	for other := range made {
		if o, err := os.Stat(other); err == nil && os.SameFile(st, o) {
			return true
		}
	}
	return false
}
