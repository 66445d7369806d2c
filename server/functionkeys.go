package server

import (
	"context"
	"slices"

	"github.com/google/uuid"

	kmsapi "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/service/lambda"
	"github.com/enfold-run/enfold/store"
)

// functionKeys uses KMS keys for Lambda, in the name of the client, of a function's role, or of Lambda itself: the key's policy
// decides, and the audit trail has it.
type functionKeys struct {
	sessions *sessions
	kms      kmsapi.API
	names    keyFinder
}

// keyFinder tells the key that an ARN, an id or an alias means: KMS.
type keyFinder interface {
	FindKey(ctx context.Context, keyID string, aliases bool) (arn string, err error)
}

// Grant implements lambda.KMS. A grant that is there already is not made twice.
func (k functionKeys) Grant(ctx context.Context, use lambda.KMSUse) error {
	ctx, err := k.as(ctx, use)
	if err != nil {
		return err
	}
	key, err := k.names.FindKey(ctx, use.Key, true)
	if err != nil {
		return err
	}
	_, err = k.kms.CreateGrant(ctx, &kmsapi.CreateGrantInput{
		KeyID: &key, Name: new("lambda-" + use.Function), GranteePrincipal: &lambdaService.Service,
		Operations:  []string{kmsapi.GrantOperationEncrypt, kmsapi.GrantOperationDecrypt},
		Constraints: &kmsapi.GrantConstraints{EncryptionContextEquals: use.Context},
	})
	return err
}

// Encrypt implements lambda.KMS.
func (k functionKeys) Encrypt(ctx context.Context, use lambda.KMSUse, plaintext []byte) ([]byte, error) {
	ctx, err := k.as(ctx, use)
	if err != nil {
		return nil, err
	}
	out, err := k.kms.Encrypt(ctx, &kmsapi.EncryptInput{KeyID: &use.Key, Plaintext: plaintext, EncryptionContext: use.Context})
	if err != nil {
		return nil, err
	}
	return out.CiphertextBlob, nil
}

// Decrypt implements lambda.KMS.
func (k functionKeys) Decrypt(ctx context.Context, use lambda.KMSUse, ciphertext []byte) ([]byte, error) {
	ctx, err := k.as(ctx, use)
	if err != nil {
		return nil, err
	}
	out, err := k.kms.Decrypt(ctx, &kmsapi.DecryptInput{KeyID: &use.Key, CiphertextBlob: ciphertext, EncryptionContext: use.Context})
	if err != nil {
		return nil, err
	}
	return out.Plaintext, nil
}

// as is a context whose calls are the client's, through Lambda, or those of a session of the function's role, or Lambda's own.
func (k functionKeys) as(ctx context.Context, use lambda.KMSUse) (context.Context, error) {
	if use.Service {
		return ofLambda(ctx, use.Key)
	}
	call := *use.Call
	call.RequestID, call.Via = uuid.NewString(), append(slices.Clip(call.Via), lambdaService.Service)
	call.SourceIP, call.UserAgent = lambdaService.Service, lambdaService.Service
	if use.Role == "" {
		return aws.WithCall(ctx, &call), nil
	}
	p, err := k.sessions.Session(ctx, store.Scope{Account: call.Account, Region: call.Region}, use.Role, use.Function)
	if err != nil {
		return nil, err
	}
	call.Principal, call.Account = p, p.Account
	return aws.WithCall(ctx, &call), nil
}

// ofLambda is a context for calls of Lambda itself, where the key is.
func ofLambda(ctx context.Context, key string) (context.Context, error) {
	at, err := aws.ParseARN(key)
	if err != nil {
		return nil, err
	}
	return aws.WithCall(ctx, &aws.Call{
		Principal: lambdaService, Account: at.Account, Region: at.Region, RequestID: uuid.NewString(), Secure: true,
		SourceIP: lambdaService.Service, UserAgent: lambdaService.Service, SourceAccount: at.Account,
	}), nil
}
