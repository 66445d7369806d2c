package server

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	analyzerapi "github.com/enfold-run/enfold/api/accessanalyzer"
	ecrapi "github.com/enfold-run/enfold/api/ecr"
	kmsapi "github.com/enfold-run/enfold/api/kms"
	lambdaapi "github.com/enfold-run/enfold/api/lambda"
	logsapi "github.com/enfold-run/enfold/api/logs"
	snsapi "github.com/enfold-run/enfold/api/sns"
	sqsapi "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/service/sts"
)

// marker is in the name, the description or the contents of all that account A makes.
const marker = "mark7q9x"

const (
	allowEverything  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	allowMarked      = `{"Version":"2012-10-17","Statement":[{"Sid":"` + marker + `","Effect":"Allow","Action":"lambda:*","Resource":"*"}]}`
	openToAll        = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"lambda:*","Resource":"*"}]}`
	pullableByLambda = `{"Version":"2012-10-17","Statement":[{"Sid":"` + marker + `","Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"ecr:BatchGetImage"}]}`
	trustLambda      = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
)

// world is what account A made: how to name it by names and ids, and by ARNs where that is another way.
type world struct {
	names, arns spelling
	// ARNs.
	role, function, queue string
}

// add makes names known, and ARNs that stand for some of them.
func (w *world) add(names, arns spelling) {
	maps.Copy(w.names, names)
	maps.Copy(w.arns, names)
	maps.Copy(w.arns, arns)
}

// populate makes something of every kind as account A.
func populate(a *tenant, tokens *sts.Service) *world {
	w := &world{names: spelling{}, arns: spelling{}}
	w.makeIAM(a)
	w.makeLambda(a)
	w.makeLogs(a)
	w.makeKMS(a)
	w.makeTrail(a)
	w.makeRepository(a)
	w.makeQueues(a)
	w.makeTopic(a)
	w.makeMapping(a)
	w.add(spelling{
		"sts:AccessKeyID": w.names["iam:AccessKeyID"], "sts:EncodedMessage": tokens.EncodeAuthorizationMessage(a.account, marker),
		"sts:Name": "somebody", "sts:RoleArn": w.role, "sts:RoleSessionName": "somebody",
	}, nil)
	return w
}

// makeIAM makes one of each and what belongs to it.
func (w *world) makeIAM(a *tenant) {
	w.role = text(a.do("iam:CreateRole", members{"RoleName": marker, "Description": marker, "AssumeRolePolicyDocument": trustLambda}), "Role.Arn")
	user := text(a.do("iam:CreateUser", members{"UserName": marker}), "User.Arn")
	a.do("iam:CreateGroup", members{"GroupName": marker})
	a.do("iam:AddUserToGroup", members{"GroupName": marker, "UserName": marker})
	policy := text(a.do("iam:CreatePolicy", members{"PolicyName": marker, "PolicyDocument": allowMarked}), "Policy.Arn")
	a.do("iam:CreatePolicyVersion", members{"PolicyArn": policy, "PolicyDocument": allowMarked})
	provider := text(a.do("iam:CreateOpenIDConnectProvider", members{
		"URL": "https://" + marker + ".example.com", "ClientIDList": marker,
	}), "OpenIDConnectProviderArn")
	for kind, member := range map[string]string{"User": "UserName", "Group": "GroupName", "Role": "RoleName"} {
		a.do("iam:Attach"+kind+"Policy", members{member: marker, "PolicyArn": policy})
		a.do("iam:Put"+kind+"Policy", members{member: marker, "PolicyName": marker, "PolicyDocument": allowMarked})
	}
	for what, m := range map[string]members{
		"User": {"UserName": marker}, "Role": {"RoleName": marker}, "Policy": {"PolicyArn": policy},
		"OpenIDConnectProvider": {"OpenIDConnectProviderArn": provider},
	} {
		op, _ := a.op("iam:Tag" + what)
		m["Tags"] = tagList(op, "k", marker)
		a.do("iam:Tag"+what, m)
	}
	a.do("iam:CreateAccountAlias", members{"AccountAlias": marker})
	key := text(a.do("iam:CreateAccessKey", members{"UserName": marker}), "AccessKey.AccessKeyID")
	a.do("iam:GenerateCredentialReport", nil)
	linked := text(a.do("iam:CreateServiceLinkedRole", members{"AWSServiceName": "elasticmapreduce.amazonaws.com"}), "Role.RoleName")
	w.add(spelling{
		"iam:UserName": marker, "iam:GroupName": marker, "iam:RoleName": marker, "iam:PolicyName": marker, "iam:PolicyArn": policy,
		"iam:VersionID": "v1", "iam:OpenIDConnectProviderArn": provider, "iam:AccessKeyID": key, "iam:Arn": w.role,
		"iam:PolicySourceArn": w.role, "iam:PermissionsBoundary": policy, "iam:ClientID": marker, "iam:AccountAlias": marker,
		"iam:JobID":          text(a.do("iam:GenerateServiceLastAccessedDetails", members{"Arn": w.role}), "JobID"),
		"iam:DeletionTaskID": text(a.do("iam:DeleteServiceLinkedRole", members{"RoleName": linked}), "DeletionTaskID"),
		"iam:ActionNames":    "lambda:GetFunction", "iam:ServiceNamespaces": "lambda",
		"iam:GetContextKeysForCustomPolicy:PolicyInputList": allowEverything, "iam:SimulateCustomPolicy:PolicyInputList": allowEverything,
	}, spelling{"iam:Arn": user, "iam:PolicySourceArn": user})
}

// makeLambda makes a function and a layer with all that they can have.
func (w *world) makeLambda(a *tenant) {
	code := emptyZip(a.t)
	layer := text(a.do("lambda:PublishLayerVersion", members{
		"LayerName": marker, "Description": marker, "Content": &lambdaapi.LayerVersionContentInput{ZipFile: code},
	}), "LayerVersionArn")
	a.do("lambda:AddLayerVersionPermission", members{
		"LayerName": marker, "VersionNumber": 1, "StatementID": marker, "Action": "lambda:GetLayerVersion", "Principal": a.account,
	})
	fn := text(a.do("lambda:CreateFunction", members{
		"FunctionName": marker, "Role": w.role, "Runtime": "provided.al2023", "Handler": "x", "Tags": map[string]string{"k": marker},
		"Code": &lambdaapi.FunctionCode{ZipFile: code}, "Environment": &lambdaapi.Environment{Variables: map[string]string{"KEY": marker}},
	}), "FunctionArn")
	until(a, func() bool {
		return text(a.do("lambda:GetFunctionConfiguration", members{"FunctionName": marker}), "State") == lambdaapi.StateActive
	})
	a.do("lambda:PublishVersion", members{"FunctionName": marker, "Description": marker})
	a.do("lambda:CreateAlias", members{"FunctionName": marker, "Name": marker, "FunctionVersion": "1"})
	a.do("lambda:AddPermission", members{
		"FunctionName": marker, "StatementID": marker, "Action": "lambda:InvokeFunction", "Principal": a.account,
	})
	a.do("lambda:PutFunctionConcurrency", members{"FunctionName": marker, "ReservedConcurrentExecutions": 1})
	a.do("lambda:PutFunctionEventInvokeConfig", members{"FunctionName": marker, "MaximumRetryAttempts": 1})
	a.do("lambda:PutFunctionRecursionConfig", members{"FunctionName": marker, "RecursiveLoop": "Allow"})
	w.function = fn
	w.add(spelling{
		"lambda:FunctionName": marker, "lambda:LayerName": marker, "lambda:Name": marker, "lambda:VersionNumber": 1, "lambda:Arn": layer,
		"lambda:Resource": fn, "lambda:ResourceArn": fn, "lambda:Role": w.role, "lambda:StatementID": marker, "lambda:FunctionVersion": "1",
		"lambda:Layers": layer, "lambda:Code": &lambdaapi.FunctionCode{ZipFile: code}, "lambda:ZipFile": code, "lambda:TagKeys": "k",
		"lambda:Content": &lambdaapi.LayerVersionContentInput{ZipFile: code},
	}, spelling{"lambda:FunctionName": fn, "lambda:LayerName": strings.TrimSuffix(layer, ":1")})
	w.provisionLambda(a)
}

// provisionLambda makes a function that has provisioned concurrency. It is of a runtime that no host has: what a sandbox would log,
// and whom it would act as, came at some time or other.
func (w *world) provisionLambda(a *tenant) {
	const name = marker + "-provisioned"
	fn := text(a.do("lambda:CreateFunction", members{
		"FunctionName": name, "Role": w.role, "Runtime": "ruby3.3", "Handler": "x", "Publish": true,
		"Code": &lambdaapi.FunctionCode{ZipFile: emptyZip(a.t)},
	}), "FunctionArn")
	at := members{"FunctionName": name, "Qualifier": "1"}
	a.do("lambda:PutProvisionedConcurrencyConfig", members{"FunctionName": name, "Qualifier": "1", "ProvisionedConcurrentExecutions": 1})
	until(a, func() bool {
		return text(a.do("lambda:GetProvisionedConcurrencyConfig", at), "Status") == lambdaapi.ProvisionedConcurrencyStatusEnumFailed
	})
	for _, op := range []string{"Put", "Get", "Delete"} {
		op = "lambda:" + op + "ProvisionedConcurrencyConfig:"
		w.add(spelling{op + "FunctionName": name, op + "Qualifier": "1"}, spelling{op + "FunctionName": strings.TrimSuffix(fn, ":1")})
	}
	list := "lambda:ListProvisionedConcurrencyConfigs:FunctionName"
	w.add(spelling{list: name}, spelling{list: strings.TrimSuffix(fn, ":1")})
}

func emptyZip(t *testing.T) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if _, err := z.Create("bootstrap"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// makeLogs makes a group with a stream with a line.
func (w *world) makeLogs(a *tenant) {
	a.do("logs:CreateLogGroup", members{"LogGroupName": marker, "Tags": map[string]string{"k": marker}})
	a.do("logs:CreateLogStream", members{"LogGroupName": marker, "LogStreamName": marker})
	a.do("logs:PutLogEvents", members{
		"LogGroupName": marker, "LogStreamName": marker,
		"LogEvents": &logsapi.InputLogEvent{Message: new(marker), Timestamp: new(time.Now().UnixMilli())},
	})
	group := logsapi.GroupARN("us-east-1", a.account, marker).String()
	w.add(spelling{
		"logs:LogGroupName": marker, "logs:LogStreamName": marker, "logs:ResourceArn": group, "logs:TagKeys": "k", "logs:UntagLogGroup:Tags": "k",
	}, nil)
	for op, member := range map[string]string{
		"DescribeLogStreams": "LogGroupIdentifier", "FilterLogEvents": "LogGroupIdentifier", "GetLogEvents": "LogGroupIdentifier",
		"DescribeLogGroups": "LogGroupIdentifiers",
	} {
		w.add(nil, spelling{"logs:" + op + ":LogGroupName": nil, "logs:" + op + ":" + member: group})
	}
}

// makeKMS makes a key of every usage, and an alias, a grant and a ciphertext of the one that encrypts.
func (w *world) makeKMS(a *tenant) {
	id := func(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
	made := func(usage, spec string, ops ...string) string {
		arn := text(a.do("kms:CreateKey", members{
			"KeyUsage": usage, "KeySpec": spec, "Description": marker, "Tags": &kmsapi.Tag{TagKey: new("k"), TagValue: new(marker)},
		}), "KeyMetadata.Arn")
		for _, op := range ops {
			w.add(spelling{"kms:" + op + "KeyID": id(arn)}, spelling{"kms:" + op + "KeyID": arn})
		}
		return arn
	}
	secret := made("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "", "Source", "Destination", "Target")
	signing := made("SIGN_VERIFY", "ECC_NIST_P256", "Sign:", "Verify:", "GetPublicKey:")
	mac := made("GENERATE_VERIFY_MAC", "HMAC_256", "GenerateMac:", "VerifyMac:")
	agreement := made("KEY_AGREEMENT", "ECC_NIST_P256", "DeriveSharedSecret:")
	a.do("kms:CreateAlias", members{"AliasName": "alias/" + marker, "TargetKeyID": secret})
	w.add(spelling{
		"kms:GrantID": text(a.do("kms:CreateGrant", members{
			"KeyID": secret, "Name": marker, "GranteePrincipal": w.role, "RetiringPrincipal": w.role, "Operations": []string{"Decrypt"},
		}), "GrantID"),
		"kms:CiphertextBlob": a.do("kms:Encrypt", members{"KeyID": secret, "Plaintext": []byte(marker)}).(*kmsapi.EncryptOutput).CiphertextBlob,
		"kms:Signature": a.do("kms:Sign", members{
			"KeyID": signing, "Message": []byte(marker), "SigningAlgorithm": "ECDSA_SHA_256",
		}).(*kmsapi.SignOutput).Signature,
		"kms:Mac": a.do("kms:GenerateMac", members{
			"KeyID": mac, "Message": []byte(marker), "MacAlgorithm": "HMAC_SHA_256",
		}).(*kmsapi.GenerateMacOutput).Mac,
		"kms:PublicKey": a.do("kms:GetPublicKey", members{"KeyID": agreement}).(*kmsapi.GetPublicKeyOutput).PublicKey,

		"kms:Plaintext": []byte("plain"), "kms:Message": []byte(marker), "kms:PolicyName": "default", "kms:AliasName": "alias/" + marker,
		"kms:GenerateDataKey:KeySpec": "AES_256", "kms:GenerateDataKeyWithoutPlaintext:KeySpec": "AES_256", "kms:KeyPairSpec": "ECC_NIST_P256",
		"kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MacAlgorithm": "HMAC_SHA_256", "kms:KeyAgreementAlgorithm": "ECDH",
		"kms:RetiringPrincipal": w.role,
	}, spelling{"kms:Decrypt:KeyID": aws.NewARN("kms", "us-east-1", a.account, "alias/"+marker).String()})
}

// makeTrail makes a trail, and a job of Access Analyzer.
func (w *world) makeTrail(a *tenant) {
	trail := text(a.do("cloudtrail:CreateTrail", members{"Name": marker, "S3BucketName": marker}), "TrailARN")
	subject := &analyzerapi.PolicyGenerationDetails{PrincipalArn: &w.role}
	job := text(a.do("accessanalyzer:StartPolicyGeneration", members{"PolicyGenerationDetails": subject}), "JobID")
	until(a, func() bool {
		return text(a.do("accessanalyzer:GetGeneratedPolicy", members{"JobID": job}), "JobDetails.Status") != analyzerapi.JobStatusInProgress
	})
	w.add(spelling{
		"cloudtrail:Name": marker, "cloudtrail:TrailName": marker, "cloudtrail:TrailNameList": marker, "cloudtrail:ResourceIDList": trail,
		"cloudtrail:ResourceID": trail,

		"accessanalyzer:JobID":          job,
		"accessanalyzer:PolicyDocument": allowEverything, "accessanalyzer:PolicyType": "IDENTITY_POLICY",
		"accessanalyzer:CheckNoPublicAccess:PolicyDocument": openToAll, "accessanalyzer:ResourceType": "AWS::Lambda::Function",
		"accessanalyzer:Access":                  &analyzerapi.Access{Actions: []string{"lambda:GetFunction"}},
		"accessanalyzer:PolicyGenerationDetails": subject, "accessanalyzer:PrincipalArn": w.role,
	}, spelling{"cloudtrail:Name": trail, "cloudtrail:TrailName": trail, "cloudtrail:TrailNameList": trail})
}

// makeRepository makes a repository with an image, whose layers are one, and an upload that goes on.
func (w *world) makeRepository(a *tenant) {
	arn := text(a.do("ecr:CreateRepository", members{
		"RepositoryName": marker, "Tags": &ecrapi.Tag{Key: new("k"), Value: new(marker)},
	}), "Repository.RepositoryArn")
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(marker)))
	upload := func() string {
		return text(a.do("ecr:InitiateLayerUpload", members{"RepositoryName": marker}), "UploadID")
	}
	part := members{"RepositoryName": marker, "UploadID": upload(), "PartFirstByte": 0, "PartLastByte": len(marker) - 1, "LayerPartBlob": []byte(marker)}
	a.do("ecr:UploadLayerPart", part)
	a.do("ecr:CompleteLayerUpload", members{"RepositoryName": marker, "UploadID": part["UploadID"], "LayerDigests": digest})
	manifest := fmt.Sprintf(`{"schemaVersion":2,"config":{"digest":"%s","size":%d},"layers":[]}`, digest, len(marker))
	a.do("ecr:PutImage", members{"RepositoryName": marker, "ImageManifest": manifest, "ImageTag": marker})
	a.do("ecr:SetRepositoryPolicy", members{"RepositoryName": marker, "PolicyText": pullableByLambda})
	w.add(spelling{
		"ecr:RepositoryName": marker, "ecr:RepositoryNames": marker, "ecr:ImageIDs": &ecrapi.ImageIdentifier{ImageTag: new(marker)},
		"ecr:LayerDigest": digest, "ecr:LayerDigests": digest, "ecr:UploadID": upload(), "ecr:ResourceArn": arn, "ecr:ImageManifest": manifest,
		"ecr:PolicyText": pullableByLambda, "ecr:TagKeys": "k",
	}, spelling{"ecr:RegistryID": a.account, "ecr:RegistryIDs": a.account})
}

// makeQueues makes a queue and the one of its dead letters, of which a task moves what is there back.
func (w *world) makeQueues(a *tenant) {
	arn := func(name string) string { return aws.NewARN("sqs", "us-east-1", a.account, name).String() }
	w.queue = arn(marker)
	dead := text(a.do("sqs:CreateQueue", members{"QueueName": marker + "-dead"}), "QueueURL")
	url := text(a.do("sqs:CreateQueue", members{
		"QueueName": marker, "Tags": map[string]string{"k": marker},
		"Attributes": map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + arn(marker+"-dead") + `","maxReceiveCount":1}`},
	}), "QueueURL")
	a.do("sqs:SendMessage", members{"QueueURL": url, "MessageBody": marker})
	task := text(a.do("sqs:StartMessageMoveTask", members{"SourceArn": arn(marker + "-dead")}), "TaskHandle")
	until(a, func() bool {
		tasks := a.do("sqs:ListMessageMoveTasks", members{"SourceArn": arn(marker + "-dead")}).(*sqsapi.ListMessageMoveTasksOutput).Results
		return len(tasks) == 1 && *tasks[0].Status == "COMPLETED"
	})
	w.add(spelling{
		"sqs:QueueURL": url, "sqs:QueueName": marker, "sqs:SourceArn": arn(marker + "-dead"), "sqs:ListDeadLetterSourceQueues:QueueURL": dead,
		"sqs:AttributeNames": "All", "sqs:TaskHandle": task,
	}, spelling{"sqs:QueueOwnerAWSAccountID": a.account})
}

// makeTopic makes a topic that publishes to the queue.
func (w *world) makeTopic(a *tenant) {
	topic := text(a.do("sns:CreateTopic", members{"Name": marker, "Tags": &snsapi.Tag{Key: new("k"), Value: new(marker)}}), "TopicArn")
	subscription := text(a.do("sns:Subscribe", members{
		"TopicArn": topic, "Protocol": "sqs", "Endpoint": w.queue, "ReturnSubscriptionArn": true,
	}), "SubscriptionArn")
	w.add(spelling{"sns:TopicArn": topic, "sns:SubscriptionArn": subscription, "sns:ResourceArn": topic, "sns:Name": marker, "sns:Protocol": "sqs"}, nil)
}

// makeMapping makes the function's event source of the queue.
func (w *world) makeMapping(a *tenant) {
	a.do("iam:PutRolePolicy", members{
		"RoleName": marker, "PolicyName": "queues",
		"PolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]}`,
	})
	id := text(a.do("lambda:CreateEventSourceMapping", members{"FunctionName": w.function, "EventSourceArn": w.queue, "Enabled": false}), "UUID")
	until(a, func() bool {
		return text(a.do("lambda:GetEventSourceMapping", members{"UUID": id}), "State") == "Disabled"
	})
	w.add(spelling{"lambda:UUID": id, "lambda:EventSourceArn": w.queue}, nil)
}

// until waits for something that comes by itself.
func until(a *tenant, come func() bool) {
	a.t.Helper()
	for deadline := time.Now().Add(time.Minute); !come(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			a.t.Fatal("it did not come within a minute")
		}
	}
}
