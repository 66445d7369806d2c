package test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// cli is the real AWS CLI, pinned by setup.sh.
type cli struct {
	t    testing.TB
	path string
	dir  string
	env  []string
}

// tool is a client that setup.sh installs, absolute; the test skips without it.
func tool(t testing.TB, parts ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"..", ".tools"}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not installed: run test/setup.sh", filepath.Join(parts...))
	}
	return path
}

func (s *server) cli(t testing.TB) *cli {
	t.Helper()
	dir := t.TempDir()
	return &cli{t: t, path: tool(t, "py", "bin", "aws"), dir: dir, env: s.awsEnv(dir)}
}

// try runs aws and answers what it printed.
func (c *cli) try(args ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.path, args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	var out, diag bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diag
	err = cmd.Run()
	return out.String(), diag.String(), err
}

// run runs aws, which must succeed, and decodes its JSON.
func (c *cli) run(args ...string) map[string]any {
	c.t.Helper()
	out, diag, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, diag)
	}
	if strings.TrimSpace(out) == "" {
		return nil
	}
	var m map[string]any
	d := json.NewDecoder(strings.NewReader(out))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		c.t.Fatalf("aws %s printed %q: %v", strings.Join(args, " "), out, err)
	}
	return m
}

// fails runs aws, which must fail with exactly this message.
func (c *cli) fails(want string, args ...string) {
	c.t.Helper()
	out, diag, err := c.try(args...)
	if got := strings.TrimSpace(diag); err == nil || got != want && !strings.HasSuffix(got, "\n"+want) {
		c.t.Errorf("aws %s\n\tgot  %s %s %v\n\twant %s", strings.Join(args, " "), got, out, err, want)
	}
}

func (c *cli) file(name string, body []byte) string {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), body, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return "fileb://" + name
}

// invoke invokes by the CLI and answers its JSON and the payload it wrote.
func (c *cli) invoke(function, event string, more ...string) (answer map[string]any, payload string) {
	c.t.Helper()
	answer = c.run(append([]string{"lambda", "invoke", "--function-name", function, "--payload", event, "out.json"}, more...)...)
	body, err := os.ReadFile(filepath.Join(c.dir, "out.json"))
	if err != nil {
		c.t.Fatal(err)
	}
	return answer, string(body)
}

// want holds members of an answer, by path ("Configuration.State"), against their values as text.
func (c *cli) want(answer map[string]any, pairs ...string) {
	c.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		var v any = answer
		for _, step := range strings.Split(pairs[i], ".") {
			m, _ := v.(map[string]any)
			v = m[step]
		}
		if got := fmt.Sprint(v); got != pairs[i+1] {
			c.t.Errorf("%s is %s, want %s", pairs[i], got, pairs[i+1])
		}
	}
}

