package guest

import (
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// defaultPath is where programs are looked for without a PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// find is the program that a command means: a path, or a name to be looked for in PATH as the shell does. It says why a command cannot
// be run better than a failed exec does.
func find(name, dir string, env []string) (string, error) {
	if dir != "" {
		if err := unix.Access(dir, unix.X_OK); err != nil {
			return "", err
		}
	}
	if strings.Contains(name, "/") {
		return name, check(within(dir, name))
	}
	places := defaultPath
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, "PATH="); ok {
			places = value
		}
	}
	why := error(syscall.ENOENT)
	for place := range strings.SplitSeq(places, ":") {
		file := path.Join(within(dir, place), name)
		var st syscall.Stat_t
		if syscall.Stat(file, &st) != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG {
			continue
		}
		if st.Mode&0o111 != 0 {
			return file, nil
		}
		why = syscall.EACCES
	}
	return "", why
}

func within(dir, name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return dir + "/" + name
}

// check says why a path is no program.
func check(file string) error {
	var st syscall.Stat_t
	if err := syscall.Stat(file, &st); err != nil {
		return err
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return syscall.EACCES
	}
	return nil
}
