package sns

import (
	"slices"
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// ParseTopicARN splits the ARN of a topic, as the parameter of this name. It answers InvalidParameter in AWS's words for what
// is none.
func ParseTopicARN(parameter, s string) (aws.ARN, error) {
	bad := func(format string, args ...any) (aws.ARN, error) {
		return aws.ARN{}, ErrInvalidParameter.Withf("Invalid parameter: "+parameter+" Reason: "+format, args...)
	}
	parts := strings.Split(s, ":")
	switch {
	case len(parts) < 6:
		return bad("An ARN must have at least 6 elements, not %d", len(parts))
	case parts[0] != "arn":
		return bad("An ARN must start with 'arn'")
	case parts[2] != "sns" || parts[1] == "" || parts[3] == "" || !isAccount(parts[4]):
		return bad("An ARN of a topic is arn:aws:sns:region:account:name")
	case len(parts) > 6 || !IsTopicName(parts[5]):
		return bad("Topic Name is invalid")
	}
	return aws.NewARN("sns", parts[3], parts[4], parts[5]), nil
}

// maxTopicName is in characters.
const maxTopicName = 256

// IsTopicName says whether a topic may have this name: letters, digits, "-" and "_", and ".fifo" at the end.
func IsTopicName(s string) bool {
	if s == "" || len(s) > maxTopicName {
		return false
	}
	for _, c := range []byte(strings.TrimSuffix(s, ".fifo")) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != ".fifo"
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// ParseSubscriptionARN splits the ARN of a subscription into that of its topic and its id.
func ParseSubscriptionARN(s string) (topic aws.ARN, id string, err error) {
	parts := strings.Split(s, ":")
	if len(parts) < 6 {
		return aws.ARN{}, "", ErrInvalidParameter.Withf("Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not %d", len(parts))
	}
	if len(parts) != 7 || parts[6] == "" {
		return aws.ARN{}, "", ErrInvalidParameter.New("Invalid parameter: SubscriptionArn Reason: An ARN of a subscription is arn:aws:sns:region:account:name:id")
	}
	topic, err = ParseTopicARN("SubscriptionArn", strings.Join(parts[:6], ":"))
	return topic, parts[6], err
}

// topicARN is the topic of a TopicArn parameter.
func topicARN(_ *aws.Call, arn *string) ([]string, error) { return named("TopicArn", arn) }

// feedbackRole is the role that an attribute of a topic hands to SNS; none if it is another attribute, or empty.
func feedbackRole(_ *aws.Call, name, v *string) ([]string, error) {
	if name == nil || v == nil {
		return nil, nil
	}
	return feedbackRoles(nil, map[string]string{*name: *v})
}

// feedbackRoles are those of all attributes.
func feedbackRoles(_ *aws.Call, attributes map[string]string) (roles []string, err error) {
	for name, v := range attributes {
		if strings.HasSuffix(name, "FeedbackRoleArn") && v != "" && !slices.Contains(roles, v) {
			roles = append(roles, v)
		}
	}
	slices.Sort(roles)
	return roles, nil
}

// taggedARN is the topic of a ResourceArn parameter.
func taggedARN(_ *aws.Call, arn *string) ([]string, error) { return named("ResourceArn", arn) }

func named(parameter string, arn *string) ([]string, error) {
	if arn == nil {
		return nil, ErrInvalidParameter.Withf("Invalid parameter: %s", parameter)
	}
	topic, err := ParseTopicARN(parameter, *arn)
	if err != nil {
		return nil, err
	}
	return []string{topic.String()}, nil
}

// publishedARN is where a message goes: a topic, by one of two parameters, or nothing that has an ARN.
func publishedARN(_ *aws.Call, topic, target, phone *string) ([]string, error) {
	switch {
	case topic != nil:
		return named("TopicArn", topic)
	case target == nil:
		if phone == nil {
			return nil, ErrInvalidParameter.New("Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter")
		}
		return nil, nil
	case strings.HasPrefix(*target, "arn:") && strings.Contains(*target, ":endpoint/"):
		return []string{*target}, nil
	}
	return named("TargetArn", target)
}
