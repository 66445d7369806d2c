package sts

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
)

// Errors of Open.
var (
	// ErrToken says that a session token is not one of ours, or not of this access key.
	ErrToken = errors.New("sts: the session token is not valid")
	// ErrExpired says that a session's time is over.
	ErrExpired = errors.New("sts: the session has expired")
)

const (
	sessionPrefix = "ASIA"
	maxToken      = 16 << 10 // bytes; ours are shorter than the policies in them times two
	maxKnown      = 4096     // sessions whose token was opened already
)

// sealed is what a session token holds.
type sealed struct {
	Secret    string
	Principal *aws.Principal
}

// issue makes the credentials of a session. p is completed with the access key's id and belongs to the session from here on.
func (s *Service) issue(p *aws.Principal) (*api.Credentials, error) {
	id, err := newKeyID(p.Account)
	if err != nil {
		return nil, err
	}
	p.AccessKeyID = id
	var secret [30]byte
	rand.Read(secret[:]) // never fails
	in := sealed{Secret: base64.StdEncoding.EncodeToString(secret[:]), Principal: p}
	plain, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encode session: %w", err)
	}
	token := base64.StdEncoding.EncodeToString(s.deps.Seal.Seal(plain, []byte(id)))
	if len(token) > maxToken {
		return nil, api.ErrPackedPolicyTooLarge.New("Serialized token too large for session")
	}
	expires := p.Session.Expires.Truncate(time.Second)
	return &api.Credentials{AccessKeyID: &id, SecretAccessKey: &in.Secret, SessionToken: &token, Expiration: &expires}, nil
}

// Open answers the secret of a session's access key and whom it speaks for, ErrToken or ErrExpired. It runs for every
// request that such a key signs, before the signature is known to be right.
func (s *Service) Open(accessKeyID, token string) ([]byte, *aws.Principal, error) {
	if len(token) > maxToken {
		return nil, nil, ErrToken
	}
	in := s.known.get(accessKeyID, token)
	if in == nil {
		var err error
		if in, err = s.open(accessKeyID, token); err != nil {
			return nil, nil, err
		}
		s.known.put(accessKeyID, token, in)
	}
	if !s.deps.Now().Before(in.principal.Session.Expires) {
		return nil, nil, ErrExpired
	}
	return in.secret, in.principal, nil
}

func (s *Service) open(accessKeyID, token string) (*opened, error) {
	b, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return nil, ErrToken
	}
	plain, err := s.deps.Seal.Open(b, []byte(accessKeyID))
	if err != nil {
		return nil, ErrToken
	}
	var in sealed
	if err := json.Unmarshal(plain, &in); err != nil || in.Principal == nil || in.Principal.Session == nil {
		return nil, ErrToken // of another release
	}
	return &opened{hash: sha256.Sum256([]byte(token)), secret: []byte(in.Secret), principal: in.Principal}, nil
}

// opened is a token that was opened.
type opened struct {
	hash      [sha256.Size]byte
	secret    []byte
	principal *aws.Principal
}

// known are tokens that were opened lately: opening costs some ten microseconds. Only what this service made opens, so
// strangers cannot fill it.
type known struct {
	mu  sync.RWMutex
	all map[string]*opened
}

func (k *known) get(accessKeyID, token string) *opened {
	k.mu.RLock()
	o := k.all[accessKeyID]
	k.mu.RUnlock()
	if o == nil {
		return nil
	}
	hash := sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(hash[:], o.hash[:]) != 1 {
		return nil
	}
	return o
}

func (k *known) put(accessKeyID, _ string, o *opened) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil {
		k.all = map[string]*opened{}
	}
	if len(k.all) >= maxKnown {
		for id := range k.all { // any: map order is random, and a lost entry is opened again
			delete(k.all, id)
			break
		}
	}
	k.all[accessKeyID] = o
}

// An access key's id names its account, as AWS's do: 40 bits of the first 48, from bit 7.
const idAccountShift = 7

func newKeyID(account string) (string, error) {
	n, err := strconv.ParseUint(account, 10, 40)
	if err != nil {
		return "", fmt.Errorf("account %q is not a number of 12 digits", account)
	}
	var b [10]byte
	rand.Read(b[:]) // never fails
	head := binary.BigEndian.Uint64(b[:8]) >> 16
	head = head&(1<<idAccountShift-1) | 1<<47 | n<<idAccountShift
	binary.BigEndian.PutUint64(b[:8], head<<16|binary.BigEndian.Uint64(b[:8])&0xffff)
	return sessionPrefix + base32.StdEncoding.EncodeToString(b[:]), nil
}

func accountOfID(id string) (string, bool) {
	if len(id) != 20 {
		return "", false
	}
	b, err := base32.StdEncoding.DecodeString(id[4:])
	if err != nil {
		return "", false
	}
	head := binary.BigEndian.Uint64(b[:8]) >> 16
	return fmt.Sprintf("%012d", head>>idAccountShift&(1<<40-1)), true
}
