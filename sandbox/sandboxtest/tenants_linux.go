package sandboxtest

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
)

// A tenant is a function of one of two accounts. Each leaves its secret wherever a function can, and looks for the other's.
type tenant struct {
	Secret string
	Word   string // among its arguments, and in every name it makes
	Task   string // its code, as the host names it
	Tmp    string
	Key    int // of its System V segment
	Port   int // on its loopback; it says so itself
}

// tenantWays are how a tenant could come by the other's secret.
func tenantWays() map[string]func(other tenant) bool {
	has := func(path string, other tenant) bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(text), other.Secret)
	}
	says := func(network, addr string, other tenant) bool {
		c, err := net.DialTimeout(network, addr, 2*time.Second)
		if err != nil {
			return false
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(2 * time.Second))
		buf := make([]byte, 256)
		n, _ := c.Read(buf)
		return strings.Contains(string(buf[:n]), other.Secret)
	}
	return map[string]func(tenant) bool{
		"its code": func(o tenant) bool { return has(filepath.Join(o.Task, "secret"), o) || has("/var/task/secret", o) },
		"its /tmp": func(o tenant) bool { return has(filepath.Join(o.Tmp, "secret"), o) || has("/tmp/secret", o) },
		"a shared /tmp": func(o tenant) bool {
			return has("/tmp/"+o.Word, o) || slices.ContainsFunc(globProc("root/tmp/"+o.Word), func(p string) bool { return has(p, o) })
		},
		"a shared /dev/shm": func(o tenant) bool { return has("/dev/shm/"+o.Word, o) },
		"its processes":     func(o tenant) bool { return len(others(hostPids(o.Word))) > 0 },
		"its environment":   func(o tenant) bool { return searchProc("environ", o.Secret).Escaped },
		"its network":       func(o tenant) bool { return says("tcp", fmt.Sprint("127.0.0.1:", o.Port), o) },
		"its unix sockets":  func(o tenant) bool { return says("unix", "@"+o.Word, o) },
		"its shared memory": func(o tenant) bool {
			id, err := unix.SysvShmGet(o.Key, 0, 0)
			if err != nil {
				return false
			}
			mem, err := unix.SysvShmAttach(id, 0, unix.SHM_RDONLY)
			return err == nil && strings.Contains(string(mem), o.Secret)
		},
		"its log": func(o tenant) bool {
			return slices.ContainsFunc(others(hostPids(o.Word)), func(pid int) bool {
				fd, err := unix.Open(fmt.Sprintf("/proc/%d/fd/1", pid), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
				if err != nil {
					return false
				}
				unix.Close(fd)
				return true
			})
		},
	}
}

// testTenants has two functions of two accounts look for each other by every way, at the same time.
func testTenants(t *testing.T, s *suite) {
	var hosts [2]*host
	var tenants [2]tenant
	var running [2]*running
	for i := range hosts {
		h := s.create(t, func(spec *sandbox.Spec) { spec.Owner = fmt.Sprintf("%012d/us-east-1/f/1", i+1) })
		me := tenant{
			Secret: "secret-" + newID(), Word: "enfold-tenant-" + newID(), Task: h.task, Tmp: h.Path("/tmp"),
			Key: 0x7e000000 | int(time.Now().UnixNano()&0xffff)<<1 | i,
		}
		if err := os.WriteFile(filepath.Join(h.task, "secret"), []byte(me.Secret), 0o644); err != nil {
			t.Fatal(err)
		}
		if !s.expect.Isolated {
			t.Cleanup(me.forget)
		}
		cmd := h.command("tenant", h.Endpoint(), me.Word, strconv.Itoa(me.Key), me.Tmp)
		cmd.Env = append(cmd.Env, "PASSWORD="+me.Secret)
		hosts[i], tenants[i], running[i] = h, me, h.begin(cmd)
	}
	var conns [2]net.Conn
	for i, h := range hosts { // each says that it is there, and on which port
		c := acceptFrom(t, h, running[i])
		defer c.Close()
		if err := json.NewDecoder(c).Decode(&tenants[i].Port); err != nil {
			t.Fatalf("tenant %d does not say that it is there: %v", i, err)
		}
		conns[i] = c
	}
	var found [2][]string
	for i, c := range conns { // then each looks for the other, while both live
		if err := json.NewEncoder(c).Encode(tenants[1-i]); err != nil {
			t.Fatal(err)
		}
		if err := json.NewDecoder(c).Decode(&found[i]); err != nil {
			t.Fatalf("tenant %d does not say what it has found: %v %s", i, err, running[i].err.String())
		}
	}
	for i := range hosts {
		running[i].Kill()
		running[i].wait()
		if out := running[i].out.all(t); out != tenants[i].Secret+"\n" {
			t.Errorf("the log of tenant %d has %q, want its own line", i, out)
		}
		want := 0
		if !s.expect.Isolated {
			want = len(tenantWays())
		}
		if len(found[i]) != want {
			t.Errorf("tenant %d came to the other by %d ways, want %d of %d: %q", i, len(found[i]), want, len(tenantWays()), found[i])
		}
	}
}

