package worker

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// environ is a function's environment.
func (w *world) environ(f *Function) map[string]string {
	w.t.Helper()
	var list []string
	if err := json.Unmarshal(w.good(f, "env").Payload, &list); err != nil {
		w.t.Fatal(err)
	}
	vars := map[string]string{}
	for _, v := range list {
		name, value, _ := strings.Cut(v, "=")
		if _, twice := vars[name]; twice {
			w.t.Errorf("%s is there twice", name)
		}
		vars[name] = value
	}
	return vars
}

// The variables are AWS's, the customer's, and no others.
// See https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html.
func TestEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_HOST", "x")
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function(
			"GREETING", "hello=world", "EMPTY", "", "TZ", "Europe/Rome",
			// Nobody can set these, whatever the control plane let through.
			"AWS_REGION", "mars-1", "_HANDLER", "evil", "AWS_LAMBDA_RUNTIME_API", "example.com", "AWS_ACCESS_KEY_ID", "AKIAEVIL",
			"LAMBDA_TASK_ROOT", "/", "AWS_LAMBDA_LOG_STREAM_NAME", "stolen", "_AWS_XRAY_DAEMON_PORT", "1",
		)
		f.Version = "7"
		got := w.environ(f)
		want := map[string]string{
			"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
			"AWS_LAMBDA_FUNCTION_NAME": "misbehave", "AWS_LAMBDA_FUNCTION_VERSION": "7", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
			"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/misbehave",
			"AWS_LAMBDA_LOG_STREAM_NAME": got["AWS_LAMBDA_LOG_STREAM_NAME"], "AWS_LAMBDA_RUNTIME_API": "169.254.100.1:9001",
			"AWS_ACCESS_KEY_ID": "ASIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token",
			"AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR", "AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1:2000",
			"_AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1", "_AWS_XRAY_DAEMON_PORT": "2000",
			"LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime", "LANG": "en_US.UTF-8", "TZ": "Europe/Rome",
			"LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
			"PATH":            "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
			"_HANDLER":        "main.handler",
			"GREETING":        "hello=world", "EMPTY": "", w.mark: "1",
		}
		if w.driver.Name() == "process" { // which can mount nothing, so that paths are the host's
			want["TMPDIR"] = got["TMPDIR"]
			want["LAMBDA_TASK_ROOT"] = f.Task
			want["LD_LIBRARY_PATH"] = strings.ReplaceAll(want["LD_LIBRARY_PATH"], "/var/task", f.Task)
			want["AWS_LAMBDA_RUNTIME_API"] = got["AWS_LAMBDA_RUNTIME_API"]
			if !strings.HasPrefix(got["AWS_LAMBDA_RUNTIME_API"], "127.0.0.1:") {
				t.Errorf("AWS_LAMBDA_RUNTIME_API is %s", got["AWS_LAMBDA_RUNTIME_API"])
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if name := got["AWS_LAMBDA_LOG_STREAM_NAME"]; !regexp.MustCompile(`^\d{4}/\d\d/\d\d/\[7\][0-9a-f]{32}$`).MatchString(name) {
			t.Errorf("the log stream is %s", name)
		}
	})
}

func TestEnvironmentOfOtherConfigurations(t *testing.T) {
	w := newWorld(t, "process", Deps{})
	f := w.function()
	f.LogFormat, f.LogLevel, f.LogGroup, f.Runtime = "JSON", "WARN", "/shared", "provided.al2"
	got := w.environ(f)
	if got["AWS_LAMBDA_LOG_FORMAT"] != "JSON" || got["AWS_LAMBDA_LOG_LEVEL"] != "WARN" || got["AWS_LAMBDA_LOG_GROUP_NAME"] != "/shared" {
		t.Errorf("environment is %v", got)
	}
	if name := got["AWS_LAMBDA_LOG_STREAM_NAME"]; !regexp.MustCompile(`^\d{4}/\d\d/\d\d/misbehave\[\$LATEST\][0-9a-f]{32}$`).MatchString(name) {
		t.Errorf("the log stream is %s", name)
	}
	if got["PATH"] != "/usr/local/bin:/usr/bin/:/bin:/opt/bin" {
		t.Errorf("PATH of provided.al2 is %s", got["PATH"])
	}
	if _, ok := got["AWS_EXECUTION_ENV"]; ok {
		t.Error("AWS_EXECUTION_ENV is set for a custom runtime")
	}
}

// What the caller says reaches the function in headers.
func TestEventHeaders(t *testing.T) {
	w := newWorld(t, "process", Deps{})
	r := w.request("headers")
	r.InvokedArn, r.TraceID, r.TenantID = "arn:aws:lambda:us-east-1:000000000000:function:misbehave:live", "Root=1-2-3;Sampled=0", "acme"
	r.ClientContext, r.CognitoIdentity, r.ContentType = `{"custom":{}}`, `{"cognitoIdentityId":"x"}`, "application/json"
	resp := w.do(w.function(), r)
	var got map[string][]string
	if err := json.Unmarshal(resp.Payload, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Lambda-Runtime-Aws-Request-Id": r.RequestID, "Lambda-Runtime-Invoked-Function-Arn": r.InvokedArn,
		"Lambda-Runtime-Trace-Id": r.TraceID, "Lambda-Runtime-Aws-Tenant-Id": "acme",
		"Lambda-Runtime-Client-Context": r.ClientContext, "Lambda-Runtime-Cognito-Identity": r.CognitoIdentity, "Content-Type": "application/json",
	} {
		if len(got[name]) != 1 || got[name][0] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}
