package runtimes

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// compileScript makes the bytecode of the modules beside the bootstrap. Functions cannot write it, as their /var/runtime is
// read-only, and compiling costs several milliseconds of each cold start. "Unchecked" bytecode is used without a look at the
// source; it is right because the directory's name is a hash of the source.
const compileScript = `import py_compile, sys
for name in sys.argv[1:]:
    py_compile.compile(name, doraise=True, dfile="/var/runtime/" + name.rpartition("/")[2],
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)`

// precompile makes a Python's bytecode of the bootstrap, once. A failure costs speed only, so it is not reported.
func (s *Set) precompile(ctx context.Context, r runtime, dir string) {
	sl := s.slot(r.name)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if sl.prepared || sl.found.path == "" {
		return
	}
	sl.prepared = true
	names, err := filepath.Glob(filepath.Join(dir, "enfold_*.py"))
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, sl.found.path, append([]string{"-I", "-S", "-c", compileScript}, names...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return
	}
	made, err := filepath.Glob(filepath.Join(dir, "__pycache__", "*.pyc"))
	if err != nil {
		return
	}
	for _, f := range made {
		_ = os.Chmod(f, 0o444) // readable by the users that functions run as, whatever our umask
	}
}