// What a newcomer types, for each language.
func TestCLI(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	for _, name := range languageNames {
		t.Run(name, func(t *testing.T) {
			l := languageOf(t, name)
			c := s.cli(t)
			fn := "cli-" + name
			created := c.run("lambda", "create-function", "--function-name", fn, "--runtime", l.runtime, "--handler", l.handler,
				"--role", role, "--zip-file", c.file("code.zip", l.code), "--memory-size", "256", "--timeout", "15",
				"--environment", "Variables={GREETING=hi,ENFOLD_TEST_MARK="+s.mark+"}")
			sum := sha256.Sum256(l.code)
			digest := base64.StdEncoding.EncodeToString(sum[:])
			c.want(created, "FunctionName", fn, "Runtime", l.runtime, "Handler", l.handler, "State", "Pending", "StateReasonCode", "Creating",
				"Version", "$LATEST", "CodeSha256", digest, "CodeSize", fmt.Sprint(len(l.code)), "PackageType", "Zip", "MemorySize", "256",
				"FunctionArn", "arn:aws:lambda:us-east-1:000000000000:function:"+fn, "Environment.Variables.GREETING", "hi")
			c.run("lambda", "wait", "function-active-v2", "--function-name", fn)

			answer, payload := c.invoke(fn, `{"name":"World"}`, "--log-type", "Tail")
			c.want(answer, "StatusCode", "200", "ExecutedVersion", "$LATEST", "FunctionError", "<nil>")
			log, _ := base64.StdEncoding.DecodeString(fmt.Sprint(answer["LogResult"]))
			checkLog(t, string(log), "hello from the log, World")
			for k, want := range map[string]string{"language": name, "hello": "World", "greeting": "hi", "layer": "", "version": "$LATEST", "secret": ""} {
				if got := member(t, payload, k); got != want {
					t.Errorf("%s is %q, want %q", k, got, want)
				}
			}
			if id := member(t, payload, "requestId"); name != "java" && id != startLine.FindStringSubmatch(string(log))[1] {
				t.Errorf("the function's request id is %s, the log says %s", id, log)
			}

			answer, payload = c.invoke(fn, `{"name":"fail"}`)
			c.want(answer, "StatusCode", "200", "FunctionError", "Unhandled")
			if !regexp.MustCompile(l.failure).MatchString(payload) {
				t.Errorf("an exception answers %s, want %s", payload, l.failure)
			}

			got := c.run("lambda", "get-function", "--function-name", fn)
			c.want(got, "Configuration.State", "Active", "Configuration.LastUpdateStatus", "Successful", "Configuration.CodeSha256", digest, "Code.RepositoryType", "S3")
			code, _ := got["Code"].(map[string]any)
			if body := download(t, fmt.Sprint(code["Location"])); !bytes.Equal(body, l.code) {
				t.Errorf("Code.Location has %d bytes, want the %d of the package", len(body), len(l.code))
			}
			listed, _, err := c.try("lambda", "list-functions", "--query", "Functions[].FunctionName", "--output", "text")
			if err != nil || !strings.Contains(listed, fn) {
				t.Errorf("list-functions: %q, %v", listed, err)
			}

			c.run("lambda", "delete-function", "--function-name", fn)
			c.fails("An error occurred (ResourceNotFoundException) when calling the GetFunction operation: "+
				"Function not found: arn:aws:lambda:us-east-1:000000000000:function:"+fn, "lambda", "get-function", "--function-name", fn)
		})
	}
}

func download(t testing.TB, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return body
}

