package kms

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// ConditionValues finds the condition keys of KMS for a call on a resource, and the key's tags. The name comes in lower case
// but for what follows a slash.
// See https://docs.aws.amazon.com/kms/latest/developerguide/policy-conditions.html.
func (s *Service) ConditionValues(ctx context.Context, call *aws.Call, arn, name string) ([]string, bool) {
	if call.Op == nil || call.Principal == nil || call.Op.Service != api.Service {
		return nil, false
	}
	s.knowReEncrypted(ctx, call)
	if v, ok := ofRequest(call, arn, name); ok {
		return v, true
	}
	short, ok := strings.CutPrefix(name, "kms:")
	if !ok && !strings.HasPrefix(name, "aws:resourcetag/") {
		return nil, false
	}
	if in, ok := call.Input.(*api.CreateKeyInput); ok {
		return ofNewKey(in, short)
	}
	return s.ofKey(ctx, arn, name)
}

// ofRequest are the keys that the request alone tells.
func ofRequest(call *aws.Call, arn, name string) ([]string, bool) {
	if pair, ok := strings.CutPrefix(name, "kms:encryptioncontext:"); ok {
		return contextValues(call, arn, pair)
	}
	switch name {
	case "kms:calleraccount":
		return nonEmpty(callerAccount(call))
	case "kms:viaservice":
		return viaServices(call)
	case "kms:encryptioncontextkeys":
		context, has := contextFor(call, arn)
		if !has || len(context) == 0 {
			return nil, false
		}
		return slices.Sorted(maps.Keys(context)), true
	case "kms:encryptionalgorithm":
		return nonEmpty(encryptionAlgorithm(call, arn))
	case "kms:requestalias":
		return nonEmpty(requestAlias(call))
	case "kms:grantconstrainttype", "kms:grantoperations", "kms:grantisforawsresource",
		"kms:granteeserviceprincipal", "kms:retiringserviceprincipal":
		return ofGrant(call, name)
	case "kms:reencryptonsamekey":
		if in, ok := call.Input.(*api.ReEncryptInput); ok {
			from, to := reEncrypted(call, in)
			return []string{strconv.FormatBool(from == to)}, true
		}
		return nil, false
	case "kms:messagetype":
		return messageType(call)
	}
	return ofMember(call, name)
}

// memberKeys are condition keys that are a member of the input, whatever the operation.
var memberKeys = map[string]string{
	"kms:signingalgorithm":                       "SigningAlgorithm",
	"kms:macalgorithm":                           "MacAlgorithm",
	"kms:keyagreementalgorithm":                  "KeyAgreementAlgorithm",
	"kms:datakeypairspec":                        "KeyPairSpec",
	"kms:granteeprincipal":                       "GranteePrincipal",
	"kms:retiringprincipal":                      "RetiringPrincipal",
	"kms:rotationperiodindays":                   "RotationPeriodInDays",
	"kms:schedulekeydeletionpendingwindowindays": "PendingWindowInDays",
	"kms:bypasspolicylockoutsafetycheck":         "BypassPolicyLockoutSafetyCheck",
}

func ofMember(call *aws.Call, name string) ([]string, bool) {
	member, ok := memberKeys[name]
	if !ok {
		return nil, false
	}
	if name == "kms:bypasspolicylockoutsafetycheck" {
		switch in := call.Input.(type) {
		case *api.CreateKeyInput:
			return []string{strconv.FormatBool(value(in.BypassPolicyLockoutSafetyCheck))}, true
		case *api.PutKeyPolicyInput:
			return []string{strconv.FormatBool(value(in.BypassPolicyLockoutSafetyCheck))}, true
		}
		return nil, false
	}
	if in, ok := call.Input.(*api.ScheduleKeyDeletionInput); ok && in.PendingWindowInDays == nil && member == "PendingWindowInDays" {
		return []string{strconv.Itoa(defaultWindow)}, true
	}
	in := reflect.Indirect(reflect.ValueOf(call.Input))
	if in.Kind() != reflect.Struct {
		return nil, false
	}
	f := in.FieldByName(member)
	if !f.IsValid() || f.Kind() != reflect.Pointer || f.IsNil() {
		return nil, false
	}
	switch v := f.Elem(); v.Kind() {
	case reflect.String:
		return []string{v.String()}, true
	case reflect.Int:
		return []string{strconv.FormatInt(v.Int(), 10)}, true
	}
	return nil, false
}

