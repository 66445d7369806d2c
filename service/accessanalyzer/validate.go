package accessanalyzer

import (
	"context"
	"fmt"
	"strconv"

	api "github.com/enfold-run/enfold/api/accessanalyzer"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
)

const (
	learnMore      = "https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html"
	trustPolicy    = "AWS::IAM::AssumeRolePolicyDocument"
	maxFindings    = 1000 // of a page
	maxCheckedText = 64 << 10
)

// ValidatePolicy answers what is wrong with a policy. The text is in English whatever the locale.
func (s *Service) ValidatePolicy(ctx context.Context, in *api.ValidatePolicyInput) (*api.ValidatePolicyOutput, error) {
	text := *in.PolicyDocument
	if len(text) > maxCheckedText {
		return nil, api.ErrValidation.Withf("The policy document may have %d bytes.", maxCheckedText)
	}
	subject := Subject{Text: text, Kind: policy.KindIdentity, Account: aws.CallFrom(ctx).Account}
	switch *in.PolicyType {
	case api.PolicyTypeResourcePolicy:
		subject.Kind = policy.KindResource
		if in.ValidatePolicyResourceType != nil && *in.ValidatePolicyResourceType == trustPolicy {
			subject.Kind = policy.KindTrust
		}
	case api.PolicyTypeServiceControlPolicy, api.PolicyTypeResourceControlPolicy:
		subject.Kind = policy.KindControl
	}
	found := Check(subject)
	from := 0
	if in.NextToken != nil {
		n, err := strconv.Atoi(*in.NextToken)
		if err != nil || n < 0 || n > len(found) {
			return nil, api.ErrValidation.New("The nextToken is not valid.")
		}
		from = n
	}
	limit := maxFindings
	if in.MaxResults != nil {
		if *in.MaxResults < 1 {
			return nil, api.ErrValidation.New("MaxResults must be at least 1.")
		}
		limit = min(limit, *in.MaxResults)
	}
	out := &api.ValidatePolicyOutput{Findings: []*api.ValidatePolicyFinding{}}
	if len(found)-from > limit {
		found = found[:from+limit]
		out.NextToken = new(strconv.Itoa(from + limit))
	}
	for _, f := range found[from:] {
		out.Findings = append(out.Findings, &api.ValidatePolicyFinding{
			FindingType: new(string(f.Severity)), IssueCode: new(f.Code), FindingDetails: new(f.Details), LearnMoreLink: new(learnMore),
			Locations: []*api.Location{location(text, f.Path)},
		})
	}
	return out, nil
}

// location is a path into a document with the place in its text.
func location(text string, path []any) *api.Location {
	start, end := locate(text, path)
	l := &api.Location{Path: []*api.PathElement{}, Span: &api.Span{Start: position(text, start), End: position(text, end)}}
	for _, p := range path {
		switch p := p.(type) {
		case int:
			l.Path = append(l.Path, &api.PathElement{Index: new(p)})
		case string:
			l.Path = append(l.Path, &api.PathElement{Value: new(p)})
		}
	}
	return l
}

// parseFor is the policy of a check, whose refusal is an answer to the caller.
func parseFor(text string, kind policy.Kind) (*policy.Policy, error) {
	if len(text) > maxCheckedText {
		return nil, api.ErrValidation.Withf("The policy document may have %d bytes.", maxCheckedText)
	}
	p, err := policy.Parse([]byte(text), kind)
	if err != nil {
		return nil, api.ErrValidation.Withf("The policy document is not valid: %s", err)
	}
	return p, nil
}

// CheckNoPublicAccess says whether a resource policy lets everybody in.
func (s *Service) CheckNoPublicAccess(_ context.Context, in *api.CheckNoPublicAccessInput) (*api.CheckNoPublicAccessOutput, error) {
	kind := policy.KindResource
	if *in.ResourceType == trustPolicy {
		kind = policy.KindTrust
	}
	p, err := parseFor(*in.PolicyDocument, kind)
	if err != nil {
		return nil, err
	}
	out := &api.CheckNoPublicAccessOutput{
		Result:  new(api.CheckNoPublicAccessResultPass),
		Message: new("The resource policy does not grant public access for the given resource type."),
	}
	if open := Public(p); len(open) > 0 {
		out.Result = new(api.CheckNoPublicAccessResultFail)
		out.Message = new("The resource policy grants public access for the given resource type.")
		out.Reasons = reasons(open, "Public access is granted in the statement")
	}
	return out, nil
}

// CheckAccessNotGranted says whether a policy gives none of the actions on any of the resources.
func (s *Service) CheckAccessNotGranted(_ context.Context, in *api.CheckAccessNotGrantedInput) (*api.CheckAccessNotGrantedOutput, error) {
	if len(in.Access) == 0 || len(in.Access[0].Actions) == 0 && len(in.Access[0].Resources) == 0 {
		return nil, api.ErrInvalidParameter.New("Access must have actions or resources.")
	}
	kind := policy.KindIdentity
	if *in.PolicyType == api.AccessCheckPolicyTypeResourcePolicy {
		kind = policy.KindResource
	}
	p, err := parseFor(*in.PolicyDocument, kind)
	if err != nil {
		return nil, err
	}
	out := &api.CheckAccessNotGrantedOutput{
		Result:  new(api.CheckAccessNotGrantedResultPass),
		Message: new("The policy document does not grant access to perform the listed actions or resources."),
	}
	if granting := Grants(p, in.Access[0].Actions, in.Access[0].Resources); len(granting) > 0 {
		out.Result = new(api.CheckAccessNotGrantedResultFail)
		out.Message = new("The policy document grants access to perform one or more of the listed actions or resources.")
		out.Reasons = reasons(granting, "One or more of the listed actions or resources in the statement")
	}
	return out, nil
}

func reasons(statements []*policy.Statement, text string) []*api.ReasonSummary {
	var out []*api.ReasonSummary
	for _, st := range statements {
		r := &api.ReasonSummary{StatementIndex: new(st.Index), Description: new(fmt.Sprintf("%s with index: %d.", text, st.Index))}
		if st.Sid != "" {
			r.StatementID = new(st.Sid)
			r.Description = new(fmt.Sprintf("%s with sid: %s.", text, st.Sid))
		}
		out = append(out, r)
	}
	return out
}
