package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
)

func (s *server) iam(p aws.CredentialsProvider) *iam.Client {
	return iam.New(iam.Options{BaseEndpoint: &s.url, Region: region, Credentials: p, RetryMaxAttempts: 1, HTTPClient: httpClient})
}

// typed says whether err is the SDK's own type of an error.
func typed[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// TestGoSDKIAM: the Go SDK reads IAM's answers and knows its errors by type.
func TestGoSDKIAM(t *testing.T) {
	s, ctx := startServer(t), t.Context()
	c := s.iam(credentialsOf(accessKey, secretKey))
	allowAll := aws.String(allowing("*", "*"))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		_, err := c.CreateUser(ctx, &iam.CreateUserInput{
			UserName: aws.String(fmt.Sprint("user-", i)), Tags: []iamtypes.Tag{{Key: aws.String("n"), Value: aws.String(fmt.Sprint(i))}},
		})
		must(err)
	}
	var names []string
	for p := iam.NewListUsersPaginator(c, &iam.ListUsersInput{MaxItems: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		must(err)
		for _, u := range page.Users {
			names = append(names, *u.UserName)
		}
	}
	if fmt.Sprint(names) != "[user-0 user-1 user-2]" {
		t.Errorf("pages of users: %v", names)
	}
	key, err := c.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("user-0")})
	must(err)
	_, err = c.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: aws.String("user-0"), PolicyName: aws.String("p"), PolicyDocument: allowAll})
	must(err)
	got, err := c.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: aws.String("user-0"), PolicyName: aws.String("p")})
	must(err)
	if document, err := url.PathUnescape(*got.PolicyDocument); err != nil || document != *allowAll {
		t.Errorf("the policy is %s, %v", *got.PolicyDocument, err)
	}
	policy, err := c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("managed"), PolicyDocument: allowAll})
	must(err)
	_, err = c.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: aws.String("user-1"), PolicyArn: policy.Policy.Arn})
	must(err)

	short, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, e := range []struct {
		name string
		err  error
		is   func(error) bool
		want string
	}{
		{
			"no such user", second(c.GetUser(short, &iam.GetUserInput{UserName: aws.String("x")})), typed[*iamtypes.NoSuchEntityException],
			"404 NoSuchEntity: The user with name x cannot be found.",
		},
		{
			"there already", second(c.CreateUser(short, &iam.CreateUserInput{UserName: aws.String("user-0")})), typed[*iamtypes.EntityAlreadyExistsException],
			"409 EntityAlreadyExists: User with name user-0 already exists.",
		},
		{
			"no policy", second(c.CreatePolicy(short, &iam.CreatePolicyInput{PolicyName: aws.String("x"), PolicyDocument: aws.String("{")})),
			typed[*iamtypes.MalformedPolicyDocumentException], "400 MalformedPolicyDocument: Syntax errors in policy.",
		},
		{
			"still in use", second(c.DeletePolicy(short, &iam.DeletePolicyInput{PolicyArn: policy.Policy.Arn})), typed[*iamtypes.DeleteConflictException],
			"409 DeleteConflict: Cannot delete a policy attached to entities.",
		},
		{
			"too many tags", second(c.TagUser(short, &iam.TagUserInput{UserName: aws.String("user-0"), Tags: manyTags(50)})), typed[*iamtypes.LimitExceededException],
			"409 LimitExceeded: The number of tags has reached the maximum limit.",
		},
		{
			"not attachable", second(c.AttachUserPolicy(short, &iam.AttachUserPolicyInput{
				UserName: aws.String("user-0"), PolicyArn: aws.String("arn:aws:iam::aws:policy/aws-service-role/AWSLambdaServiceRolePolicy"),
			})), typed[*iamtypes.PolicyNotAttachableException],
			"400 PolicyNotAttachable: Cannot attach a Service Role Policy to a Customer Role.",
		},
		{
			"no report", second(c.GetCredentialReport(short, &iam.GetCredentialReportInput{})), typed[*iamtypes.CredentialReportNotPresentException],
			"410 ReportNotPresent: No report present. Use GenerateCredentialReport to create one.",
		},
	} {
		t.Run(e.name, func(t *testing.T) {
			if fault(e.err) != e.want || !e.is(e.err) {
				t.Errorf("got  %s (%T)\nwant %s", fault(e.err), errors.Unwrap(e.err), e.want)
			}
		})
	}

	t.Run("roles", func(t *testing.T) {
		user := credentialsOf(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey)
		client := sts.New(sts.Options{BaseEndpoint: &s.url, Region: region, Credentials: user, RetryMaxAttempts: 1, HTTPClient: httpClient})
		made, err := c.CreateRole(ctx, &iam.CreateRoleInput{
			RoleName: aws.String("lister"),
			AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + account +
				`"},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"StringEquals":{"sts:ExternalId":"eleven","aws:RequestTag/team":"blue"}}}]}`),
		})
		must(err)
		_, err = c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{
			RoleName: aws.String("lister"), PolicyName: aws.String("p"), PolicyDocument: aws.String(allowing("lambda:List*", "*")),
		})
		must(err)
		provider := func(tag, policy string) aws.CredentialsProvider {
			return stscreds.NewAssumeRoleProvider(client, *made.Role.Arn, func(o *stscreds.AssumeRoleOptions) {
				o.ExternalID, o.Tags = aws.String("eleven"), []ststypes.Tag{{Key: aws.String("team"), Value: &tag}}
				if policy != "" {
					o.Policy = &policy
				}
			})
		}
		list := func(p aws.CredentialsProvider) error {
			_, err := lambda.New(lambda.Options{BaseEndpoint: &s.url, Region: region, Credentials: p, RetryMaxAttempts: 1, HTTPClient: httpClient}).ListFunctions(ctx, nil)
			return err
		}
		if err := list(provider("blue", "")); err != nil {
			t.Error(err)
		}
		if err := list(provider("blue", allowing("s3:*", "*"))); !strings.HasPrefix(fault(err), "403 AccessDeniedException: ") {
			t.Errorf("a session policy without the action: %v", err)
		}
		if err := list(provider("red", "")); !strings.HasPrefix(fault(err), "403 AccessDenied: ") {
			t.Errorf("another tag than the trust policy wants: %v", err)
		}
		_, err = client.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: made.Role.Arn, RoleSessionName: aws.String("job"), Policy: aws.String("{"), ExternalId: aws.String("eleven"), Tags: []ststypes.Tag{{Key: aws.String("team"), Value: aws.String("blue")}}})
		if !typed[*ststypes.MalformedPolicyDocumentException](err) {
			t.Errorf("a session policy that is none: %v", err)
		}
	})

	t.Run("simulation", func(t *testing.T) {
		out, err := c.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{
			PolicySourceArn: aws.String("arn:aws:iam::" + account + ":user/user-1"), ActionNames: []string{"s3:GetObject"},
		})
		must(err)
		r := out.EvaluationResults[0]
		if r.EvalDecision != iamtypes.PolicyEvaluationDecisionTypeAllowed || *r.MatchedStatements[0].SourcePolicyId != "managed" || *r.MatchedStatements[0].StartPosition != (iamtypes.Position{Line: 1, Column: 38}) {
			text, _ := json.Marshal(r)
			t.Errorf("the result is %s", text)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func manyTags(n int) (tags []iamtypes.Tag) {
	for i := range n {
		tags = append(tags, iamtypes.Tag{Key: aws.String(fmt.Sprint("k", i)), Value: aws.String("v")})
	}
	return tags
}
