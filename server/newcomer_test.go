package server

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	kmsapi "github.com/enfold-run/enfold/api/kms"
	lambdaapi "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
)

// TestNewcomers: who gets the name of a deleted user or role gets nothing that policies on resources, or grants, gave to the
// one before, until they are set anew; the others keep what they have.
func TestNewcomers(t *testing.T) {
	_, root := tenants(t)
	a := root("a")
	id := a.account
	makeUser := func(name string) *aws.Principal {
		made := a.do("iam:CreateUser", members{"UserName": name})
		return &aws.Principal{Type: aws.User, Account: id, Arn: text(made, "User.Arn"), ID: text(made, "User.UserID")}
	}
	makeRole := func(name string) *aws.Principal {
		made := a.do("iam:CreateRole", members{"RoleName": name, "AssumeRolePolicyDocument": trustLambda})
		return &aws.Principal{
			Type: aws.AssumedRole, Account: id, Arn: "arn:aws:sts::" + id + ":assumed-role/" + name + "/s", ID: text(made, "Role.RoleID") + ":s",
			Session: &aws.Session{Op: "AssumeRole", Issuer: text(made, "Role.Arn"), IssuerID: text(made, "Role.RoleID")},
		}
	}
	makeUser("ghost") // another user takes the name later
	who := map[string]*aws.Principal{"user": makeUser("u"), "role": makeRole("r"), "session": makeRole("q"), "bystander": makeUser("b")}
	arns := []string{
		who["user"].Arn, who["role"].Session.Issuer, who["session"].Arn, who["bystander"].Arn, "arn:aws:iam::" + id + ":user/ghost",
	}
	list := `["` + strings.Join(arns, `","`) + `"]`
	statement := func(action, more string) string {
		return `{"Version":"2012-10-17","Statement":[` + more + `{"Effect":"Allow","Principal":{"AWS":` + list + `},"Action":"` + action + `","Resource":"*"}]}`
	}
	own := `{"Effect":"Allow","Principal":{"AWS":"` + id + `"},"Action":"kms:*","Resource":"*"},`

	url := text(a.do("sqs:CreateQueue", members{"QueueName": "created", "Attributes": map[string]string{"Policy": statement("sqs:SendMessage", "")}}), "QueueURL")
	url2 := text(a.do("sqs:CreateQueue", members{"QueueName": "changed"}), "QueueURL")
	setQueue := func() {
		a.do("sqs:SetQueueAttributes", members{"QueueURL": url2, "Attributes": map[string]string{"Policy": statement("sqs:SendMessage", "")}})
	}
	setQueue()
	topic := text(a.do("sns:CreateTopic", members{"Name": "created", "Attributes": map[string]string{"Policy": statement("sns:Publish", "")}}), "TopicArn")
	topic2 := text(a.do("sns:CreateTopic", members{"Name": "changed"}), "TopicArn")
	setTopic := func() {
		a.do("sns:SetTopicAttributes", members{"TopicArn": topic2, "AttributeName": "Policy", "AttributeValue": statement("sns:Publish", "")})
	}
	setTopic()
	key := text(a.do("kms:CreateKey", members{"Policy": statement("kms:Encrypt", own)}), "KeyMetadata.Arn")
	key2 := text(a.do("kms:CreateKey", nil), "KeyMetadata.Arn")
	setKey := func() { a.do("kms:PutKeyPolicy", members{"KeyID": key2, "Policy": statement("kms:Encrypt", own)}) }
	setKey()
	key3 := text(a.do("kms:CreateKey", nil), "KeyMetadata.Arn")
	setGrants := func() {
		for i, arn := range arns {
			name := []string{"asked-for-again", "another", "a-third", "a-fourth", "a-fifth"}[i]
			a.do("kms:CreateGrant", members{"Name": name, "KeyID": key3, "GranteePrincipal": arn, "Operations": []string{kmsapi.GrantOperationEncrypt}})
		}
	}
	setGrants()
	a.do("lambda:CreateFunction", members{
		"FunctionName": "f", "Role": text(a.do("iam:CreateRole", members{"RoleName": "f", "AssumeRolePolicyDocument": trustLambda}), "Role.Arn"),
		"Runtime": "provided.al2023", "Handler": "x", "Code": &lambdaapi.FunctionCode{ZipFile: emptyZip(t)},
	})
	permit := func(prefix string) {
		for i, arn := range arns {
			a.do("lambda:AddPermission", members{"FunctionName": "f", "StatementID": prefix + string(rune('a'+i)), "Action": "lambda:GetFunction", "Principal": arn})
		}
	}
	permit("first")
	type attempt struct {
		op string
		in members
	}
	attempts := map[string]attempt{
		"queue made with a policy":  {"sqs:SendMessage", members{"QueueURL": url, "MessageBody": "m"}},
		"queue given a policy":      {"sqs:SendMessage", members{"QueueURL": url2, "MessageBody": "m"}},
		"topic made with a policy":  {"sns:Publish", members{"TopicArn": topic, "Message": "m"}},
		"topic given a policy":      {"sns:Publish", members{"TopicArn": topic2, "Message": "m"}},
		"key made with a policy":    {"kms:Encrypt", members{"KeyID": key, "Plaintext": []byte("p")}},
		"key given a policy":        {"kms:Encrypt", members{"KeyID": key2, "Plaintext": []byte("p")}},
		"grants":                    {"kms:Encrypt", members{"KeyID": key3, "Plaintext": []byte("p")}},
		"permissions of a function": {"lambda:GetFunction", members{"FunctionName": "f"}},
	}
	may := func(when string, p *aws.Principal, what string, want bool) {
		t.Helper()
		op, _ := a.op(attempts[what].op)
		input := op.NewInput()
		for member, value := range attempts[what].in {
			if !assign(reflect.ValueOf(input).Elem().FieldByName(member), value) {
				t.Fatalf("%s: %s cannot be %T", op.Name, member, value)
			}
		}
		b := *a
		b.principal = p
		_, err := b.try(op, input)
		switch {
		case want && err != nil:
			t.Errorf("%s, %s by %s: %v", when, what, p.Arn, err)
		case !want && !errors.Is(err, aws.ErrAccessDenied):
			t.Errorf("%s, %s by %s: %v, want it denied", when, what, p.Arn, err)
		}
	}
	for what := range attempts {
		for _, p := range who {
			may("at first", p, what, true)
		}
	}

	time.Sleep(2 * time.Millisecond) // names are dated to the millisecond
	a.do("iam:DeleteUser", members{"UserName": "u"})
	a.do("iam:DeleteUser", members{"UserName": "ghost"})
	a.do("iam:DeleteRole", members{"RoleName": "r"})
	a.do("iam:DeleteRole", members{"RoleName": "q"})
	gone := who["role"]
	makeUser("other")
	a.do("iam:UpdateUser", members{"UserName": "other", "NewUserName": "ghost"})
	ghost := a.do("iam:GetUser", members{"UserName": "ghost"})
	anew := []*aws.Principal{
		makeUser("u"), makeRole("r"), makeRole("q"), {Type: aws.User, Account: id, Arn: text(ghost, "User.Arn"), ID: text(ghost, "User.UserID")},
	}
	// What is said for accounts, or about something else, gives nobody what was said by name.
	a.do("sqs:AddPermission", members{"QueueURL": url, "Label": "x", "AWSAccountIDs": id, "Actions": "GetQueueUrl"})
	a.do("sqs:SetQueueAttributes", members{"QueueURL": url2, "Attributes": map[string]string{"DelaySeconds": "1"}})
	a.do("sns:AddPermission", members{"TopicArn": topic, "Label": "x", "AWSAccountID": id, "ActionName": "Subscribe"})
	a.do("sns:SetTopicAttributes", members{"TopicArn": topic2, "AttributeName": "DisplayName", "AttributeValue": "x"})
	a.do("lambda:AddPermission", members{"FunctionName": "f", "StatementID": "x", "Action": "lambda:GetFunction", "Principal": "s3.amazonaws.com"})
	a.do("lambda:RemovePermission", members{"FunctionName": "f", "StatementID": "x"})
	for what := range attempts {
		for _, p := range append(anew, gone) {
			may("under an old name", p, what, false)
		}
		may("later", who["bystander"], what, true)
	}

	setQueue()
	setTopic()
	setKey()
	setGrants()
	permit("second")
	for what := range attempts {
		for _, p := range anew {
			if !strings.Contains(what, "made with") {
				may("when they are set anew", p, what, true)
			}
		}
	}
}
