package cloudtrail

import (
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// trailARN is the ARN of a trail that is given by its name or its ARN.
func trailARN(call *aws.Call, name *string) ([]string, error) {
	if name == nil {
		return []string{"*"}, nil
	}
	return []string{TrailARN(call.Region, call.Account, *name)}, nil
}

// trailARNs are the ARNs of the trails that a call names.
func trailARNs(call *aws.Call, names []string) ([]string, error) {
	if len(names) == 0 {
		return []string{"*"}, nil
	}
	arns := make([]string, len(names))
	for i, n := range names {
		arns[i] = TrailARN(call.Region, call.Account, n)
	}
	return arns, nil
}

// TrailARN is the ARN of a trail; a name that is one already stays as it is.
func TrailARN(region, account, name string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	return aws.NewARN("cloudtrail", region, account, "trail/"+name).String()
}
