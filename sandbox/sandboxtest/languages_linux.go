package sandboxtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/enfold-run/enfold/sandbox"
)

// testLanguages runs what the runtimes are made of, threads, children, sockets and files included: the system calls that they need
// are allowed.
func testLanguages(t *testing.T, s *suite) {
	for _, tc := range []struct{ name, program, code, want string }{
		{"shell", "/bin/sh", `echo $((6*7)) > $T/x && cat $T/x | tr 4 4 && getent hosts localhost >/dev/null && echo ok`, "42\nok\n"},
		{"python", "/usr/bin/python3", `
import os, socket, subprocess, sys, tempfile, threading, json, ssl, concurrent.futures, asyncio
out = []
with concurrent.futures.ThreadPoolExecutor(8) as ex: out.append(sum(ex.map(lambda x: x*x, range(100))))
out.append(subprocess.run(["/bin/echo", "child"], capture_output=True, text=True).stdout.strip())
f = tempfile.NamedTemporaryFile(dir=os.environ["T"]); f.write(b"x"); f.flush()
a, b = socket.socketpair(); a.send(b"hi"); out.append(b.recv(2).decode())
out.append(socket.getaddrinfo("localhost", 80)[0][4][1])
async def main():
    p = await asyncio.create_subprocess_exec("/bin/true"); return await p.wait()
out.append(asyncio.run(main()))
pid = os.fork()
if pid == 0: os._exit(5)
out.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(json.dumps(out))`, `[328350, "child", "hi", 80, 0, 5]` + "\n"},
		{"node", "/usr/bin/node", `
const {execFileSync} = require('child_process'), fs = require('fs'), {Worker} = require('worker_threads'), dns = require('dns'), crypto = require('crypto');
const out = [execFileSync('/bin/echo', ['child']).toString().trim()];
fs.writeFileSync(process.env.T + '/n', 'x'); out.push(fs.readFileSync(process.env.T + '/n', 'utf8'));
crypto.pbkdf2('a', 'b', 1000, 8, 'sha256', () => {
  new Worker('require("worker_threads").parentPort.postMessage(7)', {eval: true}).on('message', m => {
    out.push(m);
    dns.lookup('localhost', (e, a) => { out.push(!e); console.log(JSON.stringify(out)); });
  });
});`, `["child","x",7,true]` + "\n"},
		{"java", "/usr/bin/java", `
import java.nio.file.*; import java.util.concurrent.*; import java.net.*;
public class M { public static void main(String[] a) throws Exception {
  var ex = Executors.newFixedThreadPool(4); int n = ex.submit(() -> 42).get(); ex.shutdown();
  Path p = Path.of(System.getenv("T"), "j"); Files.writeString(p, "x");
  int code = new ProcessBuilder("/bin/sh", "-c", "exit 3").start().waitFor();
  try (var ss = new ServerSocket(0, 1, InetAddress.getLoopbackAddress()); var s = new Socket(ss.getInetAddress(), ss.getLocalPort())) {
    System.out.println(n + Files.readString(p) + code + s.isConnected()); } } }`, "42x3true\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := exec.LookPath(tc.program); err != nil {
				t.Skip("this host has no ", tc.program)
			}
			h := s.create(t, func(spec *sandbox.Spec) { spec.Memory = 1 << 30 })
			args := []string{tc.program, "-c", tc.code}
			switch tc.name {
			case "node":
				args[1] = "-e"
			case "java":
				if _, err := exec.LookPath("/usr/bin/javac"); err != nil {
					t.Skip("this host has no compiler for java's test")
				}
				if err := os.WriteFile(filepath.Join(h.task, "M.java"), []byte(tc.code), 0o644); err != nil {
					t.Fatal(err)
				}
				args = []string{tc.program, "-Xmx256m", "-XX:TieredStopAtLevel=1", h.Path("/var/task/M.java")}
			}
			r := h.begin(sandbox.Command{
				Args: args, Dir: h.Path("/tmp"), Env: []string{"PATH=/usr/bin:/bin", "T=" + h.Path("/tmp"), "HOME=" + h.Path("/tmp")},
			})
			e := r.wait()
			if got := r.out.all(t); got != tc.want {
				t.Errorf("said %q, want %q; %+v\n%s", got, tc.want, e, r.err.all(t))
			}
		})
	}
}
