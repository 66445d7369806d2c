package test

import (
	"fmt"
	"strings"
	"testing"
)

// TestBoto3IAM walks through IAM with the real boto3, errors as its typed exceptions.
func TestBoto3IAM(t *testing.T) {
	python := tool(t, "py", "bin", "python")
	startServer(t).script(t, python, "boto3_iam.py")
}

// TestBoto3STS walks through sessions with the real boto3: how they are made, limited and ended.
func TestBoto3STS(t *testing.T) {
	python := tool(t, "py", "bin", "python")
	startServer(t).script(t, python, "boto3_sts.py")
}

// TestCLIIAM: what people type, by the real AWS CLI.
func TestCLIIAM(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := s.cli(t)
	c.want(c.run("iam", "create-user", "--user-name", "alice", "--tags", "Key=team,Value=blue"),
		"User.Arn", "arn:aws:iam::"+account+":user/alice", "User.Tags", "[map[Key:team Value:blue]]")
	c.fails("An error occurred (EntityAlreadyExists) when calling the CreateUser operation: User with name alice already exists.",
		"iam", "create-user", "--user-name", "alice")
	c.fails("An error occurred (NoSuchEntity) when calling the GetRole operation: The role with name none cannot be found.",
		"iam", "get-role", "--role-name", "none")
	for _, name := range []string{"bob", "carol"} {
		c.run("iam", "create-user", "--user-name", name)
	}
	first := c.run("iam", "list-users", "--max-items", "2", "--page-size", "1")
	if users, _ := first["Users"].([]any); len(users) != 2 || first["NextToken"] == nil {
		t.Errorf("the first page is %v", first)
	}
	rest := c.run("iam", "list-users", "--starting-token", fmt.Sprint(first["NextToken"]))
	if users, _ := rest["Users"].([]any); len(users) != 1 || !strings.Contains(fmt.Sprint(users), "user/carol") {
		t.Errorf("the rest is %v", rest)
	}

	policy := fmt.Sprint(c.run("iam", "create-policy", "--policy-name", "p", "--policy-document", allowing("lambda:*", "*"))["Policy"].(map[string]any)["Arn"])
	c.want(c.run("iam", "create-policy-version", "--policy-arn", policy, "--set-as-default", "--policy-document", allowing("lambda:List*", "*")),
		"PolicyVersion.VersionId", "v2", "PolicyVersion.IsDefaultVersion", "true")
	c.want(c.run("iam", "get-policy-version", "--policy-arn", policy, "--version-id", "v2"),
		"PolicyVersion.Document.Statement", "[map[Action:lambda:List* Effect:Allow Resource:*]]")
	c.run("iam", "attach-user-policy", "--user-name", "alice", "--policy-arn", policy)
	c.fails("An error occurred (DeleteConflict) when calling the DeletePolicy operation: Cannot delete a policy attached to entities.",
		"iam", "delete-policy", "--policy-arn", policy)
	c.fails("An error occurred (MalformedPolicyDocument) when calling the CreatePolicy operation: Syntax errors in policy.",
		"iam", "create-policy", "--policy-name", "q", "--policy-document", "{")

	made := c.run("iam", "create-access-key", "--user-name", "alice")["AccessKey"].(map[string]any)
	alice := c.as(fmt.Sprint(made["AccessKeyId"]), fmt.Sprint(made["SecretAccessKey"]), "")
	if list := fmt.Sprint(c.run("iam", "list-access-keys", "--user-name", "alice")); strings.Contains(list, fmt.Sprint(made["SecretAccessKey"])) ||
		!strings.Contains(list, fmt.Sprint(made["AccessKeyId"])) {
		t.Errorf("the list of keys is %s", list)
	}
	alice.run("lambda", "list-functions")
	edge := fmt.Sprint(c.run("iam", "create-policy", "--policy-name", "edge", "--policy-document", allowing("sts:*", "*"))["Policy"].(map[string]any)["Arn"])
	c.run("iam", "put-user-permissions-boundary", "--user-name", "alice", "--permissions-boundary", edge)
	alice.fails("An error occurred (AccessDeniedException) when calling the ListFunctions operation: User: arn:aws:iam::"+account+
		":user/alice is not authorized to perform: lambda:ListFunctions on resource: * because no permissions boundary allows the lambda:ListFunctions action",
		"lambda", "list-functions")
	c.run("iam", "delete-user-permissions-boundary", "--user-name", "alice")
	simulated := c.run("iam", "simulate-principal-policy", "--policy-source-arn", "arn:aws:iam::"+account+":user/alice", "--action-names", "lambda:ListFunctions", "s3:GetObject")
	if got := fmt.Sprint(simulated); strings.Count(got, "EvalDecision:allowed") != 1 || strings.Count(got, "EvalDecision:implicitDeny") != 1 {
		t.Errorf("simulate-principal-policy: %s", got)
	}
	details := fmt.Sprint(c.run("iam", "get-account-authorization-details", "--filter", "User", "LocalManagedPolicy"))
	if !strings.Contains(details, "user/carol") || !strings.Contains(details, policy) || strings.Contains(details, "lambda-role") {
		t.Errorf("get-account-authorization-details: %s", details)
	}
	c.want(c.run("iam", "generate-credential-report"), "State", "STARTED")
	c.run("iam", "get-credential-report")

	// Sessions of one's own and for others.
	own := alice.session(alice.run("sts", "get-session-token"))
	own.run("lambda", "list-functions")
	c.run("iam", "put-user-policy", "--user-name", "alice", "--policy-name", "f", "--policy-document", allowing("sts:GetFederationToken", "*"))
	guest := alice.session(alice.run("sts", "get-federation-token", "--name", "guest", "--policy", allowing("*", "*")))
	guest.want(guest.run("sts", "get-caller-identity"), "Arn", "arn:aws:sts::"+account+":federated-user/guest")
	guest.run("lambda", "list-functions")
	c.run("iam", "update-access-key", "--user-name", "alice", "--access-key-id", fmt.Sprint(made["AccessKeyId"]), "--status", "Inactive")
	alice.fails("An error occurred (UnrecognizedClientException) when calling the ListFunctions operation: The security token included in the request is invalid.",
		"lambda", "list-functions")
}
