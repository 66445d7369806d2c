package ecr

import (
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// repositoryPrefix begins the resource of a repository's ARN.
const repositoryPrefix = "repository/"

// RepositoryARN is the ARN of a repository.
func RepositoryARN(region, account, name string) aws.ARN {
	return aws.NewARN("ecr", region, account, repositoryPrefix+name)
}

// ParseRepositoryARN splits the ARN of a repository into where it is and its name; false for what is none.
func ParseRepositoryARN(s string) (arn aws.ARN, name string, ok bool) {
	arn, err := aws.ParseARN(s)
	name, isRepository := strings.CutPrefix(arn.Resource, repositoryPrefix)
	if err != nil || !isRepository || arn.Service != "ecr" || arn.Region == "" || !isAccount(arn.Account) || !IsRepositoryName(name) {
		return aws.ARN{}, "", false
	}
	return arn, name, true
}

const (
	minRepositoryName = 2 // characters
	maxRepositoryName = 256
)

// IsRepositoryName says whether a repository may have this name: small letters and digits, joined by one dot, one or two
// underscores or any number of hyphens, in parts that slashes separate.
func IsRepositoryName(s string) bool {
	if len(s) < minRepositoryName || len(s) > maxRepositoryName {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if !isNamePart(part) {
			return false
		}
	}
	return true
}

func isNamePart(s string) bool {
	between := ""
	for i, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			if i > 0 && between != "" && !joins(between) {
				return false
			}
			between = ""
		case i == 0:
			return false
		default:
			between += string(rune(c))
		}
	}
	return s != "" && between == ""
}

// joins says whether this may stand between letters of a name.
func joins(s string) bool {
	return s == "." || s == "_" || s == "__" || strings.Trim(s, "-") == ""
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// repositoryARN is the repository of a name in the registry of an account, the caller's own if none is said.
func repositoryARN(call *aws.Call, registry, name *string) ([]string, error) {
	account := call.Account
	if registry != nil && *registry != "" {
		account = *registry
	}
	if name == nil {
		return []string{RepositoryARN(call.Region, account, "*").String()}, nil
	}
	return []string{RepositoryARN(call.Region, account, *name).String()}, nil
}

// repositoryARNs are those of several names; all of the registry if there are none.
func repositoryARNs(call *aws.Call, registry *string, names []string) (all []string, err error) {
	if len(names) == 0 {
		return repositoryARN(call, registry, nil)
	}
	for _, name := range names {
		one, err := repositoryARN(call, registry, &name)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return all, nil
}

// taggedARN is the repository of a resourceArn parameter.
func taggedARN(_ *aws.Call, arn *string) ([]string, error) {
	if arn != nil {
		if a, _, ok := ParseRepositoryARN(*arn); ok {
			return []string{a.String()}, nil
		}
	}
	return nil, ErrInvalidParameter.New("Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'")
}

// ParseHost reads account and Region from the host that a registry is reached by, with or without a port:
// ACCOUNT.dkr.ecr.REGION.amazonaws.com, or any other domain behind the Region, such as localhost.
func ParseHost(host string) (account, region string, ok bool) {
	if name, port, found := strings.Cut(host, ":"); found && strings.Trim(port, "0123456789") == "" {
		host = name
	}
	parts := strings.SplitN(strings.ToLower(host), ".", 5)
	if len(parts) != 5 || !isAccount(parts[0]) || parts[1] != "dkr" || parts[2] != "ecr" || !isRegion(parts[3]) || parts[4] == "" {
		return "", "", false
	}
	return parts[0], parts[3], true
}

func isRegion(s string) bool {
	return len(s) >= 5 && len(s) <= 32 && strings.Count(s, "-") >= 2 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// IsImageTag says whether an image may have this tag: up to 300 letters, digits, "_", "." and "-", not beginning with the last two.
func IsImageTag(s string) bool {
	if s == "" || len(s) > 300 || s[0] == '.' || s[0] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if c != '_' && c != '.' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// IsDigest says whether this is a SHA-256 digest, which is the only kind that is taken.
func IsDigest(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}