// What a function goes through after its first day: configuration, code, versions, aliases, layers, tags, concurrency.
func TestCLILifecycle(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	c := s.cli(t)
	const fn = "cli-lifecycle"
	arn := "arn:aws:lambda:us-east-1:000000000000:function:" + fn
	vars := func(greeting string) string {
		return "Variables={GREETING=" + greeting + ",ENFOLD_TEST_MARK=" + s.mark + "}"
	}
	updated := func() { c.run("lambda", "wait", "function-updated-v2", "--function-name", fn) }
	c.run("lambda", "create-function", "--function-name", fn, "--runtime", "provided.al2023", "--handler", "bootstrap", "--role", role,
		"--zip-file", c.file("code.zip", bootstrap(t, binaries.hello)), "--environment", vars("one"), "--tags", "team=a")
	c.run("lambda", "wait", "function-active-v2", "--function-name", fn)
	defer c.try("lambda", "delete-function", "--function-name", fn)

	// Versions keep their configuration.
	c.want(c.run("lambda", "publish-version", "--function-name", fn, "--description", "the first"), "Version", "1", "FunctionArn", arn+":1", "Description", "the first")
	c.want(c.run("lambda", "update-function-configuration", "--function-name", fn, "--environment", vars("two"), "--memory-size", "192"),
		"LastUpdateStatus", "InProgress", "MemorySize", "192")
	updated()
	c.want(c.run("lambda", "update-function-code", "--function-name", fn, "--publish",
		"--zip-file", c.file("code2.zip", zipOf(t, file{"bootstrap", binaries.hello, 0o755}, file{"more.txt", []byte("more"), 0}))), "Version", "2")
	updated()
	for version, greeting := range map[string]string{"1": "one", "2": "two", "$LATEST": "two"} {
		answer, payload := c.invoke(fn, `{"name":"x"}`, "--qualifier", version)
		c.want(answer, "ExecutedVersion", version)
		if got := member(t, payload, "greeting"); got != greeting {
			t.Errorf("version %s greets %q, want %q", version, got, greeting)
		}
	}

	// An alias leads to a version, or to two of them by weight.
	c.want(c.run("lambda", "create-alias", "--function-name", fn, "--name", "live", "--function-version", "1"), "AliasArn", arn+":live", "FunctionVersion", "1")
	answer, _ := c.invoke(arn+":live", `{"name":"x"}`)
	c.want(answer, "ExecutedVersion", "1")
	c.want(c.run("lambda", "update-alias", "--function-name", fn, "--name", "live", "--routing-config", "AdditionalVersionWeights={2=0.5}"),
		"RoutingConfig.AdditionalVersionWeights.2", "0.5")
	seen := map[string]int{}
	for range 40 {
		o := s.invoke(t, fn+":live", `{"name":"x"}`)
		seen[o.version]++
	}
	if seen["1"] < 5 || seen["2"] < 5 || len(seen) != 2 {
		t.Errorf("an alias of equal weights led to %v", seen)
	}
	c.run("lambda", "delete-alias", "--function-name", fn, "--name", "live")

	// A layer is under /opt.
	layer := c.run("lambda", "publish-layer-version", "--layer-name", "cli-layer", "--zip-file", c.file("layer.zip", zipOf(t, file{"layer.txt", []byte("from the layer"), 0})),
		"--compatible-runtimes", "provided.al2023")
	c.want(layer, "Version", "1", "LayerArn", "arn:aws:lambda:us-east-1:000000000000:layer:cli-layer")
	c.run("lambda", "update-function-configuration", "--function-name", fn, "--layers", fmt.Sprint(layer["LayerVersionArn"]))
	updated()
	if _, payload := c.invoke(fn, `{"name":"x"}`); member(t, payload, "layer") != "from the layer" {
		t.Errorf("with a layer: %s", payload)
	}
	content, _ := c.run("lambda", "get-layer-version", "--layer-name", "cli-layer", "--version-number", "1")["Content"].(map[string]any)
	if body := download(t, fmt.Sprint(content["Location"])); !bytes.Contains(body, []byte("layer.txt")) {
		t.Error("the layer's Location has another file")
	}
	c.run("lambda", "delete-layer-version", "--layer-name", "cli-layer", "--version-number", "1")
	if _, payload := c.invoke(fn, `{"name":"x"}`); member(t, payload, "layer") != "from the layer" {
		t.Errorf("a function loses a deleted layer: %s", payload)
	}

	c.want(c.run("lambda", "list-tags", "--resource", arn), "Tags.team", "a")
	c.run("lambda", "tag-resource", "--resource", arn, "--tags", "team=b,cost=1")
	c.run("lambda", "untag-resource", "--resource", arn, "--tag-keys", "cost")
	c.want(c.run("lambda", "list-tags", "--resource", arn), "Tags.team", "b", "Tags.cost", "<nil>")

	c.want(c.run("lambda", "put-function-concurrency", "--function-name", fn, "--reserved-concurrent-executions", "0"), "ReservedConcurrentExecutions", "0")
	c.fails("An error occurred (TooManyRequestsException) when calling the Invoke operation (reached max retries: 0): Rate Exceeded.",
		"lambda", "invoke", "--function-name", fn, "out.json")
	c.want(c.run("lambda", "get-function-concurrency", "--function-name", fn), "ReservedConcurrentExecutions", "0")
	c.run("lambda", "delete-function-concurrency", "--function-name", fn)
	answer, _ = c.invoke(fn, `{"name":"x"}`)
	c.want(answer, "StatusCode", "200")
	c.want(c.run("lambda", "get-account-settings"), "AccountLimit.ConcurrentExecutions", "1000", "AccountLimit.TotalCodeSize", "80530636800")
	c.want(c.run("sts", "get-caller-identity"), "Account", account, "Arn", "arn:aws:iam::000000000000:root", "UserId", account)

	versions, _, err := c.try("lambda", "list-versions-by-function", "--function-name", fn, "--query", "Versions[].Version", "--output", "text")
	if err != nil || strings.TrimSpace(versions) != "$LATEST\t1\t2" {
		t.Errorf("versions: %q, %v", versions, err)
	}
	c.run("lambda", "delete-function", "--function-name", fn, "--qualifier", "1")
	c.run("lambda", "delete-function", "--function-name", fn)
	c.fails("An error occurred (ResourceNotFoundException) when calling the Invoke operation: Function not found: "+arn+":2",
		"lambda", "invoke", "--function-name", fn, "--qualifier", "2", "out.json")
}

