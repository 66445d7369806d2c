package sns

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// Messages of a topic with KmsMasterKeyId lie under a data key of that key, until they are delivered.
// See https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html.
const (
	dataKeyTime = 5 * time.Minute // for which a data key is used again
	maxDataKeys = 1000            // that are remembered, of either kind
	// keyPatience is how long a message waits for a key that cannot be used now, as long as one for a queue that is not there.
	keyPatience = 23 * 24 * time.Hour
)

// KMS uses keys in the name of who publishes.
type KMS interface {
	// DataKey makes a data key with a key, in the clear and encrypted, if the principal of the call in ctx may. The error is KMS's
	// *aws.Error.
	DataKey(ctx context.Context, key, topicArn string) (plain, blob []byte, err error)
	// Open decrypts a data key that was made for the topic, in the name of the principal of the call in ctx.
	Open(ctx context.Context, blob []byte, topicArn string) (plain []byte, err error)
}

// lock is what a message lies under.
type lock struct {
	lockRow
	key *seal.Key

	sealed map[[sha256.Size]byte][]byte // of a fan-out: the same message is sealed once
}

// lockRow is what lies beside the message, under the outbox's own key.
type lockRow struct {
	Blob  []byte // the data key, encrypted
	Topic string
	By    publisher
	Sum   [sha256.Size]byte // of Blob and the message, by which a large one is found again that lies once for many deliveries
}

// publisher is who published: the message is opened with its rights.
type publisher struct {
	Principal                          *aws.Principal
	Account, Region                    string
	SourceArn, SourceAccount, SourceIP string `json:",omitempty"`
	UserAgent                          string `json:",omitempty"`
	Secure                             bool
	Via                                []string `json:",omitempty"`
}

// lockedMark begins a message under a lock: others begin with a brace.
const lockedMark = 1

// dataKeys are the data keys of the last minutes.
type dataKeys struct {
	mu       sync.Mutex
	sealing  map[string]dataKey // by principal, key and topic
	openings map[string]dataKey // by encrypted data key
}

type dataKey struct {
	key   *seal.Key
	blob  []byte
	until time.Time
}

func (k *dataKeys) get(m *map[string]dataKey, name string, now time.Time) (dataKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	d, ok := (*m)[name]
	return d, ok && now.Before(d.until)
}

func (k *dataKeys) put(m *map[string]dataKey, name string, d dataKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if *m == nil || len(*m) >= maxDataKeys {
		*m = map[string]dataKey{}
	}
	(*m)[name] = d
}

// newDataKey takes the plain key over.
func (s *Service) newDataKey(plain, blob []byte) (dataKey, error) {
	defer clear(plain)
	root, err := seal.NewRoot(plain)
	if err != nil {
		return dataKey{}, err
	}
	return dataKey{root.Key("sns message"), blob, s.deps.Now().Add(dataKeyTime)}, nil
}

// lockFor is what messages of a topic lie under; nil if the topic has no key. Who publishes must be allowed to make data keys with
// it, and to decrypt them.
func (s *Service) lockFor(ctx context.Context, arn aws.ARN) (*lock, error) {
	var key string
	err := s.db.View(ctx, func(tx store.Tx) error {
		t, err := getTopic(tx, arn)
		if err != nil {
			return err
		}
		key = t.attribute("KmsMasterKeyId")
		return nil
	})
	if err != nil || key == "" {
		return nil, err
	}
	if s.deps.KMS == nil {
		return nil, api.ErrKMSOptInRequired.New("There is no KMS")
	}
	call := aws.CallFrom(ctx)
	l := &lock{lockRow: lockRow{Topic: arn.String(), By: publisher{
		call.Principal, call.Account, call.Region, call.SourceArn, call.SourceAccount, call.SourceIP, call.UserAgent, call.Secure, call.Via,
	}}}
	who, err := json.Marshal(call.Principal)
	if err != nil {
		return nil, fmt.Errorf("encode principal: %w", err)
	}
	name := string(who) + "\x00" + key + "\x00" + l.Topic
	d, ok := s.dataKeys.get(&s.dataKeys.sealing, name, s.deps.Now())
	if !ok {
		if d, err = s.makeDataKey(ctx, key, l.Topic); err != nil {
			return nil, keyError(err)
		}
		s.dataKeys.put(&s.dataKeys.sealing, name, d)
	}
	l.Blob, l.key = d.blob, d.key
	return l, nil
}

// makeDataKey makes a data key and holds that it can be decrypted again.
func (s *Service) makeDataKey(ctx context.Context, key, topic string) (dataKey, error) {
	plain, blob, err := s.deps.KMS.DataKey(ctx, key, topic)
	if err != nil {
		return dataKey{}, err
	}
	clear(plain)
	if plain, err = s.deps.KMS.Open(ctx, blob, topic); err != nil {
		return dataKey{}, err
	}
	d, err := s.newDataKey(plain, blob)
	if err == nil {
		s.dataKeys.put(&s.dataKeys.openings, string(blob), d)
	}
	return d, err
}

