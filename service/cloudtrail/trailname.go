package cloudtrail

import (
	"net/netip"
	"strings"

	api "github.com/enfold-run/enfold/api/cloudtrail"
	"github.com/enfold-run/enfold/aws"
)

// Bounds of a trail's name.
const (
	minName = 3
	maxName = 128
)

// trailName is the name and the region of a trail that is given by name or ARN.
// See https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-trail-naming-requirements.html.
func trailName(call *aws.Call, text string) (name, region string, err error) {
	if !strings.HasPrefix(text, "arn:") {
		return text, call.Region, checkName(text)
	}
	arn, perr := aws.ParseARN(text)
	name, ok := strings.CutPrefix(arn.Resource, "trail/")
	if perr != nil || !ok || arn.Service != "cloudtrail" || arn.Region == "" || len(arn.Account) != 12 {
		return "", "", api.ErrCloudTrailARNInvalid.Withf("Invalid ARN: %s", text)
	}
	if arn.Account != call.Account {
		return "", "", unknownTrail(call, text)
	}
	return name, arn.Region, checkName(name)
}

func checkName(name string) error {
	wrong := api.ErrInvalidTrailName
	switch {
	case name == "":
		return wrong.New("Trail name or ARN can not be empty.")
	case len(name) < minName:
		return wrong.Withf("Trail name too short. Minimum allowed length: %d characters. Specified name length: %d characters.", minName, len(name))
	case len(name) > maxName:
		return wrong.Withf("Trail name too long. Maximum allowed length: %d characters. Specified name length: %d characters.", maxName, len(name))
	case !isAlphanumeric(name[0]):
		return wrong.New("Trail name must starts with a letter or number.")
	case !isAlphanumeric(name[len(name)-1]):
		return wrong.New("Trail name must ends with a letter or number.")
	}
	for i := range len(name) {
		if isAlphanumeric(name[i]) {
			continue
		}
		if !strings.ContainsRune("._-", rune(name[i])) {
			return wrong.New("Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), hyphens (-), and underscores (_).")
		}
		if !isAlphanumeric(name[i-1]) {
			return wrong.New("Trail name cannot have adjacent periods (.), hyphens (-), or underscores (_).")
		}
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return wrong.New("Trail name cannot be in IP address format.")
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func unknownTrail(call *aws.Call, name string) error {
	return api.ErrTrailNotFound.Withf("Unknown trail: %s for the user: %s", api.TrailARN(call.Region, call.Account, name), call.Account)
}
