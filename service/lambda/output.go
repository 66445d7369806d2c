package lambda

import (
	"context"
	"encoding/base64"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
)

// timestamp is how the API writes LastModified and CreatedDate: no colon in the offset.
func timestamp(t time.Time) *string { return new(t.UTC().Format("2006-01-02T15:04:05.000-0700")) }

func base64Of(sha []byte) string { return base64.StdEncoding.EncodeToString(sha) }

// configuration is a version as the API shows it. qualifier is how the caller named it; empty for the unqualified ARN.
func (s *Service) configuration(ctx context.Context, sc store.Scope, v *version, qualifier string) (*api.FunctionConfiguration, error) {
	out, err := s.listed(ctx, sc, v, qualifier)
	if err != nil {
		return nil, err
	}
	out.State = new(v.State.Is)
	out.StateReason, out.StateReasonCode = given(v.State.Reason), given(v.State.Code)
	out.LastUpdateStatus = given(v.LastUpdate.Is)
	out.LastUpdateStatusReason, out.LastUpdateStatusReasonCode = given(v.LastUpdate.Reason), given(v.LastUpdate.Code)
	if v.Config.Image != nil {
		return out, nil
	}
	out.RuntimeVersionConfig = &api.RuntimeVersionConfig{RuntimeVersionArn: new(runtimeVersionArn(sc.Region, v.Config.Runtime))}
	return out, nil
}

// listed is a version as the List ops show it: without its state and runtime version.
// See https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html.
func (s *Service) listed(ctx context.Context, sc store.Scope, v *version, qualifier string) (*api.FunctionConfiguration, error) {
	c := &v.Config
	out := &api.FunctionConfiguration{
		FunctionName: new(v.Function), FunctionArn: new(qualify(functionArn(sc, v.Function), qualifier)), Version: new(v.Version),
		RevisionID: new(v.Revision), LastModified: timestamp(v.Modified),
		CodeSha256: new(c.showSHA256()), CodeSize: new(c.Code.Size),
		Runtime: given(c.Runtime), Handler: given(c.Handler), ImageConfigResponse: c.imageConfigResponse(), Role: new(c.Role), Description: new(c.Description),
		KMSKeyArn: given(c.KMSKey), Timeout: new(c.Timeout), MemorySize: new(c.Memory), PackageType: new(c.packageType()), Architectures: []string{c.Arch},
		EphemeralStorage: &api.EphemeralStorage{Size: new(c.Tmp)},
		TracingConfig:    &api.TracingConfigResponse{Mode: new(c.Tracing)},
		SnapStart:        v.snapStart(),
		LoggingConfig: &api.LoggingConfig{
			LogFormat: new(c.Logging.Format), LogGroup: new(c.Logging.Group),
			ApplicationLogLevel: given(c.Logging.App), SystemLogLevel: given(c.Logging.System),
		},
	}
	var err error
	if out.Environment, err = s.showEnvironment(ctx, ref{scope: sc, name: v.Function}, c); err != nil {
		return nil, err
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
	return out, nil
}

// showEnvironment is the variables as the client may see them: with a KMS key that does not let it decrypt, why not.
func (s *Service) showEnvironment(ctx context.Context, r ref, c *config) (*api.EnvironmentResponse, error) {
	vars, err := s.openEnvironment(ctx, r, c, "")
	if err != nil {
		if why := hidden(err); why != nil {
			return &api.EnvironmentResponse{Error: why}, nil
		}
		return nil, err
	}
	if vars == nil {
		return nil, nil
	}
	return &api.EnvironmentResponse{Variables: vars}, nil
}

// given is nil for what was not given.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
