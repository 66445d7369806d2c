package logs

import (
	"context"
	"slices"
	"testing"

	"github.com/enfold-run/enfold/aws"
)

func TestResources(t *testing.T) {
	ctx := aws.WithCall(context.Background(), &aws.Call{Account: "000000000000", Region: "us-east-1"})
	for _, tc := range []struct {
		op   *aws.Op
		in   any
		want string
	}{
		{OpCreateLogGroup, &CreateLogGroupInput{LogGroupName: new("/g")}, "arn:aws:logs:us-east-1:000000000000:log-group:/g:log-stream:"},
		{OpPutLogEvents, &PutLogEventsInput{LogGroupName: new("/g"), LogStreamName: new("s")}, "arn:aws:logs:us-east-1:000000000000:log-group:/g:log-stream:s"},
		{OpFilterLogEvents, &FilterLogEventsInput{LogGroupIdentifier: new("/g")}, "arn:aws:logs:us-east-1:000000000000:log-group:/g:log-stream:"},
		{
			OpGetLogEvents, &GetLogEventsInput{LogGroupIdentifier: new("arn:aws:logs:eu-west-1:111111111111:log-group:/g:*"), LogStreamName: new("s")},
			"arn:aws:logs:eu-west-1:111111111111:log-group:/g:log-stream:s",
		},
		{OpTagLogGroup, &TagLogGroupInput{LogGroupName: new("/g")}, "arn:aws:logs:us-east-1:000000000000:log-group:/g:log-stream:"},
		{OpTagResource, &TagResourceInput{ResourceArn: new("arn:aws:logs:eu-west-1:111111111111:log-group:/g")}, "arn:aws:logs:eu-west-1:111111111111:log-group:/g"},
		{OpUntagResource, &UntagResourceInput{ResourceArn: new("arn:aws:logs:us-east-1:000000000000:log-group:/g")}, "arn:aws:logs:us-east-1:000000000000:log-group:/g"},
	} {
		got, err := tc.op.Resources(ctx, nil, tc.in)
		if err != nil || !slices.Equal(got, []string{tc.want}) {
			t.Errorf("%s: got %v, %v", tc.op.Name, got, err)
		}
	}
}

// What is no log group's ARN is refused before anybody is asked whether it may be tagged.
func TestNoGroupARN(t *testing.T) {
	ctx := aws.WithCall(context.Background(), &aws.Call{Account: "000000000000", Region: "us-east-1"})
	for _, arn := range []string{
		"/g", "arn:aws:logs:us-east-1:000000000000:log-group:", "arn:aws:logs:us-east-1:000000000000:log-group:/g:log-stream:s",
		"arn:aws:logs:us-east-1:000000000000:log-group:/g:*:*", "arn:aws:logs:us-east-1:000000000000:log-group:/g:*", "arn:aws:logs:us-east-1:000000000000:destination:d",
		"arn:aws:sqs:us-east-1:000000000000:log-group:/g",
	} {
		got, err := OpListTagsForResource.Resources(ctx, nil, &ListTagsForResourceInput{ResourceArn: &arn})
		if err == nil || err.Error() != "ValidationException: Invalid resourceArn" {
			t.Errorf("%s: %q, %v", arn, got, err)
		}
	}
}
