package sqs

import (
	"net/url"
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// Errors that the JSON model of SQS does not have and every op may answer.
// See https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html.
var (
	ErrInvalidParameterValue = &aws.ErrorType{Code: "InvalidParameterValueException", QueryCode: "InvalidParameterValue", Status: 400, MessageAs: "message"}
	ErrMissingParameter      = &aws.ErrorType{Code: "MissingRequiredParameterException", QueryCode: "MissingParameter", Status: 400, MessageAs: "message"}
)

// ParseQueueURL tells whose queue a QueueUrl means: the last two steps of its path are the account and the name, whatever
// the host. It answers InvalidAddress for what is no address of a queue.
func ParseQueueURL(s string) (account, name string, err error) {
	path := s
	if i := strings.Index(s, "://"); i >= 0 {
		_, rest, ok := strings.Cut(s[i+len("://"):], "/")
		if !ok || strings.ContainsAny(rest, "?#") {
			return "", "", notAnAddress(s)
		}
		path = rest
	}
	path = strings.Trim(path, "/")
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", "", notAnAddress(s)
	}
	account, name = path[:i], path[i+1:]
	if j := strings.LastIndexByte(account, '/'); j >= 0 {
		account = account[j+1:]
	}
	if strings.Contains(name, "%") {
		if name, err = url.PathUnescape(name); err != nil {
			return "", "", notAnAddress(s)
		}
	}
	if !isAccount(account) || name == "" || strings.ContainsAny(name, "/:*?") {
		return "", "", notAnAddress(s)
	}
	return account, name, nil
}

func notAnAddress(s string) error {
	return ErrInvalidAddress.Withf("The address %.200s is not valid for this endpoint.", s)
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// ParseQueueARN splits the ARN of a queue; false for what is none.
func ParseQueueARN(s string) (arn aws.ARN, ok bool) {
	arn, err := aws.ParseARN(s)
	return arn, err == nil && arn.Service == "sqs" && arn.Region != "" && isAccount(arn.Account) &&
		!strings.ContainsAny(arn.Resource, ":/*?")
}

// URLOf is a QueueUrl for calls in process, for the ARN of a queue. Such a call is made in the queue's Region.
func URLOf(queueARN string) (string, error) {
	arn, ok := ParseQueueARN(queueARN)
	if !ok {
		return "", ErrInvalidAddress.Withf("%.200q is not the ARN of a queue.", queueARN)
	}
	return "https://sqs." + arn.Region + ".amazonaws.com/" + arn.Account + "/" + arn.Resource, nil
}

// queueARN is the queue that a QueueUrl means.
func queueARN(call *aws.Call, queueURL *string) ([]string, error) {
	if queueURL == nil {
		return nil, ErrMissingParameter.New("The request must contain the parameter QueueUrl.")
	}
	account, name, err := ParseQueueURL(*queueURL)
	if err != nil {
		return nil, err
	}
	return []string{aws.NewARN("sqs", call.Region, account, name).String()}, nil
}

// namedARN is the queue of a name and, if it is given, an account.
func namedARN(call *aws.Call, name, account *string) ([]string, error) {
	owner := call.Account
	if account != nil && *account != "" {
		owner = *account
	}
	n := ""
	if name != nil {
		n = *name
	}
	return []string{aws.NewARN("sqs", call.Region, owner, n).String()}, nil
}

// taskARN is the source queue of a message move task.
func taskARN(_ *aws.Call, handle *string) ([]string, error) {
	if handle == nil {
		return nil, ErrMissingParameter.New("The request must contain the parameter TaskHandle.")
	}
	_, source, err := ParseTaskHandle(*handle)
	if err != nil {
		return nil, err
	}
	return []string{source}, nil
}
