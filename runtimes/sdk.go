package runtimes

// pythonSDK are the packages of a Python runtime: boto3 and botocore at the last versions that the Python can use.
func pythonSDK(version string) []string {
	switch version {
	case "3.8":
		return []string{"boto3==1.37.38", "botocore==1.37.38"}
	case "3.9":
		return []string{"boto3==1.42.97", "botocore==1.42.97"}
	default:
		return []string{"boto3==1.44.5", "botocore==1.44.5"}
	}
}

// nodeSDK are the packages of a Node.js runtime. AWS's carries every client of the SDK; these are the ones that functions
// mostly use. Node.js 18 ended with version 3.967.0.
func nodeSDK(version string) []string {
	release := "3.1160.0"
	others := map[string]string{"client-kinesis": "3.1143.0", "client-rds-data": "3.1143.0", "util-dynamodb": "3.996.9"}
	if version == "18" {
		release = "3.967.0"
		others = map[string]string{"client-rds-data": "3.966.0"}
	}
	var out []string
	for _, name := range nodeClients {
		v := release
		if other, ok := others[name]; ok {
			v = other
		}
		out = append(out, "@aws-sdk/"+name+"@"+v)
	}
	return out
}

var nodeClients = []string{
	"client-apigatewaymanagementapi", "client-appconfigdata", "client-bedrock-runtime", "client-cloudwatch", "client-cloudwatch-logs",
	"client-cognito-identity-provider", "client-dynamodb", "client-eventbridge", "client-firehose", "client-iam", "client-kinesis",
	"client-kms", "client-lambda", "client-rds-data", "client-s3", "client-scheduler", "client-secrets-manager", "client-ses",
	"client-sesv2", "client-sfn", "client-sns", "client-sqs", "client-ssm", "client-sts", "credential-providers", "lib-dynamodb",
	"lib-storage", "s3-request-presigner", "util-dynamodb",
}
