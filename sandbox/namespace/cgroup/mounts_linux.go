package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A host is where the kernel tells about control groups.
type host struct {
	proc string // "/proc"
	pid  int    // ours
	dirs dirs
}

// mounts are the cgroup file systems of a host.
type mounts struct {
	v1 map[string]string // controller -> our own group's directory
	v2 string            // our own group's directory, or empty
	// v2Top is the top of the v2 tree, as far as we see it, and v1Tops are those of v1's.
	v2Top  string
	v1Tops []string
}

// mounts reads what is mounted where, and which group of each is ours.
func (h host) mounts() (mounts, error) {
	info, err := os.ReadFile(filepath.Join(h.proc, "self/mountinfo"))
	if err != nil {
		return mounts{}, fmt.Errorf("find control groups: %w", err)
	}
	own, err := os.ReadFile(filepath.Join(h.proc, "self/cgroup"))
	if err != nil {
		return mounts{}, fmt.Errorf("find our control group: %w", err)
	}
	paths := ownPaths(string(own))
	m := mounts{v1: map[string]string{}}
	for line := range strings.Lines(string(info)) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		root, point := left[3], unescape(left[4])
		switch right[0] {
		case "cgroup2":
			if path, ok := paths[""]; ok && m.v2 == "" {
				m.v2Top, m.v2 = point, within(point, root, path)
			}
		case "cgroup":
			m.v1Tops = append(m.v1Tops, point)
			for ctl := range strings.SplitSeq(right[2], ",") {
				if path, ok := paths[ctl]; ok && m.v1[ctl] == "" {
					m.v1[ctl] = within(point, root, path)
				}
			}
		}
	}
	return m, nil
}

// ownPaths reads /proc/self/cgroup: controller -> path; "" is v2.
func ownPaths(text string) map[string]string {
	paths := map[string]string{}
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for ctl := range strings.SplitSeq(parts[1], ",") {
			paths[ctl] = parts[2]
		}
	}
	return paths
}

// within is the directory of a group below a mount point at which root is mounted.
func within(point, root, path string) string {
	if root != "/" {
		rest, ok := strings.CutPrefix(path, root)
		if !ok || (rest != "" && rest[0] != '/') {
			rest = "" // the group is not visible from here: the mount's own top is
		}
		path = rest
	}
	return filepath.Join(point, path)
}

// unescape undoes mountinfo's \040 for a space and so on.
func unescape(s string) string {
	for old, r := range map[string]string{`\040`: " ", `\011`: "\t", `\012`: "\n", `\134`: `\`} {
		s = strings.ReplaceAll(s, old, r)
	}
	return s
}

// hasController reads the words of a cgroup.controllers or cgroup.subtree_control file.
func hasController(file, controller string) bool {
	text, err := os.ReadFile(file)
	return err == nil && slices.Contains(strings.Fields(string(text)), controller)
}
