package sqs

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	kmsapi "github.com/enfold-run/enfold/api/kms"
	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/seal"
)

// dataKeys are the data keys that KMS gave out, for as long as their queues say that they are used again. What a principal
// got is for nobody else: KMS decides about each.
type dataKeys struct {
	mu       sync.Mutex
	sealing  map[string]dataKey // by principal, KMS key and queue
	openings map[string]dataKey // by principal and encrypted data key
}

type dataKey struct {
	key   *seal.Key
	blob  []byte
	until time.Time
}

const maxDataKeys = 1000 // of either kind

func keep(m *map[string]dataKey, name string, k dataKey) {
	if *m == nil || len(*m) >= maxDataKeys {
		*m = map[string]dataKey{}
	}
	(*m)[name] = k
}

func newDataKey(plain, blob []byte, until time.Time) (dataKey, error) {
	defer clear(plain)
	root, err := seal.NewRoot(plain)
	if err != nil {
		return dataKey{}, err
	}
	return dataKey{root.Key("sqs message"), blob, until}, nil
}

// seal makes what the store keeps of a message.
func (s *Service) seal(ctx context.Context, q *queue, c *content, now time.Time) ([]byte, error) {
	e := envelope{sent: now}
	k := s.sealed
	if q.kmsKey != "" {
		d, err := s.sealingKey(ctx, q)
		if err != nil {
			return nil, err
		}
		k, e.key, e.keyFor = d.key, d.blob, q.arn()
	}
	e.sealed = k.Seal(c.encode(), place(q.scope))
	return e.encode(), nil
}

// unseal opens what the store keeps of a message.
func (s *Service) unseal(ctx context.Context, q *queue, e *envelope) (*content, error) {
	if len(e.key) == 0 {
		return e.open(s.sealed, q.scope)
	}
	k, err := s.openingKey(ctx, q, e)
	if err != nil {
		return nil, err
	}
	return e.open(k, q.scope)
}

func (s *Service) sealingKey(ctx context.Context, q *queue) (dataKey, error) {
	ctx, who := asSQS(ctx, q)
	name := who + "\x00" + q.kmsKey + "\x00" + q.arn()
	s.dataKeys.mu.Lock()
	k, ok := s.dataKeys.sealing[name]
	s.dataKeys.mu.Unlock()
	if ok && s.now().Before(k.until) {
		return k, nil
	}
	if s.kms == nil {
		return k, api.ErrKmsDisabled.New("There is no KMS here.")
	}
	out, err := s.kms.GenerateDataKey(ctx, &kmsapi.GenerateDataKeyInput{
		KeyID: &q.kmsKey, KeySpec: new(kmsapi.DataKeySpecAes256), EncryptionContext: contextOf(q.arn()),
	})
	if err != nil {
		return k, kmsError(err)
	}
	k, err = newDataKey(out.Plaintext, out.CiphertextBlob, s.now().Add(time.Duration(q.kmsReuse)*time.Second))
	if err != nil {
		return k, err
	}
	s.dataKeys.mu.Lock()
	defer s.dataKeys.mu.Unlock()
	keep(&s.dataKeys.sealing, name, k)
	return k, nil
}

func (s *Service) openingKey(ctx context.Context, q *queue, e *envelope) (*seal.Key, error) {
	ctx, who := asSQS(ctx, q)
	sum := sha256.Sum256(e.key)
	name := who + "\x00" + string(sum[:])
	s.dataKeys.mu.Lock()
	k, ok := s.dataKeys.openings[name]
	s.dataKeys.mu.Unlock()
	if ok && s.now().Before(k.until) {
		return k.key, nil
	}
	if s.kms == nil {
		return nil, api.ErrKmsDisabled.New("There is no KMS here.")
	}
	out, err := s.kms.Decrypt(ctx, &kmsapi.DecryptInput{CiphertextBlob: e.key, EncryptionContext: contextOf(e.keyFor)})
	if err != nil {
		return nil, kmsError(err)
	}
	k, err = newDataKey(out.Plaintext, nil, s.now().Add(time.Duration(q.kmsReuse)*time.Second))
	if err != nil {
		return nil, err
	}
	s.dataKeys.mu.Lock()
	defer s.dataKeys.mu.Unlock()
	keep(&s.dataKeys.openings, name, k)
	return k.key, nil
}

// contextOf is the encryption context of a queue's data keys, as SQS has it.
func contextOf(arn string) map[string]string { return map[string]string{"aws:sqs:arn": arn} }

// asSQS is a context whose calls are the client's, through SQS, and who the client is.
func asSQS(ctx context.Context, q *queue) (context.Context, string) {
	call := *aws.CallFrom(ctx)
	call.RequestID, call.Account, call.Region = uuid.NewString(), q.scope.Account, q.scope.Region
	call.Via = append(append([]string(nil), call.Via...), "sqs.amazonaws.com")
	who := ""
	if p := call.Principal; p != nil {
		who = string(p.Type) + "\x00" + p.Arn + "\x00" + p.AccessKeyID
	}
	return aws.WithCall(ctx, &call), who
}

// kmsError is an error of KMS as SQS answers it.
func kmsError(err error) error {
	e, ok := errors.AsType[*aws.Error](err)
	if !ok {
		return err
	}
	for _, m := range []struct{ from, to *aws.ErrorType }{
		{kmsapi.ErrNotFound, api.ErrKmsNotFound},
		{kmsapi.ErrDisabled, api.ErrKmsDisabled},
		{kmsapi.ErrInvalidKeyUsage, api.ErrKmsInvalidKeyUsage},
		{kmsapi.ErrKMSInvalidState, api.ErrKmsInvalidState},
		{aws.ErrAccessDenied, api.ErrKmsAccessDenied},
		{aws.ErrThrottling, api.ErrKmsThrottled},
	} {
		if e.Type == m.from {
			return m.to.New(e.Message).Because(err)
		}
	}
	return err
}
