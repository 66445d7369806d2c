package test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Errors through the real Go SDK: status, code and message as recorded from AWS.
func TestErrors(t *testing.T) {
	s := sharedServer(t)
	ctx, c, l := t.Context(), s.lambda(t), s.logs(t)
	fn := aws.String(name(t))
	arn := "arn:aws:lambda:us-east-1:000000000000:function:" + *fn
	code := &types.FunctionCode{ZipFile: bootstrap(t, binaries.misbehave)}
	s.create(t, lambda.CreateFunctionInput{FunctionName: fn, Code: code})
	const (
		nowhere  = "arn:aws:lambda:us-east-1:000000000000:function:nowhere"
		notFound = "404 ResourceNotFoundException: Function not found: "
		source   = "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: "
	)
	create := func(change func(*lambda.CreateFunctionInput)) func() (any, error) {
		return func() (any, error) {
			in := &lambda.CreateFunctionInput{
				FunctionName: aws.String("errors-unmade"), Code: code, Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"), Role: aws.String(role),
			}
			change(in)
			return c.CreateFunction(ctx, in)
		}
	}
	invoke := func(payload string) func() (any, error) {
		return func() (any, error) {
			return c.Invoke(ctx, &lambda.InvokeInput{FunctionName: fn, Payload: []byte(payload)})
		}
	}
	for _, tt := range []struct {
		name string
		call func() (any, error)
		want string
	}{
		{"get a function that is not there", func() (any, error) {
			return c.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("nowhere")})
		}, notFound + nowhere},
		{"invoke it", func() (any, error) {
			return c.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("nowhere")})
		}, notFound + nowhere + ":$LATEST"},
		{"invoke a version that is not there", func() (any, error) {
			return c.Invoke(ctx, &lambda.InvokeInput{FunctionName: fn, Qualifier: aws.String("42")})
		}, notFound + arn + ":42"},
		{"of another region", func() (any, error) {
			return c.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("arn:aws:lambda:eu-west-1:000000000000:function:" + *fn)})
		}, "404 ResourceNotFoundException: Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"},
		{"two qualifiers", func() (any, error) {
			return c.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String(arn + ":1"), Qualifier: aws.String("2")})
		}, "400 InvalidParameterValueException: The derived qualifier from the function name does not match the specified qualifier."},
		{"delete $LATEST", func() (any, error) {
			return c.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: fn, Qualifier: aws.String("$LATEST")})
		}, "400 InvalidParameterValueException: $LATEST version cannot be deleted without deleting the function."},
		{"an alias that is a number", func() (any, error) {
			return c.CreateAlias(ctx, &lambda.CreateAliasInput{FunctionName: fn, Name: aws.String("2024"), FunctionVersion: aws.String("$LATEST")})
		}, "400 ValidationException: 1 validation error detected: Value '2024' at 'name' failed to satisfy constraint: " +
			"Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"},
		{"publish with a stale revision", func() (any, error) {
			return c.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: fn, RevisionId: aws.String("stale")})
		}, "412 PreconditionFailedException: The Revision Id provided does not match the latest Revision Id. " +
			"Call the GetFunction/GetAlias API to retrieve the latest Revision Id"},
		{"too much concurrency", func() (any, error) {
			return c.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: fn, ReservedConcurrentExecutions: aws.Int32(901)})
		}, "400 InvalidParameterValueException: Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]."},
		{"tags of a version", func() (any, error) {
			return c.TagResource(ctx, &lambda.TagResourceInput{Resource: aws.String(arn + ":1"), Tags: map[string]string{"a": "b"}})
		}, "400 InvalidParameterValueException: Tags on function aliases and versions are not supported. Please specify a function ARN."},
		{"no layer", func() (any, error) {
			return c.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{
				FunctionName: fn, Layers: []string{"arn:aws:lambda:us-east-1:000000000000:layer:doesnotexist:1"},
			})
		}, "400 InvalidParameterValueException: Layer version arn:aws:lambda:us-east-1:000000000000:layer:doesnotexist:1 does not exist."},

		{
			"create it again", create(func(in *lambda.CreateFunctionInput) { in.FunctionName = fn }),
			"409 ResourceConflictException: Function already exist: " + *fn,
		},
		{
			"not a zip", create(func(in *lambda.CreateFunctionInput) { in.Code = &types.FunctionCode{ZipFile: []byte("not a zip")} }),
			"400 InvalidParameterValueException: Could not unzip uploaded file. Please check your file, then try to upload again.",
		},
		{
			"a long name", create(func(in *lambda.CreateFunctionInput) { in.FunctionName = aws.String(strings.Repeat("a", 65)) }),
			"400 InvalidParameterValueException: 1 validation error detected: Value '" + strings.Repeat("a", 65) +
				"' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64",
		},
		{
			"little memory", create(func(in *lambda.CreateFunctionInput) { in.MemorySize = aws.Int32(127) }),
			"400 ValidationException: 1 validation error detected: Value '127' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128",
		},
		{
			"no time", create(func(in *lambda.CreateFunctionInput) { in.Timeout = aws.Int32(0) }),
			"400 ValidationException: 1 validation error detected: Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1",
		},
		{"a large environment", create(func(in *lambda.CreateFunctionInput) {
			in.Environment = &types.Environment{Variables: map[string]string{"LARGE_VAR": strings.Repeat("x", 4096)}}
		}), "400 InvalidParameterValueException: Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. " +
			`String measured: {"LARGE_VAR":"` + strings.Repeat("x", 4096) + `"}`},

		{"a payload that is not JSON", invoke("\x99"), "400 InvalidRequestContentException: Could not parse request body into json: Could not parse payload into json: " +
			"Unexpected character ((CTRL-CHAR, code 153)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')" + source + "1]"},
		{"a payload that is not UTF-8", invoke("\"a\x87\""), "400 InvalidRequestContentException: Could not parse request body into json: Could not parse payload into json: " +
			"Invalid UTF-8 start byte 0x87" + source + "3]"},

		{"no log group", func() (any, error) {
			return l.DescribeLogStreams(ctx, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: aws.String("nowhere")})
		}, "400 ResourceNotFoundException: The specified log group does not exist."},
		{"too many log events", func() (any, error) {
			return l.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String("g"), LogStreamName: aws.String("s"), Limit: aws.Int32(10001)})
		}, "400 InvalidParameterException: 1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000"},
		{"an operation that is not served", func() (any, error) {
			return l.DescribeQueries(ctx, &cloudwatchlogs.DescribeQueriesInput{})
		}, "501 NotImplemented: *DescribeQueries*"},
		{"a secret that is not ours", func() (any, error) {
			return s.sts(t, accessKey, "wrong").GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		}, "403 SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."},
		{"a key that is nobody's", func() (any, error) {
			return s.sts(t, "AKIANOBODYNOBODYNOBO", secretKey).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		}, "403 InvalidClientTokenId: The security token included in the request is invalid."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.call()
			got := fault(err)
			if before, after, ok := strings.Cut(tt.want, "*"); ok {
				if !strings.HasPrefix(got, before) || !strings.Contains(got, strings.TrimSuffix(after, "*")) {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			} else if got != tt.want {
				t.Errorf("got  %.1000s\nwant %.1000s", got, tt.want)
			}
		})
	}
}

