package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Group holds one sandbox. Its methods are safe for concurrent use, but not with Remove.
type Group struct {
	version int
	dirs    map[string]string
	kernel  dirs
	freezes bool
	// What was written last. One goroutine at a time sets limits.
	limits Limits
	cpuMax int
	// Kept open, because they are read often: peak once per invocation.
	peak, events, cpu *counter // cpu is nil if unknown
}

// Limits of a group. Zero is none.
type Limits struct {
	Memory int64 // bytes, with no swap beyond it
	Pids   int
}

// New makes a group without limits.
func (t *Tree) New(name string) (*Group, error) {
	g := &Group{version: t.version, dirs: map[string]string{}, kernel: t.kernel}
	for ctl, parent := range t.dirs {
		dir := t.place(parent, name)
		// Two controllers may share a tree.
		if err := t.kernel.mkdir(dir); err != nil && !(os.IsExist(err) && len(g.dirs) > 0) {
			g.Remove()
			return nil, fmt.Errorf("make control group %s: %w", name, err)
		}
		g.dirs[ctl] = dir
	}
	if g.version == 2 {
		_, err := os.Stat(filepath.Join(g.dirs[""], "cgroup.freeze"))
		g.freezes = err == nil
	}
	if err := g.open(); err != nil {
		g.Remove()
		return nil, fmt.Errorf("make control group %s: %w", name, err)
	}
	return g, nil
}

// open opens what is read often.
func (g *Group) open() (err error) {
	// For writing too, since writing starts the measure anew. Kernels before 5.19 have no memory.peak, before 6.12 none to write to.
	file := filepath.Join(g.memory(), g.pick("memory.max_usage_in_bytes", "memory.peak"))
	if g.peak, err = openCounter(file, os.O_RDWR); errors.Is(err, os.ErrPermission) {
		g.peak, err = openCounter(file, os.O_RDONLY)
	}
	if err != nil && g.version == 2 {
		g.peak, err = openCounter(filepath.Join(g.memory(), "memory.current"), os.O_RDONLY)
	}
	if err != nil {
		return err
	}
	if g.events, err = openCounter(filepath.Join(g.memory(), g.pick("memory.oom_control", "memory.events")), os.O_RDONLY); err != nil {
		return err
	}
	if dir := g.dir(g.pick("cpuacct", "cpu")); dir != "" {
		g.cpu, err = openCounter(filepath.Join(dir, g.pick("cpuacct.usage", "cpu.stat")), os.O_RDONLY)
	}
	return ifThere(err)
}

func (g *Group) pick(v1, v2 string) string {
	if g.version == 1 {
		return v1
	}
	return v2
}

// dir is the directory of a controller.
func (g *Group) dir(controller string) string {
	if g.version == 2 {
		return g.dirs[""]
	}
	return g.dirs[controller]
}

func (g *Group) memory() string { return g.dir("memory") }

// Add moves a process into the group.
func (g *Group) Add(pid int) error {
	for _, dir := range g.dirs {
		if err := write(dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("put process %d into its control group: %w", pid, err)
		}
	}
	return nil
}

// Limit sets the limits, and starts the measure of the most memory anew. Limits that the group has already cost nothing.
func (g *Group) Limit(l Limits) error {
	if l == g.limits {
		return nil
	}
	if l.Memory > 0 {
		if err := g.limitMemory(l.Memory); err != nil {
			return err
		}
	}
	if l.Pids > 0 {
		err := write(g.dir("pids"), "pids.max", strconv.Itoa(l.Pids))
		if err != nil && !(g.version == 2 && errors.Is(err, os.ErrNotExist)) {
			return err
		}
	}
	g.peak.WriteString("0") // where it cannot be, what was used before counts too
	g.limits = l
	return nil
}

