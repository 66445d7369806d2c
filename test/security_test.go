package test

import (
	"bytes"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	_ "modernc.org/sqlite" // opens the database of a stopped server
)

// as is a CLI with other credentials; token is empty for long-term ones.
func (c *cli) as(key, secret, token string) *cli {
	d := *c
	d.env = slices.DeleteFunc(slices.Clone(c.env), func(v string) bool {
		return strings.HasPrefix(v, "AWS_ACCESS_KEY_ID=") || strings.HasPrefix(v, "AWS_SECRET_ACCESS_KEY=")
	})
	d.env = append(d.env, "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret)
	if token != "" {
		d.env = append(d.env, "AWS_SESSION_TOKEN="+token)
	}
	return &d
}

// user makes a user with a key and answers a CLI that signs with it.
func (c *cli) user(name string) *cli {
	c.t.Helper()
	c.run("iam", "create-user", "--user-name", name)
	key := c.run("iam", "create-access-key", "--user-name", name)["AccessKey"].(map[string]any)
	return c.as(fmt.Sprint(key["AccessKeyId"]), fmt.Sprint(key["SecretAccessKey"]), "")
}

// session is a CLI that signs with what STS has answered.
func (c *cli) session(out map[string]any) *cli {
	k := out["Credentials"].(map[string]any)
	return c.as(fmt.Sprint(k["AccessKeyId"]), fmt.Sprint(k["SecretAccessKey"]), fmt.Sprint(k["SessionToken"]))
}

// account makes an AWS account and answers its id and a CLI of its root user.
func (s *server) account(t *testing.T, c *cli, name string) (string, *cli) {
	t.Helper()
	r := s.newAccount(t, name)
	return r.account, c.as(r.key, r.secret, "")
}

func allowing(action, resource string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":%q,"Resource":%q}]}`, action, resource)
}

// TestDeniedMeansDenied walks a user from no policy to a role by the real CLI.
func TestDeniedMeansDenied(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	root := s.cli(t)
	s.create(t, lambda.CreateFunctionInput{FunctionName: aws.String("f"), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)}})
	fn := "arn:aws:lambda:" + region + ":" + account + ":function:f"
	me := "arn:aws:iam::" + account + ":user/alice"
	alice := root.user("alice")
	alice.want(alice.run("sts", "get-caller-identity"), "Arn", me)

	get := []string{"lambda", "get-function-configuration", "--function-name", "f"}
	denied := func(who, action, resource, why string) string {
		return "An error occurred (AccessDeniedException) when calling the GetFunctionConfiguration operation: User: " + who +
			" is not authorized to perform: " + action + " on resource: " + resource + " " + why
	}
	none := denied(me, "lambda:GetFunctionConfiguration", fn, "because no identity-based policy allows the lambda:GetFunctionConfiguration action")
	alice.fails(none, get...)
	root.run("iam", "put-user-policy", "--user-name", "alice", "--policy-name", "p", "--policy-document",
		allowing("lambda:GetFunctionConfiguration", fn+"-other"))
	alice.fails(none, get...)
	root.run("iam", "put-user-policy", "--user-name", "alice", "--policy-name", "p", "--policy-document",
		allowing("lambda:Get*", fn))
	alice.run(get...)
	root.run("iam", "put-user-policy", "--user-name", "alice", "--policy-name", "no", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}}]}`)
	alice.fails(denied(me, "lambda:GetFunctionConfiguration", fn, "with an explicit deny in an identity-based policy"), get...)
	root.run("iam", "delete-user-policy", "--user-name", "alice", "--policy-name", "no")

	t.Run("a role", func(t *testing.T) {
		trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + me + `"},"Action":"sts:AssumeRole",` +
			`"Condition":{"StringEquals":{"sts:ExternalId":"eleven"}}}]}`
		root.run("iam", "create-role", "--role-name", "reader", "--assume-role-policy-document", trust)
		arn := "arn:aws:iam::" + account + ":role/reader"
		assume := []string{"sts", "assume-role", "--role-arn", arn, "--role-session-name", "job"}
		alice.fails("An error occurred (AccessDenied) when calling the AssumeRole operation: User: "+me+
			" is not authorized to perform: sts:AssumeRole on resource: "+arn, assume...)
		reader := alice.session(alice.run(append(assume, "--external-id", "eleven")...))
		who := "arn:aws:sts::" + account + ":assumed-role/reader/job"
		reader.want(reader.run("sts", "get-caller-identity"), "Arn", who)
		reader.fails(denied(who, "lambda:GetFunctionConfiguration", fn, "because no identity-based policy allows the lambda:GetFunctionConfiguration action"), get...)
		root.allow("reader", "lambda:*")
		reader.run(get...)
		narrow := alice.session(alice.run(append(assume, "--external-id", "eleven", "--policy", allowing("s3:*", "*"))...))
		narrow.fails(denied(who, "lambda:GetFunctionConfiguration", fn, "because no session policy allows the lambda:GetFunctionConfiguration action"), get...)
		root.run("iam", "delete-role-policy", "--role-name", "reader", "--policy-name", "p")
		root.run("iam", "delete-role", "--role-name", "reader")
		if _, diag, err := reader.try(get...); err == nil {
			t.Errorf("the session of a deleted role still reads: %s", diag)
		}
	})

	t.Run("PassRole", func(t *testing.T) {
		root.run("iam", "put-user-policy", "--user-name", "alice", "--policy-name", "p", "--policy-document", allowing("lambda:*", "*"))
		code := alice.file("f.zip", bootstrap(t, binaries.hello))
		create := []string{
			"lambda", "create-function", "--function-name", "mine", "--runtime", "provided.al2023", "--handler", "bootstrap",
			"--role", role, "--zip-file", code,
		}
		alice.fails("An error occurred (AccessDeniedException) when calling the CreateFunction operation: User: "+me+
			" is not authorized to perform: iam:PassRole on resource: "+role+" because no identity-based policy allows the iam:PassRole action", create...)
		root.run("iam", "put-user-policy", "--user-name", "alice", "--policy-name", "pass", "--policy-document",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:PassRole","Resource":"`+role+`","Condition":{"StringEquals":{"iam:PassedToService":"lambda.amazonaws.com"}}}]}`)
		alice.run(create...)
	})

	t.Run("a key switched off", func(t *testing.T) {
		key := root.run("iam", "list-access-keys", "--user-name", "alice")["AccessKeyMetadata"].([]any)[0].(map[string]any)
		root.run("iam", "update-access-key", "--user-name", "alice", "--access-key-id", fmt.Sprint(key["AccessKeyId"]), "--status", "Inactive")
		alice.fails("An error occurred (InvalidClientTokenId) when calling the GetCallerIdentity operation: The security token included in the request is invalid.",
			"sts", "get-caller-identity")
	})
}

