//go:build amd64 || arm64

package namespace

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/network"
	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/namespace/cgroup"
	"github.com/enfold-run/enfold/sandbox/namespace/pid1"
	"github.com/enfold-run/enfold/sandbox/namespace/reap"
)

// A blank is a sandbox that is nobody's yet: its first process runs and has built what all sandboxes have.
type blank struct {
	d       *Driver
	process *os.Process
	control *control
	group   *cgroup.Group // nil without limits
	base    int64         // memory in use before anything runs in it: ours, not the function's
	id      int           // host user id of its root, 0 if it has none of its own
	gone    chan struct{} // closed when the first process is dead and reaped

	runtimeAPI, awsAPI net.Listener // in its network
}

// newBlank makes one. It takes some milliseconds, most of them the kernel's.
func (d *Driver) newBlank() (b *blank, err error) {
	b = &blank{d: d}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make a sandbox: %w", err), b.destroy())
			b = nil
		}
	}()
	if d.ids != nil {
		if b.id, err = d.ids.Take(); err != nil {
			return b, err
		}
	}
	if err = b.spawn(); err != nil {
		return b, err
	}
	if d.tree != nil {
		if b.group, err = d.tree.New(d.nextName()); err != nil {
			return b, err
		}
		if err = b.group.Add(b.process.Pid); err != nil {
			return b, err
		}
	}
	if err = b.build(); err != nil || b.group == nil {
		return b, err
	}
	if b.base, err = b.group.Current(); err != nil {
		return b, fmt.Errorf("read the memory in use: %w", err)
	}
	return b, nil
}

// limit sets the limits of a Spec. Those that it has already cost nothing.
func (b *blank) limit(s sandbox.Spec) error {
	if b.group == nil {
		return nil
	}
	if err := b.group.Limit(cgroup.Limits{Memory: s.Memory + b.base, Pids: s.Pids + firstProcessPids}); err != nil {
		return err
	}
	return b.group.LimitCPU(initShare(s))
}

// initShare is what a sandbox may use of the processor while its function initializes, in thousandths of a core. The whole machine is
// no limit, and counting it would cost every switch of a task.
func initShare(s sandbox.Spec) int {
	share := max(s.CPU, 1000)
	if share >= 1000*runtime.NumCPU() {
		return 0
	}
	return share
}

// spawn starts the first process in its namespaces.
func (b *blank) spawn() error {
	control, other, err := newControl()
	if err != nil {
		return err
	}
	defer other.Close()
	b.control = control
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	path, files := b.d.program.in([]*os.File{null, null, null, other})
	start := func() (err error) {
		b.process, err = os.StartProcess(path, []string{pid1.Name}, &os.ProcAttr{
			// Its few allocations never need collecting. What the runtime keeps for a second processor would be 140 KiB in each sandbox.
			Env:   []string{"GOMAXPROCS=1", "GOGC=off"},
			Files: files,
			Sys:   b.sysProcAttr(),
		})
		if err != nil {
			return fmt.Errorf("start the first process: %w", err)
		}
		b.gone = make(chan struct{})
		go b.reap()
		return nil
	}
	if !b.d.privileged {
		return b.d.spawner.run(start)
	}
	return b.d.spawner.inNewNetwork(func(l network.Listeners) error {
		if err := b.listen(l); err != nil {
			return err
		}
		return asOwner(b.id, start)
	})
}

// listen takes sockets of the sandbox's network over.
func (b *blank) listen(l network.Listeners) error {
	api, aws := os.NewFile(uintptr(l.Runtime), "runtime API"), os.NewFile(uintptr(l.AWS), "AWS API")
	defer api.Close() // FileListener has a copy
	defer aws.Close()
	var err error
	if b.runtimeAPI, err = net.FileListener(api); err != nil {
		return err
	}
	b.awsAPI, err = net.FileListener(aws)
	return err
}

func (b *blank) reap() {
	reap.Await(b.process)
	b.process.Wait()
	close(b.gone)
}

