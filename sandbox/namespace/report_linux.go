//go:build amd64 || arm64

package namespace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/namespace/cgroup"
	"github.com/enfold-run/enfold/sandbox/namespace/pid1"
)

// needed are the capabilities by which the driver gives sandboxes user ids and networks of their own.
var needed = []int{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETUID, unix.CAP_SETGID}

// isPrivileged says that we are root with root's rights, which in a container root has not.
func isPrivileged() bool {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&head, &data[0]) != nil || os.Geteuid() != 0 {
		return false
	}
	for _, c := range needed {
		if data[c/32].Effective&(1<<(c%32)) == 0 {
			return false
		}
	}
	return true
}

// manyPids are enough process ids for a thousand sandboxes.
const manyPids = 1000 * sandbox.DefaultPids

func userID() int { return os.Geteuid() }

// supported finds out, without trying, whether sandboxes can be made.
func supported() error {
	if major, minor := kernelVersion(); major < 5 || major == 5 && minor < 12 {
		return fmt.Errorf("%w: Linux %d.%d is older than 5.12: upgrade the kernel", sandbox.ErrUnsupported, major, minor)
	}
	if os.Geteuid() == 0 && !isPrivileged() {
		return fmt.Errorf("%w: root lacks CAP_SYS_ADMIN or other rights, as in a container: run it with --privileged, or as an ordinary user",
			sandbox.ErrUnsupported)
	}
	if sysctl("user/max_user_namespaces") == "0" {
		return fmt.Errorf("%w: user namespaces are off: sysctl user.max_user_namespaces=10000", sandbox.ErrUnsupported)
	}
	return nil
}

func kernelVersion() (major, minor int) {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return 0, 0
	}
	a, rest, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), ".")
	b, _, _ := strings.Cut(rest, ".")
	major, _ = strconv.Atoi(a) // not a number is 0
	minor, _ = strconv.Atoi(strings.TrimRight(b, "-+abcdefghijklmnopqrstuvwxyz"))
	return major, minor
}

// sysctl is a setting, empty if this kernel has it not.
func sysctl(name string) string {
	text, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// covered is where something is mounted over a part of /proc, as in a container; empty if nothing is. The kernel then refuses a sandbox
// a /proc of its own if who makes it could see by that what is below.
func covered(mountinfo string) string {
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) > 4 && strings.HasPrefix(fields[4], "/proc/") && fields[4] != "/proc/sys/fs/binfmt_misc" {
			return fields[4]
		}
	}
	return ""
}

// coveredProc is covered for this process.
func coveredProc() string {
	text, _ := os.ReadFile("/proc/self/mountinfo") // unreadable is not covered
	return covered(string(text))
}

// advice is what most likely keeps this user from making a sandbox.
func advice() string {
	switch at := coveredProc(); {
	case at != "":
		return "something is mounted over " + at + ", as in a container: unmount it, or give the container a whole /proc (docker run --privileged, or --security-opt systempaths=unconfined)"
	case os.Geteuid() == 0:
		return "look for what refuses it: a security module, a container's filter"
	case sysctl("kernel/unprivileged_userns_clone") == "0":
		return "run: sysctl kernel.unprivileged_userns_clone=1, or run as root"
	case sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
		return "run: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root"
	}
	return "run as root"
}

