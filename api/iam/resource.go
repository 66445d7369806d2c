package iam

import (
	"context"
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// Finder tells the ARNs of what exists, which end in the path and the spelling that were given at creation. Of what does
// not exist it tells the ARN that the name would have at the root of all paths. The service implements it.
type Finder interface {
	// UserARN of no name is the caller's own.
	UserARN(ctx context.Context, name string) (string, error)
	GroupARN(ctx context.Context, name string) (string, error)
	RoleARN(ctx context.Context, name string) (string, error)
	// KeyOwnerARN is the user that an access key belongs to.
	KeyOwnerARN(ctx context.Context, accessKeyID string) (string, error)
}

func userARN(ctx context.Context, impl any, name *string) ([]string, error) {
	return one(impl.(Finder).UserARN(ctx, value(name)))
}

func groupARN(ctx context.Context, impl any, name *string) ([]string, error) {
	return one(impl.(Finder).GroupARN(ctx, value(name)))
}

func roleARN(ctx context.Context, impl any, name *string) ([]string, error) {
	return one(impl.(Finder).RoleARN(ctx, value(name)))
}

func keyOwnerARN(ctx context.Context, impl any, id *string) ([]string, error) {
	return one(impl.(Finder).KeyOwnerARN(ctx, value(id)))
}

// movedUserARN is a user's ARN and the one that it will have with another name or path: who moves a user needs the
// permission on both. See https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateUser.html.
func movedUserARN(ctx context.Context, impl any, name, newName, newPath *string) ([]string, error) {
	arn, err := impl.(Finder).UserARN(ctx, value(name))
	return moved(arn, newName, newPath), err
}

// movedGroupARN is the same of a group.
func movedGroupARN(ctx context.Context, impl any, name, newName, newPath *string) ([]string, error) {
	arn, err := impl.(Finder).GroupARN(ctx, value(name))
	return moved(arn, newName, newPath), err
}

// moved is an ARN and, if it is another, the one with the new name and path; nil is what it has.
func moved(arn string, newName, newPath *string) []string {
	kind, rest, _ := strings.Cut(arn, "/")
	end := strings.LastIndexByte(rest, '/') + 1
	path, name := "/"+rest[:end], rest[end:]
	if newPath != nil {
		path = *newPath
	}
	if newName != nil {
		name = *newName
	}
	if target := kind + path + name; target != arn {
		return []string{arn, target}
	}
	return []string{arn}
}

func one(arn string, err error) ([]string, error) { return []string{arn}, err }

func newUserARN(call *aws.Call, name, path *string) ([]string, error) {
	return newARN(call, "user", name, path)
}

func newGroupARN(call *aws.Call, name, path *string) ([]string, error) {
	return newARN(call, "group", name, path)
}

func newRoleARN(call *aws.Call, name, path *string) ([]string, error) {
	return newARN(call, "role", name, path)
}

func newPolicyARN(call *aws.Call, name, path *string) ([]string, error) {
	return newARN(call, "policy", name, path)
}

func newARN(call *aws.Call, kind string, name, path *string) ([]string, error) {
	p := "/"
	if path != nil && *path != "" {
		p = *path
	}
	return []string{aws.NewARN("iam", "", call.Account, kind+p+value(name)).String()}, nil
}

// Lists are authorized on the path that they are of: "arn:aws:iam::123456789012:user/".

func userListARN(call *aws.Call, prefix *string) ([]string, error) {
	return newARN(call, "user", nil, prefix)
}

func groupListARN(call *aws.Call, prefix *string) ([]string, error) {
	return newARN(call, "group", nil, prefix)
}

func roleListARN(call *aws.Call, prefix *string) ([]string, error) {
	return newARN(call, "role", nil, prefix)
}

func policyListARN(call *aws.Call, prefix *string) ([]string, error) {
	return newARN(call, "policy", nil, prefix)
}

// ServiceRole is the name and path of a service-linked role: "AWSServiceRoleForLambda_suffix" and
// "/aws-service-role/lambda.amazonaws.com/".
func ServiceRole(service, suffix string) (name, path string) {
	host, _, _ := strings.Cut(service, ".")
	name = "AWSServiceRoleFor"
	for part := range strings.SplitSeq(host, "-") {
		if part != "" {
			name += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	if suffix != "" {
		name += "_" + suffix
	}
	return name, "/aws-service-role/" + service + "/"
}

func serviceRoleARN(call *aws.Call, service, suffix *string) ([]string, error) {
	name, path := ServiceRole(value(service), value(suffix))
	return newARN(call, "role", &name, &path)
}

// newProviderARN is the ARN of an OpenID Connect provider: its URL without the scheme.
func newProviderARN(call *aws.Call, url *string) ([]string, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(value(url), "https://"), "/")
	return []string{aws.NewARN("iam", "", call.Account, "oidc-provider/"+host).String()}, nil
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
