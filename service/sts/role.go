package sts

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
)

const (
	defaultRoleSession = time.Hour
	maxChained         = time.Hour
	maxPolicyText      = 2048 // characters of session policies
	maxPolicyArns      = 10
)

// AssumeRole answers credentials that speak for a role. Whether the caller may was decided before, from the trust policy.
// See https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html.
func (s *Service) AssumeRole(ctx context.Context, in *api.AssumeRoleInput) (*api.AssumeRoleOutput, error) {
	caller := aws.CallFrom(ctx).Principal
	if err := checkAssume(caller, in); err != nil {
		return nil, err
	}
	role, err := s.deps.Roles.Role(ctx, *in.RoleArn)
	if err != nil {
		return nil, err
	}
	now := s.deps.Now().UTC().Truncate(time.Second)
	session := &aws.Session{
		Op: "AssumeRole", Issuer: role.Arn, IssuerID: role.ID, Created: now, Chained: caller.Type == aws.AssumedRole,
		SourceIdentity: opt(in.SourceIdentity), FunctionArn: functionOf(aws.CallFrom(ctx)),
	}
	lasts, err := roleSessionTime(in.DurationSeconds, role, session.Chained)
	if err != nil {
		return nil, err
	}
	session.Expires = now.Add(lasts)
	if err := inherit(session, caller); err != nil {
		return nil, err
	}
	if err := addTags(session, in.Tags, in.TransitiveTagKeys); err != nil {
		return nil, err
	}
	size, err := addPolicies(session, in.Policy, in.PolicyArns)
	if err != nil {
		return nil, err
	}
	creds, user, err := s.issueRole(role, *in.RoleSessionName, session)
	if err != nil {
		return nil, err
	}
	return &api.AssumeRoleOutput{Credentials: creds, AssumedRoleUser: user, PackedPolicySize: size, SourceIdentity: some(session.SourceIdentity)}, nil
}

// issueRole makes the credentials of a role's session of that name.
func (s *Service) issueRole(role Role, name string, session *aws.Session) (*api.Credentials, *api.AssumedRoleUser, error) {
	account := accountOfARN(role.Arn)
	p := &aws.Principal{
		Type: aws.AssumedRole, Account: account, ID: role.ID + ":" + name, Tags: maps.Clone(role.Tags), Session: session,
		Arn: aws.NewARN("sts", "", account, "assumed-role/"+role.Name+"/"+name).String(),
	}
	p.Tags = over(p.Tags, session.Tags)
	creds, err := s.issue(p)
	return creds, &api.AssumedRoleUser{AssumedRoleID: &p.ID, Arn: &p.Arn}, err
}

// checkAssume refuses what no policy can allow.
func checkAssume(caller *aws.Principal, in *api.AssumeRoleInput) error {
	switch {
	case caller.Type == aws.Root:
		return aws.ErrAccessDenied.New("Roles may not be assumed by root accounts.")
	case in.SerialNumber != nil || in.TokenCode != nil:
		return aws.ErrAccessDenied.New("MultiFactorAuthentication failed, there are no MFA devices here: leave out SerialNumber and TokenCode")
	case len(in.ProvidedContexts) > 0:
		return aws.ErrValidation.New("ProvidedContexts are not supported here: leave them out")
	}
	return nil
}