// seal is an encoded message under the lock.
func (l *lock) seal(b []byte) ([]byte, error) {
	row := l.lockRow
	row.Sum = sha256.Sum256(append(slices.Clone(l.Blob), b...))
	if sealed := l.sealed[row.Sum]; sealed != nil {
		return sealed, nil
	}
	head, err := json.Marshal(row)
	if err != nil {
		return nil, fmt.Errorf("encode lock: %w", err)
	}
	out := binary.AppendUvarint([]byte{lockedMark}, uint64(len(head)))
	out = append(append(out, head...), l.key.Seal(b, []byte(l.Topic))...)
	if l.sealed != nil {
		l.sealed[row.Sum] = out
	}
	return out, nil
}

var errLocked = errors.New("sns: a stored message is damaged")

// cutLock takes the row and the sealed message apart; false if the message lies under no lock.
func cutLock(b []byte) (row lockRow, sealed []byte, locked bool, err error) {
	if len(b) == 0 || b[0] != lockedMark {
		return row, b, false, nil
	}
	n, size := binary.Uvarint(b[1:])
	if size <= 0 || n > uint64(len(b)-1-size) {
		return row, nil, true, errLocked
	}
	at := 1 + size
	if err := json.Unmarshal(b[at:at+int(n)], &row); err != nil {
		return row, nil, true, fmt.Errorf("%w: %w", errLocked, err)
	}
	return row, b[at+int(n):], true, nil
}

// sumOf tells encoded messages apart.
func sumOf(b []byte) [sha256.Size]byte {
	if row, _, locked, err := cutLock(b); locked && err == nil {
		return row.Sum
	}
	return sha256.Sum256(b)
}

// unlock is the encoded message in what lies on the disk, and what it lies under; nil if it lies open. The error is permanent
// unless the key may be usable later.
func (s *Service) unlock(ctx context.Context, d *event.Delivery, b []byte) ([]byte, *lock, error) {
	row, rest, locked, err := cutLock(b)
	if err != nil {
		return nil, nil, event.Permanent(err)
	}
	if !locked {
		return b, nil, nil
	}
	l := &lock{lockRow: row, sealed: map[[sha256.Size]byte][]byte{}}
	k, ok := s.dataKeys.get(&s.dataKeys.openings, string(l.Blob), s.deps.Now())
	if !ok {
		if k, err = s.openDataKey(ctx, l); err != nil {
			return nil, nil, s.lockedOut(d, err)
		}
	}
	l.key = k.key
	plain, err := l.key.Open(rest, []byte(l.Topic))
	if err != nil {
		return nil, nil, event.Permanent(fmt.Errorf("%w: %w", errLocked, err))
	}
	return plain, l, nil
}

// openDataKey decrypts the data key of a message with the rights of who published it.
func (s *Service) openDataKey(ctx context.Context, l *lock) (dataKey, error) {
	if s.deps.KMS == nil {
		return dataKey{}, errors.New("sns: there is no KMS to open a message with")
	}
	by := l.By
	plain, err := s.deps.KMS.Open(aws.WithCall(ctx, &aws.Call{
		Principal: by.Principal, Account: by.Account, Region: by.Region, SourceArn: by.SourceArn, SourceAccount: by.SourceAccount,
		SourceIP: by.SourceIP, UserAgent: by.UserAgent, Secure: by.Secure, Via: by.Via,
	}), l.Blob, l.Topic)
	if err != nil {
		return dataKey{}, err
	}
	k, err := s.newDataKey(plain, l.Blob)
	if err == nil {
		s.dataKeys.put(&s.dataKeys.openings, string(l.Blob), k)
	}
	return k, err
}

// lockedOut says what becomes of a message whose key cannot be used: it waits for a key that is disabled or refuses, and ends with
// one that is gone.
func (s *Service) lockedOut(d *event.Delivery, err error) error {
	err = keyError(err)
	s.deps.Log.Warn("a message cannot be opened", "delivery", d.ID, "for", d.Target, "error", err)
	var e *aws.Error
	if errors.As(err, &e) && e.Type == api.ErrKMSNotFound || s.deps.Now().Sub(d.Emitted) > keyPatience {
		return event.Permanent(err)
	}
	return event.Later(err, 0)
}

// keyError is KMS's refusal as SNS tells it.
func keyError(err error) error {
	var e *aws.Error
	if !errors.As(err, &e) {
		return err
	}
	as := map[string]*aws.ErrorType{
		"NotFoundException": api.ErrKMSNotFound, "DisabledException": api.ErrKMSDisabled, "KMSInvalidStateException": api.ErrKMSInvalidState,
		"AccessDeniedException": api.ErrKMSAccessDenied, "ThrottlingException": api.ErrKMSThrottling,
	}[e.Type.Code]
	if as == nil {
		return err
	}
	return as.New(e.Message).Because(err)
}
