package aws

import (
	"fmt"
	"strings"
)

// ARN is an Amazon Resource Name in its six parts.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html.
type ARN struct {
	Partition string // "aws"
	Service   string
	Region    string // may be empty
	Account   string // 12 digits; may be empty
	Resource  string // the rest, colons and slashes included
}

// ParseARN splits an ARN. It checks the shape, not that the thing exists.
func ParseARN(s string) (ARN, error) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] == "" || p[2] == "" || p[5] == "" {
		return ARN{}, fmt.Errorf("%q is not an ARN", s)
	}
	return ARN{Partition: p[1], Service: p[2], Region: p[3], Account: p[4], Resource: p[5]}, nil
}

// NewARN is an ARN of the aws partition.
func NewARN(service, region, account, resource string) ARN {
	return ARN{Partition: "aws", Service: service, Region: region, Account: account, Resource: resource}
}

func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}
