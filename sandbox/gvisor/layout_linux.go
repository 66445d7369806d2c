//go:build amd64 || arm64

package gvisor

import (
	"fmt"
	"maps"

	"github.com/enfold-run/enfold/network"
	"github.com/enfold-run/enfold/sandbox/gvisor/guest"
)

// hostName is what every function sees as the machine's name.
const hostName = "sandbox"

// guestPath is the first process, in the sandbox.
const guestPath = "/.enfold/init"

// hostDirs are the host's programs and libraries. Where the host has a symbolic link, so has the sandbox.
var hostDirs = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}

// hostEtc are files and directories of /etc that programs need and that hold no secret.
var hostEtc = []string{
	"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ssl/cert.pem", "/etc/ca-certificates", "/etc/ca-certificates.conf", "/etc/pki/tls/certs",
	"/etc/pki/ca-trust", "/etc/pki/java", "/etc/crypto-policies", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
	"/etc/alternatives", "/etc/localtime", "/etc/os-release", "/etc/mime.types", "/etc/services", "/etc/protocols",
}

// ownDirs are directories that every sandbox has.
var ownDirs = []string{
	"/.enfold", "/etc", "/proc", "/dev", "/sys", "/tmp", "/run", "/home", "/mnt", "/opt", "/var/task", "/var/runtime", "/var/lang",
}

// imageDirs are those of a sandbox with a container image, whatever the image has there.
var imageDirs = []string{"/.enfold", "/etc", "/proc", "/dev", "/sys", "/tmp"}

// hostFiles are files of the sandbox's own that it has with a container image too.
func hostFiles() map[string]string {
	return map[string]string{
		"/etc/hosts":       "127.0.0.1 localhost\n::1 localhost\n127.0.0.1 " + hostName + "\n" + network.RuntimeIP + " sandbox.localdomain\n",
		"/etc/hostname":    hostName + "\n",
		"/etc/resolv.conf": "",
	}
}

// etcFiles are the sandbox's own.
func etcFiles() map[string]string {
	const user = "sbx_user1051"
	files := hostFiles()
	maps.Copy(files, map[string]string{
		"/etc/passwd": fmt.Sprintf("root:x:0:0:root:/:/sbin/nologin\n%s:x:%d:%d::/home/%[1]s:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
			user, guest.UID, guest.GID),
		"/etc/group":         fmt.Sprintf("root:x:0:\n%s:x:%d:\nnogroup:x:65534:\n", user, guest.GID),
		"/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
	})
	return files
}