// Sizes at the edge, both sides.
func TestPayloadLimits(t *testing.T) {
	s := sharedServer(t)
	ctx, c, fn := t.Context(), s.lambda(t), aws.String(name(t))
	s.create(t, lambda.CreateFunctionInput{FunctionName: fn, Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.misbehave)}, Timeout: aws.Int32(20)})
	const most = 6291456
	event := func(n int) []byte {
		return append(append([]byte(`{"do":"echo","x":"`), bytes.Repeat([]byte("x"), n-len(`{"do":"echo","x":""}`))...), `"}`...)
	}
	if out, err := c.Invoke(ctx, &lambda.InvokeInput{FunctionName: fn, Payload: event(most)}); err != nil || out.FunctionError != nil {
		t.Errorf("an event of 6 MB: %v, %v", err, out)
	}
	_, err := c.Invoke(ctx, &lambda.InvokeInput{FunctionName: fn, Payload: event(most + 1)})
	if got := fault(err); !strings.HasPrefix(got, "413 RequestEntityTooLargeException: ") {
		t.Errorf("an event of 6 MB and a byte: %s", got)
	}
	_, err = c.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: aws.String("too-large"), Runtime: types.RuntimeProvidedal2023, Handler: aws.String("x"), Role: aws.String(role),
		Code: &types.FunctionCode{ZipFile: make([]byte, 53_000_000)},
	})
	if got := fault(err); !strings.HasPrefix(got, "413 RequestEntityTooLargeException: ") {
		t.Errorf("a package of 53 MB: %s", got)
	}
	if o := s.invoke(t, *fn, `{"do":"echo"}`); o.failed != "" {
		t.Errorf("afterwards: %+v", o)
	}
}
