package logs

import (
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// GroupARN is the ARN of a log group, with nothing after the name.
func GroupARN(region, account, name string) aws.ARN {
	return aws.NewARN("logs", region, account, groupPrefix+name)
}

// groupPrefix begins the resource of a log group's ARN.
const groupPrefix = "log-group:"

// ParseGroupARN splits the ARN of a log group, with or without ":*" at its end, into where the group is and its name; ok is false for
// what is none, that of a stream too.
func ParseGroupARN(s string) (arn aws.ARN, name string, ok bool) {
	arn, err := aws.ParseARN(strings.TrimSuffix(s, ":*"))
	name, isGroup := strings.CutPrefix(arn.Resource, groupPrefix)
	if err != nil || !isGroup || arn.Service != "logs" || name == "" || strings.Contains(name, ":") {
		return aws.ARN{}, "", false
	}
	return arn, name, true
}

// ParseTaggedARN is ParseGroupARN as the ops about tags have it: they take no ":*" at the end, though DescribeLogGroups shows it.
func ParseTaggedARN(s string) (group aws.ARN, name string, ok bool) {
	if strings.HasSuffix(s, ":*") {
		return aws.ARN{}, "", false
	}
	return ParseGroupARN(s)
}

// taggedARN is the ARN that the ops about tags by ARN are authorized on: without the ":log-stream:" that all others have.
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html.
func taggedARN(_ *aws.Call, arn *string) ([]string, error) {
	if arn != nil {
		if group, _, ok := ParseTaggedARN(*arn); ok {
			return []string{group.String()}, nil
		}
	}
	return nil, ErrValidation.New("Invalid resourceArn")
}

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
	return GroupARN(call.Region, call.Account, group).String()
}