// TestTwoAccounts: what is of one account is not there for another, but through a resource policy or a role.
func TestTwoAccounts(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := s.cli(t)
	s.create(t, lambda.CreateFunctionInput{FunctionName: aws.String("f"), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)}})
	s.invoke(t, "f", `{"name":"x"}`)
	fn := "arn:aws:lambda:" + region + ":" + account + ":function:f"
	id, b := s.account(t, a, "other")
	b.want(b.run("sts", "get-caller-identity"), "Account", id, "Arn", "arn:aws:iam::"+id+":root")
	for _, c := range []struct{ list, member string }{
		{"lambda list-functions", "Functions"},
		{"iam list-roles", "Roles"},
		{"iam list-users", "Users"},
		{"logs describe-log-groups", "logGroups"},
		{"lambda list-layers", "Layers"},
		{"kms list-keys", "Keys"},
	} {
		out := b.run(strings.Fields(c.list)...)
		if all, ok := out[c.member].([]any); !ok || len(all) != 0 {
			t.Errorf("%s in an account without anything: %v", c.list, out)
		}
	}
	if _, diag, err := b.try("lambda", "invoke", "--function-name", fn, "--payload", "{}", "out.json"); err == nil || !strings.Contains(diag, "AccessDeniedException") {
		t.Errorf("another account invokes: %v %s", err, diag)
	}
	if _, diag, err := b.try("lambda", "delete-function", "--function-name", fn); err == nil || !strings.Contains(diag, "AccessDeniedException") {
		t.Errorf("another account deletes: %v %s", err, diag)
	}
	a.run("lambda", "add-permission", "--function-name", "f", "--statement-id", "other", "--action", "lambda:InvokeFunction", "--principal", id)
	if _, payload := b.invoke(fn, `{"name":"B"}`); !strings.Contains(payload, `"B"`) {
		t.Errorf("another account, allowed: %s", payload)
	}
	if out := b.run("lambda", "list-functions"); len(out["Functions"].([]any)) != 0 {
		t.Errorf("the other account lists %v", out)
	}
	a.run("lambda", "remove-permission", "--function-name", "f", "--statement-id", "other")
	if _, _, err := b.try("lambda", "invoke", "--function-name", fn, "--payload", "{}", "out.json"); err == nil {
		t.Error("another account invokes after its permission was removed")
	}
}

