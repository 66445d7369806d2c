package logs

import (
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// logGroupARN is the ARN that a call on a log group is authorized on. AWS ends it with ":log-stream:" and nothing after
// it, so that a policy may name the group with or without ":*".
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html.
func logGroupARN(call *aws.Call, name *string, identifier ...*string) ([]string, error) {
	return []string{groupARN(call, name, identifier) + ":log-stream:"}, nil
}

// logStreamARN is the ARN of a stream in a log group.
func logStreamARN(call *aws.Call, group, stream *string, identifier ...*string) ([]string, error) {
	arn := groupARN(call, group, identifier) + ":log-stream:"
	if stream != nil {
		arn += *stream
	}
	return []string{arn}, nil
}

// groupARN is the group's ARN without anything after the name; an identifier is a name or an ARN, ":*" allowed at its end.
func groupARN(call *aws.Call, name *string, identifier []*string) string {
	group := ""
	for _, n := range append([]*string{name}, identifier...) {
		if n != nil && *n != "" {
			group = *n
		}
	}
	if strings.HasPrefix(group, "arn:") {
		return strings.TrimSuffix(group, ":*")
	}
	return aws.NewARN("logs", call.Region, call.Account, "log-group:"+group).String()
}
