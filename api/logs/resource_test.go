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
	} {
		got, err := tc.op.Resources(ctx, nil, tc.in)
		if err != nil || !slices.Equal(got, []string{tc.want}) {
			t.Errorf("%s: got %v, %v", tc.op.Name, got, err)
		}
	}
}
