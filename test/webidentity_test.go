package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/service/sts/ststest"
)

// boto3WebIdentity assumes a role by a token without any credentials, and is refused by another one.
const boto3WebIdentity = `
import sys

import boto3
from botocore import UNSIGNED
from botocore.config import Config

sys.path.insert(0, ".")
from checks import check, raises

role, good, bad, expired = sys.argv[1:]
sts = boto3.client("sts", config=Config(signature_version=UNSIGNED, retries={"max_attempts": 1}))
out = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="boto", WebIdentityToken=good, DurationSeconds=900)
check(out["Audience"], "sts.amazonaws.com", "audience")
check(out["SubjectFromWebIdentityToken"], "` + ststest.Subject + `", "subject")
check(sorted(out["Credentials"]), ["AccessKeyId", "Expiration", "SecretAccessKey", "SessionToken"], "credentials")
c = out["Credentials"]
session = boto3.Session(c["AccessKeyId"], c["SecretAccessKey"], c["SessionToken"])
check(session.client("sts").get_caller_identity()["Arn"], out["AssumedRoleUser"]["Arn"], "identity")
raises(sts, "InvalidIdentityTokenException", 400, "Incorrect token audience", sts.assume_role_with_web_identity,
       RoleArn=role, RoleSessionName="boto", WebIdentityToken=bad)
raises(sts, "ExpiredTokenException", 400, None, sts.assume_role_with_web_identity, RoleArn=role, RoleSessionName="boto", WebIdentityToken=expired)
raises(boto3.client("sts"), "InvalidAuthorizationMessageException", 400, "Message is not valid",
       boto3.client("sts").decode_authorization_message, EncodedMessage="bm90IG9uZSBvZiBvdXJz")
print("ok")
`

// TestWebIdentity is what a workload with a token of its identity provider does: the AWS CLI and boto3 assume a role with
// nothing else, and the SDKs' own chain finds token and role in the environment.
func TestWebIdentity(t *testing.T) {
	t.Parallel()
	idp := ststest.New(t)
	s := startServer(t, "--private-issuers", idp.Host())
	root := s.cli(t)
	out := root.run("iam", "create-open-id-connect-provider", "--url", idp.URL(), "--client-id-list", ststest.Audience, "--thumbprint-list", idp.Thumbprint())
	provider := fmt.Sprint(out["OpenIDConnectProviderArn"])
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":%q},"Action":"sts:AssumeRoleWithWebIdentity",`+
		`"Condition":{"StringEquals":{"%[2]s:aud":"sts.amazonaws.com"},"StringLike":{"%[2]s:sub":"repo:octo-org/*"}}}]}`, provider, idp.Host())
	root.run("iam", "create-role", "--role-name", "deploy", "--assume-role-policy-document", trust)
	root.allow("deploy", "lambda:ListFunctions")
	role := "arn:aws:iam::" + account + ":role/deploy"

	nobody := *root
	nobody.env = slices.DeleteFunc(slices.Clone(root.env), func(v string) bool {
		return strings.HasPrefix(v, "AWS_ACCESS_KEY_ID=") || strings.HasPrefix(v, "AWS_SECRET_ACCESS_KEY=")
	})
	assume := func(token string) []string {
		return []string{"sts", "assume-role-with-web-identity", "--role-arn", role, "--role-session-name", "job", "--web-identity-token", token}
	}
	out = nobody.run(assume(idp.Token(nil))...)
	who := "arn:aws:sts::" + account + ":assumed-role/deploy/job"
	nobody.want(out, "Provider", provider, "Audience", ststest.Audience, "SubjectFromWebIdentityToken", ststest.Subject, "AssumedRoleUser.Arn", who)
	job := nobody.session(out)
	job.want(job.run("sts", "get-caller-identity"), "Arn", who)
	job.run("lambda", "list-functions")
	nobody.fails("An error occurred (AccessDenied) when calling the AssumeRoleWithWebIdentity operation: Not authorized to perform sts:AssumeRoleWithWebIdentity",
		assume(idp.Token(map[string]any{"sub": "repo:somebody/else"}))...)

	t.Run("by the environment", func(t *testing.T) {
		token := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(token, []byte(idp.Token(nil)), 0o600); err != nil {
			t.Fatal(err)
		}
		pod := nobody
		pod.env = append(slices.Clone(nobody.env), "AWS_ROLE_ARN="+role, "AWS_WEB_IDENTITY_TOKEN_FILE="+token, "AWS_ROLE_SESSION_NAME=pod")
		pod.want(pod.run("sts", "get-caller-identity"), "Arn", "arn:aws:sts::"+account+":assumed-role/deploy/pod")
		pod.run("lambda", "list-functions")
		if _, diag, err := pod.try("iam", "list-roles"); err == nil || !strings.Contains(diag, "AccessDenied") {
			t.Errorf("the pod lists roles: %v %s", err, diag)
		}
	})
	t.Run("boto3", func(t *testing.T) {
		s.script(t, tool(t, "py", "bin", "python"), "-c", boto3WebIdentity, role, idp.Token(nil),
			idp.Token(map[string]any{"aud": "other"}), idp.Token(map[string]any{"exp": 1}))
	})
	t.Run("a provider that is gone", func(t *testing.T) {
		root.run("iam", "delete-open-id-connect-provider", "--open-id-connect-provider-arn", provider)
		nobody.fails("An error occurred (InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation: "+
			"No OpenIDConnect provider found in your account for "+idp.URL(), assume(idp.Token(nil))...)
		job.run("lambda", "list-functions") // a session is what it was made as
	})
}
