package lambda

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
)

// coded is an error as recorded: status, code, message and how the body spells the message's key.
func coded(err error) string {
	var e *aws.Error
	if !errors.As(err, &e) {
		return fmt.Sprint(err)
	}
	return fmt.Sprintf("%d %s: %s", e.Type.Status, e.Type.Code, e.Message)
}

// TestRecordedErrors holds the service against what AWS was recorded to answer. What constraints of the model refuse does not
// come as far as this service.
func TestRecordedErrors(t *testing.T) {
	w := newWorld(t)
	ctx := w.ctx
	w.create("f", func(in *api.CreateFunctionInput) { in.Publish = new(true) }) // 1
	w.publish("f", "second")                                                    // 2
	w.create("g")
	must(w.CreateAlias(ctx, &api.CreateAliasInput{FunctionName: new("f"), Name: new("custom"), FunctionVersion: new("1")}))(t)
	layer1, layer2 := w.layer("ly"), w.layer("ly")
	must(w.PutFunctionEventInvokeConfig(ctx, &api.PutFunctionEventInvokeConfigInput{FunctionName: new("g"), MaximumRetryAttempts: new(1)}))(t)
	w.create("many", func(in *api.CreateFunctionInput) { in.Tags = tags(50) })
	six := []string{}
	for i := range 6 {
		six = append(six, fmt.Sprintf("%sl%d:1", lyArn, i))
	}
	sha := *w.wait("f").CodeSha256

	create := func(change func(*api.CreateFunctionInput)) func() error {
		return func() error { _, err := w.CreateFunction(ctx, w.simple("new", change)); return err }
	}
	configure := func(in *api.UpdateFunctionConfigurationInput) func() error {
		return func() error {
			if in.FunctionName == nil {
				in.FunctionName = new("f")
			}
			_, err := w.UpdateFunctionConfiguration(ctx, in)
			return err
		}
	}
	get := func(name string, qualifier ...string) func() error {
		return func() error {
			in := &api.GetFunctionInput{FunctionName: &name}
			if len(qualifier) > 0 {
				in.Qualifier = &qualifier[0]
			}
			_, err := w.GetFunction(ctx, in)
			_, err2 := w.GetFunctionConfiguration(ctx, &api.GetFunctionConfigurationInput{FunctionName: in.FunctionName, Qualifier: in.Qualifier})
			if fmt.Sprint(err) != fmt.Sprint(err2) {
				return fmt.Errorf("GetFunction: %w, GetFunctionConfiguration: %w", err, err2)
			}
			return err
		}
	}
	remove := func(name, qualifier string) func() error {
		return func() error {
			_, err := w.DeleteFunction(ctx, &api.DeleteFunctionInput{FunctionName: &name, Qualifier: &qualifier})
			return err
		}
	}
	alias := func(fn, name, version string, weights map[string]float64) func() error {
		return func() error {
			_, err := w.CreateAlias(ctx, &api.CreateAliasInput{
				FunctionName: &fn, Name: &name, FunctionVersion: &version,
				RoutingConfig: &api.AliasRoutingConfiguration{AdditionalVersionWeights: weights},
			})
			return err
		}
	}
	publish := func(in *api.PublishVersionInput) func() error {
		return func() error { _, err := w.PublishVersion(ctx, in); return err }
	}
	reserve := func(name string, n int) func() error {
		return func() error {
			_, err := w.PutFunctionConcurrency(ctx, &api.PutFunctionConcurrencyInput{FunctionName: &name, ReservedConcurrentExecutions: &n})
			return err
		}
	}
	tag := func(arn string, tags map[string]string) func() error {
		return func() error {
			_, err := w.TagResource(ctx, &api.TagResourceInput{Resource: &arn, Tags: tags})
			return err
		}
	}
	put := func(name, qualifier string, d *api.DestinationConfig) func() error {
		return func() error {
			in := &api.PutFunctionEventInvokeConfigInput{FunctionName: &name, Qualifier: &qualifier, DestinationConfig: d}
			if d == nil {
				in.MaximumRetryAttempts = new(1)
			}
			_, err := w.PutFunctionEventInvokeConfig(ctx, in)
			return err
		}
	}
	update := func(name, qualifier string) func() error {
		return func() error {
			_, err := w.UpdateFunctionEventInvokeConfig(ctx, &api.UpdateFunctionEventInvokeConfigInput{
				FunctionName: &name, Qualifier: &qualifier, MaximumRetryAttempts: new(0),
			})
			return err
		}
	}
	show := func(name, qualifier string) func() error {
		return func() error {
			_, err := w.GetFunctionEventInvokeConfig(ctx, &api.GetFunctionEventInvokeConfigInput{FunctionName: &name, Qualifier: &qualifier})
			return err
		}
	}
	layerVersion := func(name string, n int64) func() error {
		return func() error {
			_, err := w.GetLayerVersion(ctx, &api.GetLayerVersionInput{LayerName: &name, VersionNumber: &n})
			return err
		}
	}
	byArn := func(arn string) func() error {
		return func() error {
			_, err := w.GetLayerVersionByArn(ctx, &api.GetLayerVersionByArnInput{Arn: &arn})
			return err
		}
	}
	invoke := func(name, qualifier string) func() error {
		return func() error {
			_, err := w.Invoke(ctx, &api.InvokeInput{FunctionName: &name, Qualifier: &qualifier})
			return err
		}
	}
	success := func(arn string) *api.DestinationConfig {
		return &api.DestinationConfig{OnSuccess: &api.OnSuccess{Destination: &arn}}
	}

	const (
		bad      = "400 InvalidParameterValueException: "
		none     = "404 ResourceNotFoundException: "
		conflict = "409 ResourceConflictException: "
		wrong    = "400 ValidationException: 1 validation error detected: Value "
		revision = "412 PreconditionFailedException: The Revision Id provided does not match the latest Revision Id. " +
			"Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
		mixed    = bad + "The derived qualifier from the function name does not match the specified qualifier."
		twoOf    = bad + "Two different versions of the same layer are not allowed to be referenced in the same function. "
		whole    = bad + "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN."
		noLayer  = none + "The resource you requested does not exist."
		noObject = bad + "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist"
	)
	tests := []struct {
		name string
		do   func() error
		want string
	}{
		{
			"create: a long name", create(func(in *api.CreateFunctionInput) { in.FunctionName = new(strings.Repeat("a", 65)) }),
			bad + "1 validation error detected: Value '" + strings.Repeat("a", 65) + "' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64",
		},
		{
			"create: a bad name", create(func(in *api.CreateFunctionInput) { in.FunctionName = new("invalid:function:name") }),
			wrong + `'invalid:function:name' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: ` +
				`(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?`,
		},
		{"create: another region", create(func(in *api.CreateFunctionInput) {
			in.FunctionName = new("arn:aws:lambda:ap-southeast-1:123456789012:function:new")
		}), none + "Functions from 'ap-southeast-1' are not reachable in this region ('eu-west-1')"},
		{
			"create: not a zip", create(func(in *api.CreateFunctionInput) {
				in.Code.ZipFile = []byte("this is not a zipfile, just a random string")
			}),
			bad + "Could not unzip uploaded file. Please check your file, then try to upload again.",
		},
		{
			"create: too large a zip", create(func(in *api.CreateFunctionInput) { in.Code.ZipFile = make([]byte, maxZipped+1) }),
			"413 RequestEntityTooLargeException: Zipped size must be smaller than 52428800 bytes",
		},
		{
			"create: too large unzipped", create(func(in *api.CreateFunctionInput) { in.Code.ZipFile = bomb(t, maxUnzipped+1) }),
			bad + "Unzipped size must be smaller than 262144000 bytes",
		},
		{"create: code in S3", create(func(in *api.CreateFunctionInput) { in.Code = &api.FunctionCode{S3Bucket: new("b"), S3Key: new("k")} }), noObject},
		{
			"create: a runtime that is gone", create(func(in *api.CreateFunctionInput) { in.Runtime = new("python3.7") }),
			bad + "The runtime parameter of python3.7 is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions.",
		},
		{
			"create: no such runtime", create(func(in *api.CreateFunctionInput) { in.Runtime = new("PYTHON3.9") }),
			bad + "Value PYTHON3.9 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs20.x, python3.14, provided.al2023, " +
				"python3.12, python3.13, nodejs24.x, nodejs22.x, java25, …",
		},
		{
			"update: no such runtime", configure(&api.UpdateFunctionConfigurationInput{Runtime: new("non-existent-runtime")}),
			bad + "Value non-existent-runtime at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs20.x, python3.14, …",
		},
		{"create: six layers", create(func(in *api.CreateFunctionInput) { in.Layers = six }), bad + "Cannot reference more than 5 layers."},
		{"create: a large environment", create(func(in *api.CreateFunctionInput) {
			in.Environment = &api.Environment{Variables: map[string]string{"LARGE_VAR": strings.Repeat("x", 4100)}}
		}), bad + `Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. ` +
			`String measured: {"LARGE_VAR":"` + strings.Repeat("x", 4100) + `"}`},
		{"create: a large environment of small variables", create(func(in *api.CreateFunctionInput) {
			in.Environment = &api.Environment{Variables: map[string]string{"AA": strings.Repeat("<", 2040), "BB": strings.Repeat("é", 1020)}}
		}), bad + `Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. ` +
			`String measured: {"AA":"` + strings.Repeat("<", 2040) + `","BB":"` + strings.Repeat("é", 1020) + `"}`},
		{"create: reserved variables", create(func(in *api.CreateFunctionInput) {
			in.Environment = &api.Environment{Variables: map[string]string{"AWS_REGION": "x", "_HANDLER": "y", "OK": "z"}}
		}), bad + "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys " +
			"that are currently not supported for modification. Reserved keys used in this request: AWS_REGION, _HANDLER"},
		{"create: taken", create(func(in *api.CreateFunctionInput) { in.FunctionName = new("f") }), conflict + "Function already exist: f"},
		{
			"create: no handler", create(func(in *api.CreateFunctionInput) { in.Handler = nil }),
			bad + "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
		},
		{
			"create: too long a timeout", create(func(in *api.CreateFunctionInput) { in.Timeout = new(901) }),
			wrong + "'901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900",
		},
		{
			"create: too much memory", create(func(in *api.CreateFunctionInput) { in.MemorySize = new(10241) }),
			wrong + "'10241' at 'memorySize' failed to satisfy constraint: Member must have value less than or equal to 10240",
		},

		{"update: an image", func() error {
			_, err := w.UpdateFunctionCode(ctx, &api.UpdateFunctionCodeInput{FunctionName: new("f"), ImageURI: new("x")})
			return err
		}, bad + "Please don't provide ImageUri when updating a function with packageType Zip."},
		{"update: code in S3", func() error {
			_, err := w.UpdateFunctionCode(ctx, &api.UpdateFunctionCodeInput{FunctionName: new("f"), S3Bucket: new("b"), S3Key: new("k")})
			return err
		}, noObject},
		{"update code: another revision", func() error {
			_, err := w.UpdateFunctionCode(ctx, &api.UpdateFunctionCodeInput{
				FunctionName: new("f"), ZipFile: archive(t, part{name: "a"}), RevisionID: new("wrong"),
			})
			return err
		}, revision},
		{"update configuration: another revision", configure(&api.UpdateFunctionConfigurationInput{RevisionID: new("wrong")}), revision},
		{"update: no such function", configure(&api.UpdateFunctionConfigurationInput{FunctionName: new("nope")}), none + "Function not found: " + fnArn + "nope"},
		{"update: a version", configure(&api.UpdateFunctionConfigurationInput{FunctionName: new("f:1")}), whole},

		{
			"layers: two versions of one", configure(&api.UpdateFunctionConfigurationInput{Layers: []string{layer1, layer2}}),
			twoOf + lyArn + "ly:1 and " + lyArn + "ly:2 are versions of the same layer.",
		},
		{
			"layers: three versions of one", configure(&api.UpdateFunctionConfigurationInput{Layers: []string{layer1, layer2, layer1}}),
			twoOf + lyArn + "ly:1 and " + lyArn + "ly:2 are versions of the same layer.",
		},
		{
			"layers: one twice", configure(&api.UpdateFunctionConfigurationInput{Layers: []string{layer1, layer1}}),
			twoOf + lyArn + "ly:1 and " + lyArn + "ly:1 are versions of the same layer.",
		},
		{
			"layers: no such layer", configure(&api.UpdateFunctionConfigurationInput{Layers: []string{lyArn + "doesnotexist:1"}}),
			bad + "Layer version " + lyArn + "doesnotexist:1 does not exist.",
		},
		{
			"layers: no such version", configure(&api.UpdateFunctionConfigurationInput{Layers: []string{lyArn + "ly:9"}}),
			bad + "Layer version " + lyArn + "ly:9 does not exist.",
		},
		{
			"layers: no version", configure(&api.UpdateFunctionConfigurationInput{Layers: []string{lyArn + "ly"}}),
			wrong + "'[" + lyArn + "ly]' at 'layers' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 2048, " +
				"Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: " + layerVersionPattern + ", Member must not be null]",
		},
		{
			"layers: another region", configure(&api.UpdateFunctionConfigurationInput{Layers: []string{"arn:aws:lambda:us-east-1:123456789012:layer:ly:1"}}),
			bad + "Layers are not in the same region as the function. Layers are expected to be in region eu-west-1.",
		},
		{
			"layers: another account", configure(&api.UpdateFunctionConfigurationInput{Layers: []string{"arn:aws:lambda:eu-west-1:999999999999:layer:ly:1"}}),
			"403 AccessDeniedException: User: arn:aws:iam::123456789012:root is not authorized to perform: lambda:GetLayerVersion on resource: " +
				"arn:aws:lambda:eu-west-1:999999999999:layer:ly:1 because no resource-based policy allows the lambda:GetLayerVersion action",
		},
		{"layer version: zero", layerVersion("ly", 0), bad + "Layer Version Cannot be less than 1"},
		{"layer version: negative", layerVersion("ly", -1), bad + "Layer Version Cannot be less than 1"},
		{"layer version: no such version", layerVersion("ly", 3), noLayer},
		{"layer version: no such layer", layerVersion("layerdoesnotexist", 1), noLayer},
		{"layer version by ARN: no version", byArn(lyArn + "ly"), wrong + "'" + lyArn + "ly' at 'arn' failed to satisfy constraint: Member must satisfy regular expression pattern: " + layerVersionPattern},
		{"layer version by ARN: no such version", byArn(lyArn + "ly:3"), noLayer},
		{"layer version by ARN: a number beyond numbers", byArn(lyArn + "ly:99999999999999999999999"), noLayer},
		{"delete a layer version: negative", func() error {
			_, err := w.DeleteLayerVersion(ctx, &api.DeleteLayerVersionInput{LayerName: new("ly"), VersionNumber: new(int64(-1))})
			return err
		}, bad + "Layer Version Cannot be less than 1"},

		{"get: no such function", get("nope"), none + "Function not found: " + fnArn + "nope"},
		{"get: no such function, qualified", get("some-function", latest), none + "Function not found: " + fnArn + "some-function:$LATEST"},
		{"get: no such version", get("f", "1221"), none + "Function not found: " + fnArn + "f:1221"},
		{"get: no such alias", get("f", "aliasdoesnotexist"), none + "Function not found: " + fnArn + "f:aliasdoesnotexist"},
		{"get: no such alias, by ARN", get(fnArn + "f:aliasdoesnotexist"), none + "Function not found: " + fnArn + "f:aliasdoesnotexist"},
		{"get: two qualifiers", get(fnArn+"f:1", latest), mixed},
		{"get: another region", get("arn:aws:lambda:us-east-1:123456789012:function:f"), none + "Functions from 'us-east-1' are not reachable in this region ('eu-west-1')"},
		{"delete: two qualifiers", remove(fnArn+"f:1", latest), mixed},
		{"delete: $LATEST", remove(fnArn+"some-function:$LATEST", latest), bad + "$LATEST version cannot be deleted without deleting the function."},
		{"delete: an alias", remove("f", "custom"), bad + "Deletion of aliases is not currently supported."},
		{"delete: no such function", remove("nope", ""), none + "Function not found: " + fnArn + "nope"},
		{"delete: no such function, qualified", remove("nope", "1233"), none + "Function not found: " + fnArn + "nope"},
		{"delete: an aliased version", remove("f", "1"), conflict + "Unable to delete version because the following aliases reference it: [custom]"},
		{"invoke: no such function", invoke("nope", ""), none + "Function not found: " + fnArn + "nope:$LATEST"},
		{"invoke: no such alias", invoke("f", "non-existent-alias"), none + "Function not found: " + fnArn + "f:non-existent-alias"},
		{
			"invoke: an at sign", invoke("arn:aws:lambda:us-east-1:123400000000@function:myfn", ""),
			wrong + "'arn:aws:lambda:us-east-1:123400000000@function:myfn' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: " + functionPattern,
		},

		{
			"publish: another code", publish(&api.PublishVersionInput{FunctionName: new("f"), CodeSha256: new("somenonexistentsha256")}),
			bad + "CodeSHA256 (somenonexistentsha256) is different from current CodeSHA256 in $LATEST (" + sha + "). Please try again with the CodeSHA256 in $LATEST.",
		},
		{"publish: another revision", publish(&api.PublishVersionInput{FunctionName: new("f"), RevisionID: new("wrong")}), revision},
		{"publish: no such function", publish(&api.PublishVersionInput{FunctionName: new("nope")}), none + "Function not found: " + fnArn + "nope"},

		{"alias: two weights", alias("f", "x", "1", map[string]float64{"1": 0.8, "2": 0.2}), bad + "Number of items in AdditionalVersionWeights cannot be greater than 1"},
		{
			"alias: the same version twice", alias("f", "x", "1", map[string]float64{"1": 0.5}),
			bad + "Invalid function version 1. Function version 1 is already included in routing configuration.",
		},
		{"alias: no such version", alias("f", "x", "10", map[string]float64{"2": 0.5}), none + "Function not found: " + fnArn + "f:10"},
		{"alias: no such second version", alias("f", "x", "1", map[string]float64{"10": 0.5}), none + "Function not found: " + fnArn + "f:10"},
		{"alias: $LATEST and another", alias("f", "x", latest, map[string]float64{"1": 0.5}), bad + "$LATEST is not supported for an alias pointing to more than 1 version"},
		{"alias: no such function", alias("f-unknown", "x", "1", map[string]float64{"2": 0.5}), none + "Function not found: " + fnArn + "f-unknown:1"},
		{"alias: taken", alias("f", "custom", "1", map[string]float64{"2": 0.5}), conflict + "Alias already exists: " + fnArn + "f:custom"},
		{
			"alias: a number", alias("f", "2024", "1", nil),
			wrong + "'2024' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
		},
		{"alias: get what is not", func() error {
			_, err := w.GetAlias(ctx, &api.GetAliasInput{FunctionName: new("f"), Name: new("non-existent")})
			return err
		}, none + "Cannot find alias arn: " + fnArn + "f:non-existent"},
		{"alias: update what is not", func() error {
			_, err := w.UpdateAlias(ctx, &api.UpdateAliasInput{FunctionName: new("f"), Name: new("non-existent")})
			return err
		}, none + "Alias not found: " + fnArn + "f:non-existent"},
		{"alias: another revision", func() error {
			_, err := w.UpdateAlias(ctx, &api.UpdateAliasInput{FunctionName: new("f"), Name: new("custom"), RevisionID: new("wrong")})
			return err
		}, revision},

		{"tags: no ARN", tag("arn:aws:something", tags(1)), wrong + "'arn:aws:something' at 'resource' failed to satisfy constraint: Member must satisfy regular expression pattern: " + taggablePattern},
		{
			"tags: no such kind", tag("arn:aws:lambda:eu-west-1:123456789012:foobar:x", tags(1)),
			wrong + "'arn:aws:lambda:eu-west-1:123456789012:foobar:x' at 'resource' failed to satisfy constraint: Member must satisfy regular expression pattern: " + taggablePattern,
		},
		{"tags: no such function", tag(fnArn+"doesnotexist", tags(1)), none + "Function not found: " + fnArn + "doesnotexist"},
		{"tags: a version", tag(fnArn+"f:v1", tags(1)), bad + "Tags on function aliases and versions are not supported. Please specify a function ARN."},
		{"tags: $LATEST", tag(fnArn+"f:$LATEST", tags(1)), bad + "Tags on function aliases and versions are not supported. Please specify a function ARN."},
		{"tags: no tags", tag(fnArn+"f", nil), bad + "An error occurred and the request cannot be processed."},
		{"tags: too many", tag(fnArn+"f", tags(51)), bad + "Number of tags exceeds resource tag limit."},
		{"tags: one too many", tag(fnArn+"many", map[string]string{"a_key": "a_value"}), bad + "Number of tags exceeds resource tag limit."},
		{"tags: no keys", func() error {
			_, err := w.UntagResource(ctx, &api.UntagResourceInput{Resource: new(fnArn + "f"), TagKeys: []string{}})
			return err
		}, wrong + "null at 'tagKeys' failed to satisfy constraint: Member must not be null"},
		{
			"tags: no such event source mapping", tag("arn:aws:lambda:eu-west-1:123456789012:event-source-mapping:5c7ff7a4-06e1-4d2c-9a0b-0123456789ab", tags(1)),
			none + "Event source mapping not found: arn:aws:lambda:eu-west-1:123456789012:event-source-mapping:5c7ff7a4-06e1-4d2c-9a0b-0123456789ab",
		},
		{
			"tags: an event source mapping with an alias", tag("arn:aws:lambda:eu-west-1:123456789012:event-source-mapping:x:alias", tags(1)),
			wrong + "'arn:aws:lambda:eu-west-1:123456789012:event-source-mapping:x:alias' at 'resource' failed to satisfy constraint: Member must satisfy regular expression pattern: " + taggablePattern,
		},
		{
			"tags: no such capacity provider", tag("arn:aws:lambda:eu-west-1:123456789012:capacity-provider:x", tags(1)),
			none + "Capacity provider not found: arn:aws:lambda:eu-west-1:123456789012:capacity-provider:x",
		},
		{
			"tags: a capacity provider with an alias", tag("arn:aws:lambda:eu-west-1:123456789012:capacity-provider:x:alias", tags(1)),
			wrong + "'arn:aws:lambda:eu-west-1:123456789012:capacity-provider:x:alias' at 'resource' failed to satisfy constraint: Member must satisfy regular expression pattern: " + taggablePattern,
		},
		{"tags: list of no function", func() error {
			_, err := w.ListTags(ctx, &api.ListTagsInput{Resource: new(fnArn + "doesnotexist")})
			return err
		}, none + "Function not found: " + fnArn + "doesnotexist"},

		{"reserve: no such function", reserve("doesnotexist", 1), none + "Function not found: " + fnArn + "doesnotexist:$LATEST"},
		{"reserve: a version", reserve(fnArn+"f:$LATEST", 0), whole},
		{"reserve: more than there is", reserve("f", 1001), bad + "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]."},
		{"reserve: what must be left", reserve("f", 901), bad + "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]."},
		{"reserved: no such function", func() error {
			_, err := w.GetFunctionConcurrency(ctx, &api.GetFunctionConcurrencyInput{FunctionName: new("nope")})
			return err
		}, none + "Function not found: " + fnArn + "nope"},

		{"code signing: no such function", func() error {
			_, err := w.GetFunctionCodeSigningConfig(ctx, &api.GetFunctionCodeSigningConfigInput{FunctionName: new("nope")})
			return err
		}, none + "Function not found: " + fnArn + "nope"},
		{"code signing: removed from no such function", func() error {
			_, err := w.DeleteFunctionCodeSigningConfig(ctx, &api.DeleteFunctionCodeSigningConfigInput{FunctionName: new("nope")})
			return err
		}, none + "Function not found: " + fnArn + "nope"},
		{"code signing: of an alias", func() error {
			_, err := w.GetFunctionCodeSigningConfig(ctx, &api.GetFunctionCodeSigningConfigInput{FunctionName: new("f:live")})
			return err
		}, whole},

		{"invoke config: no such function", put("doesnotexist", "", nil), none + "The function doesn't exist."},
		{"invoke config: no such function, by ARN", put(fnArn+"doesnotexist", "", nil), none + "The function doesn't exist."},
		{"invoke config: no such alias", put("f", "customdoesnotexist", nil), none + "The function doesn't exist."},
		{"invoke config: nothing given", func() error {
			_, err := w.PutFunctionEventInvokeConfig(ctx, &api.PutFunctionEventInvokeConfigInput{FunctionName: new("doesnotexist")})
			return err
		}, bad + "You must specify at least one of error handling or destination setting."},
		{"invoke config: no such destination", put("f", "", success(fnArn+"doesnotexist")), bad + "The destination ARN " + fnArn + "doesnotexist is invalid."},
		{"invoke config: itself", put("f", "", success(fnArn+"f")), bad + "You can't specify the function as a destination for itself."},
		{
			"invoke config: another service", put("f", "", success("arn:aws:iam:eu-west-1:123456789012:function:f")),
			bad + "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination=arn:aws:iam:eu-west-1:123456789012:function:f), onFailure=null) is invalid.",
		},
		{
			"invoke config: a FIFO queue", put("f", "", success("arn:aws:sqs:eu-west-1:123456789012:q.fifo")),
			bad + "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination=arn:aws:sqs:eu-west-1:123456789012:q.fifo), onFailure=null) is invalid.",
		},
		{
			"invoke config: a bus", put("f", "", success("arn:aws:events:eu-west-1:123456789012:event-bus/b")),
			bad + "Destinations of events are not served by Enfold yet.",
		},
		{
			"invoke config: a bucket", put("f", "", &api.DestinationConfig{OnFailure: &api.OnFailure{Destination: new("arn:aws:s3:::b")}}),
			bad + "Destinations of s3 are not served by Enfold yet.",
		},
		{
			"invoke config: no ARN", put("f", "", &api.DestinationConfig{OnFailure: &api.OnFailure{Destination: new("arn:aws:_-/!lambda:eu-west-1:123456789012:function:f")}}),
			wrong + "'arn:aws:_-/!lambda:eu-west-1:123456789012:function:f' at 'destinationConfig.onFailure.destination' failed to satisfy constraint: " +
				"Member must satisfy regular expression pattern: " + destinationPattern,
		},
		{"invoke config: two qualifiers", put(fnArn+"f:custom", "customdoesnotexist", nil), mixed},
		{"invoke config: two qualifiers, shorthand", put("f:1", latest, nil), mixed},
		{"invoke config: update of no function", update("doesnotexist", ""), none + "The function doesn't exist."},
		{"invoke config: update of none", update(fnArn+"f", ""), none + "The function " + fnArn + "f:$LATEST doesn't have an EventInvokeConfig"},
		{"invoke config: update of none, qualified", update(fnArn+"f:custom", ""), none + "The function " + fnArn + "f:custom doesn't have an EventInvokeConfig"},
		{"invoke config: get of none", show("f", ""), none + "The function " + fnArn + "f:$LATEST doesn't have an EventInvokeConfig"},
		{"invoke config: get of no function", show("doesnotexist", ""), none + "The function " + fnArn + "doesnotexist:$LATEST doesn't have an EventInvokeConfig"},
		{"invoke config: get of no version", show("f", "1221"), none + "The function " + fnArn + "f:1221 doesn't have an EventInvokeConfig"},
		{"invoke config: get of no alias", show("f", "doesnotexist"), none + "The function " + fnArn + "f:doesnotexist doesn't have an EventInvokeConfig"},
		{"invoke config: list of no function", func() error {
			_, err := w.ListFunctionEventInvokeConfigs(ctx, &api.ListFunctionEventInvokeConfigsInput{FunctionName: new("doesnotexist")})
			return err
		}, none + "The function doesn't exist."},
		{"invoke config: delete of none", func() error {
			_, err := w.DeleteFunctionEventInvokeConfig(ctx, &api.DeleteFunctionEventInvokeConfigInput{FunctionName: new("f")})
			return err
		}, none + "The function " + fnArn + "f:$LATEST doesn't have an EventInvokeConfig"},

		{"runtime: an alias", func() error {
			_, err := w.PutRuntimeManagementConfig(ctx, &api.PutRuntimeManagementConfigInput{FunctionName: new("f:custom"), UpdateRuntimeOn: new("Auto")})
			return err
		}, bad + "The runtime of an alias cannot be managed. Specify $LATEST or a published version."},
		{
			"a bad marker", func() error { _, err := w.ListFunctions(ctx, &api.ListFunctionsInput{Marker: new("x")}); return err },
			bad + "The specified Marker is invalid.",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, want := coded(tt.do()), tt.want
			if head, cut := strings.CutSuffix(want, "…"); cut && strings.HasPrefix(got, head) && strings.HasSuffix(got, "] or be a valid ARN") {
				return // the recording is cut off
			}
			if got != want {
				t.Errorf("\ngot  %s\nwant %s", got, want)
			}
		})
	}
	for _, name := range []string{"new", "nope"} {
		if _, err := w.GetFunction(ctx, &api.GetFunctionInput{FunctionName: &name}); err == nil {
			t.Errorf("a refused op made the function %s", name)
		}
	}
}

