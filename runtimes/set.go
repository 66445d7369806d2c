package runtimes

import (
	"context"
	"os"
	"slices"
	"sync"
	"time"
)

// Mount binds a file or directory of the host into the sandbox, read-only. It means what sandbox.Mount means.
type Mount struct {
	Source string // absolute, on the host
	Target string // absolute, in the sandbox
	// Optional mounts are left out if Source does not exist.
	Optional bool
}

// Launch is how to start the first process of a sandbox.
type Launch struct {
	// Args is the command line. Args[0] is an absolute path.
	Args []string
	// Env is what this runtime adds to the environment. The customer's variables win over all but AWS_EXECUTION_ENV. Values
	// are paths of the sandbox, or lists of them with colons.
	Env map[string]string
	// Mounts are what the sandbox needs beyond the host's /usr, /bin and /lib*, the code and the layers.
	Mounts []Mount
	// Dir is the working directory, /var/task if it is empty.
	Dir string
	// Channel says that the runtime takes descriptor 3 for a connection to the Runtime API, if it is one, waiting or not. It costs the
	// kernel less than one that the runtime would have to make.
	Channel bool
	// Root is the layers of a container image, the lowest first; empty for what runs with the host's programs.
	Root []string
	// Warm is how to start the runtime before it is known for which function, nil if it cannot be: a custom runtime, a wrapper,
	// variables that the interpreter reads at its own start, or shared libraries that the dynamic linker would not find any more.
	Warm *Warm
}

// Warm starts a runtime that waits for its configuration on standard input: the environment of Launch and the function, as
// "NAME=value" entries with a zero byte after each, then the end of file. It has the Mounts of its Launch, but neither code nor
// layers until then. When it has booted and waits, it writes a single zero byte to standard output. From the configuration on it
// is as if Launch had started it.
type Warm struct {
	// Key begins with the runtime's name and a space, and is the same for launches that the same waiting process can serve.
	Key  string
	Args []string
	// Env is the environment to wait with, "NAME=value". The configuration replaces it. AWS_LAMBDA_RUNTIME_API may be added to it,
	// if that is known and connections to it are taken: the runtime then connects while it waits, and if the configuration names
	// the same address that connection is the one it uses.
	Env []string
}

// Options configure a Set.
type Options struct {
	// DataDir holds the bootstraps and the installed SDKs, in DataDir/runtimes.
	DataDir string
	// Map says which program serves a runtime, whatever its version: "python3.12" -> "/usr/bin/python3".
	Map map[string]string
	// Image is the container image that serves a runtime in the place of this host's interpreter: one of AWS's base images. It is nil for a
	// runtime without, and may take as long as a registry. Nil: no runtime has one.
	Image func(ctx context.Context, runtime string) (*Image, error)
}

// Set is the runtimes of this host. Safe for concurrent use.
type Set struct {
	dir  string // DataDir/runtimes
	maps map[string]string
	host host
	base func(ctx context.Context, runtime string) (*Image, error)

	mu     sync.Mutex
	slots  map[string]*slot
	unpack onceAgain[string]
}

// slot is what is known about the interpreter of one runtime. Its lock is held while the interpreter is looked for, so that
// many cold starts at once look once.
type slot struct {
	mu       sync.Mutex
	found    interpreter
	err      error
	at       time.Time // when err was
	prepared bool      // the bootstrap's bytecode was made
}

// forgetMissing is how long "not found" is believed, so that an interpreter installed meanwhile is seen.
const forgetMissing = 5 * time.Second

// New returns a Set. It reads nothing yet.
func New(o Options) *Set {
	return &Set{dir: o.DataDir + "/runtimes", maps: o.Map, host: thisHost(), base: o.Image, slots: map[string]*slot{}}
}

// Found is one line about a runtime, for `enfold doctor`.
type Found struct {
	Runtime string
	Path    string // the interpreter
	Version string // what it says it is
	OK      bool
	Fix     string // what to do if not OK
}

// Found looks for the interpreters of all runtimes that need one. It may take seconds.
func (s *Set) Found() []Found {
	ctx := context.Background()
	var out []Found
	for _, r := range served {
		if r.family == Provided {
			continue
		}
		in, err := s.interpreter(ctx, r)
		f := Found{Runtime: r.name, Path: in.path, Version: in.version, OK: err == nil}
		if err != nil {
			f.Fix = err.Error()
		}
		out = append(out, f)
	}
	return out
}

func (s *Set) slot(name string) *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots[name] == nil {
		s.slots[name] = &slot{}
	}
	return s.slots[name]
}

// interpreter finds the runtime's interpreter, or remembers it. A *MissingError says that there is none.
func (s *Set) interpreter(ctx context.Context, r runtime) (interpreter, error) {
	sl := s.slot(r.name)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if sl.found.path != "" {
		if _, err := os.Stat(sl.found.path); err == nil {
			return sl.found, nil
		}
		sl.found = interpreter{}
	}
	if sl.err != nil && time.Since(sl.at) < forgetMissing {
		return interpreter{}, sl.err
	}
	found, err := s.find(ctx, r)
	if ctx.Err() != nil {
		return interpreter{}, ctx.Err()
	}
	sl.found, sl.err, sl.at, sl.prepared = found, err, time.Now(), false
	return found, err
}

func (s *Set) find(ctx context.Context, r runtime) (interpreter, error) {
	home := "/"
	if len(s.host.homes) > 0 {
		home = s.host.homes[0]
	}
	if path, ok := s.maps[r.name]; ok {
		in, err := probe(ctx, r.family, path, home)
		if err != nil {
			return in, &MissingError{
				Runtime: r.name,
				Reason:  "The program that --runtime-map gives for " + r.name + " does not work: " + err.Error() + ".",
				Fix:     "Correct the mapping.",
			}
		}
		return in, nil
	}
	var seen []string
	for _, path := range s.host.candidates(r) {
		if slices.Contains(seen, path) {
			continue
		}
		seen = append(seen, path)
		in, err := probe(ctx, r.family, path, home)
		if err == nil && fits(r.family, r.version, in.version) {
			return in, nil
		}
	}
	return interpreter{}, missing(r)
}

// onceAgain runs a function until it succeeds once, and remembers what it returned.
type onceAgain[T any] struct {
	mu    sync.Mutex
	done  bool
	value T
}

func (o *onceAgain[T]) do(f func() (T, error)) (T, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done {
		return o.value, nil
	}
	v, err := f()
	if err == nil {
		o.value, o.done = v, true
	}
	return v, err
}