// The lines that `enfold env` prints are all that a shell needs.
func TestCLIFromEnfoldEnv(t *testing.T) {
	s := sharedServer(t)
	aws := tool(t, "py", "bin", "aws")
	cmd := exec.Command("bash", "-c", `eval "$(`+binaries.enfold+` env)" && `+aws+` sts get-caller-identity --query Arn --output text`)
	dir := t.TempDir()
	cmd.Env = append(hostEnv(), "HOME="+dir, "ENFOLD_DATA="+s.dir, "AWS_PROFILE=nobody", "AWS_SESSION_TOKEN=stale")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "arn:aws:iam::000000000000:root" {
		t.Errorf("%v\n%s", err, out)
	}
}

// Errors as a person sees them, recorded from AWS.
func TestCLIErrors(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	c := s.cli(t)
	code := c.file("code.zip", bootstrap(t, binaries.misbehave))
	base := []string{"lambda", "create-function", "--function-name", "cli-errors", "--runtime", "provided.al2023", "--handler", "bootstrap", "--role", role, "--zip-file", code}
	c.run(base...)
	defer c.try("lambda", "delete-function", "--function-name", "cli-errors")
	c.run("lambda", "wait", "function-active-v2", "--function-name", "cli-errors")
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"An error occurred (ResourceConflictException) when calling the CreateFunction operation: Function already exist: cli-errors", base},
		{
			"An error occurred (ResourceNotFoundException) when calling the Invoke operation: Function not found: arn:aws:lambda:us-east-1:000000000000:function:nowhere:$LATEST",
			[]string{"lambda", "invoke", "--function-name", "nowhere", "out.json"},
		},
		{
			"An error occurred (ResourceNotFoundException) when calling the GetAlias operation: Cannot find alias arn: arn:aws:lambda:us-east-1:000000000000:function:cli-errors:live",
			[]string{"lambda", "get-alias", "--function-name", "cli-errors", "--name", "live"},
		},
		{
			"An error occurred (ResourceNotFoundException) when calling the FilterLogEvents operation: The specified log group does not exist.",
			[]string{"logs", "filter-log-events", "--log-group-name", "/aws/lambda/nowhere"},
		},
		{
			"An error occurred (InvalidParameterException) when calling the GetLogEvents operation: 1 validation error detected: " +
				"Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000",
			[]string{"logs", "get-log-events", "--log-group-name", "g", "--log-stream-name", "s", "--limit", "10001"},
		},
	} {
		c.fails(tt.want, tt.args...)
	}
	wrong := &cli{t: t, path: c.path, dir: c.dir, env: append(c.env, "AWS_SECRET_ACCESS_KEY=wrong")}
	wrong.fails("An error occurred (InvalidSignatureException) when calling the ListFunctions operation: The request signature we calculated does not match the signature you provided. "+
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.", "lambda", "list-functions")
	wrong.env = append(c.env, "AWS_ACCESS_KEY_ID=AKIANOBODYNOBODYNOBO")
	wrong.fails("An error occurred (UnrecognizedClientException) when calling the ListFunctions operation: The security token included in the request is invalid.", "lambda", "list-functions")
}
