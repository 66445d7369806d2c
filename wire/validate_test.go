package wire_test

import (
	"errors"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/wire"
)

const functionNamePattern = `(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?`

// TestValidate holds messages as they were recorded from AWS.
func TestValidate(t *testing.T) {
	role := new("arn:aws:iam::000000000000:role/r")
	code := &lambda.FunctionCode{}
	for _, tc := range []struct {
		name string
		in   any
		want string // without "1 validation error detected: "; "" for none
	}{
		{
			"function name pattern", &lambda.CreateFunctionInput{FunctionName: new("invalid:function:name"), Role: role, Code: code},
			`Value 'invalid:function:name' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: ` + functionNamePattern,
		},
		{
			"function name length", &lambda.PublishVersionInput{FunctionName: new("arn:aws:lambda:us-east-1:000000000000:function:" + strings.Repeat("a", 100))},
			`Value 'arn:aws:lambda:us-east-1:000000000000:function:` + strings.Repeat("a", 100) + `' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 140`,
		},
		{
			"role", &lambda.CreateFunctionInput{FunctionName: new("f"), Role: new("r1"), Code: code},
			`Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+`,
		},
		{
			"architecture", &lambda.CreateFunctionInput{FunctionName: new("f"), Role: role, Code: code, Architectures: []string{"X86_64"}},
			`Value '[X86_64]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]`,
		},
		{
			"architectures", &lambda.CreateFunctionInput{FunctionName: new("f"), Role: role, Code: code, Architectures: []string{"x86_64", "arm64"}},
			`Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: Member must have length less than or equal to 1`,
		},
		{
			"subnet", &lambda.CreateFunctionInput{FunctionName: new("f"), Role: role, Code: code, VpcConfig: &lambda.VpcConfig{SubnetIDs: []string{"bad"}}},
			`Value '[bad]' at 'vpcConfig.subnetIds' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: subnet-[0-9a-z]*]`,
		},
		{
			"security group", &lambda.CreateFunctionInput{FunctionName: new("f"), Role: role, Code: code, VpcConfig: &lambda.VpcConfig{SecurityGroupIDs: []string{"bad"}}},
			`Value '[bad]' at 'vpcConfig.securityGroupIds' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: sg-[0-9a-zA-Z]*]`,
		},
		{
			"snap start", &lambda.CreateFunctionInput{FunctionName: new("f"), Role: role, Code: code, SnapStart: &lambda.SnapStart{ApplyOn: new("invalidOption")}},
			`Value 'invalidOption' at 'snapStart.applyOn' failed to satisfy constraint: Member must satisfy enum value set: [PublishedVersions, None]`,
		},
		{"runtime is the service's to check", &lambda.CreateFunctionInput{FunctionName: new("f"), Role: role, Code: code, Runtime: new("python2.9")}, ""},
		{
			"alias name", &lambda.CreateAliasInput{FunctionName: new("f"), FunctionVersion: new("1"), Name: new("2024")},
			`Value '2024' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)`,
		},
		{"alias name with a digit", &lambda.CreateAliasInput{FunctionName: new("f"), FunctionVersion: new("1"), Name: new("2024a")}, ""},
		{
			"weight key", aliasWith(map[string]float64{"$LATEST": 0.5}),
			`Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]`,
		},
		{
			"weight too much", aliasWith(map[string]float64{"2": 2}),
			`Value '{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]`,
		},
		{
			"weight too little", aliasWith(map[string]float64{"2": -1}),
			`Value '{2=-1.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]`,
		},
		{"weight", aliasWith(map[string]float64{"2": 0.5}), ""},
		{
			"recursive loop", &lambda.PutFunctionRecursionConfigInput{FunctionName: new("f"), RecursiveLoop: new("InvalidValue")},
			`Value 'InvalidValue' at 'recursiveLoop' failed to satisfy constraint: Member must satisfy enum value set: [Terminate, Allow]`,
		},
		{
			"function version", &lambda.ListFunctionsInput{FunctionVersion: new("invalid")},
			`Value 'invalid' at 'functionVersion' failed to satisfy constraint: Member must satisfy enum value set: [ALL]`,
		},
		{
			"compatible architecture", &lambda.ListLayersInput{CompatibleArchitecture: new("archdoesnotexist")},
			`Value 'archdoesnotexist' at 'compatibleArchitecture' failed to satisfy constraint: Member must satisfy enum value set: [x86_64, arm64]`,
		},
		{
			"tag keys", &lambda.UntagResourceInput{Resource: new("arn:aws:lambda:us-east-1:000000000000:function:f")},
			`Value null at 'tagKeys' failed to satisfy constraint: Member must not be null`,
		},
		{
			"qualifier", &lambda.GetFunctionInput{FunctionName: new("f"), Qualifier: new("invalid-qualifier-with-?-char")},
			`Value 'invalid-qualifier-with-?-char' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+`,
		},
		{
			"layer", &lambda.CreateFunctionInput{FunctionName: new("f"), Role: role, Code: code, Layers: []string{"arn:aws:lambda:us-east-1:000000000000:layer:l"}},
			`Value '[arn:aws:lambda:us-east-1:000000000000:layer:l]' at 'layers' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 2048, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+), Member must not be null]`,
		},
		{
			"log limit", &logs.GetLogEventsInput{LogStreamName: new("s"), Limit: new(10001)},
			`Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000`,
		},
		{
			"element of a list of structures", &logs.PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s"), LogEvents: []*logs.InputLogEvent{
				{Timestamp: new(int64(1)), Message: new("m")}, {Timestamp: new(int64(1)), Message: new("")},
			}},
			`Value '' at 'logEvents.2.member.message' failed to satisfy constraint: Member must have length greater than or equal to 1`,
		},
		{
			"secrets are not shown", &lambda.CreateFunctionInput{
				FunctionName: new("f"), Role: role, Code: code,
				Environment: &lambda.Environment{Variables: map[string]string{"1BAD": "hunter2"}},
			},
			`Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]`,
		},
		{"astral characters count twice, as in Java", &lambda.CreateFunctionInput{FunctionName: new("f"), Role: role, Code: code, Description: new(strings.Repeat("😀", 128))}, ""},
		{
			"one character too many", &lambda.CreateFunctionInput{FunctionName: new("f"), Role: role, Code: code, Description: new(strings.Repeat("a", 257))},
			`Value '` + strings.Repeat("a", 257) + `' at 'description' failed to satisfy constraint: Member must have length less than or equal to 256`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := wire.Validate(tc.in)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			e, ok := errors.AsType[*aws.Error](err)
			if !ok || e.Type != aws.ErrValidation {
				t.Fatalf("got %v", err)
			}
			if want := "1 validation error detected: " + tc.want; e.Message != want {
				t.Errorf("got  %s\nwant %s", e.Message, want)
			}
		})
	}
}

