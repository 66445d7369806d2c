package worker

import (
	"cmp"
	"fmt"
	"strings"

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

// variables is the process environment. The order of precedence is AWS's: what the customer sets wins over what AWS lets
// them set, and loses against what AWS reserves.
// See https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html.
func variables(f *Function, l runtimes.Launch, at place, c Credentials) []string {
	vars := map[string]string{
		"LANG": "en_US.UTF-8", "TZ": ":UTC",
		"AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR", "AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1:2000",
	}
	if at.api != "" { // the SDKs and the CLI go there, unless the customer has another idea
		vars["AWS_ENDPOINT_URL"] = at.api
	}
	for k, v := range l.Env {
		vars[k] = v
	}
	for k, v := range f.Env {
		vars[k] = v
	}
	for k, v := range l.Env {
		if reserved(k) {
			vars[k] = v
		}
	}
	for k, v := range map[string]string{
		"AWS_REGION": f.Region, "AWS_DEFAULT_REGION": f.Region,
		"AWS_LAMBDA_FUNCTION_NAME": f.Name, "AWS_LAMBDA_FUNCTION_VERSION": f.Version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": fmt.Sprint(f.MemoryMB),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  cmp.Or(at.initType, onDemandInit),
		"AWS_LAMBDA_LOG_GROUP_NAME":       f.LogGroup, "AWS_LAMBDA_LOG_STREAM_NAME": at.stream,
		"AWS_LAMBDA_RUNTIME_API": at.endpoint,
		"AWS_ACCESS_KEY_ID":      c.AccessKeyID, "AWS_SECRET_ACCESS_KEY": c.SecretAccessKey, "AWS_SESSION_TOKEN": c.SessionToken,
		"_AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1", "_AWS_XRAY_DAEMON_PORT": "2000",
		"LAMBDA_TASK_ROOT": at.path("/var/task"), "LAMBDA_RUNTIME_DIR": at.path("/var/runtime"),
		"_HANDLER": f.Handler,
	} {
		vars[k] = v
	}
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

// reserved says that a customer cannot set a variable of the runtime's.
func reserved(k string) bool {
	return strings.HasPrefix(k, "AWS_LAMBDA_") && k != "AWS_LAMBDA_EXEC_WRAPPER" || strings.HasPrefix(k, "_") ||
		strings.HasPrefix(k, "LAMBDA_") || k == "AWS_EXECUTION_ENV"
}