func (g *Group) limitMemory(bytes int64) error {
	n := strconv.FormatInt(bytes, 10)
	if g.version == 1 {
		// What waits in sockets is counted apart, and not at all without a limit of its own.
		const required = "memory.limit_in_bytes"
		files := []string{required, "memory.kmem.tcp.limit_in_bytes", "memory.memsw.limit_in_bytes"}
		if bytes > g.limits.Memory && g.limits.Memory > 0 { // memory alone may not be more than memory and swap
			slices.Reverse(files)
		}
		for _, file := range files {
			err := write(g.memory(), file, n)
			if file != required {
				err = ifThere(err)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := write(g.memory(), "memory.max", n); err != nil {
		return err
	}
	return ifThere(write(g.memory(), "memory.swap.max", "0"))
}

// ifThere forgives a file that this kernel does not have: without swap there is none to limit.
func ifThere(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// period is over which a processor share is counted, in microseconds: AWS's, as functions can measure. The kernel wants at least a
// millisecond of quota.
const (
	period   = 20_000
	minQuota = 1_000
)

// LimitCPU holds the group to thousandths of a core. Zero is none: what is to die needs the processor for that.
func (g *Group) LimitCPU(thousandths int) error {
	if thousandths == g.cpuMax {
		return nil
	}
	if err := g.limitCPU(thousandths); err != nil {
		return err
	}
	g.cpuMax = thousandths
	return nil
}

func (g *Group) limitCPU(thousandths int) error {
	if thousandths == 0 {
		return unlimit(g.dir("cpu"), g.version)
	}
	quota := strconv.Itoa(max(thousandths*period/1000, minQuota))
	if g.version == 2 {
		return ifThere(write(g.dir("cpu"), "cpu.max", quota+" "+strconv.Itoa(period)))
	}
	if err := write(g.dir("cpu"), "cpu.cfs_period_us", strconv.Itoa(period)); err != nil {
		return ifThere(err)
	}
	return ifThere(write(g.dir("cpu"), "cpu.cfs_quota_us", quota))
}

func unlimit(dir string, version int) error {
	switch {
	case dir == "":
		return nil
	case version == 2:
		return ifThere(write(dir, "cpu.max", "max"))
	}
	return ifThere(write(dir, "cpu.cfs_quota_us", "-1"))
}

// Kill kills every process of the group but one. It says how many there were.
func (g *Group) Kill(spare int) (n int, err error) {
	procs, err := os.ReadFile(filepath.Join(g.memory(), "cgroup.procs"))
	if err != nil {
		return 0, fmt.Errorf("find the processes of a control group: %w", err)
	}
	for word := range strings.FieldsSeq(string(procs)) {
		if pid, err := strconv.Atoi(word); err == nil && pid > 1 && pid != spare {
			kill(pid)
			n++
		}
	}
	return n, nil
}

// Threads are those of the group's processes.
func (g *Group) Threads() ([]int, error) {
	text, err := os.ReadFile(filepath.Join(g.memory(), g.pick("tasks", "cgroup.threads")))
	if err != nil {
		return nil, fmt.Errorf("find the threads of a control group: %w", err)
	}
	var ids []int
	for word := range strings.FieldsSeq(string(text)) {
		if id, err := strconv.Atoi(word); err == nil && id > 0 { // 0 is one of another PID namespace
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Weights of a group against the others of its tree: the kernel's default, and the least there is.
const (
	Normal Weight = iota
	Least
)

// Weight is a group's share of the processor where it is short.
type Weight int

// Weigh sets the group's weight.
func (g *Group) Weigh(w Weight) error {
	file, value := "cpu.weight", [...]string{Normal: "100", Least: "1"}
	if g.version == 1 {
		file, value = "cpu.shares", [...]string{Normal: "1024", Least: "2"}
	}
	dir := g.dir("cpu")
	if dir == "" {
		return nil
	}
	return ifThere(write(dir, file, value[w]))
}

// Freezes says whether a group can be frozen. On v1 it cannot: nobody who is frozen there can be killed, so a sandbox would outlive
// its server.
func (g *Group) Freezes() bool { return g.freezes }

// Freeze stops every process of the group, or lets them go on. It takes microseconds. A process that the kernel cannot stop at once
// stops as soon as it can be.
func (g *Group) Freeze(stop bool) error {
	value := "0"
	if stop {
		value = "1"
	}
	return write(g.dirs[""], "cgroup.freeze", value)
}

// Reclaim gives memory of the group back to the host that it can do without.
func (g *Group) Reclaim() error {
	if g.version == 1 {
		return write(g.memory(), "memory.force_empty", "0")
	}
	n, err := g.Current()
	if err != nil {
		return err
	}
	err = write(g.memory(), "memory.reclaim", strconv.FormatInt(n, 10))
	if errors.Is(err, syscall.EAGAIN) {
		return nil // it was less than all, of course
	}
	return err
}

// Current is the memory in use, in bytes.
func (g *Group) Current() (int64, error) {
	text, err := os.ReadFile(filepath.Join(g.memory(), g.pick("memory.usage_in_bytes", "memory.current")))
	if err != nil {
		return 0, err
	}
	return parseBytes(text)
}

// Peak is the most memory that was in use since Limit, in bytes.
func (g *Group) Peak() (int64, error) { return g.peak.number("") }

func parseBytes(text []byte) (int64, error) {
	return strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
}

// OOMKills is how many processes the kernel has killed because of the memory limit.
func (g *Group) OOMKills() (int64, error) { return g.events.number("oom_kill") }

// CPUTime is the processor time that the group's processes have used, zero if the host does not count it.
func (g *Group) CPUTime() (time.Duration, error) {
	if g.cpu == nil {
		return 0, nil
	}
	if g.version == 2 {
		us, err := g.cpu.number("usage_usec")
		return time.Duration(us) * time.Microsecond, err
	}
	ns, err := g.cpu.number("")
	return time.Duration(ns), err
}

// Remove removes the group. Its processes must be dead.
func (g *Group) Remove() error {
	var errs []error
	for _, c := range []*counter{g.peak, g.events, g.cpu} {
		c.close()
	}
	for _, dir := range g.dirs {
		errs = append(errs, g.kernel.remove(dir, 5*time.Second))
	}
	return errors.Join(errs...)
}
