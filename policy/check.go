package policy

import (
	"slices"
	"strings"
)

// check looks for what is wrong with elements that are of the right type, in the order in which AWS does.
func (d *document) check() *SyntaxError {
	if d.kind.namesPrincipals() {
		return d.checkWithPrincipals()
	}
	if d.kind == KindManaged && d.version != VersionCurrent {
		return wrong(sayVersion)
	}
	var resource *SyntaxError // AWS tells it only if nothing else is wrong
	for _, s := range d.statements {
		if s.Effect != Allow && s.Effect != Deny || !datesAreDates(s) {
			return wrong(sayLegacy)
		}
		for _, r := range slices.Concat(s.Resources, s.NotResources) {
			if resource == nil {
				resource = checkResource(r)
			}
			if resource == nil && !isLegacyResource(r) {
				return wrong(sayLegacy)
			}
		}
	}
	if d.sidTwice() {
		return wrong(saySids)
	}
	for _, s := range d.statements {
		if len(s.Actions)+len(s.NotActions) == 0 {
			return wrong(sayNoActions)
		}
	}
	noResources := slices.ContainsFunc(d.statements, func(s *Statement) bool { return len(s.Resources)+len(s.NotResources) == 0 })
	if err := d.checkActions(); noResources && err == nil {
		return wrong(sayNoResources)
	} else if resource == nil {
		return err
	}
	if noResources {
		return wrong(sayNoResources)
	}
	return resource
}

