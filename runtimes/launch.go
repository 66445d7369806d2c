package runtimes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Request is what to launch.
type Request struct {
	Runtime  string
	Task     string   // host directory that becomes /var/task
	Layers   []string // host directories merged into /opt, in order: the last one wins
	MemoryMB int      // of the function; 128 if zero
	// Wrapper is the customer's AWS_LAMBDA_EXEC_WRAPPER, a path in the sandbox, or "".
	Wrapper string
	// Env is the customer's variables. It decides whether a waiting process can serve the function.
	Env map[string]string
	// SnapStart says that the process is to be stored, and others restored from it.
	SnapStart bool
}

// EntrypointError says that a provided runtime has no bootstrap that can be started. The function fails with its ErrorType
// and its text.
type EntrypointError struct{ Message string }

func (e *EntrypointError) Error() string { return e.Message }

// ErrorType is "Runtime.InvalidEntrypoint".
func (e *EntrypointError) ErrorType() string { return "Runtime.InvalidEntrypoint" }

// Launch says how to start a function. A *MissingError means that this host cannot run it, an *EntrypointError that its code
// cannot be started.
func (s *Set) Launch(ctx context.Context, q Request) (Launch, error) {
	r, ok := lookup(q.Runtime)
	if !ok {
		return Launch{}, unknown(q.Runtime)
	}
	if q.MemoryMB <= 0 {
		q.MemoryMB = 128
	}
	if img, err := s.baseImage(ctx, r); err != nil || img != nil {
		return launchInImage(r, q, img, err)
	}
	if r.family == Provided {
		return launchProvided(r, q)
	}
	in, err := s.interpreter(ctx, r)
	if err != nil {
		return Launch{}, err
	}
	dir, err := s.bootstrapDir()
	if err != nil {
		return Launch{}, err
	}
	b := builder{r: r, memory: q.MemoryMB, in: in, dir: filepath.Join(dir, folder(r.family)), sdk: s.sdkDir(r), env: map[string]string{}}
	b.common()
	var args []string
	switch r.family {
	case Python:
		s.precompile(ctx, r, b.dir)
		args = b.python()
	case Node:
		args = b.node()
	case Java:
		args = b.java()
		if q.SnapStart {
			args = slices.Concat(args[:1], b.unsafeJava(), args[1:])
		}
	}
	channel := q.Wrapper == "" && (r.family == Python || r.family == Node) // a wrapper may have a use of its own for descriptor 3
	if channel {
		b.env["_ENFOLD_CHANNEL"] = "3"
	}
	l := Launch{Args: wrap(q.Wrapper, args), Env: b.env, Mounts: b.mounts, Channel: channel}
	if beforeConfiguration(r.family, q) == "" {
		l.Warm = b.warm(args)
	}
	return l, nil
}

// In is the launch with every path of the sandbox replaced by what path says of it, which is sandbox.Sandbox.Path: itself, or
// a path of the host under a driver that cannot mount.
func (l Launch) In(path func(string) string) Launch {
	out := Launch{Args: replaceAll(l.Args, path), Env: make(map[string]string, len(l.Env)), Mounts: l.Mounts, Dir: l.Dir, Root: l.Root, Channel: l.Channel}
	for k, v := range l.Env {
		out.Env[k] = replaceList(v, path)
	}
	if l.Warm != nil {
		w := Warm{Key: l.Warm.Key, Args: replaceAll(l.Warm.Args, path)}
		for _, entry := range l.Warm.Env {
			k, v, _ := strings.Cut(entry, "=")
			w.Env = append(w.Env, k+"="+replaceList(v, path))
		}
		out.Warm = &w
	}
	return out
}

func replaceAll(args []string, path func(string) string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = replace(a, path)
	}
	return out
}

func replaceList(s string, path func(string) string) string {
	list := strings.Split(s, ":")
	for i, e := range list {
		list[i] = replace(e, path)
	}
	return strings.Join(list, ":")
}

func replace(s string, path func(string) string) string {
	if filepath.IsAbs(s) {
		return path(s)
	}
	return s
}

// folder is where a family's bootstrap is.
func folder(f Family) string {
	if f == Node {
		return "node"
	}
	return string(f)
}

// builder collects a Launch.
type builder struct {
	r      runtime
	memory int // MB
	in     interpreter
	dir    string // host directory that becomes /var/runtime
	sdk    string // host directory of the installed SDK, or ""
	env    map[string]string
	mounts []Mount
}

// common is what every managed runtime has.
func (b *builder) common() {
	b.env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + b.r.name
	b.env["PATH"] = "/var/lang/bin:" + binPath
	b.env["LD_LIBRARY_PATH"] = "/var/lang/lib:" + libraryPath
	b.mount(b.dir, "/var/runtime")
	b.mount(b.in.prefix, "/var/lang")
	for _, p := range []string{b.in.prefix, b.in.extra} {
		// The sandbox has /usr. An interpreter that lives elsewhere knows itself by its path, so it keeps it.
		if p != "" && p != "/usr" && !strings.HasPrefix(p, "/usr/") {
			b.mount(p, p)
		}
	}
}