// sysProcAttr are the namespaces and the user ids. Root gives a sandbox two ids: one for its first process, one for the function. An
// ordinary user has only the own, and needs the capabilities that come with the user namespace to survive the exec.
func (b *blank) sysProcAttr() *syscall.SysProcAttr {
	const ns = syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
	if b.d.privileged {
		return &syscall.SysProcAttr{
			Cloneflags:                 ns,
			UidMappings:                []syscall.SysProcIDMap{{ContainerID: 0, HostID: b.id, Size: 1}, {ContainerID: pid1.UID, HostID: b.id + 1, Size: 1}},
			GidMappings:                []syscall.SysProcIDMap{{ContainerID: 0, HostID: b.id, Size: 1}, {ContainerID: pid1.GID, HostID: b.id + 1, Size: 1}},
			GidMappingsEnableSetgroups: true,
			Credential:                 &syscall.Credential{},
		}
	}
	return &syscall.SysProcAttr{
		Cloneflags:  ns | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: pid1.UID, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: pid1.GID, HostID: os.Getegid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETPCAP},
	}
}

// build has the first process build what all sandboxes have.
func (b *blank) build() error {
	body, _, err := b.control.expect(pid1.KindHello)
	if err != nil {
		return err
	}
	if v, err := pid1.UnmarshalUint(body); err != nil || v != pid1.Version {
		return fmt.Errorf("the first process is of version %d, the driver of %d: run make", v, pid1.Version)
	}
	files, err := b.control.do(pid1.KindBase, b.d.base)
	if err != nil {
		return err
	}
	if b.d.privileged {
		closeAll(files)
	} else if err := b.take(files); err != nil {
		return err
	}
	if _, err = b.control.do(pid1.KindEnter, pid1.Enter{Filter: b.d.filter, User: b.d.privileged}.Marshal()); err != nil {
		return err
	}
	b.prefer()
	return nil
}

// prefer lets the first process run before the function's processes, with which it shares a share of the processor: a thousand of
// them that spin would keep it from reaping and killing. What it starts is not preferred. An ordinary user may not do that; then
// only killFromOutside helps.
func (b *blank) prefer() {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", b.process.Pid))
	if err != nil || !b.d.privileged {
		return
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		attr, err := unix.SchedGetAttr(tid, 0)
		if err != nil {
			continue
		}
		attr.Nice, attr.Flags = -20, attr.Flags|unix.SCHED_FLAG_RESET_ON_FORK
		_ = unix.SchedSetAttr(tid, attr, 0)
	}
}

// take takes the listeners over that the first process has made.
func (b *blank) take(files []int) error {
	if len(files) != pid1.Listeners {
		closeAll(files)
		return fmt.Errorf("the first process sent %d listeners", len(files))
	}
	return b.listen(network.Listeners{Runtime: files[0], AWS: files[1]})
}

// destroy kills everything in it and removes it. All of it is gone when destroy returns without error.
func (b *blank) destroy() error {
	var errs []error
	if b.gone != nil {
		if b.group != nil {
			errs = append(errs, b.group.LimitCPU(0)) // what is to die needs the processor for that
		}
		b.process.Kill()
		select {
		case <-b.gone: // the kernel lets a first process end only after all others of its pid namespace
		case <-time.After(patience):
			errs = append(errs, fmt.Errorf("first process %d does not die", b.process.Pid))
		}
	}
	// Not before all processes are dead: a runtime that loses its connection says so in the function's log.
	for _, l := range []net.Listener{b.runtimeAPI, b.awsAPI} {
		if l != nil {
			l.Close()
		}
	}
	if b.control != nil {
		b.control.close()
	}
	if b.group != nil {
		errs = append(errs, b.group.Remove())
	}
	// An id is used again only if nothing can be left that has it.
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("destroy a sandbox: %w", err)
	}
	if b.id != 0 {
		b.d.ids.Put(b.id)
	}
	return nil
}