func (d *document) checkActions() *SyntaxError {
	for _, s := range d.statements {
		for _, a := range slices.Concat(s.Actions, s.NotActions) {
			if err := checkAction(a); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkAction wants "*" or "vendor:Name".
func checkAction(a string) *SyntaxError {
	vendor, _, found := strings.Cut(a, ":")
	switch {
	case a == "*":
		return nil
	case !found:
		return wrong(sayVendor)
	case strings.Count(a, ":") > 1:
		return wrong(sayColons)
	case vendor != "*" && !isVendor(vendor):
		return wrong("Vendor %s is not valid", clip(vendor))
	}
	return nil
}

func isVendor(s string) bool {
	return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

// iamPaths are how resources of IAM begin.
var iamPaths = []string{
	"user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/", "sms-mfa/",
	"saml-provider/", "oidc-provider/", "report/", "access-report/",
}

// checkResource wants "*" or an ARN of a known partition.
func checkResource(r string) *SyntaxError {
	if r == "*" {
		return nil
	}
	_, rest, found := strings.Cut(r, ":") // AWS does not mind what stands before the partition
	if !found {
		return wrong(`Resource %s must be in ARN format or "*".`, clip(r))
	}
	partition, rest, more := strings.Cut(rest, ":")
	if !isPartition(partition) {
		return wrong(`Partition "%s" is not valid for resource "arn:%s:%s".`, clip(partition), clip(partition), fourParts(clip(rest)))
	}
	if !more {
		return wrong(sayResourceVendor)
	}
	vendor, rest, _ := strings.Cut(rest, ":")
	if strings.ContainsAny(vendor, "*?") {
		return wrong(sayResourceVendor)
	}
	if vendor != "iam" && vendor != "s3" {
		return nil
	}
	region, rest, _ := strings.Cut(rest, ":")
	if region != "" {
		if vendor == "iam" {
			return wrong("IAM resource %s cannot contain region information.", clip(r))
		}
		if !strings.Contains(rest, ":accesspoint/") && region != "*" { // access points have a region
			return wrong("Resource %s can not contain region information.", clip(r))
		}
	}
	_, path, _ := strings.Cut(rest, ":")
	if vendor != "iam" || path == "" || path == "*" || path == "root" || strings.HasPrefix(path, "*") ||
		slices.ContainsFunc(iamPaths, func(p string) bool { return couldBegin(path, p) }) {
		return nil
	}
	return wrong(`IAM resource path must either be "*" or start with %s.`, strings.Join(iamPaths, ", "))
}

// couldBegin says whether what a path's first wildcard leaves open could make it begin so.
func couldBegin(path, begin string) bool {
	if i := strings.IndexAny(path, "*?$"); i >= 0 {
		return strings.HasPrefix(path, begin) || strings.HasPrefix(begin, path[:i])
	}
	return strings.HasPrefix(path, begin)
}

// isPartition knows those that AWS has.
func isPartition(s string) bool {
	switch s {
	case "aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc", "*":
		return true
	}
	return false
}

// fourParts fills up what follows the partition with stars, as AWS's message does.
func fourParts(rest string) string {
	parts := strings.SplitN(rest, ":", 4)
	if rest == "" {
		parts = nil
	}
	for len(parts) < 4 {
		parts = append(parts, "*")
	}
	return strings.Join(parts, ":")
}

// isLegacyResource is what AWS's older parser asks of an ARN.
func isLegacyResource(r string) bool {
	if r == "*" {
		return true
	}
	parts := strings.SplitN(r, ":", 4)
	return (strings.Count(r, ":") >= 5 || !strings.Contains(r, "::")) && len(parts) > 2 && parts[2] != ""
}

// datesAreDates says whether the values of date conditions can be read.
func datesAreDates(s *Statement) bool {
	for _, c := range s.Conditions {
		if c.test.family != dateFamily {
			continue
		}
		for _, v := range c.Values {
			if _, ok := parseTime(v); !ok {
				return false
			}
		}
	}
	return true
}

// sidTwice says whether two statements have the same name.
func (d *document) sidTwice() bool {
	seen := map[string]bool{}
	for _, s := range d.statements {
		if s.Sid != "" && seen[s.Sid] {
			return true
		}
		seen[s.Sid] = true
	}
	return false
}

// checkWithPrincipals is for trust policies and those of resources.
func (d *document) checkWithPrincipals() *SyntaxError {
	for i, s := range d.statements {
		err := d.checkPrincipals(s, d.given[i])
		if err == nil && d.kind == KindTrust {
			err = checkTrust(s, d.given[i])
		} else if err == nil {
			err = checkResourcePolicy(s, d.given[i], d.kind)
		}
		if err != nil {
			return err
		}
	}
	if d.sidTwice() {
		return wrong(saySidsTrust)
	}
	return nil
}

func (d *document) checkPrincipals(s *Statement, given map[string]bool) *SyntaxError {
	switch {
	case given["NotPrincipal"] && s.Effect == Allow:
		return wrong(sayAllowNot)
	case given["NotPrincipal"] && d.kind == KindTrust:
		return wrong(sayTrustNot)
	case !given["Principal"] && !given["NotPrincipal"]:
		return wrong("Missing required field Principal")
	}
	for _, p := range slices.Concat(s.Principals, s.NotPrincipals) {
		_, ok := compilePrincipal(p)
		switch {
		case ok && !(d.kind == KindTrust && p.Type == "CanonicalUser"):
		case p.Type == "Federated":
			return wrong(sayFederated)
		case p.Type == "AWS":
			return wrong(`Invalid principal in policy: "AWS":"%s"`, clip(p.Value))
		case p.Type == "Service":
			return wrong(`Invalid principal in policy: "SERVICE":"%s"`, clip(p.Value))
		default:
			return wrong(`Invalid principal in policy: "%s"`, clip(p.Type))
		}
	}
	return nil
}

// checkTrust wants actions of STS and no resources.
func checkTrust(s *Statement, given map[string]bool) *SyntaxError {
	switch {
	case len(s.Actions)+len(s.NotActions) == 0:
		return wrong("Missing required field Action")
	case given["Resource"]:
		return wrong("Has prohibited field Resource")
	case given["NotResource"]:
		return wrong(sayTrustNotRes)
	}
	for _, a := range slices.Concat(s.Actions, s.NotActions) {
		if vendor, _, found := strings.Cut(a, ":"); !found || !strings.EqualFold(vendor, "sts") {
			return wrong(sayTrustAction)
		}
	}
	cognito := slices.Contains(s.Principals, Principal{"Federated", "cognito-identity.amazonaws.com"})
	if cognito && s.Effect == Allow && len(s.Conditions) == 0 {
		return wrong(sayCognito)
	}
	return nil
}

// checkResourcePolicy wants actions and resources. Which ones, each service says for itself.
func checkResourcePolicy(s *Statement, given map[string]bool, k Kind) *SyntaxError {
	switch {
	case len(s.Actions)+len(s.NotActions) == 0:
		return wrong("Missing required field Action")
	case k == KindRepository && (given["Resource"] || given["NotResource"]):
		return wrong("Has prohibited field Resource")
	case k == KindResource && len(s.Resources)+len(s.NotResources) == 0:
		return wrong("Missing required field Resource")
	}
	for _, a := range slices.Concat(s.Actions, s.NotActions) {
		if err := checkAction(a); err != nil {
			return err
		}
	}
	return nil
}
