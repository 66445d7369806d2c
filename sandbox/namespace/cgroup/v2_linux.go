package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// leaf is where the server moves itself when its group is to have children.
const leaf = "enfold-server"

// controllersV2 are what a sandbox is held by. The memory controller must be there; the others are used if they are.
var controllersV2 = []string{"memory", "pids", "cpu"}

// advice is what an ordinary user can do.
const advice = "run as root, or as a service with Delegate=yes (systemd-run --user --scope -p Delegate=yes)"

// openV2 makes the server's directory in its own group, or as root at the top.
func (h host) openV2(m mounts, name string) (*Tree, error) {
	parent, note, err := h.delegated(m)
	beside := err == nil
	if err != nil {
		why := err
		if parent, err = h.top(m); err != nil {
			return nil, fmt.Errorf("%w: %w; %w; %s", ErrNone, why, err, advice)
		}
		note = "at the top of the tree, because " + why.Error()
	}
	h.sweep(parent)
	dir := filepath.Join(parent, name)
	if err := h.dirs.mkdir(dir); err != nil {
		return nil, fmt.Errorf("%w: %w; %s", ErrNone, err, advice)
	}
	t := &Tree{version: 2, dirs: map[string]string{"": dir}, beside: beside, kernel: h.dirs, host: h, tops: []string{m.v2Top}, Note: note}
	if !beside {
		if err := holdAll(dir); err != nil {
			h.dirs.rmdir(dir)
			return nil, fmt.Errorf("%w: %w", ErrNone, err)
		}
	}
	return t, nil
}

// holdAll readies a directory to hold the groups of all sandboxes.
func holdAll(dir string) error {
	if err := enable(dir); err != nil {
		return err
	}
	const most = 10_000 // the kernel's limit
	return ifThere(write(dir, "cpu.weight", strconv.Itoa(min(weight()*oneWeight, most))))
}

// The processor shares of a process or a group, and of the server's threads together.
const (
	oneWeight    = 100
	serverWeight = 3 * oneWeight
)

// delegated readies our own group to have children: we must be allowed to, and be alone in it.
func (h host) delegated(m mounts) (dir, note string, err error) {
	own := m.v2
	if filepath.Base(own) == leaf {
		own = filepath.Dir(own) // an earlier tree of this process has moved us
		if err := outweigh(m.v2); err != nil {
			return "", "", err
		}
		return own, "in our own group " + own, enable(own)
	}
	if !hasController(filepath.Join(own, "cgroup.controllers"), "memory") {
		return "", "", fmt.Errorf("our group %s was not given the memory controller", own)
	}
	if own == m.v2Top {
		return own, "at the top of the tree", enable(own) // only there may a group have both processes and children
	}
	procs, err := os.ReadFile(filepath.Join(own, "cgroup.procs"))
	if err != nil {
		return "", "", fmt.Errorf("read who is in our group: %w", err)
	}
	ours := strconv.Itoa(h.pid)
	if others := slices.DeleteFunc(strings.Fields(string(procs)), func(p string) bool { return p == ours }); len(others) > 0 {
		return "", "", fmt.Errorf("our group %s has %d other processes", own, len(others))
	}
	server := filepath.Join(own, leaf)
	if err := h.dirs.mkdir(server); err != nil && !os.IsExist(err) {
		return "", "", fmt.Errorf("make a group for the server: %w", err)
	}
	if err := write(server, "cgroup.procs", ours); err != nil {
		return "", "", fmt.Errorf("move the server into a group of its own: %w", err)
	}
	if err := enable(own); err != nil {
		return "", "", err
	}
	return own, "in our own group " + own, outweigh(server)
}

// outweigh gives the server's group, whose threads share one weight, as much as three functions have.
func outweigh(server string) error {
	return ifThere(write(server, "cpu.weight", strconv.Itoa(serverWeight)))
}

// top readies the top of the tree, for root.
func (h host) top(m mounts) (string, error) {
	if m.v2 == m.v2Top {
		return "", fmt.Errorf("there is no group above %s", m.v2)
	}
	return m.v2Top, enable(m.v2Top)
}

// enable passes the controllers on to a group's children. Memory must be passed on; the others may be missing.
func enable(dir string) error {
	for _, c := range controllersV2 {
		if hasController(filepath.Join(dir, "cgroup.subtree_control"), c) {
			continue
		}
		if !hasController(filepath.Join(dir, "cgroup.controllers"), c) && c != "memory" {
			continue
		}
		if err := write(dir, "cgroup.subtree_control", "+"+c); err != nil {
			return fmt.Errorf("pass the %s controller on: %w", c, err)
		}
	}
	return nil
}