// roleSessionTime is how long the session lasts.
func roleSessionTime(seconds *int, role Role, chained bool) (time.Duration, error) {
	if seconds == nil {
		return min(defaultRoleSession, role.MaxSession), nil
	}
	d := time.Duration(*seconds) * time.Second
	if d > role.MaxSession {
		return 0, aws.ErrValidation.New("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	if chained && d > maxChained {
		return 0, aws.ErrValidation.New("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	return d, nil
}

// inherit takes over what follows a session through role chaining: transitive tags and the source identity.
func inherit(session *aws.Session, caller *aws.Principal) error {
	from := caller.Session
	if from == nil {
		return nil
	}
	if from.SourceIdentity != "" {
		if session.SourceIdentity != "" && session.SourceIdentity != from.SourceIdentity {
			return aws.ErrAccessDenied.New("The source identity of a session cannot be changed by role chaining.")
		}
		session.SourceIdentity = from.SourceIdentity
	}
	for _, k := range from.TransitiveTags {
		if session.Tags == nil {
			session.Tags = map[string]string{}
		}
		session.Tags[k] = from.Tags[k]
		session.TransitiveTags = append(session.TransitiveTags, k)
	}
	return nil
}

// addTags adds the tags of the request to a session.
func addTags(session *aws.Session, tags []*api.Tag, transitive []string) error {
	seen := map[string]string{}
	for k := range session.Tags {
		seen[strings.ToLower(k)] = k
	}
	for _, t := range tags {
		if strings.HasPrefix(strings.ToLower(*t.Key), "aws:") {
			return aws.ErrValidation.Withf("Tag keys cannot begin with aws: (%s)", *t.Key)
		}
		if old, ok := seen[strings.ToLower(*t.Key)]; ok {
			if slices.Contains(session.TransitiveTags, old) {
				return aws.ErrAccessDenied.New("One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
			}
			return aws.ErrValidation.New("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[strings.ToLower(*t.Key)] = *t.Key
		if session.Tags == nil {
			session.Tags = map[string]string{}
		}
		session.Tags[*t.Key] = *t.Value
	}
	for _, k := range transitive {
		name, ok := seen[strings.ToLower(k)]
		if !ok {
			return aws.ErrValidation.New("The specified transitive tag key must be included in the requested tags.")
		}
		if !slices.Contains(session.TransitiveTags, name) {
			session.TransitiveTags = append(session.TransitiveTags, name)
		}
	}
	return nil
}

// addPolicies adds session policies, and answers how many percent of what may be packed they take; nil without any.
func addPolicies(session *aws.Session, text *string, arns []*api.PolicyDescriptorType) (*int, error) {
	if len(arns) > maxPolicyArns {
		return nil, aws.ErrValidation.Withf("1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to %d", maxPolicyArns)
	}
	size := 0
	if text != nil {
		if len(*text) > maxPolicyText {
			return nil, api.ErrPackedPolicyTooLarge.Withf("Packed size of session policies is %d%% of the limit", len(*text)*100/maxPolicyText)
		}
		if _, err := policy.Parse([]byte(*text), policy.KindSession); err != nil {
			return nil, api.ErrMalformedPolicyDocument.New(err.Error())
		}
		session.Policies = append(session.Policies, *text)
		size = len(*text)
	}
	for _, a := range arns {
		arn := opt(a.Arn)
		if parsed, err := aws.ParseARN(arn); err != nil || parsed.Service != "iam" || !strings.HasPrefix(parsed.Resource, "policy/") {
			return nil, aws.ErrValidation.Withf("%s is not the ARN of a managed policy", arn)
		}
		session.PolicyArns = append(session.PolicyArns, arn)
		size += len(arn)
	}
	for k, v := range session.Tags {
		size += len(k) + len(v)
	}
	if size == 0 {
		return nil, nil
	}
	return new(min(100, (size*100+maxPolicyText-1)/maxPolicyText)), nil
}

// functionOf is the function that Lambda assumes the role for.
func functionOf(call *aws.Call) string {
	if call.Principal.Type == aws.ServiceType && call.Principal.Service == "lambda.amazonaws.com" {
		return call.SourceArn
	}
	return ""
}

func over(base, top map[string]string) map[string]string {
	if len(top) == 0 {
		return base
	}
	if base == nil {
		base = map[string]string{}
	}
	for k, v := range top {
		for old := range base {
			if strings.EqualFold(old, k) {
				delete(base, old)
			}
		}
		base[k] = v
	}
	return base
}

func accountOfARN(arn string) string {
	a, err := aws.ParseARN(arn)
	if err != nil {
		return ""
	}
	return a.Account
}

// some is nil for an empty text.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func opt(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
