package worker

import (
	"cmp"
	"fmt"
	"maps"
	"strings"

	"github.com/enfold-run/enfold/network"
	"github.com/enfold-run/enfold/runtimeapi"
	"github.com/enfold-run/enfold/runtimes"
)

// place is where a sandbox put things.
type place struct {
	endpoint string
	api      string // URL of the AWS API, or empty
	path     func(string) string
	stream   string
	initType string
}

// variables are what the process of an environment gets. With SnapStart it has to ask for its credentials.
func (e *environment) variables(l runtimes.Launch) []string {
	if e.snap == nil {
		return variables(e.function, l, e.at, map[string]string{
			"AWS_ACCESS_KEY_ID": e.identity.AccessKeyID, "AWS_SECRET_ACCESS_KEY": e.identity.SecretAccessKey,
			"AWS_SESSION_TOKEN": e.identity.SessionToken,
		})
	}
	own := map[string]string{
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://" + credentialsAt(e.at.endpoint) + runtimeapi.CredentialsPath,
		"AWS_CONTAINER_AUTHORIZATION_TOKEN":  e.snap.token,
	}
	if e.snap.signal != "" {
		own["_ENFOLD_RESTORED"] = e.at.path(e.snap.signal)
	}
	return variables(e.function, l, e.at, own)
}

// credentialsAt is where the credentials are that the Runtime API at an endpoint has.
func credentialsAt(endpoint string) string {
	if endpoint == network.RuntimeAPI {
		return network.CredentialsAPI
	}
	return endpoint
}

// variables is the process environment, with own on top. The order of precedence is AWS's: what the customer sets wins over what AWS lets
// them set, and loses against what AWS reserves.
// See https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html.
func variables(f *Function, l runtimes.Launch, at place, own map[string]string) []string {
	vars := map[string]string{
		"LANG": "en_US.UTF-8", "TZ": ":UTC",
		"AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR", "AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1:2000",
	}
	if at.api != "" { // the SDKs and the CLI go there, unless the customer has another idea
		vars["AWS_ENDPOINT_URL"] = at.api
	}
	if f.Image != nil {
		delete(vars, "LANG") // the image's own business
	}
	for k, v := range l.Env {
		vars[k] = v
	}
	for k, v := range f.Env {
		vars[k] = v
	}
	for k, v := range l.Env {
		if reserved(k) && f.Image == nil {
			vars[k] = v
		}
	}
	for k, v := range map[string]string{
		"AWS_REGION": f.Region, "AWS_DEFAULT_REGION": f.Region,
		"AWS_LAMBDA_FUNCTION_NAME": f.Name, "AWS_LAMBDA_FUNCTION_VERSION": f.Version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": fmt.Sprint(f.MemoryMB),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  cmp.Or(at.initType, onDemandInit),
		"AWS_LAMBDA_LOG_GROUP_NAME":       f.LogGroup, "AWS_LAMBDA_LOG_STREAM_NAME": at.stream,
		"AWS_LAMBDA_RUNTIME_API":   at.endpoint,
		"_AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1", "_AWS_XRAY_DAEMON_PORT": "2000",
		"LAMBDA_TASK_ROOT": at.path("/var/task"), "LAMBDA_RUNTIME_DIR": at.path("/var/runtime"),
		"_HANDLER": handler(f),
	} {
		vars[k] = v
	}
	if f.Image != nil { // only it knows where it has these
		for _, k := range []string{"LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"} {
			if v, ok := l.Env[k]; ok {
				vars[k] = v
			}
		}
	}
	maps.Copy(vars, own)
	if tmp := at.path("/tmp"); tmp != "/tmp" {
		vars["TMPDIR"] = tmp
	}
	if f.LogFormat == "JSON" {
		vars["AWS_LAMBDA_LOG_FORMAT"], vars["AWS_LAMBDA_LOG_LEVEL"] = f.LogFormat, f.LogLevel
	}
	env := make([]string, 0, len(vars))
	for k, v := range vars {
		env = append(env, k+"="+v)
	}
	return env
}

// handler is what is to be called: in an image, what its command says.
func handler(f *Function) string {
	if f.Image != nil {
		return f.Image.Handler()
	}
	return f.Handler
}

// reserved says that a customer cannot set a variable of the runtime's.
func reserved(k string) bool {
	return strings.HasPrefix(k, "AWS_LAMBDA_") && k != "AWS_LAMBDA_EXEC_WRAPPER" || strings.HasPrefix(k, "_") ||
		strings.HasPrefix(k, "LAMBDA_") || k == "AWS_EXECUTION_ENV"
}