func aliasWith(weights map[string]float64) *lambda.CreateAliasInput {
	return &lambda.CreateAliasInput{
		FunctionName: new("f"), FunctionVersion: new("1"), Name: new("a"),
		RoutingConfig: &lambda.AliasRoutingConfiguration{AdditionalVersionWeights: weights},
	}
}

func TestSeveralViolations(t *testing.T) {
	err := wire.Validate(&lambda.PublishLayerVersionInput{
		LayerName: new("l"), Content: &lambda.LayerVersionContentInput{},
		CompatibleRuntimes: []string{"invalidruntime"}, CompatibleArchitectures: []string{"invalidarch"},
	})
	want := regexp.MustCompile(`^ValidationException: 2 validation errors detected: Value '\[invalidruntime\]' at 'compatibleRuntimes' failed to satisfy constraint: ` +
		`Member must satisfy enum value set: \[[^]]*python3\.12[^]]*\]; Value '\[invalidarch\]' at 'compatibleArchitectures' failed to satisfy constraint: ` +
		`Member must satisfy constraint: \[Member must satisfy enum value set: \[x86_64, arm64\]\]$`)
	if err == nil || !want.MatchString(err.Error()) {
		t.Errorf("got %v", err)
	}

	long := strings.Repeat("a?", 200)
	err = wire.Validate(&lambda.GetAliasInput{FunctionName: new("f"), Name: &long})
	pattern := strings.Index(err.Error(), "regular expression")
	length := strings.Index(err.Error(), "length less than or equal to 128")
	if !strings.Contains(err.Error(), ": 2 validation errors detected: ") || pattern < 0 || length < pattern {
		t.Errorf("want the pattern, then the length, got %v", err)
	}
}

// TestValidationCode checks that each service's own code is used.
func TestValidationCode(t *testing.T) {
	rt := router()
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("X-Amz-Target", "Logs_20140328.GetLogEvents")
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	m, err := rt.Route(r, "logs", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Decode(r, []byte(`{"logGroupName":"g","logStreamName":"s","limit":10001}`))
	if !errors.Is(err, logs.ErrInvalidParameter) {
		t.Fatalf("got %v", err)
	}
	_, err = m.Decode(r, []byte(`{"logGroupName":"g","logStreamName":"s","limit":"x"}`))
	if !errors.Is(err, aws.ErrSerialization) || err.Error() != "SerializationException: STRING_VALUE can not be converted to an Integer" {
		t.Fatalf("got %v", err)
	}
}

// TestMessageIsBounded checks that a huge value does not come back whole.
func TestMessageIsBounded(t *testing.T) {
	err := wire.Validate(&lambda.GetFunctionInput{FunctionName: new(strings.Repeat("?", 1<<20))})
	if err == nil || len(err.Error()) > 20_000 {
		t.Errorf("a message of %d bytes", len(err.Error()))
	}
}
