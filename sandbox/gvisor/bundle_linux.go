//go:build amd64 || arm64

package gvisor

import (
	"encoding/json"
	"fmt"

	"github.com/enfold-run/enfold/sandbox"
)

// The parts of an OCI runtime specification that we use.
type (
	bundle struct {
		Version  string     `json:"ociVersion"`
		Hostname string     `json:"hostname"`
		Process  ociProcess `json:"process"`
		Root     ociRoot    `json:"root"`
		Mounts   []ociMount `json:"mounts"`
		Linux    ociLinux   `json:"linux"`
	}
	ociProcess struct {
		User         struct{}            `json:"user"` // root, as gVisor sees it
		Args         []string            `json:"args"`
		Env          []string            `json:"env"`
		Cwd          string              `json:"cwd"`
		Capabilities map[string][]string `json:"capabilities"`
		Rlimits      []ociRlimit         `json:"rlimits"`
	}
	ociRlimit struct {
		Type string `json:"type"`
		Hard uint64 `json:"hard"`
		Soft uint64 `json:"soft"`
	}
	ociRoot struct {
		Path     string `json:"path"`
		Readonly bool   `json:"readonly"`
	}
	ociMount struct {
		Destination string   `json:"destination"`
		Type        string   `json:"type"`
		Source      string   `json:"source"`
		Options     []string `json:"options,omitempty"`
	}
	ociLinux struct {
		Namespaces  []ociNamespace `json:"namespaces"`
		UIDMappings []ociMapping   `json:"uidMappings"`
		GIDMappings []ociMapping   `json:"gidMappings"`
	}
	ociNamespace struct {
		Type string `json:"type"`
	}
	ociMapping struct {
		Container int `json:"containerID"`
		Host      int `json:"hostID"`
		Size      int `json:"size"`
	}
)

// rights are what the first process keeps: to become and to kill the function, and to raise its limits. They are rights in gVisor's
// kernel; gVisor's own processes are in a user namespace where they have no more.
var rights = []string{"CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_SYS_RESOURCE"}

// newBundle is what gVisor runs. All is the same in every sandbox but the host user id and the size of /tmp: gVisor restores a snapshot
// only into what is like it. Programs lists the directories of the host that nobody changes while they are in use, which gVisor may
// remember; all else it asks the host for each time.
func newBundle(id int, tmp int64, programs []string) ([]byte, error) {
	tmpfs := func(target string, size int64, options ...string) ociMount {
		options = append(options, "mode=1777", fmt.Sprintf("size=%d", size), "nosuid", "nodev")
		return ociMount{Destination: target, Type: "tmpfs", Source: "tmpfs", Options: options}
	}
	b := bundle{
		Version: "1.1.0", Hostname: hostName, Root: ociRoot{rootDir, true},
		Process: ociProcess{
			Args: []string{guestPath}, Env: []string{"GOMAXPROCS=1", "GOGC=50", "GOMEMLIMIT=8MiB", "HOME=/"}, Cwd: "/",
			Capabilities: map[string][]string{"bounding": rights, "effective": rights, "permitted": rights},
			Rlimits: []ociRlimit{
				{"RLIMIT_NOFILE", sandbox.DefaultFiles, sandbox.DefaultFiles}, {"RLIMIT_CORE", 1, 1}, // a byte is less than any core dump
			},
		},
		Mounts: []ociMount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"ro"}},
			{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup"},
			tmpfs("/tmp", tmp), tmpfs("/dev/shm", 16<<20, "noexec"),
		},
		Linux: ociLinux{
			Namespaces:  []ociNamespace{{"pid"}, {"mount"}, {"ipc"}, {"uts"}, {"user"}},
			UIDMappings: []ociMapping{{0, id, 1}}, GIDMappings: []ociMapping{{0, id, 1}},
		},
	}
	for _, dir := range programs {
		b.Mounts = append(b.Mounts, ociMount{Destination: dir, Type: "bind", Source: rootDir + dir, Options: []string{"ro", "rbind"}})
	}
	return json.Marshal(b)
}
