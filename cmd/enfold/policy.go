package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/service/accessanalyzer"
)

type policyCmd struct {
	Generate policyGenerateCmd `cmd:"" help:"Write the smallest policy that allows what a role was seen to do."`
	Unused   policyUnusedCmd   `cmd:"" help:"List what a role's policies grant and it was never seen to do."`
	Check    policyCheckCmd    `cmd:"" help:"Say what is too wide in a policy: a file, or the ARN of a policy, role or function."`
}

// seenFlags say whose doings are meant.
type seenFlags struct {
	dataFlag
	Role   string `required:"" help:"ARN or name of the role."`
	Since  string `default:"90d" help:"How far back to look: 7d, 12h, 30m."`
	Region string `default:"us-east-1" env:"AWS_REGION,AWS_DEFAULT_REGION" help:"Region to ask in; what was done in others counts too."`
}

type policyGenerateCmd struct{ seenFlags }

// Run prints the policy: more than one document if one would be too long.
func (c policyGenerateCmd) Run(ctx context.Context) error {
	_, docs, err := c.generate(ctx)
	if err != nil {
		return err
	}
	if len(docs) == 0 {
		return fmt.Errorf("%s was not seen to do anything in the last %s", c.Role, c.Since)
	}
	if len(docs) > 1 {
		fmt.Fprintf(os.Stderr, "enfold: %d policies, as one would be too long\n", len(docs))
	}
	for _, d := range docs {
		fmt.Println(d)
	}
	return nil
}

// generate has the server make the policies of what the role did.
func (c *seenFlags) generate(ctx context.Context) (*target, []string, error) {
	since, err := parseSince(c.Since)
	if err != nil {
		return nil, nil, err
	}
	t, err := findServer(c.dataFlag, c.Region)
	if err != nil {
		return nil, nil, err
	}
	if !strings.HasPrefix(c.Role, "arn:") {
		var out struct {
			Arn string `xml:"GetRoleResult>Role>Arn"`
		}
		if err := t.ask(ctx, "GetRole", url.Values{"RoleName": {c.Role}}, &out); err != nil {
			return nil, nil, err
		}
		c.Role = out.Arn
	}
	in := map[string]any{
		"policyGenerationDetails": map[string]any{"principalArn": c.Role},
		"cloudTrailDetails": map[string]any{
			"trails": []any{}, "accessRole": c.Role, "startTime": time.Now().Add(-since).UTC().Format(time.RFC3339),
		},
	}
	var job struct{ JobID string }
	if err := t.analyzer(ctx, http.MethodPut, "/policy/generation", in, &job); err != nil {
		return nil, nil, err
	}
	docs, err := t.generated(ctx, job.JobID)
	return t, docs, err
}

// generated waits for a policy generation.
func (t *target) generated(ctx context.Context, job string) ([]string, error) {
	for {
		var out struct {
			JobDetails struct {
				Status   string
				JobError struct{ Message string }
			}
			GeneratedPolicyResult struct{ GeneratedPolicies []struct{ Policy string } }
		}
		if err := t.analyzer(ctx, http.MethodGet, "/policy/generation/"+url.PathEscape(job), nil, &out); err != nil {
			return nil, err
		}
		switch out.JobDetails.Status {
		case "IN_PROGRESS":
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(50 * time.Millisecond):
			}
		case "SUCCEEDED":
			var docs []string
			for _, p := range out.GeneratedPolicyResult.GeneratedPolicies {
				docs = append(docs, p.Policy)
			}
			return docs, nil
		default:
			return nil, fmt.Errorf("the generation %s: %s", strings.ToLower(out.JobDetails.Status), out.JobDetails.JobError.Message)
		}
	}
}

// parseSince is a duration that may be in days.
func parseSince(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(min(n, 36500)) * 24 * time.Hour
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("--since %s: want a time like 7d, 12h or 30m", s)
	}
	return d, nil
}

type policyUnusedCmd struct{ seenFlags }

// Run prints a line per grant that was not exercised, and what was used of wider ones.
func (c policyUnusedCmd) Run(ctx context.Context) error {
	t, docs, err := c.generate(ctx)
	if err != nil {
		return err
	}
	var seen []*policy.Policy
	for _, d := range docs {
		p, err := policy.Parse([]byte(d), policy.KindIdentity)
		if err != nil {
			return fmt.Errorf("read the generated policy: %w", err)
		}
		seen = append(seen, p)
	}
	texts, err := t.policiesOf(ctx, c.Role[strings.LastIndexByte(c.Role, '/')+1:])
	if err != nil {
		return err
	}
	var granted []policy.Named
	for _, text := range texts {
		p, err := policy.Parse([]byte(text.text), policy.KindIdentity)
		if err != nil {
			return fmt.Errorf("read %s: %w", text.name, err)
		}
		granted = append(granted, policy.Named{Name: text.name, Policy: p})
	}
	printGrants(accessanalyzer.Exercised(granted, accessanalyzer.Uses(seen)), c.Since)
	return nil
}