// forget removes what a tenant has left on the host.
func (o tenant) forget() {
	os.Remove("/tmp/" + o.Word)
	os.Remove("/dev/shm/" + o.Word)
	if id, err := unix.SysvShmGet(o.Key, 0, 0); err == nil {
		unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	}
}

// acceptFrom waits until a function calls its Runtime API.
func acceptFrom(t *testing.T, h *host, r *running) net.Conn {
	t.Helper()
	l, ok := h.Listener().(*net.TCPListener)
	if !ok {
		t.Fatalf("listener is a %T", h.Listener())
	}
	if err := l.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatalf("the function does not call: %v; it wrote %q", err, r.err.String())
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// probeTenant leaves its secret everywhere, says so, and looks for the other's.
func probeTenant(args []string) int {
	endpoint, word, tmp := args[0], args[1], args[3]
	key, err := strconv.Atoi(args[2])
	if err != nil {
		return fail(err)
	}
	secret := os.Getenv("PASSWORD")
	for _, path := range []string{"/tmp/" + word, "/dev/shm/" + word, filepath.Join(tmp, "secret")} {
		if err := os.WriteFile(path, []byte(secret), 0o644); err != nil {
			return fail(err)
		}
	}
	port, err := leaveSecret(secret, word, key)
	if err != nil {
		return fail(err)
	}
	fmt.Println(secret)
	c, err := net.Dial("tcp", endpoint)
	if err != nil {
		return fail(err)
	}
	if err := json.NewEncoder(c).Encode(port); err != nil {
		return fail(err)
	}
	var other tenant
	if err := json.NewDecoder(c).Decode(&other); err != nil {
		return fail(err)
	}
	found := []string{}
	for name, way := range tenantWays() {
		if way(other) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	err = json.NewEncoder(c).Encode(found)
	if err != nil {
		return fail(err)
	}
	time.Sleep(time.Minute) // the other may still be looking
	return 0
}

// leaveSecret tells the secret to who connects, by TCP and by an abstract socket, and puts it into shared memory.
func leaveSecret(secret, word string, key int) (port int, err error) {
	for _, at := range [][2]string{{"unix", "@" + word}, {"tcp", "127.0.0.1:0"}} {
		l, err := net.Listen(at[0], at[1])
		if err != nil {
			return 0, err
		}
		if addr, ok := l.Addr().(*net.TCPAddr); ok {
			port = addr.Port
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(c, secret)
				c.Close()
			}
		}()
	}
	id, err := unix.SysvShmGet(key, 4096, unix.IPC_CREAT|unix.IPC_EXCL|0o666)
	if err != nil {
		return 0, fmt.Errorf("make a shared memory segment: %w", err)
	}
	mem, err := unix.SysvShmAttach(id, 0, 0)
	if err != nil {
		return 0, fmt.Errorf("attach a shared memory segment: %w", err)
	}
	copy(mem, secret)
	return port, nil
}