// Report tries what the driver needs and says what this host gives.
func Report() sandbox.Report {
	r := sandbox.Report{Driver: "namespace"}
	add := func(name string, ok bool, detail, fix string) {
		r.Checks = append(r.Checks, sandbox.Check{Name: name, OK: ok, Detail: detail, Fix: fix})
	}
	major, minor := kernelVersion()
	add("Linux 5.12 or later", major > 5 || major == 5 && minor >= 12, fmt.Sprintf("%d.%d", major, minor), "upgrade the kernel")
	add("root", isPrivileged(), rootDetail(), "run as root for user ids of their own, or accept it: namespaces still separate them")
	tree, err := cgroup.Open()
	limited := err == nil
	if limited {
		detail := fmt.Sprintf("v%d", tree.Version())
		if tree.Note != "" {
			detail += ", " + tree.Note
		}
		add("control groups", true, detail, "")
		tree.Close()
	} else {
		add("control groups", false, err.Error(), "without them nothing limits memory, processes and processor time: run as root, "+
			"or: systemd-run --user --scope -p Delegate=yes enfold serve")
	}
	t, err := trial()
	if err != nil {
		add("a sandbox", false, err.Error(), advice())
		return r
	}
	if max, err := strconv.Atoi(sysctl("kernel/pid_max")); err == nil {
		each, who := fmt.Sprintf("%d for a sandbox at most", sandbox.DefaultPids), "a few dozen hostile functions"
		if !limited {
			each, who = "and nothing limits those of a sandbox", "one hostile function"
		}
		add("process ids", max >= manyPids && limited, fmt.Sprintf("%d for all of this host, %s", max, each),
			who+" could use them up: sysctl kernel.pid_max=4194304")
	}
	add("a sandbox", true, "made, used and removed in "+round(t.cold), "")
	add("a waiting sandbox", true, "becomes a function's in "+round(t.claim)+": its language runtime has booted by then", "")
	if t.image == nil {
		add("container images", true, "their layers are mounted by overlayfs, in "+round(t.imageTime)+" with the rest of a sandbox", "")
	} else {
		add("container images", false, t.image.Error(), "functions of PackageType Image want the overlay file system: modprobe overlay")
	}
	if v := pid1.Landlock(); v > 0 {
		add("Landlock", true, fmt.Sprintf("version %d: one more lock on mounts, devices and abstract sockets", v), "")
	} else {
		add("Landlock", false, "this kernel has none: mounts, capabilities and the system call filter still hold", "boot with lsm=landlock,… and CONFIG_SECURITY_LANDLOCK")
	}
	switch {
	case t.freezes:
		add("idle sandboxes", true, fmt.Sprintf("frozen by their control group after %v", freezeAfter), "")
	default:
		add("idle sandboxes", true, fmt.Sprintf("stopped by signals after %v, which a handler of SIGCONT notices; cgroup v2 would freeze them unseen", stopAfter), "")
	}
	r.OK = true
	return r
}

func round(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

func rootDetail() string {
	switch {
	case isPrivileged():
		return "each sandbox has a host user id of its own"
	case os.Geteuid() == 0:
		return "root without root's capabilities"
	}
	return fmt.Sprintf("user %d: all sandboxes share this user's id on the host, and what it may have (inotify instances, say)", os.Geteuid())
}

// A trialRun is what was found out by making sandboxes.
type trialRun struct {
	cold    time.Duration // all of a sandbox's life, and the driver's
	claim   time.Duration
	freezes bool

	image     error // why a container image cannot be the root, nil if it can
	imageTime time.Duration
}

// trial makes a sandbox, runs a program that every host has, and removes the sandbox; and again with one that waits.
func trial() (t trialRun, err error) {
	start := time.Now()
	d, err := New(Options{Stock: -1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return t, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = d.tryOnce(ctx)
	t.cold = time.Since(start)
	if err == nil {
		err = d.tryWaiting(ctx, &t)
	}
	start = time.Now()
	t.image = d.tryImage(ctx)
	t.imageTime = time.Since(start)
	return t, errors.Join(err, d.Close())
}

func (d *Driver) tryOnce(ctx context.Context) error {
	s, err := d.Create(ctx, sandbox.Spec{ID: "trial", Owner: "trial"})
	if err != nil {
		return err
	}
	p, err := s.Start(ctx, sandbox.Command{Args: []string{"/bin/sh", "-c", "exit 7"}, Dir: "/tmp"})
	if err != nil {
		return err
	}
	return exited(p, 7)
}

// tryImage makes an empty directory a sandbox's root.
func (d *Driver) tryImage(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "enfold-layer")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // as the root of an image is
		return err
	}
	s, err := d.Create(ctx, sandbox.Spec{ID: "image", Owner: "trial", Root: &sandbox.Root{Layers: []string{dir}}})
	if err != nil {
		return err
	}
	return s.Destroy()
}

// tryWaiting claims a shell that waits for a line.
func (d *Driver) tryWaiting(ctx context.Context, t *trialRun) error {
	w, err := d.Warm(ctx, nil, sandbox.Command{Args: []string{"/bin/sh", "-c", "read code; exit $code"}, Dir: "/var/task"})
	if err != nil {
		return err
	}
	start := time.Now()
	s, p, err := w.Claim(ctx, sandbox.Spec{ID: "waiting", Owner: "trial"}, func() ([]byte, error) { return []byte("8\n"), nil })
	if err != nil {
		return errors.Join(err, w.Destroy())
	}
	t.claim = time.Since(start)
	t.freezes = s.(*box).freezes()
	return exited(p, 8)
}

func exited(p sandbox.Process, code int) error {
	<-p.Done()
	if e := p.Exit(); e.Code != code {
		return fmt.Errorf("a program that should exit with %d ended with %+v", code, e)
	}
	return nil
}