func printGrants(all []accessanalyzer.Grant, since string) {
	unused := 0
	for _, g := range all {
		switch {
		case len(g.Used) == 0:
			unused++
			fmt.Printf("unused  %s on %s  (%s, statement %s)\n", g.Action, g.Resource, g.Policy, g.Statement)
		case strings.ContainsAny(g.Action, "*?") || strings.HasPrefix(g.Action, "not "):
			fmt.Printf("partly  %s on %s, used for %s  (%s, statement %s)\n", g.Action, g.Resource, strings.Join(g.Used, ", "), g.Policy, g.Statement)
		}
	}
	fmt.Printf("%d of %d grants were not used in the last %s\n", unused, len(all), since)
}

type policyCheckCmd struct {
	dataFlag
	Subject string `arg:"" name:"file|arn" help:"A file with a policy, or the ARN of a policy, a role or a function."`
	Type    string `enum:"auto,identity,resource,trust,scp" default:"auto" help:"What a file is: identity, resource, trust or scp (auto looks)."`
	Region  string `default:"us-east-1" env:"AWS_REGION,AWS_DEFAULT_REGION" help:"Region to ask in."`
}

// namedText is a policy's text and where it is from.
type namedText struct{ name, text, kind string }

// Run prints a line per finding. Its status is 1 if one of them is an error or about security.
func (c policyCheckCmd) Run(ctx context.Context) error {
	t, err := findServer(c.dataFlag, c.Region)
	if err != nil {
		return err
	}
	texts, err := c.texts(ctx, t)
	if err != nil {
		return err
	}
	bad := false
	for _, text := range texts {
		worse, err := t.check(ctx, text)
		if err != nil {
			return err
		}
		bad = bad || worse
	}
	if bad {
		return exitCode(1)
	}
	return nil
}

func (c policyCheckCmd) texts(ctx context.Context, t *target) ([]namedText, error) {
	arn, err := aws.ParseARN(c.Subject)
	if err != nil {
		b, err := os.ReadFile(c.Subject)
		if err != nil {
			return nil, fmt.Errorf("read the policy: %w", err)
		}
		kind := c.Type
		if kind == "auto" {
			kind = kindOf(b)
		}
		return []namedText{{c.Subject, string(b), kind}}, nil
	}
	name := arn.Resource[strings.LastIndexByte(arn.Resource, '/')+1:]
	switch {
	case arn.Service == "iam" && strings.HasPrefix(arn.Resource, "policy/"), arn.Service == "iam" && arn.Account == "aws":
		text, err := t.managedPolicy(ctx, c.Subject)
		return []namedText{{c.Subject, text, "identity"}}, err
	case arn.Service == "iam" && strings.HasPrefix(arn.Resource, "role/"):
		trust, err := t.trustPolicy(ctx, name)
		if err != nil {
			return nil, err
		}
		more, err := t.policiesOf(ctx, name)
		return append([]namedText{{"trust policy of " + name, trust, "trust"}}, more...), err
	case arn.Service == "lambda":
		var out struct{ Policy string }
		err := t.rest(ctx, http.MethodGet, "/2015-03-31/functions/"+url.PathEscape(c.Subject)+"/policy", nil, &out)
		return []namedText{{c.Subject, out.Policy, "resource"}}, err
	}
	return nil, fmt.Errorf("%s is neither a file nor the ARN of a policy, a role or a function", c.Subject)
}

// kindOf guesses what a policy is: one that names principals is of a resource, of a role if all it allows is to become it.
func kindOf(text []byte) string {
	if p, err := policy.Parse(text, policy.KindTrust); err == nil && len(p.Statements()) > 0 {
		return "trust"
	}
	if _, err := policy.Parse(text, policy.KindResource); err == nil {
		return "resource"
	}
	return "identity"
}

