package lambda

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/aws"
)

func TestParseRef(t *testing.T) {
	const arn = "arn:aws:lambda:eu-west-1:123456789012:function:f"
	tests := []struct {
		name, function, qualifier string
		want                      string // name|qualifier
		wantErr                   string
	}{
		{name: "a name", function: "f", want: "f|"},
		{name: "a name with an alias", function: "f:live", want: "f|live"},
		{name: "a name and a qualifier", function: "f", qualifier: "7", want: "f|7"},
		{name: "the same qualifier twice", function: "f:7", qualifier: "7", want: "f|7"},
		{
			name: "two qualifiers", function: "f:7", qualifier: "8",
			wantErr: "InvalidParameterValueException: The derived qualifier from the function name does not match the specified qualifier.",
		},
		{
			name: "two qualifiers in an ARN", function: arn + ":1", qualifier: "$LATEST",
			wantErr: "InvalidParameterValueException: The derived qualifier from the function name does not match the specified qualifier.",
		},
		{name: "a partial ARN", function: "123456789012:function:f", want: "f|"},
		{name: "a partial ARN with $LATEST", function: "123456789012:function:f:$LATEST", want: "f|$LATEST"},
		{name: "function: and a name", function: "function:f", want: "f|"},
		{name: "a function called function", function: "function", want: "function|"},
		{name: "an alias of a function called arn", function: "arn:live", want: "arn|live"},
		{name: "a full ARN", function: arn, want: "f|"},
		{name: "a full ARN with an alias", function: arn + ":live", want: "f|live"},
		{name: "a function whose name is an account id", function: "123456789012", want: "123456789012|"},
		{
			name: "another region", function: "arn:aws:lambda:us-east-1:123456789012:function:f",
			wantErr: "ResourceNotFoundException: Functions from 'us-east-1' are not reachable in this region ('eu-west-1')",
		},
		{
			name: "another account", function: "210987654321:function:f",
			wantErr: "AccessDeniedException: User: arn:aws:iam::123456789012:root is not authorized to perform: lambda:InvokeFunction" +
				" on resource: arn:aws:lambda:eu-west-1:210987654321:function:f" +
				" because no resource-based policy allows the lambda:InvokeFunction action",
		},
		{
			name: "three parts", function: "invalid:function:name",
			wantErr: "ValidationException: 1 validation error detected: Value 'invalid:function:name' at 'functionName' failed to satisfy " +
				"constraint: Member must satisfy regular expression pattern: " + functionPattern,
		},
		{
			name: "an at sign for a colon", function: "arn:aws:lambda:us-east-1:123400000000@function:myfn",
			wantErr: "ValidationException: 1 validation error detected: Value 'arn:aws:lambda:us-east-1:123400000000@function:myfn' at " +
				"'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: " + functionPattern,
		},
		{
			name: "nothing", function: "",
			wantErr: "ValidationException: 1 validation error detected: Value '' at 'functionName' failed to satisfy " +
				"constraint: Member must satisfy regular expression pattern: " + functionPattern,
		},
	}
	ctx := aws.WithCall(context.Background(), &aws.Call{
		Account: "123456789012", Region: "eu-west-1", Principal: aws.RootOf("123456789012", ""),
	})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := parseRef(ctx, &tt.function, &tt.qualifier)
			if got := errText(err); got != tt.wantErr {
				t.Fatalf("error %q, want %q", got, tt.wantErr)
			}
			if got := r.name + "|" + r.qualifier; err == nil && got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func errText(err error) string {
	var e *aws.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Error()
	}
	return "not an AWS error: " + err.Error()
}

// FuzzSplitName holds the hand-written parser against the regular expression that AWS answers with.
func FuzzSplitName(f *testing.F) {
	for _, s := range []string{
		"f", "f:1", "f:$LATEST", "arn:aws:lambda:eu-west-1:123456789012:function:f:x", "arn::lambda:function:f", "function:function:f",
		"us-gov-east-1:123456789012:f", "123456789012:f", "eusc-de-east-1:f", "arn:aws-cn:lambda:us-isob-east-1:f:q", "a:b:c", ":", "arn:",
	} {
		f.Add(s)
	}
	re := regexp.MustCompile("^(?:" + functionPattern + ")$")
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := splitName(s)
		if m := re.MatchString(s) && !strings.HasSuffix(s, "\n"); ok != m {
			t.Fatalf("splitName(%q) = %v %v, the pattern says %v", s, p, ok, m)
		}
		if ok && (!isName(p.name) || strings.ContainsAny(p.qualifier, ":\x00")) {
			t.Fatalf("splitName(%q) = %+v", s, p)
		}
	})
}
