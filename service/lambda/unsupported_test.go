package lambda

import (
	"testing"

	api "github.com/enfold-run/enfold/api/lambda"
)

// What Enfold does not have is refused by name, and never accepted and ignored.
func TestUnsupported(t *testing.T) {
	foreign := api.ArchitectureArm64
	if hostArchitecture() == foreign {
		foreign = api.ArchitectureX8664
	}
	tests := []struct {
		name   string
		change func(*api.CreateFunctionInput)
		want   string
	}{
		{
			"an image where there are none", func(in *api.CreateFunctionInput) {
				in.PackageType, in.Code, in.Runtime, in.Handler = new("Image"), &api.FunctionCode{ImageURI: new("x")}, nil, nil
			},
			"Enfold does not support functions of PackageType Image here: they want isolation by namespaces or gVisor.",
		},
		{
			"subnets", func(in *api.CreateFunctionInput) { in.VpcConfig = &api.VpcConfig{SubnetIDs: []string{"subnet-1"}} },
			"Enfold does not support VpcConfig with subnets or security groups.",
		},
		{
			"IPv6", func(in *api.CreateFunctionInput) { in.VpcConfig = &api.VpcConfig{Ipv6AllowedForDualStack: new(true)} },
			"Enfold does not support VpcConfig with Ipv6AllowedForDualStack.",
		},
		{
			"a file system", func(in *api.CreateFunctionInput) { in.FileSystemConfigs = []*api.FileSystemConfig{{}} },
			"Enfold does not support FileSystemConfigs.",
		},
		{"code signing", func(in *api.CreateFunctionInput) { in.CodeSigningConfigArn = new("x") }, "Enfold does not support CodeSigningConfigArn."},
		{"a key", func(in *api.CreateFunctionInput) { in.KMSKeyArn = new("arn:aws:kms:x") }, "Enfold does not support KMSKeyArn."},
		{"a key of the code", func(in *api.CreateFunctionInput) { in.Code.SourceKMSKeyArn = new("x") }, "Enfold does not support SourceKMSKeyArn."},
		{
			"SnapStart", func(in *api.CreateFunctionInput) { in.SnapStart = &api.SnapStart{ApplyOn: new("PublishedVersions")} },
			"SnapStart is not available on this host: this server stores no sandboxes",
		},
		{"tenants", func(in *api.CreateFunctionInput) { in.TenancyConfig = &api.TenancyConfig{} }, "Enfold does not support TenancyConfig."},
		{"durable executions", func(in *api.CreateFunctionInput) { in.DurableConfig = &api.DurableConfig{} }, "Enfold does not support DurableConfig."},
		{
			"capacity providers", func(in *api.CreateFunctionInput) { in.CapacityProviderConfig = &api.CapacityProviderConfig{} },
			"Enfold does not support CapacityProviderConfig.",
		},
		{"PublishTo", func(in *api.CreateFunctionInput) { in.PublishTo = new("LATEST_PUBLISHED") }, "Enfold does not support PublishTo."},
		{
			"another architecture", func(in *api.CreateFunctionInput) { in.Architectures = []string{foreign} },
			"This host runs " + hostArchitecture() + " functions only: Enfold does not emulate " + foreign + ".",
		},
		{"levels of text logs", func(in *api.CreateFunctionInput) {
			in.LoggingConfig = &api.LoggingConfig{LogFormat: new("Text"), SystemLogLevel: new("DEBUG")}
		}, "ApplicationLogLevel and SystemLogLevel can only be set if LogFormat is JSON."},
		{"a dead letter bucket", func(in *api.CreateFunctionInput) {
			in.DeadLetterConfig = &api.DeadLetterConfig{TargetArn: new("arn:aws:s3:::b")}
		}, "The dead letter target arn:aws:s3:::b is neither an Amazon SQS queue nor an Amazon SNS topic."},
		{"a dead letter queue in order", func(in *api.CreateFunctionInput) {
			in.DeadLetterConfig = &api.DeadLetterConfig{TargetArn: new("arn:aws:sqs:eu-west-1:123456789012:q.fifo")}
		}, "The dead letter target arn:aws:sqs:eu-west-1:123456789012:q.fifo is a FIFO queue or topic: Lambda sends dead letters to standard ones only."},
		{
			"a qualifier", func(in *api.CreateFunctionInput) { in.FunctionName = new("f:1") },
			"A function cannot be created with a qualifier: " + fnArn + "f:1",
		},
		{
			"an aws: tag", func(in *api.CreateFunctionInput) { in.Tags = map[string]string{"AWS:x": "y"} },
			`Tag keys that begin with aws: are reserved: "AWS:x"`,
		},
		{"a NUL in a variable", func(in *api.CreateFunctionInput) {
			in.Environment = &api.Environment{Variables: map[string]string{"KEY": "secret\x00"}}
		}, "The value of the environment variable KEY contains a NUL byte."},
		{"no code", func(in *api.CreateFunctionInput) { in.Code = &api.FunctionCode{} }, "Please provide a source for function code."},
	}
	w := newWorld(t)
	w.deps.KMS = nil
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := w.CreateFunction(w.ctx, w.simple("f", tt.change))
			if got := coded(err); got != "400 InvalidParameterValueException: "+tt.want {
				t.Errorf("got %s", got)
			}
		})
	}
	for _, in := range []*api.CreateFunctionInput{
		w.simple("ok", func(in *api.CreateFunctionInput) {
			in.VpcConfig = &api.VpcConfig{SubnetIDs: []string{}, SecurityGroupIDs: []string{}, Ipv6AllowedForDualStack: new(false)}
			in.FileSystemConfigs, in.KMSKeyArn, in.ImageConfig = []*api.FileSystemConfig{}, new(""), &api.ImageConfig{}
			in.SnapStart, in.DeadLetterConfig = &api.SnapStart{ApplyOn: new("None")}, &api.DeadLetterConfig{TargetArn: new("")}
			in.Architectures = []string{hostArchitecture()}
		}),
	} {
		must(w.CreateFunction(w.ctx, in))(t)
	}
}