func tags(n int) map[string]string {
	m := map[string]string{}
	for i := range n {
		m[fmt.Sprintf("%d_key", i)] = "value"
	}
	return m
}

func TestCreateInAnotherAccount(t *testing.T) {
	w := newWorld(t)
	ctx := aws.WithCall(w.ctx, &aws.Call{Op: api.OpCreateFunction, Account: account, Region: region, Principal: aws.RootOf(account, "")})
	_, err := w.CreateFunction(ctx, w.simple("210987654321:function:f"))
	if got := coded(err); got != "403 AccessDeniedException: " {
		t.Errorf("got %q", got)
	}
}

// What code and layers hold together is limited, whatever they hold by themselves.
func TestTotalSize(t *testing.T) {
	w := newWorld(t)
	half := func(name string) string {
		return *must(w.PublishLayerVersion(w.ctx, &api.PublishLayerVersionInput{
			LayerName: &name, Content: &api.LayerVersionContentInput{ZipFile: zeros(t, 120_000_000, name)},
		}))(t).LayerVersionArn
	}
	a, b, c := half("a"), half("b"), half("c")
	for _, tt := range []struct {
		layers []string
		size   int
		want   string
	}{
		{[]string{a, b}, 22_143_998, "<nil>"},
		{[]string{a, b}, 22_144_001, "400 InvalidParameterValueException: Function code combined with layers exceeds the maximum allowed size of " +
			"262144000 bytes. The actual size is 262144001 bytes."},
		{[]string{a, b, c}, 1, "400 InvalidParameterValueException: Layers consume more than the available size of 262144000 bytes"},
	} {
		_, err := w.CreateFunction(w.ctx, w.simple(fmt.Sprint("f", tt.size), func(in *api.CreateFunctionInput) {
			in.Layers = tt.layers
			in.Code.ZipFile = zeros(t, int64(tt.size), "x")
		}))
		if got := coded(err); got != tt.want {
			t.Errorf("%d layers and %d bytes: %s", len(tt.layers), tt.size, got)
		}
	}
	w.create("g", func(in *api.CreateFunctionInput) { in.Layers = []string{a, b} })
	_, err := w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{
		FunctionName: new("g"), ZipFile: zeros(t, 30_000_000, "x"),
	})
	if got := coded(err); !strings.HasSuffix(got, "The actual size is 270000000 bytes.") {
		t.Errorf("update: %s", got)
	}
}
