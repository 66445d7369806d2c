package test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/enfold-run/enfold/sigv4"
)

// TestGuessedKeys guesses the root user's secret until that is throttled. The right one works all the while, from the same
// address; the log says who guessed, and nothing that was guessed.
func TestGuessedKeys(t *testing.T) {
	s := startServer(t)
	c := s.cli(t)
	const guess = "a-guess-that-no-log-should-have"
	body := "Action=GetCallerIdentity&Version=2011-06-15"
	answers := map[string]int{}
	for range 3000 {
		req, err := http.NewRequest(http.MethodPost, s.url+"/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		sigv4.Sign(req, []byte(body), sigv4.Credentials{AccessKeyID: accessKey, Secret: []byte(guess), Region: region, Service: "sts"}, time.Now())
		resp, err := httpClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		code := ""
		for _, known := range []string{"SignatureDoesNotMatch", "Throttling"} {
			if strings.Contains(string(text), "<Code>"+known+"</Code>") {
				code = known
			}
		}
		if answers[code]++; code == "" {
			t.Fatalf("%s %s", resp.Status, text)
		}
		if answers["Throttling"] == 10 {
			break
		}
	}
	if answers["SignatureDoesNotMatch"] < 100 || answers["Throttling"] == 0 {
		t.Errorf("answers: %v", answers)
	}
	c.want(c.run("sts", "get-caller-identity"), "Account", account)
	if log := s.output.String(); !strings.Contains(log, "source=127.0.0.1/32") || !strings.Contains(log, "accessKeyId="+accessKey) || strings.Contains(log, guess) {
		t.Errorf("log: %s", log)
	}
}

// TestLambdasOwnKey: variables without a KMSKeyArn are encrypted by the AWS managed key of Lambda, which is there once it was
// used, needs no permission of who uses Lambda, and is nobody's to change.
func TestLambdasOwnKey(t *testing.T) {
	s := startServer(t)
	c := s.cli(t)
	find := func() (target string) {
		for _, a := range c.run("kms", "list-aliases")["Aliases"].([]any) {
			if alias := a.(map[string]any); alias["AliasName"] == "alias/aws/lambda" {
				target = fmt.Sprint(alias["TargetKeyId"])
			}
		}
		return target
	}
	if key := find(); key != "" {
		t.Errorf("the key is there before it was used: %s", key)
	}
	s.create(t, lambda.CreateFunctionInput{FunctionName: aws.String("f"), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)}})
	alice := c.user("alice")
	c.run("iam", "put-user-policy", "--user-name", "alice", "--policy-name", "p", "--policy-document", allowing("lambda:*", "*"))
	alice.run("lambda", "update-function-configuration", "--function-name", "f", "--environment", "Variables={COLOUR=blue}")
	alice.run("lambda", "wait", "function-updated-v2", "--function-name", "f")
	alice.want(alice.run("lambda", "get-function-configuration", "--function-name", "f"), "Environment.Variables.COLOUR", "blue", "KMSKeyArn", "<nil>")
	if o := s.invoke(t, "f", `{"name":"x"}`); o.failed != "" {
		t.Errorf("invoke: %s", o.payload)
	}
	key := find()
	if key == "" {
		t.Fatal("no alias/aws/lambda")
	}
	about := c.run("kms", "describe-key", "--key-id", "alias/aws/lambda")
	c.want(about, "KeyMetadata.KeyId", key, "KeyMetadata.KeyManager", "AWS", "KeyMetadata.KeyState", "Enabled")
	policy := c.run("kms", "get-key-policy", "--key-id", key, "--policy-name", "default")
	if text := fmt.Sprint(policy["Policy"]); !strings.Contains(text, "lambda."+region+".amazonaws.com") {
		t.Errorf("policy: %s", text)
	}
	for _, change := range [][]string{
		{"schedule-key-deletion"}, {"disable-key"}, {"put-key-policy", "--policy-name", "default", "--policy", allowing("kms:*", "*")},
	} {
		if _, diag, err := c.try(slices.Concat([]string{"kms"}, change, []string{"--key-id", key})...); err == nil || !strings.Contains(diag, "(AccessDeniedException)") {
			t.Errorf("%s: %v %s", change[0], err, diag)
		}
	}
}

// TestKeyIsGrantedToLambda: who gives a function a key of one's own must be allowed to grant it, be it only through Lambda, and
// to nobody else.
func TestKeyIsGrantedToLambda(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := s.cli(t)
	s.create(t, lambda.CreateFunctionInput{FunctionName: aws.String("f"), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)}})
	key := c.key()
	c.run("kms", "create-alias", "--alias-name", "alias/mine", "--target-key-id", key)
	alice := c.user("alice")
	c.run("iam", "put-user-policy", "--user-name", "alice", "--policy-name", "p", "--policy-document", allowing("lambda:*", "*"))
	update := []string{"lambda", "update-function-configuration", "--function-name", "f", "--environment", "Variables={COLOUR=blue}", "--kms-key-arn"}
	const said = "An error occurred (InvalidParameterValueException) when calling the UpdateFunctionConfiguration operation: " +
		"Lambda was unable to configure access to your environment variables because the KMS key is invalid for CreateGrant. " +
		"Please check your KMS key settings. KMS Exception: "
	denied := "AccessDeniedException KMS Message: User: arn:aws:iam::" + account + ":user/alice is not authorized to perform: " +
		"kms:CreateGrant on resource: " + key + " because no identity-based policy allows the kms:CreateGrant action"
	alice.fails(said+denied, append(update, key)...)

	c.run("iam", "put-user-policy", "--user-name", "alice", "--policy-name", "key", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:CreateGrant","Resource":"`+key+`","Condition":{`+
			`"Bool":{"kms:GrantIsForAWSResource":"true"},"StringEquals":{"kms:ViaService":"lambda.`+region+`.amazonaws.com"}}}]}`)
	if _, diag, err := alice.try("kms", "create-grant", "--key-id", key, "--grantee-principal", "arn:aws:iam::"+account+":user/alice", "--operations", "Decrypt"); err == nil ||
		!strings.Contains(diag, "(AccessDeniedException)") {
		t.Errorf("alice grants herself: %v %s", err, diag)
	}
	alias := strings.Split(key, ":key/")[0] + ":alias/mine"
	for _, name := range []string{key, alias} {
		alice.want(alice.run(append(update, name)...), "KMSKeyArn", name)
		alice.run("lambda", "wait", "function-updated-v2", "--function-name", "f")
	}
	grants := c.run("kms", "list-grants", "--key-id", key)["Grants"].([]any)
	if len(grants) != 1 {
		t.Fatalf("grants: %v", grants)
	}
	c.want(grants[0].(map[string]any), "GranteePrincipal", "lambda.amazonaws.com", "Operations", "[Decrypt Encrypt]",
		"Constraints.EncryptionContextEquals.aws:lambda:FunctionArn", "arn:aws:lambda:"+region+":"+account+":function:f")
	c.want(c.run("lambda", "get-function-configuration", "--function-name", "f"), "Environment.Variables.COLOUR", "blue")
}
