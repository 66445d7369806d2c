package cloudtrail

import (
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// secondVersions are Lambda's ops whose eventName ends in "v2" after the date of the API.
var secondVersions = map[string]bool{
	"AddPermission": true, "RemovePermission": true, "GetPolicy": true, "GetFunction": true, "GetFunctionConfiguration": true,
	"UpdateFunctionCode": true, "UpdateFunctionConfiguration": true, "TagResource": true, "UntagResource": true,
}

// undated are the dates of Lambda's API from which on eventNames have no date.
const undated = "2019-09-01"

// eventName is what CloudTrail calls an op. Lambda's management events have the date of the API in their name:
// https://docs.aws.amazon.com/lambda/latest/dg/logging-using-cloudtrail.html.
func eventName(op *aws.Op) string {
	if op.Service.SigningName != "lambda" || op.Data {
		return op.Name
	}
	date, _, _ := strings.Cut(strings.TrimPrefix(op.URI, "/"), "/")
	if len(date) != len(undated) || date >= undated {
		return op.Name
	}
	name := op.Name + strings.ReplaceAll(date, "-", "")
	if secondVersions[op.Name] {
		name += "v2"
	}
	return name
}

func eventSource(op *aws.Op) string { return op.Service.SigningName + ".amazonaws.com" }

// globalServices have one place for the whole world; their events are in us-east-1.
var globalServices = map[string]bool{"iam": true, "organizations": true, "cloudfront": true, "route53": true}

func eventRegion(op *aws.Op, region string) string {
	if globalServices[op.Service.SigningName] {
		return "us-east-1"
	}
	return region
}

// resourceTypes are CloudFormation's names of resources, by service and first word of the resource.
var resourceTypes = map[string]string{
	"lambda:function": "AWS::Lambda::Function", "lambda:layer": "AWS::Lambda::LayerVersion",
	"lambda:event-source-mapping": "AWS::Lambda::EventSourceMapping",
	"iam:role":                    "AWS::IAM::Role", "iam:user": "AWS::IAM::User", "iam:group": "AWS::IAM::Group",
	"iam:policy": "AWS::IAM::Policy", "iam:oidc-provider": "AWS::IAM::OIDCProvider", "iam:instance-profile": "AWS::IAM::InstanceProfile",
	"kms:key": "AWS::KMS::Key", "kms:alias": "AWS::KMS::Alias", "logs:log-group": "AWS::Logs::LogGroup",
	"cloudtrail:trail": "AWS::CloudTrail::Trail", "sqs:": "AWS::SQS::Queue", "sns:": "AWS::SNS::Topic",
	"dynamodb:table": "AWS::DynamoDB::Table", "events:rule": "AWS::Events::Rule", "states:stateMachine": "AWS::StepFunctions::StateMachine",
	"secretsmanager:secret": "AWS::SecretsManager::Secret", "ssm:parameter": "AWS::SSM::Parameter",
}

// Resource is what a call acted on.
type Resource struct {
	ARN     string `json:"ARN"`
	Account string `json:"accountId,omitempty"`
	Type    string `json:"type,omitempty"` // "AWS::Lambda::Function"; empty if it has no name
}

// resourceOf is false for what is no resource: "*".
func resourceOf(text string) (Resource, bool) {
	arn, err := aws.ParseARN(text)
	if err != nil || arn.Resource == "*" {
		return Resource{}, false
	}
	r := Resource{ARN: text, Account: arn.Account}
	kind := arn.Resource
	if i := strings.IndexAny(kind, ":/"); i >= 0 {
		kind = kind[:i]
	} else {
		kind = ""
	}
	switch r.Type = resourceTypes[arn.Service+":"+kind]; {
	case r.Type != "":
	case arn.Service == "s3" && strings.Contains(arn.Resource, "/"):
		r.Type = "AWS::S3::Object"
	case arn.Service == "s3":
		r.Type = "AWS::S3::Bucket"
	default:
		r.Type = resourceTypes[arn.Service+":"]
	}
	return r, true
}

// name is a resource's name as the event history shows it: without path and qualifier.
func (r Resource) name() string {
	arn, err := aws.ParseARN(r.ARN)
	if err != nil {
		return r.ARN
	}
	rest := arn.Resource
	if kind, tail, ok := strings.Cut(rest, ":"); ok && !strings.Contains(kind, "/") { // function:f:prod, log-group:g:log-stream:s
		name, _, _ := strings.Cut(tail, ":")
		return name
	}
	return rest[strings.LastIndexByte(rest, '/')+1:]
}
