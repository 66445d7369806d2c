package runtimes

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// javac compiles sources for a Java of this host, once for all tests. The result is a directory.
func javac(t testing.TB, runtime string, sources ...string) string {
	t.Helper()
	r, _ := lookup(runtime)
	in, err := hostSet(t).interpreter(context.Background(), r)
	if err != nil {
		t.Skip(err)
	}
	compiler := filepath.Join(in.prefix, "bin", "javac")
	if _, err := os.Stat(compiler); err != nil {
		t.Skipf("%s has no javac, so there is nothing to run in it", in.prefix)
	}
	dir := filepath.Join(shared.dir, "classes", runtime, fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, sources))))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	args := append([]string{"-encoding", "UTF-8", "-nowarn", "-d", dir, "-cp", "java/enfold-runtime.jar"}, sources...)
	if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	return dir
}

func TestJava(t *testing.T) {
	eachRuntime(t, Java, func(t *testing.T, runtime string) {
		classes := javac(t, runtime, "testdata/java/fn/App.java")
		run := func(t *testing.T, handler string) *function {
			return start(t, code{runtime: runtime, handler: "fn.App$" + handler, task: classes})
		}
		t.Run("shapes", func(t *testing.T) {
			f := run(t, "Pojo")
			f.ok(f.invoke(`{"x":1,"inner":[{"x":2,"open":"é☃","extra":1}]}`), `{"x":2,"inner":[{"x":2,"open":"é☃"}]}`)
			f.ok(f.invoke(`{}`), `{"x":1}`)
			f = run(t, "Pojo::handleRequest")
			f.ok(f.invoke(`{"x":1}`), `{"x":2}`)
			f = run(t, "Pojo::other")
			f.ok(f.invoke(`{"a":1}`), `"other {a=1} Integer"`)
			f = run(t, "Generic")
			f.ok(f.invoke(`[{"x":1},{"x":2}]`), `{"p0":{"x":99},"p1":{"x":2}}`)
			f = run(t, "Text")
			f.ok(f.invoke(`"é"`), `"é☃"`)
			f = run(t, "Echo")
			f.ok(f.invoke(`{"a":[1,2.5,null,true,"x",12345678901]}`), `{"a":[1,2.5,null,true,"x",12345678901]}`)
			f.ok(f.invoke(`null`), `null`)
			f = run(t, "Stream")
			f.ok(f.invoke(`not { json`), `not { json`)
			f.ok(f.invoke(``), ``)
		})
		t.Run("overloads", func(t *testing.T) {
			for method, want := range map[string]string{
				"run": `"(int, context)"`, "statically": `6`, "nothing": `null`, "streams": `streams 5`, "outOnly": `out`,
			} {
				f := run(t, "Overloads::"+method)
				f.ok(f.invoke(`5`), want)
			}
		})
		t.Run("context", func(t *testing.T) {
			f := run(t, "Members")
			f.ok(f.invoke(`{}`), `["8476a536-e9f4-11e8-9739-2dfe598c3fcd","f","$LATEST",512,"/aws/lambda/f","2026/01/01/[$LATEST]0","arn:aws:lambda:eu-west-1:123456789012:function:f:live",null,true,null,null,null,"AWS_Lambda_`+runtime+`"]`)
			f.ok(f.invoke(`{}`,
				"Lambda-Runtime-Client-Context", `{"client":{"installation_id":"i1"},"custom":{"k":"v"},"env":{"e":1}}`, "Lambda-Runtime-Trace-Id", "Root=1",
				"Lambda-Runtime-Cognito-Identity", `{"cognitoIdentityId":"id","cognitoIdentityPoolId":"pool"}`, "Lambda-Runtime-Aws-Tenant-Id", "tenant"),
				`["8476a536-e9f4-11e8-9739-2dfe598c3fcd","f","$LATEST",512,"/aws/lambda/f","2026/01/01/[$LATEST]0","arn:aws:lambda:eu-west-1:123456789012:function:f:live","tenant",true,"i1{k=v}{e=1}","idpool","Root=1","AWS_Lambda_`+runtime+`"]`)
		})
		t.Run("errors", func(t *testing.T) {
			f := run(t, "Fails")
			for range 2 {
				a := f.invoke(`"x"`)
				f.failed(a, `{"errorMessage":"bad x","errorType":"java.lang.IllegalArgumentException","stackTrace":["fn.App$Fails.handleRequest(App.java:123)","fn.App$Fails.handleRequest(App.java:109)"]}`)
				if got := a.header.Get("Lambda-Runtime-Function-Error-Type"); got != "Runtime.UserException" {
					t.Errorf("error type header %q", got)
				}
			}
			f.logs("bad x: java.lang.IllegalArgumentException\rjava.lang.IllegalArgumentException: bad x\r\tat fn.App$Fails.handleRequest(App.java:123)\r", "(App.java:109)\r\nbad x: ")
			a := f.invoke(`"none"`)
			if a.field(t, "errorMessage") != "java.lang.IllegalStateException" {
				t.Errorf("no message: %s", a.body)
			}
			f.failed(f.invoke(`{"a":1}`), `{"errorMessage":"An error occurred during JSON parsing","errorType":"java.lang.RuntimeException","stackTrace":[]}`)
			f.failed(f.invoke(`{"cut`), `{"errorMessage":"An error occurred during JSON parsing","errorType":"java.lang.RuntimeException","stackTrace":[]}`)
			f = run(t, "Unserializable")
			f.failed(f.invoke(`"x"`), `{"errorMessage":"An error occurred during JSON serialization of response","errorType":"java.lang.RuntimeException","stackTrace":[]}`)
			f = run(t, "Checked::run")
			if a = f.invoke(`"x"`); a.field(t, "errorType") != "java.io.IOException" || a.field(t, "errorMessage") != "checked" {
				t.Errorf("checked: %s", a.body)
			}
		})
		t.Run("ends", func(t *testing.T) {
			for _, event := range []string{`"stack"`, `"heap"`} {
				f := run(t, "Fails")
				if a := f.invoke(event); a.field(t, "errorMessage") != "as thrown" {
					t.Errorf("%s: %s", event, a.body)
				}
				if got := f.exit(); got != 1 {
					t.Errorf("%s: exit status %d", event, got)
				}
			}
			f := run(t, "Fails")
			f.send(`"exit"`)
			if got := f.exit(); got != 3 || len(f.api.answers) > 0 {
				t.Errorf("System.exit(3): status %d, %d posts", got, len(f.api.answers))
			}
		})
		t.Run("faults", func(t *testing.T) { javaFaults(t, runtime, classes) })
		t.Run("log", func(t *testing.T) {
			f := run(t, "Logs")
			f.ok(f.invoke(`""`), `null`)
			f.logs("printed é\n", "unfinished by logger\ntwo\rlines\nbytes\rof it\n\n[DEBUG] 8476a536-e9f4-11e8-9739-2dfe598c3fcd level debug\n", "by runtime\n", "to stderr\n")
			f = start(t, code{runtime: runtime, handler: "fn.App$Logs", task: classes, env: map[string]string{"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}})
			f.ok(f.invoke(`""`), `null`)
			f.logs(`Z","level":"WARN","message":"level warn","AWSRequestId":"8476a536-e9f4-11e8-9739-2dfe598c3fcd"}` + "\n")
			if strings.Contains(f.logged(), "level debug") {
				t.Errorf("a message below the level was written: %s", f.logged())
			}
		})
		t.Run("load", func(t *testing.T) { load(t, code{runtime: runtime, handler: "fn.App$Stream", task: classes}) })
		t.Run("load as object", func(t *testing.T) {
			f := run(t, "Echo")
			big := `{"s":"` + strings.Repeat("☃0123456789abc", 6<<20/16-1) + `"}`
			if a := f.invoke(big); a.body != big {
				t.Errorf("6 MB came back as %d bytes: %.100q", len(a.body), a.body)
			}
		})
		t.Run("wrapper", func(t *testing.T) {
			f := start(t, code{
				runtime: runtime, handler: "fn.App$Text", task: classes, wrapper: "/opt/wrapper",
				files: map[string]string{"opt/wrapper": "#!/bin/sh\necho wrapped\nexec \"$@\"\n"},
			})
			f.ok(f.invoke(`"x"`), `"x☃"`)
			f.logs("wrapped\n")
		})
	})
}

func javaFaults(t *testing.T, runtime, classes string) {
	for handler, want := range map[string]string{
		"fn.Missing":            `{"errorMessage":"Class not found: fn.Missing","errorType":"java.lang.ClassNotFoundException"}`,
		"fn.App$Plain":          `{"errorMessage":"Class does not implement an appropriate handler interface: fn.App$Plain"}`,
		"fn.App$Plain::none":    `{"errorMessage":"No public method named none with appropriate method signature found on class fn.App$Plain"}`,
		"fn.App$Overloads::two": `{"errorMessage":"No public method named two with appropriate method signature found on class fn.App$Overloads"}`,
		"fn.App::":              "{\"errorMessage\":\"Invalid handler: `fn.App::'\"}",
		"fn.App$NoConstructor":  `{"errorMessage":"Class fn.App$NoConstructor has no public zero-argument constructor","errorType":"java.lang.Exception"}`,
	} {
		f := start(t, code{runtime: runtime, handler: handler, task: classes})
		for range 2 {
			a := f.invoke(`{}`)
			f.failed(a, want)
			if got := a.header.Get("Lambda-Runtime-Function-Error-Type"); got != "Runtime.BadFunctionCode" {
				t.Errorf("%s: error type header %q", handler, got)
			}
		}
	}
	for handler, want := range map[string]string{
		"fn.App$ThrowsAtStart": `{"errorMessage":"at start","errorType":"java.lang.IllegalStateException"}`,
		"fn.App$StaticFails":   `{"errorMessage":"Error loading class fn.App$StaticFails","errorType":"java.lang.ExceptionInInitializerError"}`,
	} {
		f := start(t, code{runtime: runtime, handler: handler, task: classes})
		f.is(f.answer(), "init/error", want)
		if got := f.exit(); got != 1 {
			t.Errorf("%s: exit status %d", handler, got)
		}
	}
}

// TestJavaMapper runs the mapper's own tests, which are in Java, with new random cases each time.
func TestJavaMapper(t *testing.T) {
	eachInterpreter(t, Java, func(t *testing.T, runtime string) {
		sources := map[string]string{"run.enfold.runtime.MapperTest": "testdata/java/mapper/MapperTest.java"}
		if runtime != "java11" {
			sources["run.enfold.runtime.RecordTest"] = "testdata/java/records/RecordTest.java"
		}
		r, _ := lookup(runtime)
		in, err := hostSet(t).interpreter(context.Background(), r)
		if err != nil {
			t.Skip(err)
		}
		for class, source := range sources {
			classes := javac(t, runtime, source)
			seed := fmt.Sprint(time.Now().UnixNano())
			out, err := exec.Command(in.path, "-Xmx256m", "-cp", classes+":java/enfold-runtime.jar", class, seed, "5000").CombinedOutput()
			if err != nil {
				t.Errorf("%s with seed %s: %v\n%s", class, seed, err, out)
			}
		}
	})
}

// TestJavaJar checks that the committed bootstrap is what its sources give.
func TestJavaJar(t *testing.T) {
	// Compilers of different versions write different bytes.
	const pinned = "17"
	out, err := exec.Command("javac", "-version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "javac "+pinned+".") {
		t.Skipf("the bootstrap is compiled by javac %s; here is: %s %v", pinned, out, err)
	}
	jar := filepath.Join(t.TempDir(), "runtime.jar")
	if out, err := exec.Command("java/build.sh", jar).CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, out)
	}
	got, err := os.ReadFile(jar)
	if err != nil {
		t.Fatal(err)
	}
	want, err := bootstraps.ReadFile("java/enfold-runtime.jar")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("java/enfold-runtime.jar is not what its sources give: run make gen")
	}
}

// TestJavaEvents reads events into the classes of aws-lambda-java-events. ENFOLD_TEST_JAVA_EVENTS names the directory with
// aws-lambda-java-events-*.jar and joda-time-*.jar.
func TestJavaEvents(t *testing.T) {
	dir := os.Getenv("ENFOLD_TEST_JAVA_EVENTS")
	if dir == "" {
		t.Skip("ENFOLD_TEST_JAVA_EVENTS names no directory with aws-lambda-java-events and joda-time")
	}
	jars, err := filepath.Glob(dir + "/*.jar")
	if err != nil || len(jars) == 0 {
		t.Fatalf("no jars in %s: %v", dir, err)
	}
	path := strings.Join(append(jars, "java/enfold-runtime.jar"), ":")
	classes := t.TempDir()
	if out, err := exec.Command("javac", "-encoding", "UTF-8", "-d", classes, "-cp", path, "testdata/java/events/EventsTest.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	if out, err := exec.Command("java", "-cp", classes+":"+path, "run.enfold.runtime.EventsTest").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