// contextOf is the encryption context of a call for what it does, and whether it has to do with one at all.
func contextOf(call *aws.Call, op string) (map[string]string, bool) {
	switch in := call.Input.(type) {
	case *api.EncryptInput:
		return in.EncryptionContext, true
	case *api.DecryptInput:
		return in.EncryptionContext, true
	case *api.GenerateDataKeyInput:
		return in.EncryptionContext, true
	case *api.GenerateDataKeyWithoutPlaintextInput:
		return in.EncryptionContext, true
	case *api.GenerateDataKeyPairInput:
		return in.EncryptionContext, true
	case *api.GenerateDataKeyPairWithoutPlaintextInput:
		return in.EncryptionContext, true
	case *api.ReEncryptInput:
		if op == api.GrantOperationReEncryptFrom {
			return in.SourceEncryptionContext, true
		}
		return in.DestinationEncryptionContext, true
	}
	return nil, false
}

// contextFor is the encryption context of a call on a key. A ReEncrypt of one key to itself has two; where they differ there
// is none that a condition could be sure of.
func contextFor(call *aws.Call, arn string) (map[string]string, bool) {
	switch in := call.Input.(type) {
	case *api.CreateGrantInput:
		if c := in.Constraints; c != nil && c.EncryptionContextEquals != nil {
			return c.EncryptionContextEquals, true
		} else if c != nil && c.EncryptionContextSubset != nil {
			return c.EncryptionContextSubset, true
		}
		return nil, false
	case *api.ReEncryptInput:
		from, to := reEncrypted(call, in)
		if from == to && !maps.Equal(in.SourceEncryptionContext, in.DestinationEncryptionContext) {
			return nil, false
		}
		if from.arn() == arn {
			return contextOf(call, api.GrantOperationReEncryptFrom)
		}
	}
	return contextOf(call, "")
}

// contextValues are the values of an encryption context's key, whose case does not count in the name of a condition.
func contextValues(call *aws.Call, arn, name string) ([]string, bool) {
	context, _ := contextFor(call, arn)
	var all []string
	for _, k := range slices.Sorted(maps.Keys(context)) {
		if strings.EqualFold(k, name) {
			all = append(all, context[k])
		}
	}
	return all, len(all) > 0
}

func callerAccount(call *aws.Call) string {
	switch {
	case call.Principal.Account != "":
		return call.Principal.Account
	case call.SourceAccount != "":
		return call.SourceAccount
	}
	return call.Account
}

// viaServices is the service through which the principal's request came, as KMS spells it.
func viaServices(call *aws.Call) ([]string, bool) {
	if len(call.Via) == 0 {
		return nil, false
	}
	return []string{viaService(call.Via[len(call.Via)-1], call.Region)}, true
}

// viaService is "lambda.us-east-1.amazonaws.com" of "lambda.amazonaws.com".
func viaService(service, region string) string {
	return strings.TrimSuffix(service, ".amazonaws.com") + "." + region + ".amazonaws.com"
}

func encryptionAlgorithm(call *aws.Call, arn string) string {
	var a *string
	switch in := call.Input.(type) {
	case *api.EncryptInput:
		a = in.EncryptionAlgorithm
	case *api.DecryptInput:
		a = in.EncryptionAlgorithm
	case *api.ReEncryptInput:
		from, to := reEncrypted(call, in)
		if from == to && value(in.SourceEncryptionAlgorithm) != value(in.DestinationEncryptionAlgorithm) {
			return ""
		}
		a = in.DestinationEncryptionAlgorithm
		if from.arn() == arn {
			a = in.SourceEncryptionAlgorithm
		}
	default:
		if _, has := contextOf(call, ""); !has {
			return ""
		}
	}
	if a == nil {
		return api.EncryptionAlgorithmSpecSymmetricDefault
	}
	return *a
}

