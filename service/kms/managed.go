package kms

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// managedPrefix begins the aliases of the keys of AWS services.
const managedPrefix = "alias/aws/"

// managedServices are the services that have a key of their own, and what AWS calls them in the key's policy.
// See https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#aws-managed-cmk.
var managedServices = [...]struct{ name, title string }{
	{"lambda", "AWS Lambda"},
	{"s3", "S3"},
	{"sqs", "SQS"},
	{"sns", "SNS"},
	{"dynamodb", "DynamoDB"},
	{"kinesis", "Kinesis"},
	{"secretsmanager", "AWS Secrets Manager"},
	{"ssm", "SSM"},
	{"ebs", "EBS"},
	{"rds", "RDS"},
	{"elasticfilesystem", "EFS"},
	{"backup", "AWS Backup"},
	{"xray", "AWS X-Ray"},
	{"acm", "ACM"},
}

// managedRef is the key of a service in an account and Region.
func managedRef(sc store.Scope, service string) ref {
	sum := sha256.Sum256([]byte(store.Key("enfold managed key", sc.Account, sc.Region, service)))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // a UUID of version 8: made of what one likes
	h := hex.EncodeToString(sum[:16])
	return ref{sc, strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")}
}

// managedService is the service whose key r is; empty if it is none's.
func managedService(r ref) string {
	if len(r.id) != 36 || r.id[14] != '8' { // customers' keys are UUIDs of version 4
		return ""
	}
	for _, m := range managedServices {
		if managedRef(r.scope, m.name) == r {
			return m.name
		}
	}
	return ""
}

// makeManaged makes the key of a service with its alias.
func (s *Service) makeManaged(ctx context.Context, r ref, service string) (*key, error) {
	m, err := s.newMaterial(ctx, r, specs[api.KeySpecSymmetricDefault])
	if err != nil {
		return nil, err
	}
	now := s.clock()
	k := &key{r, keyRow{
		ID: r.id, Spec: api.KeySpecSymmetricDefault, Usage: api.KeyUsageTypeEncryptDecrypt, State: api.KeyStateEnabled,
		Manager: api.KeyManagerTypeAws, Service: service, Created: now,
		Description: "Default key that protects my " + managedTitle(service) + " data when no other key is defined",
		Policy:      managedPolicy(r.scope, service), Materials: []material{m},
		Rotation: rotation{Enabled: true, PeriodDays: defaultPeriodDays, Next: now.AddDate(0, 0, defaultPeriodDays)},
	}}
	err = s.db.Update(ctx, func(tx store.Tx) error {
		if _, err := keys.Put(tx, r.scope, r.id, k.keyRow, store.IfAbsent()); err != nil {
			return err
		}
		if _, err := rotating.Put(tx, r.scope, r.id, struct{}{}); err != nil {
			return err
		}
		return putAlias(tx, r, managedPrefix+service, aliasRow{Key: r.id, Created: now, Updated: now})
	})
	if errors.Is(err, store.ErrExists) { // another call was first
		err = s.db.View(ctx, func(tx store.Tx) (err error) {
			k, err = getKey(tx, r, now)
			return err
		})
		if err == nil && k == nil {
			err = r.notFound()
		}
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

func managedTitle(service string) string {
	for _, m := range managedServices {
		if m.name == service {
			return m.title
		}
	}
	return service
}

// managedPolicy lets everybody of the account use the key through its service, and look at it.
func managedPolicy(sc store.Scope, service string) string {
	title := managedTitle(service)
	text, err := json.MarshalIndent(policyText{
		Version: "2012-10-17", ID: "auto-" + service,
		Statement: []statementText{{
			Sid:       fmt.Sprintf("Allow access through %s for all principals in the account that are authorized to use %s", title, title),
			Effect:    "Allow",
			Principal: map[string]string{"AWS": "*"},
			Action: []string{
				"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant",
				"kms:DescribeKey",
			},
			Resource: "*",
			Condition: map[string]map[string]string{"StringEquals": {
				"kms:CallerAccount": sc.Account, "kms:ViaService": viaService(service+".amazonaws.com", sc.Region),
			}},
		}, {
			Sid: "Allow direct access to key metadata to the account", Effect: "Allow",
			Principal: map[string]string{"AWS": rootARN(sc.Account)},
			Action:    []string{"kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"},
			Resource:  "*",
		}},
	}, "", "  ")
	if err != nil {
		panic(err) // strings and maps of them
	}
	return string(text)
}

// ownServicePolicy lets a service use its own key when it acts by itself.
func ownServicePolicy(service string) string {
	return `{"Version":"2012-10-17","Statement":[{"Sid":"The service itself","Effect":"Allow","Principal":{"Service":"` + service +
		`.amazonaws.com"},"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:CreateGrant",` +
		`"kms:DescribeKey"],"Resource":"*"}]}`
}

// policyText is a policy as AWS writes one.
type policyText struct {
	Version   string
	ID        string `json:"Id"`
	Statement []statementText
}

type statementText struct {
	Sid, Effect string
	Principal   map[string]string
	Action      []string
	Resource    string
	Condition   map[string]map[string]string `json:",omitempty"`
}

func rootARN(account string) string { return aws.NewARN("iam", "", account, "root").String() }

// notForManaged refuses what nobody may do with the key of an AWS service.
func notForManaged(ctx context.Context, r ref) error {
	call := aws.CallFrom(ctx)
	action := "kms"
	if call.Op != nil {
		action = call.Op.Action
	}
	return aws.ErrAccessDenied.Withf("User: %s is not authorized to perform: %s on resource: %s because no resource-based "+
		"policy allows the %s action", call.Principal.Arn, action, r.arn(), action)
}
