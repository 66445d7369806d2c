package lambda

import (
	"encoding/base64"
	"maps"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
)

// timestamp is how the API writes LastModified and CreatedDate: no colon in the offset.
func timestamp(t time.Time) *string { return new(t.UTC().Format("2006-01-02T15:04:05.000-0700")) }

func base64Of(sha []byte) string { return base64.StdEncoding.EncodeToString(sha) }

// configuration is a version as the API shows it. qualifier is how the caller named it; empty for the unqualified ARN.
func configuration(s store.Scope, v *version, qualifier string) *api.FunctionConfiguration {
	out := listed(s, v, qualifier)
	out.State = new(v.State.Is)
	out.StateReason, out.StateReasonCode = given(v.State.Reason), given(v.State.Code)
	out.LastUpdateStatus = given(v.LastUpdate.Is)
	out.LastUpdateStatusReason, out.LastUpdateStatusReasonCode = given(v.LastUpdate.Reason), given(v.LastUpdate.Code)
	out.RuntimeVersionConfig = &api.RuntimeVersionConfig{RuntimeVersionArn: new(runtimeVersionArn(s.Region, v.Config.Runtime))}
	return out
}

// listed is a version as the List ops show it: without its state and runtime version.
// See https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html.
func listed(s store.Scope, v *version, qualifier string) *api.FunctionConfiguration {
	c := &v.Config
	out := &api.FunctionConfiguration{
		FunctionName: new(v.Function), FunctionArn: new(qualify(functionArn(s, v.Function), qualifier)), Version: new(v.Version),
		RevisionID: new(v.Revision), LastModified: timestamp(v.Modified),
		CodeSha256: new(base64Of(c.Code.SHA256)), CodeSize: new(c.Code.Size),
		Runtime: new(c.Runtime), Handler: new(c.Handler), Role: new(c.Role), Description: new(c.Description),
		Timeout: new(c.Timeout), MemorySize: new(c.Memory), PackageType: new(api.PackageTypeZip), Architectures: []string{c.Arch},
		EphemeralStorage: &api.EphemeralStorage{Size: new(c.Tmp)},
		TracingConfig:    &api.TracingConfigResponse{Mode: new(c.Tracing)},
		SnapStart: &api.SnapStartResponse{
			ApplyOn: new(api.SnapStartApplyOnNone), OptimizationStatus: new(api.SnapStartOptimizationStatusOff),
		},
		LoggingConfig: &api.LoggingConfig{
			LogFormat: new(c.Logging.Format), LogGroup: new(c.Logging.Group),
			ApplicationLogLevel: given(c.Logging.App), SystemLogLevel: given(c.Logging.System),
		},
	}
	if c.Env != nil {
		vars := maps.Clone(*c.Env)
		if vars == nil {
			vars = map[string]string{}
		}
		out.Environment = &api.EnvironmentResponse{Variables: vars}
	}
	if c.DeadLetter != "" {
		out.DeadLetterConfig = &api.DeadLetterConfig{TargetArn: new(c.DeadLetter)}
	}
	if c.VPC {
		out.VpcConfig = &api.VpcConfigResponse{
			SubnetIDs: []string{}, SecurityGroupIDs: []string{}, VpcID: new(""), Ipv6AllowedForDualStack: new(false),
		}
	}
	for _, l := range c.Layers {
		out.Layers = append(out.Layers, &api.Layer{Arn: new(l.Arn), CodeSize: new(l.Code.Size)})
	}
	return out
}

// given is nil for what was not given.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