// requestAlias is the alias that the request names the key by.
func requestAlias(call *aws.Call) string {
	in := reflect.Indirect(reflect.ValueOf(call.Input))
	if in.Kind() != reflect.Struct {
		return ""
	}
	for _, member := range []string{"KeyID", "DestinationKeyID"} {
		f := in.FieldByName(member)
		if !f.IsValid() {
			continue
		}
		if id, ok := reflect.TypeAssert[*string](f); ok && id != nil {
			n, err := api.ParseKeyName(*id)
			if err == nil {
				return n.Alias
			}
		}
	}
	return ""
}

func ofGrant(call *aws.Call, name string) ([]string, bool) {
	in, ok := call.Input.(*api.CreateGrantInput)
	if !ok {
		return nil, false
	}
	switch name {
	case "kms:grantoperations":
		return in.Operations, len(in.Operations) > 0
	case "kms:grantisforawsresource":
		return []string{strconv.FormatBool(len(call.Via) > 0 || call.Principal.Type == aws.ServiceType)}, true
	case "kms:granteeserviceprincipal":
		return service(in.GranteePrincipal)
	case "kms:retiringserviceprincipal":
		return service(in.RetiringPrincipal)
	}
	switch c := in.Constraints; {
	case c != nil && c.EncryptionContextEquals != nil:
		return []string{"EncryptionContextEquals"}, true
	case c != nil && c.EncryptionContextSubset != nil:
		return []string{"EncryptionContextSubset"}, true
	}
	return nil, false
}

func service(p *string) ([]string, bool) {
	if p == nil || !isService(*p) {
		return nil, false
	}
	return []string{*p}, true
}

// messageType is RAW unless the request says otherwise.
func messageType(call *aws.Call) ([]string, bool) {
	var t *string
	switch in := call.Input.(type) {
	case *api.SignInput:
		t = in.MessageType
	case *api.VerifyInput:
		t = in.MessageType
	default:
		return nil, false
	}
	if t == nil {
		return []string{api.MessageTypeRaw}, true
	}
	return []string{*t}, true
}

// ofNewKey are the keys of a key that is to be made.
func ofNewKey(in *api.CreateKeyInput, short string) ([]string, bool) {
	sp, usage, err := specAndUsage(in)
	if err != nil {
		return nil, false
	}
	switch short {
	case "keyspec":
		return []string{sp.name}, true
	case "keyusage":
		return []string{usage}, true
	case "keyorigin":
		return []string{api.OriginTypeAwsKms}, true
	case "multiregion":
		return []string{strconv.FormatBool(value(in.MultiRegion))}, true
	case "multiregionkeytype":
		if value(in.MultiRegion) {
			return []string{api.MultiRegionKeyTypePrimary}, true
		}
	}
	return nil, false
}

// ofKey are the keys that the KMS key tells.
func (s *Service) ofKey(ctx context.Context, arn, name string) ([]string, bool) {
	r, ok := keyOf(arn)
	if !ok {
		return nil, false
	}
	var k *key
	var names []string
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		if k, err = getKey(tx, r, s.now()); err != nil || name != "kms:resourcealiases" {
			return err
		}
		prefix := store.Prefix(r.id)
		names, err = collectKeys(aliasesOfKeys.Scan(tx, r.scope, store.Range{Prefix: prefix}))
		for i := range names {
			names[i] = strings.TrimPrefix(names[i], prefix)
		}
		return err
	})
	if err != nil {
		s.log.Error("read a key for its conditions", "key", r.id, "error", err)
		return nil, false
	}
	if k == nil {
		return nil, false
	}
	if wanted, ok := strings.CutPrefix(name, "aws:resourcetag/"); ok {
		for _, t := range k.Tags {
			if strings.EqualFold(t.Key, wanted) {
				return []string{t.Value}, true
			}
		}
		return nil, false
	}
	switch name {
	case "kms:resourcealiases":
		return names, len(names) > 0
	case "kms:keyspec":
		return []string{k.Spec}, true
	case "kms:keyusage":
		return []string{k.Usage}, true
	case "kms:keyorigin":
		return []string{api.OriginTypeAwsKms}, true
	case "kms:multiregion":
		return []string{strconv.FormatBool(k.MultiRegion)}, true
	case "kms:multiregionkeytype":
		if k.MultiRegion {
			return []string{api.MultiRegionKeyTypePrimary}, true
		}
	}
	return nil, false
}

func nonEmpty(s string) ([]string, bool) {
	if s == "" {
		return nil, false
	}
	return []string{s}, true
}