// TestSecretsAtRest looks for known secrets in every byte of the data directory.
func TestSecretsAtRest(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := s.cli(t)
	const inEnv, inKey = "env-secret-4711-do-not-find", "plain-text-0815-do-not-find"
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: aws.String("f"), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)},
		Environment: &types.Environment{Variables: map[string]string{"PASSWORD": inEnv}}, Publish: true,
	})
	s.invoke(t, "f", `{"name":"x"}`)
	c.run("iam", "create-user", "--user-name", "u")
	user := c.run("iam", "create-access-key", "--user-name", "u")["AccessKey"].(map[string]any)
	key := c.run("kms", "create-key")["KeyMetadata"].(map[string]any)
	c.run("kms", "encrypt", "--key-id", fmt.Sprint(key["KeyId"]), "--plaintext", c.file("plain", []byte(inKey)))
	secrets := map[string]string{
		"an environment variable": inEnv, "what KMS encrypted": inKey, "a user's secret": fmt.Sprint(user["SecretAccessKey"]),
	}
	search := func(when string) {
		files := 0
		err := filepath.WalkDir(s.dir, func(p string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil //nolint:nilerr // files come and go while the server runs
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return nil //nolint:nilerr // gone meanwhile
			}
			files++
			for what, text := range secrets {
				if bytes.Contains(b, []byte(text)) {
					t.Errorf("%s: %s is in %s", when, what, filepath.Base(p))
				}
			}
			return nil
		})
		if err != nil || files < 4 {
			t.Errorf("%s: only %d files were searched (%v)", when, files, err)
		}
	}
	search("while it runs")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	search("when it is stopped")
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	if o := s.invoke(t, "f", `{"name":"x"}`); o.failed != "" {
		t.Errorf("after a restart: %s", o.payload)
	}
	c = s.cli(t) // the address is another
	out := c.run("lambda", "get-function-configuration", "--function-name", "f")
	c.want(out, "Environment.Variables.PASSWORD", inEnv)
}

// TestTrailVerify: the audit trail knows what was done and refused, and a flipped bit of it is found.
func TestTrailVerify(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := s.cli(t)
	mallory := c.user("mallory")
	if _, _, err := mallory.try("iam", "delete-user", "--user-name", "mallory"); err == nil {
		t.Error("a user without policies deletes itself")
	}
	if out, diag, err := s.enfold(t, "trail", "verify"); err != nil {
		t.Fatalf("enfold trail verify while the server runs: %v\n%s%s", err, out, diag)
	}
	out := c.run("cloudtrail", "lookup-events", "--lookup-attributes", "AttributeKey=EventName,AttributeValue=DeleteUser")
	events, _ := out["Events"].([]any)
	if len(events) != 1 || !strings.Contains(fmt.Sprint(events[0]), "AccessDenied") {
		t.Errorf("the refused call in the trail: %v", events)
	}
	out = c.run("cloudtrail", "lookup-events", "--lookup-attributes", "AttributeKey=EventName,AttributeValue=CreateAccessKey")
	events, _ = out["Events"].([]any)
	if len(events) != 1 || strings.Contains(strings.ToLower(fmt.Sprint(events[0])), "secretaccesskey:") {
		t.Errorf("the made key in the trail: %v", events)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if out, diag, err := s.enfold(t, "trail", "verify"); err != nil {
		t.Fatalf("enfold trail verify when it is stopped: %v\n%s%s", err, out, diag)
	}
	s.removeTrail(t)
	if out, _, err := s.enfold(t, "trail", "verify"); err == nil || !strings.Contains(out, "no call in the trail") {
		t.Errorf("a trail that was removed as a whole: %v\n%s", err, out)
	}
}

// removeTrail deletes all that the trail has, as somebody with the database file can.
func (s *server) removeTrail(t *testing.T) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(s.dir, "enfold.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{
		"DELETE FROM chunks", "DELETE FROM records WHERE space IN (SELECT id FROM spaces WHERE name LIKE 'cloudtrail%')",
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
}
