package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// TestLeastPrivilege: a role works with a broad policy; what the trail saw becomes its policy, with which the same work passes
// and one call more is denied.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	root := s.cli(t)
	for _, name := range []string{"f", "g"} {
		s.create(t, lambda.CreateFunctionInput{FunctionName: aws.String(name), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)}})
	}
	root.run("iam", "create-role", "--role-name", "worker", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"sts:AssumeRole"}]}`)
	arn := "arn:aws:iam::" + account + ":role/worker"
	root.run("iam", "put-role-policy", "--role-name", "worker", "--policy-name", "p", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["lambda:*","logs:DescribeLogGroups"],"Resource":"*"}]}`)
	worker := root.user("alice")
	root.run("iam", "put-user-policy", "--user-name", "alice", "--policy-name", "p", "--policy-document", allowing("sts:AssumeRole", arn))
	worker = worker.session(worker.run("sts", "assume-role", "--role-arn", arn, "--role-session-name", "work"))

	work := func() {
		t.Helper()
		worker.run("lambda", "get-function-configuration", "--function-name", "f")
		worker.run("lambda", "list-functions")
		if _, payload := worker.invoke("f", `{"name":"x"}`); !strings.Contains(payload, "x") {
			t.Errorf("the function answers %s", payload)
		}
	}
	denied := func(args ...string) {
		t.Helper()
		if _, diag, err := worker.try(args...); err == nil || !strings.Contains(diag, "AccessDenied") {
			t.Errorf("%s: %v %s", strings.Join(args, " "), err, diag)
		}
	}
	work()
	denied("kms", "list-keys") // is not in the generated policy, though it was tried

	out, diag, err := s.enfold(t, "policy", "unused", "--role", arn)
	if err != nil || !strings.Contains(out, "unused  logs:DescribeLogGroups on *") ||
		!strings.Contains(out, "partly  lambda:* on *, used for lambda:GetFunctionConfiguration, lambda:InvokeFunction, lambda:ListFunctions") {
		t.Errorf("enfold policy unused: %v\n%s%s", err, out, diag)
	}
	out, diag, err = s.enfold(t, "policy", "check", arn)
	if err == nil || !strings.Contains(out, "SECURITY_WARNING ALL_ACTIONS_OF_SERVICE") {
		t.Errorf("enfold policy check of a broad policy: %v\n%s%s", err, out, diag)
	}
	generated, diag, err := s.enfold(t, "policy", "generate", "--role", arn, "--since", "1d")
	if err != nil || strings.Contains(generated, "kms") || !strings.Contains(generated, ":function:f") {
		t.Fatalf("enfold policy generate: %v\n%s%s", err, generated, diag)
	}
	file := filepath.Join(t.TempDir(), "generated.json")
	if err := os.WriteFile(file, []byte(generated), 0o600); err != nil {
		t.Fatal(err)
	}
	out, diag, err = s.enfold(t, "policy", "check", file)
	if err != nil {
		t.Errorf("enfold policy check of the generated policy: %v\n%s%s", err, out, diag)
	}

	root.run("iam", "put-role-policy", "--role-name", "worker", "--policy-name", "p", "--policy-document", generated)
	work()
	denied("lambda", "get-function-configuration", "--function-name", "g")
	denied("lambda", "get-policy", "--function-name", "f")
	denied("logs", "describe-log-groups")
	denied("lambda", "delete-function", "--function-name", "f")
	out, diag, err = s.enfold(t, "policy", "unused", "--role", "worker")
	if err != nil || !strings.Contains(out, "0 of ") {
		t.Errorf("grants of the generated policy are unused: %v\n%s%s", err, out, diag)
	}

	t.Run("by the AWS CLI", func(t *testing.T) {
		job := root.run("accessanalyzer", "start-policy-generation", "--policy-generation-details", "principalArn="+arn)
		root.run("accessanalyzer", "get-generated-policy", "--job-id", fmt.Sprint(job["jobId"]))
		found := root.run("accessanalyzer", "validate-policy", "--policy-type", "IDENTITY_POLICY", "--policy-document", allowing("*", "*"))
		if !strings.Contains(fmt.Sprint(found), "ADMINISTRATOR_ACCESS") {
			t.Errorf("validate-policy finds %v", found)
		}
		root.want(root.run("accessanalyzer", "check-no-public-access", "--resource-type", "AWS::Lambda::Function", "--policy-document",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunction","Resource":"*"}]}`), "result", "FAIL")
	})
}
