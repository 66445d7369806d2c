package test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// key makes a KMS key and answers its ARN.
func (c *cli) key() string {
	c.t.Helper()
	return fmt.Sprint(c.run("kms", "create-key")["KeyMetadata"].(map[string]any)["Arn"])
}

// encrypt encrypts for a function, as the console's helpers for encrypted variables do.
func (c *cli) encrypt(key, secret, function string) string {
	c.t.Helper()
	out := c.run("kms", "encrypt", "--key-id", key, "--plaintext", c.file("plain", []byte(secret)), "--encryption-context", "LambdaFunctionName="+function)
	return fmt.Sprint(out["CiphertextBlob"])
}

// TestEncryptionHelper: a function's variable holds what only this function can decrypt, by unmodified boto3 in its sandbox and
// with its role's permission.
func TestEncryptionHelper(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := s.cli(t)
	py := languageOf(t, "python")
	key, arn := c.key(), c.role("decrypts")
	const fn = "decrypts"
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: aws.String(fn), Role: &arn, Runtime: types.Runtime(py.runtime), Handler: aws.String("decrypts.handler"),
		Code:       &types.FunctionCode{ZipFile: withBoto3(t, source(t, "decrypts.py"))},
		MemorySize: aws.Int32(512), Timeout: aws.Int32(60),
		Environment: &types.Environment{Variables: map[string]string{"SECRET": c.encrypt(key, "open sesame", fn)}},
	})
	denied := []string{"code", "AccessDeniedException", "message", "User: arn:aws:sts::" + account + ":assumed-role/decrypts/" + fn +
		" is not authorized to perform: kms:Decrypt on resource: " + key + " because no identity-based policy allows the kms:Decrypt action"}
	s.wants(t, fn, "{}", denied...)
	c.allow("decrypts", "kms:Decrypt")
	s.wants(t, fn, "{}", "secret", "open sesame")

	// The permission may say for which function.
	c.run("iam", "put-role-policy", "--role-name", "decrypts", "--policy-name", "p", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:Decrypt","Resource":"`+key+`","Condition":{"StringEquals":{"kms:EncryptionContext:LambdaFunctionName":"another"}}}]}`)
	s.wants(t, fn, "{}", denied...)
	c.run("iam", "put-role-policy", "--role-name", "decrypts", "--policy-name", "p", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:Decrypt","Resource":"`+key+`","Condition":{"StringEquals":{"kms:EncryptionContext:LambdaFunctionName":"`+fn+`"}}}]}`)
	s.wants(t, fn, "{}", "secret", "open sesame")

	// What was encrypted for another function does not open here.
	c.run("lambda", "update-function-configuration", "--function-name", fn, "--environment", "Variables={SECRET="+c.encrypt(key, "not for you", "another")+",ENFOLD_TEST_MARK="+s.mark+"}")
	c.run("lambda", "wait", "function-updated-v2", "--function-name", fn)
	s.wants(t, fn, "{}", "code", "InvalidCiphertextException", "message", "", "secret", "<nil>")
}

// TestEnvironmentKey: variables under a key of one's own are had only by who may decrypt with it, and only while it is enabled.
func TestEnvironmentKey(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := s.cli(t)
	key, arn := c.key(), c.role("keyed")
	create := func(fn string) {
		t.Helper()
		s.create(t, lambda.CreateFunctionInput{
			FunctionName: &fn, Role: &arn, KMSKeyArn: &key, Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)},
			Environment: &types.Environment{Variables: map[string]string{"GREETING": "under a key"}},
		})
	}
	create("fn")
	create("later")
	client := s.lambda(t)
	refused := func(fn, want string, is func(error) bool) {
		t.Helper()
		_, err := s.tryInvoke(t, client, &lambda.InvokeInput{FunctionName: &fn, Payload: []byte(`{"name":"x"}`)})
		if fault(err) != want || !is(err) {
			t.Errorf("%s\n\tgot  %s (%T)\n\twant %s", fn, fault(err), errors.Unwrap(err), want)
		}
	}
	greets := func(fn string) {
		t.Helper()
		if o := s.invoke(t, fn, `{"name":"x"}`); member(t, o.payload, "greeting") != "under a key" {
			t.Errorf("%s: %+v", fn, o)
		}
	}
	const unable = "Lambda was unable to decrypt the environment variables because "
	const check = " Please check the function's KMS key settings. KMS Exception: "
	refused("fn", "502 KMSAccessDeniedException: "+unable+"KMS access was denied."+check+"AccessDeniedException KMS Message: User: arn:aws:sts::"+account+
		":assumed-role/keyed/fn is not authorized to perform: kms:Decrypt on resource: "+key+
		" because no identity-based policy allows the kms:Decrypt action", typed[*types.KMSAccessDeniedException])
	c.allow("keyed", "kms:Decrypt")
	greets("fn")
	c.want(c.run("lambda", "get-function-configuration", "--function-name", "fn"), "KMSKeyArn", key, "Environment.Variables.GREETING", "under a key")

	// Who may read the function but not decrypt sees that there are variables, and not which.
	reader := c.user("reader")
	c.run("iam", "put-user-policy", "--user-name", "reader", "--policy-name", "p", "--policy-document", allowing("lambda:*", "*"))
	reader.want(reader.run("lambda", "get-function-configuration", "--function-name", "fn"),
		"Environment.Variables", "<nil>", "Environment.Error.ErrorCode", "AccessDeniedException", "Environment.Error.Message",
		"Lambda was unable to decrypt your environment variables because the KMS access was denied. Please check your KMS permissions. "+
			"KMS Exception: AccessDeniedException KMS Message: User: arn:aws:iam::"+account+":user/reader is not authorized to perform: kms:Decrypt on resource: "+
			key+" because no identity-based policy allows the kms:Decrypt action")

	c.run("kms", "disable-key", "--key-id", key)
	refused("later", "502 KMSDisabledException: "+unable+"the KMS key used is disabled."+check+"DisabledException KMS Message: "+key+" is disabled.",
		typed[*types.KMSDisabledException])
	c.run("kms", "schedule-key-deletion", "--key-id", key, "--pending-window-in-days", "7")
	refused("later", "502 KMSInvalidStateException: "+unable+"the state of the KMS key used is not valid for Decrypt."+check+
		"KMSInvalidStateException KMS Message: "+key+" is pending deletion.", typed[*types.KMSInvalidStateException])
	c.run("kms", "cancel-key-deletion", "--key-id", key)
	c.run("kms", "enable-key", "--key-id", key)
	greets("later")
}
