package server

import (
	"fmt"
	"strings"
	"testing"

	kmsapi "github.com/enfold-run/enfold/api/kms"
	lambdaapi "github.com/enfold-run/enfold/api/lambda"
)

// TestNobodyIsNamed: what gives something to a user or role that is not there is refused, as on AWS: whoever gets the name later is not
// whom it means, so that it would be there and never do anything.
func TestNobodyIsNamed(t *testing.T) {
	_, root := tenants(t)
	a := root("a")
	id := a.account
	queue := text(a.do("sqs:CreateQueue", members{"QueueName": "q"}), "QueueURL")
	topic := text(a.do("sns:CreateTopic", members{"Name": "t"}), "TopicArn")
	key := text(a.do("kms:CreateKey", nil), "KeyMetadata.Arn")
	a.do("ecr:CreateRepository", members{"RepositoryName": "repo"})
	a.do("lambda:CreateFunction", members{
		"FunctionName": "f", "Role": text(a.do("iam:CreateRole", members{"RoleName": "f", "AssumeRolePolicyDocument": trustLambda}), "Role.Arn"),
		"Runtime": "provided.al2023", "Handler": "x", "Code": &lambdaapi.FunctionCode{ZipFile: emptyZip(t)},
	})
	made := 0
	next := func(prefix string) string {
		made++
		return fmt.Sprint(prefix, made)
	}
	// Each names an ARN, beside somebody who is there where it can name several.
	policy := func(action, arn string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + id + `"},"Action":"kms:*","Resource":"*"},
			{"Effect":"Deny","NotPrincipal":{"AWS":["` + id + `","` + arn + `"]},"Action":"` + action + `","Resource":"*"}]}`
	}
	gives := []struct {
		name, op, refusal string
		in                func(arn string) members
	}{
		{"a function's", "lambda:AddPermission", "InvalidParameterValueException: The provided principal was invalid. Please check the principal and try again.", func(arn string) members {
			return members{"FunctionName": "f", "StatementID": next("s"), "Action": "lambda:InvokeFunction", "Principal": arn}
		}},
		{"a new key's", "kms:CreateKey", "MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals.", func(arn string) members {
			return members{"Policy": policy("kms:Encrypt", arn)}
		}},
		{"a key's", "kms:PutKeyPolicy", "MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals.", func(arn string) members {
			return members{"KeyID": key, "Policy": policy("kms:Encrypt", arn), "BypassPolicyLockoutSafetyCheck": true}
		}},
		{"a grant's", "kms:CreateGrant", "InvalidArnException: ARN does not refer to a valid principal: WHO", func(arn string) members {
			return members{"KeyID": key, "GranteePrincipal": arn, "Operations": []string{kmsapi.GrantOperationEncrypt}}
		}},
		{"who ends a grant", "kms:CreateGrant", "InvalidArnException: ARN does not refer to a valid principal: WHO", func(arn string) members {
			return members{"KeyID": key, "GranteePrincipal": "arn:aws:iam::" + id + ":root", "RetiringPrincipal": arn, "Operations": []string{kmsapi.GrantOperationEncrypt}}
		}},
		{"a new queue's", "sqs:CreateQueue", "InvalidAttributeValue: Invalid value for the parameter Policy.", func(arn string) members {
			return members{"QueueName": next("q"), "Attributes": map[string]string{"Policy": policy("sqs:SendMessage", arn)}}
		}},
		{"a queue's", "sqs:SetQueueAttributes", "InvalidAttributeValue: Invalid value for the parameter Policy.", func(arn string) members {
			return members{"QueueURL": queue, "Attributes": map[string]string{"Policy": policy("sqs:SendMessage", arn)}}
		}},
		{"a new topic's", "sns:CreateTopic", "InvalidParameterException: Invalid parameter: Attributes Reason: Policy Error: PrincipalNotFound", func(arn string) members {
			return members{"Name": next("t"), "Attributes": map[string]string{"Policy": policy("sns:Publish", arn)}}
		}},
		{"a topic's", "sns:SetTopicAttributes", "InvalidParameterException: Invalid parameter: Policy Error: PrincipalNotFound", func(arn string) members {
			return members{"TopicArn": topic, "AttributeName": "Policy", "AttributeValue": policy("sns:Publish", arn)}
		}},
		{"a repository's", "ecr:SetRepositoryPolicy", "InvalidParameterException: Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'", func(arn string) members {
			return members{"RepositoryName": "repo", "PolicyText": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + arn + `"},"Action":"ecr:BatchGetImage"}]}`}
		}},
	}
	gone := text(a.do("iam:CreateUser", members{"UserName": "gone"}), "User.Arn")
	a.do("iam:DeleteUser", members{"UserName": "gone"})
	there := text(a.do("iam:CreateUser", members{"UserName": "there", "Path": "/team/"}), "User.Arn")
	nobody := []string{gone, "arn:aws:iam::" + id + ":user/future", "arn:aws:iam::" + id + ":role/team/f", strings.Replace(there, "/team", "", 1)}
	somebody := []string{
		there, "arn:aws:iam::" + id + ":role/f", "arn:aws:iam::" + id + ":root", "arn:aws:iam::999999999999:user/elsewhere",
		"arn:aws:sts::" + id + ":assumed-role/f/session",
	}
	for _, g := range gives {
		t.Run(g.name, func(t *testing.T) {
			for _, arn := range nobody {
				if _, err := a.attempt(g.op, g.in(arn)); err == nil || err.Error() != strings.ReplaceAll(g.refusal, "WHO", arn) {
					t.Errorf("%s: %v", arn, err)
				}
			}
			for _, arn := range somebody {
				if _, err := a.attempt(g.op, g.in(arn)); err != nil {
					t.Errorf("%s: %v", arn, err)
				}
			}
		})
	}
}