// What PATH and LD_LIBRARY_PATH are on AWS, after /var/lang.
const (
	binPath     = "/usr/local/bin:/usr/bin/:/bin:/opt/bin"
	libraryPath = "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"
)

func (b *builder) mount(source, target string) {
	b.mounts = append(b.mounts, Mount{Source: source, Target: target})
}

// python runs without the site module (-S) and without the user's packages (-s): the bootstrap does what is wanted of both.
func (b *builder) python() []string {
	sdk := ""
	if b.sdk != "" {
		sdk = "/var/runtime/sdk"
		b.mount(b.sdk, sdk)
	}
	b.env["PWD"], b.env["SHLVL"] = "/var/task", "0" // on AWS a shell starts it
	if compareVersions(b.r.version, "3.12") >= 0 {
		b.env["LC_CTYPE"] = "C.UTF-8"
	}
	return []string{b.in.path, "-s", "-S", "/var/runtime/bootstrap.py", "/opt", sdk}
}

func (b *builder) node() []string {
	if b.sdk != "" {
		b.mount(b.sdk+"/node_modules", "/var/runtime/node_modules")
	}
	b.env["NODE_PATH"] = "/opt/nodejs/node" + b.r.version + "/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task"
	return []string{
		b.in.path, "--expose-gc", "--max-http-header-size", "81920",
		"--max-semi-space-size=" + strconv.Itoa(max(1, b.memory*5/100)),
		"--max-old-space-size=" + strconv.Itoa(b.memory*90/100),
		"/var/runtime/index.cjs",
	}
}

func (b *builder) java() []string {
	b.mounts = append(b.mounts, b.in.outside...)
	// The heap takes what is left of the memory after the JVM's own: much of a small function's, little of a large one's.
	heap := b.memory - max(60, b.memory/8)
	return []string{
		b.in.path, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:-UsePerfData",
		"-Xmx" + strconv.Itoa(heap) + "m", "-XX:MaxMetaspaceSize=" + strconv.Itoa(max(64, b.memory/2)) + "m",
		"-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-Dstderr.encoding=UTF-8",
		"-cp", "/var/runtime/enfold-runtime.jar", "run.enfold.runtime.Main", "/opt",
	}
}

// outsideLinks are the mounts for what a Java home links to elsewhere: Debian keeps its configuration in /etc.
func outsideLinks(home string) []Mount {
	var out []Mount
	for _, pattern := range []string{"/*", "/lib/*", "/conf/*", "/lib/security/*"} {
		names, _ := filepath.Glob(home + pattern)
		for _, name := range names {
			info, err := os.Lstat(name)
			if err != nil || info.Mode()&fs.ModeSymlink == 0 {
				continue
			}
			real, err := filepath.EvalSymlinks(name)
			if err != nil || strings.HasPrefix(real, home) || strings.HasPrefix(real, "/usr/") {
				continue
			}
			m := Mount{Source: real, Target: real, Optional: true}
			if strings.HasPrefix(real, "/etc/java-") { // one mount instead of many
				m.Source = "/etc/" + strings.SplitN(real, "/", 4)[2]
				m.Target = m.Source
			}
			if !slices.Contains(out, m) {
				out = append(out, m)
			}
		}
	}
	return out
}

// wrapperScript is what AWS's own bootstraps do about AWS_LAMBDA_EXEC_WRAPPER.
const wrapperScript = `if [ ! -f "$1" ]; then echo "$1: does not exist"; exit 127; fi
if [ ! -x "$1" ]; then echo "$1: is not an executable"; exit 126; fi
exec "$@"`

func wrap(wrapper string, args []string) []string {
	if wrapper == "" {
		return args
	}
	return append([]string{"/bin/sh", "-c", wrapperScript, "bootstrap", wrapper}, args...)
}

// launchProvided starts the function's own bootstrap: /var/task/bootstrap, or that of a layer.
func launchProvided(r runtime, q Request) (Launch, error) {
	places := []struct{ host, target string }{{filepath.Join(q.Task, "bootstrap"), "/var/task/bootstrap"}}
	for _, l := range slices.Backward(q.Layers) {
		places = append(places, struct{ host, target string }{filepath.Join(l, "bootstrap"), "/opt/bootstrap"})
	}
	for _, p := range places {
		// Lstat: a link may point at what only the sandbox has.
		info, err := os.Lstat(p.host)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Launch{}, fmt.Errorf("look at %s: %w", p.target, err)
		}
		if info.IsDir() || info.Mode().IsRegular() && info.Mode()&0o111 == 0 {
			return Launch{}, &EntrypointError{Message: "fork/exec " + p.target + ": permission denied"}
		}
		return Launch{Args: []string{p.target}, Env: providedEnv(r)}, nil
	}
	return Launch{}, &EntrypointError{Message: "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"}
}

func providedEnv(r runtime) map[string]string {
	if r.name == "provided.al2" {
		return map[string]string{"PATH": binPath, "LD_LIBRARY_PATH": libraryPath}
	}
	return map[string]string{"PATH": "/var/lang/bin:" + binPath, "LD_LIBRARY_PATH": "/var/lang/lib:" + libraryPath}
}
