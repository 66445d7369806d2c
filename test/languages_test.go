package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// language is one of the four that functions of these tests are written in, all with the same behaviour.
type language struct {
	name, runtime, handler string
	code                   []byte // the deployment package
	missing                string // what the host lacks for it
	failure                string // what an exception answers, as a regular expression
}

var languagesOnce = sync.OnceValue(func() map[string]func(t testing.TB) language {
	return map[string]func(t testing.TB) language{"go": goLanguage, "python": python, "node": node, "java": java}
})

// languageOf skips the test if the host cannot run the language.
func languageOf(t testing.TB, name string) language {
	t.Helper()
	l := languagesOnce()[name](t)
	if l.missing != "" {
		t.Skip(l.missing)
	}
	return l
}

var languageNames = []string{"go", "python", "node", "java"}

func goLanguage(t testing.TB) language {
	return language{
		name: "go", runtime: "provided.al2023", handler: "bootstrap", code: bootstrap(t, binaries.hello),
		failure: `^\{"errorMessage":"I was told to fail","errorType":"errorString"\}$`,
	}
}

func python(t testing.TB) language {
	l := language{name: "python", handler: "hello.handler", failure: `"errorMessage": ?"I was told to fail", ?"errorType": ?"ValueError", ?"requestId": ?"[0-9a-f-]{36}", ?"stackTrace": ?\[`}
	out, err := exec.Command("python3", "-c", "import sys; print('python%d.%d' % sys.version_info[:2])").Output()
	if err != nil {
		l.missing = "no python3: install it (apt-get install python3)"
		return l
	}
	l.runtime, l.code = strings.TrimSpace(string(out)), zipOf(t, source(t, "hello.py"))
	return l
}

func node(t testing.TB) language {
	l := language{name: "node", handler: "hello.handler", failure: `^\{"errorType":"TypeError","errorMessage":"I was told to fail","trace":\["TypeError: I was told to fail",`}
	out, err := exec.Command("node", "-p", "'nodejs' + process.versions.node.split('.')[0] + '.x'").Output()
	if err != nil {
		l.missing = "no node: install Node.js (apt-get install nodejs)"
		return l
	}
	l.runtime, l.code = strings.TrimSpace(string(out)), zipOf(t, source(t, "hello.mjs"))
	return l
}

// javaRuntimes are those of AWS.
var javaRuntimes = map[string]string{"11": "java11", "17": "java17", "21": "java21", "25": "java25"}

func java(t testing.TB) language {
	l := language{name: "java", handler: "Hello::handleRequest", failure: `"errorMessage":"I was told to fail","errorType":"java.lang.IllegalStateException"`}
	out, err := exec.Command("java", "-version").CombinedOutput()
	if err != nil {
		l.missing = "no java: install a JDK (apt-get install default-jdk-headless)"
		return l
	}
	m := regexp.MustCompile(`version "(\d+)`).FindStringSubmatch(string(out))
	if m == nil || javaRuntimes[m[1]] == "" {
		l.missing = fmt.Sprintf("java is not of a version that Lambda has: %.40q", out)
		return l
	}
	l.runtime = javaRuntimes[m[1]]
	if _, err := exec.LookPath("javac"); err != nil {
		l.missing = "no javac: install a JDK (apt-get install default-jdk-headless)"
		return l
	}
	dir := t.TempDir()
	if out, err := exec.Command("javac", "-d", dir, "testdata/functions/hello-java/Hello.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	class, err := os.ReadFile(filepath.Join(dir, "Hello.class"))
	if err != nil {
		t.Fatal(err)
	}
	l.code = zipOf(t, file{"Hello.class", class, 0})
	return l
}

// source reads a function's source.
func source(t testing.TB, name string) file {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "functions", name))
	if err != nil {
		t.Fatal(err)
	}
	return file{name, body, 0}
}

// The lines of an invocation's log, exactly.
const uuid = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`

var (
	startLine  = regexp.MustCompile(`(?m)^START RequestId: (` + uuid + `) Version: (\$LATEST|\d+)$`)
	endLine    = regexp.MustCompile(`(?m)^END RequestId: (` + uuid + `)$`)
	reportLine = regexp.MustCompile(`(?m)^REPORT RequestId: (` + uuid + `)\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: \d+ MB\t` +
		`Max Memory Used: \d+ MB\t(Init Duration: \d+\.\d\d ms\t)?(Status: (timeout|error)\t)?(Error Type: [\w.]+\t)?$`)
)

// checkLog holds the log of one invocation against AWS's form.
func checkLog(t testing.TB, log string, wants ...string) {
	t.Helper()
	start, end, report := startLine.FindStringSubmatch(log), endLine.FindStringSubmatch(log), reportLine.FindStringSubmatch(log)
	if start == nil || end == nil || report == nil || start[1] != end[1] || end[1] != report[1] {
		t.Errorf("not the log of an invocation: %q", log)
	}
	for _, want := range wants {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log %q", want, log)
		}
	}
}
