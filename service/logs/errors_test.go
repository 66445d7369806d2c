package logs

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/logs"
)

// The wordings are recorded from AWS.
func TestErrors(t *testing.T) {
	f := newFixture(t)
	f.group("g")
	f.stream("g", "s")
	one := input(0)
	const (
		noGroup  = "ResourceNotFoundException: The specified log group does not exist."
		noStream = "ResourceNotFoundException: The specified log stream does not exist."
		badToken = "InvalidParameterException: The specified nextToken is invalid."
	)
	put := func(events []*api.InputLogEvent) error {
		_, err := f.PutLogEvents(f.ctx, &api.PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s"), LogEvents: events})
		return err
	}
	for _, tt := range []struct {
		name string
		call func() (any, error)
		want string
	}{
		{"create a group twice", func() (any, error) {
			return f.CreateLogGroup(f.ctx, &api.CreateLogGroupInput{LogGroupName: new("g")})
		}, "ResourceAlreadyExistsException: The specified log group already exists"},
		{"a group's name is too long", func() (any, error) {
			return f.CreateLogGroup(f.ctx, &api.CreateLogGroupInput{LogGroupName: new(strings.Repeat("a", 513))})
		}, "InvalidParameterException: Invalid LogGroup or LogStream, both must have length less than or equal to 512."},
		{"a reserved name", func() (any, error) {
			return f.CreateLogGroup(f.ctx, &api.CreateLogGroupInput{LogGroupName: new("aws/x")})
		}, "InvalidParameterException: Log groups starting with AWS/ are reserved for AWS."},
		{"a key that would not be used", func() (any, error) {
			return f.CreateLogGroup(f.ctx, &api.CreateLogGroupInput{LogGroupName: new("k"), KmsKeyID: new("key")})
		}, "NotImplemented: CreateLogGroup with kmsKeyId is not implemented"},
		{"delete no group", func() (any, error) {
			return f.DeleteLogGroup(f.ctx, &api.DeleteLogGroupInput{LogGroupName: new("x")})
		}, noGroup},
		{"retain no group", func() (any, error) {
			return f.PutRetentionPolicy(f.ctx, &api.PutRetentionPolicyInput{LogGroupName: new("x"), RetentionInDays: new(1)})
		}, noGroup},
		{"retain for two days", func() (any, error) {
			return f.PutRetentionPolicy(f.ctx, &api.PutRetentionPolicyInput{LogGroupName: new("g"), RetentionInDays: new(2)})
		}, "InvalidParameterException: 1 validation error detected: Value '2' at 'retentionInDays' failed to satisfy constraint: " +
			"Member must satisfy enum value set: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]"},
		{"no longer retain no group", func() (any, error) {
			return f.DeleteRetentionPolicy(f.ctx, &api.DeleteRetentionPolicyInput{LogGroupName: new("x")})
		}, noGroup},
		{"prefix and pattern", func() (any, error) {
			return f.DescribeLogGroups(f.ctx, &api.DescribeLogGroupsInput{LogGroupNamePrefix: new("a"), LogGroupNamePattern: new("b")})
		}, "InvalidParameterException: LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."},
		{"groups by a made-up token", func() (any, error) {
			return f.DescribeLogGroups(f.ctx, &api.DescribeLogGroupsInput{NextToken: new("AAAA")})
		}, badToken},
		{"create a stream twice", func() (any, error) {
			return f.CreateLogStream(f.ctx, &api.CreateLogStreamInput{LogGroupName: new("g"), LogStreamName: new("s")})
		}, "ResourceAlreadyExistsException: The specified log stream already exists"},
		{"create a stream in no group", func() (any, error) {
			return f.CreateLogStream(f.ctx, &api.CreateLogStreamInput{LogGroupName: new("x"), LogStreamName: new("s")})
		}, noGroup},
		{"a stream's name is too long", func() (any, error) {
			return f.CreateLogStream(f.ctx, &api.CreateLogStreamInput{LogGroupName: new("g"), LogStreamName: new(strings.Repeat("ü", 513))})
		}, "InvalidParameterException: Invalid LogGroup or LogStream, both must have length less than or equal to 512."},
		{"a stream's name that would end its key", func() (any, error) {
			return f.CreateLogStream(f.ctx, &api.CreateLogStreamInput{LogGroupName: new("g"), LogStreamName: new("a\x00b")})
		}, "InvalidParameterException: 1 validation error detected: Value 'a\x00b' at 'logStreamName' failed to satisfy constraint: " +
			"Member must satisfy regular expression pattern: [^:*]*"},
		{"delete no stream", func() (any, error) {
			return f.DeleteLogStream(f.ctx, &api.DeleteLogStreamInput{LogGroupName: new("g"), LogStreamName: new("x")})
		}, noStream},
		{"delete a stream of no group", func() (any, error) {
			return f.DeleteLogStream(f.ctx, &api.DeleteLogStreamInput{LogGroupName: new("x"), LogStreamName: new("x")})
		}, noGroup},
		{"streams of no group", func() (any, error) {
			return f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{LogGroupName: new("x")})
		}, noGroup},
		{"streams of nothing", func() (any, error) {
			return f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{})
		}, "InvalidParameterException: 1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: Member must not be null"},
		{"streams by name and ARN", func() (any, error) {
			return f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{LogGroupName: new("g"), LogGroupIdentifier: new("g")})
		}, "ValidationException: LogGroup name and LogGroup ARN are mutually exclusive parameters."},
		{"streams by prefix and time", func() (any, error) {
			return f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{
				LogGroupName: new("g"), LogStreamNamePrefix: new("s"), OrderBy: new(api.OrderByLastEventTime),
			})
		}, "InvalidParameterException: Cannot order by LastEventTime with a logStreamNamePrefix."},
		{"streams of a group far away", func() (any, error) {
			return f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{LogGroupIdentifier: new("arn:aws:logs:eu-west-1:000000000000:log-group:g")})
		}, noGroup},
		{"streams of a bucket", func() (any, error) {
			return f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{LogGroupIdentifier: new("arn:aws:s3:::g")})
		}, "InvalidParameterException: arn:aws:s3:::g is not a valid log group identifier"},
		{"streams of a stream", func() (any, error) {
			return f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{LogGroupIdentifier: new(groupARN(f.scope(), "g:log-stream:s"))})
		}, "InvalidParameterException: " + groupARN(f.scope(), "g:log-stream:s") + " is not a valid log group identifier"},
		{"tags of nowhere", func() (any, error) {
			return f.ListTagsForResource(f.ctx, &api.ListTagsForResourceInput{ResourceArn: new("arn:aws:logs:::log-group:g")})
		}, noGroup},
		{"tag no group", func() (any, error) {
			return f.TagResource(f.ctx, &api.TagResourceInput{ResourceArn: new(groupARN(f.scope(), "x")), Tags: map[string]string{"k": "v"}})
		}, noGroup},
		{"tag no group by name", func() (any, error) {
			return f.TagLogGroup(f.ctx, &api.TagLogGroupInput{LogGroupName: new("x"), Tags: map[string]string{"k": "v"}})
		}, noGroup},
		{"untag no group", func() (any, error) {
			return f.UntagResource(f.ctx, &api.UntagResourceInput{ResourceArn: new(groupARN(f.scope(), "x")), TagKeys: []string{"k"}})
		}, noGroup},
		{"untag no group by name", func() (any, error) {
			return f.UntagLogGroup(f.ctx, &api.UntagLogGroupInput{LogGroupName: new("x"), Tags: []string{"k"}})
		}, noGroup},
		{"tags of no group", func() (any, error) {
			return f.ListTagsForResource(f.ctx, &api.ListTagsForResourceInput{ResourceArn: new(groupARN(f.scope(), "x"))})
		}, noGroup},
		{"tags of no group by name", func() (any, error) {
			return f.ListTagsLogGroup(f.ctx, &api.ListTagsLogGroupInput{LogGroupName: new("x")})
		}, noGroup},
		{"tags of a group far away", func() (any, error) {
			return f.ListTagsForResource(f.ctx, &api.ListTagsForResourceInput{ResourceArn: new("arn:aws:logs:eu-west-1:000000000000:log-group:g")})
		}, noGroup},
		{"tags of somebody else's group", func() (any, error) {
			return f.ListTagsForResource(f.ctx, &api.ListTagsForResourceInput{ResourceArn: new("arn:aws:logs:us-east-1:111111111111:log-group:g")})
		}, noGroup},
		{"tags of a stream", func() (any, error) {
			return f.ListTagsForResource(f.ctx, &api.ListTagsForResourceInput{ResourceArn: new(groupARN(f.scope(), "g:log-stream:s"))})
		}, "ValidationException: Invalid resourceArn"},
		{"a new group with a reserved tag", func() (any, error) {
			return f.CreateLogGroup(f.ctx, &api.CreateLogGroupInput{LogGroupName: new("r"), Tags: map[string]string{"aws:k": "v"}})
		}, "InvalidParameterException: Tag keys that begin with aws: are reserved: aws:k"},
		{"a reserved tag", func() (any, error) {
			return f.TagResource(f.ctx, &api.TagResourceInput{ResourceArn: new(groupARN(f.scope(), "g")), Tags: map[string]string{"AWS:k": "v"}})
		}, "InvalidParameterException: Tag keys that begin with aws: are reserved: AWS:k"},
		{"a reserved tag by name", func() (any, error) {
			return f.TagLogGroup(f.ctx, &api.TagLogGroupInput{LogGroupName: new("g"), Tags: map[string]string{"aws:": "v"}})
		}, "InvalidParameterException: Tag keys that begin with aws: are reserved: aws:"},
		{"put to no group", func() (any, error) {
			return f.PutLogEvents(f.ctx, &api.PutLogEventsInput{LogGroupName: new("x"), LogStreamName: new("s"), LogEvents: one})
		}, noGroup},
		{"put to no stream", func() (any, error) {
			return f.PutLogEvents(f.ctx, &api.PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new("x"), LogEvents: one})
		}, noStream},
		{
			"put in the wrong order", func() (any, error) { return nil, put(input(2, 1)) },
			"InvalidParameterException: Log events in a single PutLogEvents request must be in chronological order.",
		},
		{
			"put too long a span", func() (any, error) { return nil, put(input(-24*3600*1000-1, 0)) },
			"InvalidParameterException: The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
		},
		{"put too large an event", func() (any, error) {
			return nil, put([]*api.InputLogEvent{{Timestamp: new(ms(0)), Message: new(strings.Repeat("x", 1<<20))}})
		}, "InvalidParameterException: Log event too large: 1048602 bytes exceeds limit of 1048576"},
		{"put too much", func() (any, error) {
			half := strings.Repeat("x", 1<<19)
			return nil, put([]*api.InputLogEvent{{Timestamp: new(ms(0)), Message: &half}, {Timestamp: new(ms(0)), Message: &half}})
		}, "InvalidParameterException: Upload too large: 1048628 bytes exceeds limit of 1048576"},
		{"get of no group", func() (any, error) {
			return f.GetLogEvents(f.ctx, &api.GetLogEventsInput{LogGroupName: new("x"), LogStreamName: new("s")})
		}, noGroup},
		{"get of no stream", func() (any, error) {
			return f.GetLogEvents(f.ctx, &api.GetLogEventsInput{LogGroupName: new("g"), LogStreamName: new("x")})
		}, noStream},
		{"get by a made-up token", func() (any, error) {
			return f.GetLogEvents(f.ctx, &api.GetLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s"), NextToken: new("invalid")})
		}, badToken},
		{"get by digits", func() (any, error) {
			token := "f/" + strings.Repeat("0", 56)
			return f.GetLogEvents(f.ctx, &api.GetLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s"), NextToken: &token})
		}, badToken},
		{"filter no group", func() (any, error) {
			return f.FilterLogEvents(f.ctx, &api.FilterLogEventsInput{LogGroupName: new("x")})
		}, noGroup},
		{"filter no stream", func() (any, error) {
			return f.FilterLogEvents(f.ctx, &api.FilterLogEventsInput{LogGroupName: new("g"), LogStreamNames: []string{"s", "x"}})
		}, noStream},
		{"filter by names and prefix", func() (any, error) {
			return f.FilterLogEvents(f.ctx, &api.FilterLogEventsInput{
				LogGroupName: new("g"), LogStreamNames: []string{"s"}, LogStreamNamePrefix: new("s"),
			})
		}, "InvalidParameterException: LogStreamNames and LogStreamNamePrefix are mutually exclusive parameters."},
		{"filter by a bad pattern", func() (any, error) {
			return f.FilterLogEvents(f.ctx, &api.FilterLogEventsInput{LogGroupName: new("g"), FilterPattern: new("{ $.a")})
		}, "InvalidParameterException: If a filter pattern starts with '{' it must end with '}'"},
		{"filter by a made-up token", func() (any, error) {
			return f.FilterLogEvents(f.ctx, &api.FilterLogEventsInput{LogGroupName: new("g"), NextToken: new("???")})
		}, badToken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := tt.call()
			if got := fmt.Sprint(err); got != tt.want {
				t.Errorf("got  %s\nwant %s\n(%v)", got, tt.want, out)
			}
		})
	}
}