// check prints what the server finds wrong with a policy, and says whether any of it is grave.
func (t *target) check(ctx context.Context, p namedText) (grave bool, err error) {
	in := map[string]any{"policyDocument": p.text, "policyType": "IDENTITY_POLICY"}
	switch p.kind {
	case "resource":
		in["policyType"] = "RESOURCE_POLICY"
	case "trust":
		in["policyType"], in["validatePolicyResourceType"] = "RESOURCE_POLICY", "AWS::IAM::AssumeRolePolicyDocument"
	case "scp":
		in["policyType"] = "SERVICE_CONTROL_POLICY"
	}
	var out struct {
		Findings []struct {
			FindingType, IssueCode, FindingDetails string
			Locations                              []struct {
				Span struct{ Start struct{ Line, Column int } }
			}
		}
	}
	if err := t.analyzer(ctx, http.MethodPost, "/policy/validation", in, &out); err != nil {
		return false, err
	}
	for _, f := range out.Findings {
		at := ""
		if len(f.Locations) > 0 {
			at = fmt.Sprintf(":%d:%d", f.Locations[0].Span.Start.Line, f.Locations[0].Span.Start.Column+1)
		}
		fmt.Printf("%s%s: %s %s: %s\n", p.name, at, f.FindingType, f.IssueCode, f.FindingDetails)
		grave = grave || f.FindingType == "ERROR" || f.FindingType == "SECURITY_WARNING"
	}
	if len(out.Findings) == 0 {
		fmt.Printf("%s: nothing found\n", p.name)
	}
	return grave, nil
}

// analyzer calls an operation of IAM Access Analyzer.
func (t *target) analyzer(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encode %s: %w", path, err)
		}
	}
	_, answer, err := t.do(ctx, request{
		service: "access-analyzer", method: method, path: path, body: body, header: http.Header{"Content-Type": {"application/json"}},
	})
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// ask calls an operation of IAM and reads its answer.
func (t *target) ask(ctx context.Context, op string, in url.Values, out any) error {
	b, err := t.iam(ctx, op, in)
	if err != nil {
		return err
	}
	if err := xml.Unmarshal(b, out); err != nil {
		return fmt.Errorf("read the answer of %s: %w", op, err)
	}
	return nil
}

// policiesOf are the inline and the attached policies of a role.
func (t *target) policiesOf(ctx context.Context, role string) ([]namedText, error) {
	var all []namedText
	for marker := ""; ; {
		var page struct {
			Names  []string `xml:"ListRolePoliciesResult>PolicyNames>member"`
			Marker string   `xml:"ListRolePoliciesResult>Marker"`
		}
		if err := t.ask(ctx, "ListRolePolicies", withMarker(role, marker), &page); err != nil {
			return nil, err
		}
		for _, name := range page.Names {
			var out struct {
				Document string `xml:"GetRolePolicyResult>PolicyDocument"`
			}
			if err := t.ask(ctx, "GetRolePolicy", url.Values{"RoleName": {role}, "PolicyName": {name}}, &out); err != nil {
				return nil, err
			}
			text, err := url.QueryUnescape(out.Document)
			if err != nil {
				return nil, fmt.Errorf("read inline policy %s: %w", name, err)
			}
			all = append(all, namedText{"inline policy " + name, text, "identity"})
		}
		if marker = page.Marker; marker == "" {
			break
		}
	}
	for marker := ""; ; {
		var page struct {
			Arns   []string `xml:"ListAttachedRolePoliciesResult>AttachedPolicies>member>PolicyArn"`
			Marker string   `xml:"ListAttachedRolePoliciesResult>Marker"`
		}
		if err := t.ask(ctx, "ListAttachedRolePolicies", withMarker(role, marker), &page); err != nil {
			return nil, err
		}
		for _, arn := range page.Arns {
			text, err := t.managedPolicy(ctx, arn)
			if err != nil {
				return nil, err
			}
			all = append(all, namedText{arn, text, "identity"})
		}
		if marker = page.Marker; marker == "" {
			return all, nil
		}
	}
}

func withMarker(role, marker string) url.Values {
	v := url.Values{"RoleName": {role}}
	if marker != "" {
		v.Set("Marker", marker)
	}
	return v
}

// managedPolicy is the text of a managed policy's default version.
func (t *target) managedPolicy(ctx context.Context, arn string) (string, error) {
	var p struct {
		Version string `xml:"GetPolicyResult>Policy>DefaultVersionId"`
	}
	if err := t.ask(ctx, "GetPolicy", url.Values{"PolicyArn": {arn}}, &p); err != nil {
		return "", err
	}
	var v struct {
		Document string `xml:"GetPolicyVersionResult>PolicyVersion>Document"`
	}
	if err := t.ask(ctx, "GetPolicyVersion", url.Values{"PolicyArn": {arn}, "VersionId": {p.Version}}, &v); err != nil {
		return "", err
	}
	return url.QueryUnescape(v.Document)
}

func (t *target) trustPolicy(ctx context.Context, role string) (string, error) {
	var out struct {
		Document string `xml:"GetRoleResult>Role>AssumeRolePolicyDocument"`
	}
	if err := t.ask(ctx, "GetRole", url.Values{"RoleName": {role}}, &out); err != nil {
		return "", err
	}
	text, err := url.QueryUnescape(out.Document)
	if err == nil && text == "" {
		err = errors.New("GetRole answered no trust policy")
	}
	return text, err
}
