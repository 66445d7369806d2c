//go:build amd64 || arm64

package gvisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
)

// Report finds out what this host can do. It makes a sandbox, and takes a second or so.
func Report(o Options) sandbox.Report {
	rep := sandbox.Report{Driver: "gvisor"}
	o.Log = slog.New(slog.DiscardHandler)
	begun := time.Now()
	d, err := New(o)
	if err != nil {
		rep.Checks = []sandbox.Check{{Name: "gVisor", Detail: err.Error()}}
		return rep
	}
	defer d.Close()
	first := sandbox.Check{
		Name: "gVisor", OK: true, Detail: fmt.Sprintf("a sandbox was made, used and removed in %d ms (%s)", time.Since(begun).Milliseconds(), d.platform),
	}
	limits := sandbox.Check{Name: "limits", OK: d.tree != nil, Detail: "memory, processes and processor time, by control groups"}
	if d.tree == nil {
		limits.Detail = "no control groups: neither memory nor processor time is limited"
		limits.Fix = "delegate a control group to the server: systemd's Delegate=yes"
	}
	rep.OK = true
	rep.Checks = []sandbox.Check{first, limits, images(), kvm()}
	return rep
}

// tryFor is how long a sandbox may take to be made.
const tryFor = 30 * time.Second

// try makes a sandbox, runs something in it, and throws it away.
func (d *Driver) try() error {
	ctx, cancel := context.WithTimeout(context.Background(), tryFor)
	defer cancel()
	box, err := d.Create(ctx, sandbox.Spec{ID: "trial"})
	if err != nil {
		return err
	}
	p, err := box.Start(ctx, sandbox.Command{Args: []string{"/bin/sh", "-c", "exit 7"}, Dir: "/tmp"})
	if err == nil {
		select {
		case <-p.Done():
			if e := p.Exit(); e.Code != 7 {
				err = fmt.Errorf("a shell in a sandbox ended with %+v", e)
			}
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return errors.Join(err, box.Destroy())
}

// images says whether container images can be roots.
func images() sandbox.Check {
	c := sandbox.Check{Name: "container images", OK: true, Detail: "the kernel has overlayfs"}
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return sandbox.Check{Name: c.Name, Detail: "the kernel has no overlayfs: " + err.Error(), Fix: "modprobe overlay"}
	}
	unix.Close(fs)
	return c
}

// kvm says whether gVisor could use the processor's virtualization. It is not tried: on hosts that are virtual machines themselves it
// may hang.
func kvm() sandbox.Check {
	c := sandbox.Check{Name: "platform", OK: true, Detail: "systrap, which works everywhere; /dev/kvm is not there"}
	if _, err := os.Stat("/dev/kvm"); err == nil {
		c.Detail = "systrap, which works everywhere; /dev/kvm is there and not used"
	}
	return c
}
