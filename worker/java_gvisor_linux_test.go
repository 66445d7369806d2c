//go:build amd64 || arm64

package worker

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/runtimes"
)

const javaSeen = `package fn;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.*;
public class App {
    public Map<String, Object> handle(Map<String, Object> event) throws Exception {
        Process child = new ProcessBuilder("/usr/bin/env", "-0").start();
        Map<String, Object> out = new HashMap<>();
        out.put("env", System.getenv());
        out.put("child", new String(child.getInputStream().readAllBytes()).split("\0"));
        out.put("proc", new String(Files.readAllBytes(Paths.get("/proc/self/environ"))).split("\0+"));
        out.put("stdin", Files.readSymbolicLink(Paths.get("/proc/self/fd/0")).toString());
        return out;
    }
}
`

// java is a function in the youngest Java of this host.
func (w *world) java(t *testing.T, code string) *Function {
	t.Helper()
	f := w.function()
	for _, found := range w.deps.Runtimes.Found() {
		if found.OK && runtimes.FamilyOf(found.Runtime) == runtimes.Java {
			f.Runtime = found.Runtime
		}
	}
	compiler, err := exec.LookPath("javac")
	if runtimes.FamilyOf(f.Runtime) != runtimes.Java || err != nil {
		t.Skip("this host has no Java, or no javac in PATH")
	}
	f.Handler, f.Task = "fn.App::handle", publicDir(t)
	source := filepath.Join(t.TempDir(), "App.java")
	if err := os.WriteFile(source, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(compiler, "--release", "11", "-d", f.Task, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return f
}

// TestJavaReadyGVisor has a function served by a JVM that waited for it, where the kernel does not say where its environment is.
func TestJavaReadyGVisor(t *testing.T) {
	w := newGVisor(t)
	f := w.java(t, javaSeen)
	w.Drain(t.Context())
	d := w.deps
	d.ReadyMemory = 1 << 30
	w.Pool = New(d)
	f.MemoryMB, f.Env["MINE"] = 1769, "yes"
	w.Expect(f)
	w.waitReady(1)
	resp := w.good(f, "{}")
	if s := w.Stats(); s.Claimed != 1 || s.Cold != 1 {
		t.Errorf("%+v, want one cold start that was claimed", s)
	}
	var seen struct {
		Env         map[string]string
		Child, Proc []string
		Stdin       string
	}
	if err := json.Unmarshal(resp.Payload, &seen); err != nil {
		t.Fatalf("%s: %v", resp.Payload, err)
	}
	for name, value := range map[string]string{"MINE": "yes", "_HANDLER": f.Handler, "AWS_SESSION_TOKEN": "token"} {
		if seen.Env[name] != value {
			t.Errorf("%s is %q, want %q", name, seen.Env[name], value)
		}
	}
	for who, entries := range map[string][]string{"a child": seen.Child, "/proc": seen.Proc} {
		if len(entries) != len(seen.Env) {
			t.Errorf("%s has %d variables of %d: %q", who, len(entries), len(seen.Env), entries)
		}
		for _, entry := range entries {
			if name, value, _ := strings.Cut(entry, "="); seen.Env[name] != value || strings.HasPrefix(name, "_ENFOLD") {
				t.Errorf("%s has %q", who, entry)
			}
		}
	}
	if seen.Stdin != "/dev/null" {
		t.Errorf("standard input is %s", seen.Stdin)
	}
}
