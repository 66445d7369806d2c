package test

import (
	"fmt"
	"strings"
	"testing"
)

// TestDeletedIssuer: who is gone is nobody, whatever resources say to let everybody in: what STS made for a role or user is
// refused once that is deleted, also if there is another of that name.
func TestDeletedIssuer(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	root := s.cli(t)
	const open = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"}]}`
	makeRole := func(name, trust string) (arn string) {
		t.Helper()
		return fmt.Sprint(root.run("iam", "create-role", "--role-name", name, "--assume-role-policy-document", trust)["Role"].(map[string]any)["Arn"])
	}
	dropUser := func() {
		t.Helper()
		for _, k := range root.run("iam", "list-access-keys", "--user-name", "ann")["AccessKeyMetadata"].([]any) {
			root.run("iam", "delete-access-key", "--user-name", "ann", "--access-key-id", fmt.Sprint(k.(map[string]any)["AccessKeyId"]))
		}
		root.run("iam", "delete-user-policy", "--user-name", "ann", "--policy-name", "p")
		root.run("iam", "delete-user", "--user-name", "ann")
	}
	arn := makeRole("gone", open)
	other := makeRole("anybody", strings.Replace(open, `{"AWS":"`+account+`"}`, `"*"`, 1))
	ann := root.user("ann")
	root.run("iam", "put-user-policy", "--user-name", "ann", "--policy-name", "p", "--policy-document", allowing("*", "*"))
	key := fmt.Sprint(root.run("kms", "create-key", "--policy",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}]}`)["KeyMetadata"].(map[string]any)["KeyId"])

	assume := []string{"sts", "assume-role", "--role-arn", arn, "--role-session-name", "job"}
	role := ann.session(ann.run(assume...))
	own := ann.session(ann.run("sts", "get-session-token"))
	guest := ann.session(ann.run("sts", "get-federation-token", "--name", "guest", "--policy", allowing("*", "*")))
	chain := []string{"sts", "assume-role", "--role-arn", other, "--role-session-name", "next"}
	describe := []string{"kms", "describe-key", "--key-id", key}
	const invalid = " when calling the %s operation: The security token included in the request is invalid."
	nobody := func(who *cli) {
		t.Helper()
		who.fails("An error occurred (InvalidClientTokenId)"+fmt.Sprintf(invalid, "GetCallerIdentity"), "sts", "get-caller-identity")
	}
	refused := func(who *cli) {
		t.Helper()
		nobody(who)
		who.fails("An error occurred (InvalidClientTokenId)"+fmt.Sprintf(invalid, "AssumeRole"), chain...)
		who.fails("An error occurred (UnrecognizedClientException)"+fmt.Sprintf(invalid, "DescribeKey"), describe...)
	}
	role.want(role.run("sts", "get-caller-identity"), "Arn", "arn:aws:sts::"+account+":assumed-role/gone/job")
	role.run(chain...)
	role.run(describe...)
	root.run("iam", "delete-role", "--role-name", "gone")
	refused(role)
	makeRole("gone", open)
	nobody(role)
	again := ann.session(ann.run(assume...))
	again.run(describe...)

	own.run(describe...)
	guest.run(describe...)
	dropUser()
	refused(own)
	nobody(guest)
	root.run("iam", "create-user", "--user-name", "ann")
	nobody(own)
	nobody(guest)
	again.run(describe...) // a role's session does not end with the user that made it
}
