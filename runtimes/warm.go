package runtimes

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A waiting process can be given maxVariables of the customer's. Java's has room for a fixed number, with those of the platform and
// the runtime, and for as many bytes as the pipe that brings them.
const (
	maxVariables = 192
	javaSlots    = maxVariables + 64
	javaRoom     = 64 << 10
)

// early is a variable that is read before a configuration can come, and that cannot be honoured afterwards. A function that sets
// it is not served by a waiting process.
type early struct {
	family Family // "" is all
	name   string // ending in * it is the beginning of a name
	reason string
}

var earlies = []early{
	{"", "LD_*", "the dynamic linker reads it when the program starts"},
	{"", "GLIBC_TUNABLES", "the C library reads it when the program starts"},
	{"", "MALLOC_*", "the C library reads it when the program starts"},
	{"", "LANG", "the interpreter chooses its encodings by it when it starts"},
	{"", "LANGUAGE", "the C library caches it with the locale"},
	{"", "LC_*", "the interpreter chooses its encodings by it when it starts"},
	{"", "LOCPATH", "the C library looks for the locale there when the program starts"},
	{"", "TZDIR", "the C library reads the time zone's file from there when it is first asked for the time"},
	{"", "AWS_LAMBDA_EXEC_WRAPPER", "it starts the interpreter"},

	{Python, "PYTHON*", "the interpreter reads it when it starts"},

	{Node, "NODE_*", "the interpreter reads most of them when it starts"},
	{Node, "UV_*", "libuv reads it when the event loop is made"},
	{Node, "OPENSSL_*", "OpenSSL reads its configuration when the interpreter starts"},
	{Node, "SSL_CERT_*", "the interpreter may read it when it starts"},

	{Java, "JAVA_*", "the virtual machine takes options from it when it starts"},
	{Java, "JDK_*", "the launcher takes options from it when it starts"},
	{Java, "_JAVA_*", "the virtual machine takes options from it when it starts"},
	{Java, "HOME", "the virtual machine takes user.home from it for a user without a home directory"},
	{Java, "TZ", "the class library asks the C library for the time zone, which keeps what it was started with"},
}

// late are variables that match an early one, and yet can be honoured afterwards.
var late = map[Family][]string{
	Python: {"PYTHONPATH"},
	// The last two are read by libraries and for each connection.
	Node: {"NODE_PATH", "NODE_ENV", "NODE_TLS_REJECT_UNAUTHORIZED"},
	Java: {"JAVA_HOME"},
}

// beforeConfiguration says why a process that waits for its configuration cannot serve a request, or "".
func beforeConfiguration(f Family, q Request) string {
	if q.Wrapper != "" {
		return "a wrapper starts the interpreter"
	}
	if len(q.Env) > maxVariables {
		return fmt.Sprintf("it has more than %d variables", maxVariables)
	}
	for name, value := range q.Env {
		for _, e := range earlies {
			prefix, isPrefix := strings.CutSuffix(e.name, "*")
			if e.family != "" && e.family != f || name != e.name && !(isPrefix && strings.HasPrefix(name, prefix)) {
				continue
			}
			if !slices.Contains(late[f], name) {
				return name + ": " + e.reason
			}
		}
		if f == Python && name == "PYTHONPATH" && !allAbsolute(value) {
			return "PYTHONPATH: what the interpreter makes of relative paths depends on its version"
		}
	}
	return sharedLibraries(q)
}

func allAbsolute(paths string) bool {
	for p := range strings.SplitSeq(paths, ":") {
		if !filepath.IsAbs(p) {
			return false
		}
	}
	return true
}

// sharedLibraries says where in the code or its layers shared libraries are that the dynamic linker would find by
// LD_LIBRARY_PATH. It remembers which of those directories did not exist when the program started, and never looks there again.
func sharedLibraries(q Request) string {
	dirs := []string{filepath.Join(q.Task, "lib"), filepath.Join(q.Task, "glibc-hwcaps")}
	for _, l := range q.Layers {
		dirs = append(dirs, filepath.Join(l, "lib"))
	}
	for _, dir := range dirs {
		d, err := os.Open(dir)
		if err != nil {
			continue // most functions have none
		}
		names, err := d.Readdirnames(-1)
		d.Close()
		if err != nil || slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, ".so") || n == "glibc-hwcaps" }) {
			return "it has shared libraries in " + filepath.Base(dir)
		}
	}
	return ""
}

// warm is how to start what b launches ahead of its configuration, with args.
func (b *builder) warm(args []string) *Warm {
	env := maps.Clone(b.env)
	// As the configuration will have it: read at the interpreter's own start.
	env["LANG"], env["TZ"] = "en_US.UTF-8", ":UTC"
	env["LAMBDA_TASK_ROOT"], env["LAMBDA_RUNTIME_DIR"] = "/var/task", "/var/runtime"
	env["_ENFOLD_WARM"] = "1"
	w := &Warm{Args: args}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		w.Env = append(w.Env, name+"="+env[name])
	}
	if b.r.family == Java {
		w.Args = b.javaWarm(args)
	}
	w.Key = b.r.name + " " + digest(w, b.mounts)
	if b.r.family == Java {
		w.Env = slices.Concat(javaSpace(), w.Env)
	}
	return w
}

// javaWarm is the command line of a Java that waits.
func (b *builder) javaWarm(args []string) []string {
	options := append(b.unsafeJava(), "-Drun.enfold.wait=true") // the bootstrap removes the last
	return slices.Concat(args[:1], options, args[1:])
}

// javaSpace is the room in the environment of a Java that waits: it writes its configuration over its own environment, where the
// class library has it from when it is first asked for it, and children and native code too.
var javaSpace = sync.OnceValue(func() (env []string) {
	for i := range javaSlots {
		env = append(env, fmt.Sprintf("_ENFOLD_%d=", i))
	}
	return append(env, "_ENFOLD="+strings.Repeat(".", javaRoom))
})

// unsafeJava is what makes a Java say nothing on standard error of a bootstrap that reaches into the class library.
func (b *builder) unsafeJava() []string {
	if compareVersions(b.in.version, "23") < 0 {
		return nil
	}
	return []string{"--sun-misc-unsafe-memory-access=allow"}
}

// digest tells what is started differently apart. It is part of every cold start.
func digest(w *Warm, mounts []Mount) string {
	var b []byte
	add := func(list ...string) {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, s := range list {
			b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
		}
	}
	add(w.Args...)
	add(w.Env...)
	for _, m := range mounts {
		add(m.Source, m.Target, strconv.FormatBool(m.Optional))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
