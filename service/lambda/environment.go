package lambda

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// environment is a function's variables as its rows hold them: sealed, and bound to the function.
type environment struct {
	Sealed []byte // the variables as JSON
	// Wrapped is the key that sealed them, encrypted with the function's KMS key, or with Lambda's own in the account if it has
	// none. Empty if the server's own key sealed them, as it did before there was a KMS.
	Wrapped []byte `json:",omitempty"`
	// Digest is a hash of the variables, sealed with the server's own key, where Lambda's own key sealed them: a transaction
	// tells by it whether they changed, and cannot ask KMS.
	Digest []byte `json:",omitempty"`
}

// KMS encrypts and decrypts with customers' keys. An error of KMS itself is an *aws.Error with KMS's code and message.
type KMS interface {
	// Grant has the client let Lambda encrypt and decrypt with its key for one function: in the context of the use and no other.
	Grant(ctx context.Context, use KMSUse) error
	Encrypt(ctx context.Context, use KMSUse, plaintext []byte) (ciphertext []byte, err error)
	Decrypt(ctx context.Context, use KMSUse, ciphertext []byte) (plaintext []byte, err error)
}

// KMSUse says who uses which key, and for what.
type KMSUse struct {
	Call     *aws.Call // the client's: Lambda acts for its principal, unless it acts for a Role or by itself
	Role     string    // ARN: Lambda acts as a session of this role that is named after the function
	Service  bool      // Lambda acts by itself, in the account and Region of the key
	Function string    // name
	Key      string    // ARN of the key, or of an alias; in Decrypt too
	Context  map[string]string
}

// kmsUse is the use of a function's key by the client, or by its role.
func kmsUse(ctx context.Context, r ref, key, role string) KMSUse {
	return KMSUse{
		Call: aws.CallFrom(ctx), Role: role, Function: r.name, Key: key, Context: map[string]string{"aws:lambda:FunctionArn": r.arn()},
	}
}

// ownKey is the use of the AWS managed key of Lambda in the function's account and Region, which KMS makes when it is first
// used: by Lambda itself, so that who may use Lambda needs no permission for it.
func ownKey(ctx context.Context, r ref) KMSUse {
	use := kmsUse(ctx, r, aws.NewARN("kms", r.scope.Region, r.scope.Account, "alias/aws/lambda").String(), "")
	use.Service = true
	return use
}

// environmentOf is what sealed variables of a function are bound to.
func environmentOf(s store.Scope, name string) []byte {
	return []byte("environment\x00" + s.Account + "\x00" + s.Region + "\x00" + name)
}

// digestOf is what the digest of a function's variables is bound to.
func digestOf(s store.Scope, name string) []byte {
	return []byte("environment digest\x00" + s.Account + "\x00" + s.Region + "\x00" + name)
}

// sealEnvironment seals variables with a KMS key: the customer's if there is one, else Lambda's own.
func (s *Service) sealEnvironment(ctx context.Context, r ref, vars map[string]string, key string) (*environment, error) {
	if vars == nil {
		vars = map[string]string{}
	}
	plain, err := json.Marshal(vars)
	if err != nil {
		return nil, fmt.Errorf("write environment: %w", err)
	}
	where := environmentOf(r.scope, r.name)
	if s.deps.KMS == nil {
		return &environment{Sealed: s.deps.Seal.Seal(plain, where)}, nil
	}
	use := ownKey(ctx, r)
	if key != "" {
		use = kmsUse(ctx, r, key, "")
		if err := s.deps.KMS.Grant(ctx, use); err != nil {
			return nil, notConfigured("CreateGrant", err)
		}
		use.Service = true
	}
	secret := make([]byte, seal.RootSize)
	rand.Read(secret) // never fails
	wrapped, err := s.deps.KMS.Encrypt(ctx, use, secret)
	if err != nil && key == "" {
		return nil, fmt.Errorf("seal environment of %s: %w", r.name, hideCode(err))
	}
	if err != nil {
		return nil, notConfigured("Encrypt", err)
	}
	data, err := dataKey(secret)
	if err != nil {
		return nil, err
	}
	env := &environment{Sealed: data.Seal(plain, where), Wrapped: wrapped}
	if key == "" {
		sum := sha256.Sum256(plain)
		env.Digest = s.deps.Seal.Seal(sum[:], digestOf(r.scope, r.name))
	}
	return env, nil
}

func dataKey(secret []byte) (*seal.Key, error) {
	root, err := seal.NewRoot(secret)
	if err != nil {
		return nil, fmt.Errorf("data key of an environment: %w", err)
	}
	return root.Key("lambda environment"), nil
}

// openEnvironment answers the variables of a configuration, nil if there are none. With a KMS key it acts as the client, or
// as role if that is given.
func (s *Service) openEnvironment(ctx context.Context, r ref, c *config, role string) (map[string]string, error) {
	if c.Env == nil {
		return nil, nil
	}
	key := s.deps.Seal
	if len(c.Env.Wrapped) > 0 {
		if s.deps.KMS == nil {
			return nil, errors.New("open environment: there is no KMS")
		}
		var err error
		if c.KMSKey == "" {
			key, err = s.ownDataKey(ctx, r, c.Env.Wrapped)
		} else {
			key, err = s.unwrap(ctx, kmsUse(ctx, r, c.KMSKey, role), c.Env.Wrapped)
		}
		if err != nil {
			return nil, err
		}
	}
	return openVariables(key, r.scope, r.name, c.Env)
}

// unwrap is the data key that sealed variables.
func (s *Service) unwrap(ctx context.Context, use KMSUse, wrapped []byte) (*seal.Key, error) {
	secret, err := s.deps.KMS.Decrypt(ctx, use, wrapped)
	if err != nil {
		return nil, err
	}
	return dataKey(secret)
}

// ownDataKey is unwrap with Lambda's own key. That key nobody can take away, so what it opened once is remembered: a list of
// functions costs no call of KMS for each.
func (s *Service) ownDataKey(ctx context.Context, r ref, wrapped []byte) (*seal.Key, error) {
	return s.dataKeys.once(r.arn()+"\x00"+string(wrapped), func() (*seal.Key, error) {
		key, err := s.unwrap(ctx, ownKey(ctx, r), wrapped)
		if err != nil {
			return nil, fmt.Errorf("open environment of %s: %w", r.name, hideCode(err))
		}
		return key, nil
	})
}

// hideCode makes an error of KMS one of ours: the client has nothing to do with Lambda's own key.
func hideCode(err error) error { return errors.New(err.Error()) }

// maxDataKeys is how many data keys are remembered.
const maxDataKeys = 4096

// dataKeys are data keys that were unwrapped lately, by function and by what they were wrapped in.
type dataKeys struct {
	mu      sync.Mutex
	all     map[string]*seal.Key
	unwraps map[string]chan struct{} // closed when what is under way is over
}

// once answers a key, which is unwrapped once for all who want it at a time. Who waited for one that failed tries by himself.
func (d *dataKeys) once(name string, unwrap func() (*seal.Key, error)) (key *seal.Key, err error) {
	for {
		known, other, over := d.begin(name)
		switch {
		case known != nil:
			return known, nil
		case other != nil:
			<-other
			continue
		}
		defer func() { over(key) }() // however it ends
		return unwrap()
	}
}

// begin answers the key, or what to wait for, or says that it is the caller's to unwrap it, and to say over with what came of it.
func (d *dataKeys) begin(name string) (key *seal.Key, other chan struct{}, over func(*seal.Key)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil {
		d.all, d.unwraps = map[string]*seal.Key{}, map[string]chan struct{}{}
	}
	if key = d.all[name]; key != nil {
		return key, nil, nil
	}
	if other = d.unwraps[name]; other != nil {
		return nil, other, nil
	}
	mine := make(chan struct{})
	d.unwraps[name] = mine
	return nil, nil, func(key *seal.Key) {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.unwraps, name)
		close(mine)
		if key != nil {
			d.put(name, key)
		}
	}
}

// put remembers a key. The caller holds d.mu.
func (d *dataKeys) put(name string, key *seal.Key) {
	for old := range d.all { // any: map order is random, and a lost entry is unwrapped again
		if len(d.all) < maxDataKeys {
			break
		}
		delete(d.all, old)
	}
	d.all[name] = key
}

func openVariables(key *seal.Key, sc store.Scope, name string, env *environment) (map[string]string, error) {
	plain, err := key.Open(env.Sealed, environmentOf(sc, name))
	if err != nil {
		return nil, fmt.Errorf("open environment of %s: %w", name, err)
	}
	vars := map[string]string{}
	if err := json.Unmarshal(plain, &vars); err != nil {
		return nil, fmt.Errorf("read environment of %s: %w", name, errors.New("not JSON")) // the cause may quote a secret
	}
	return vars, nil
}

// newEnvironment is what a change makes of a configuration's variables, sealed before the transaction because KMS is asked
// outside of it: was is what it was made from.
type newEnvironment struct {
	env *environment
	key string
	was *environment
	old string // key
}

// sealSettings seals what an op says about variables and their key. now is the configuration that it changes.
func (s *Service) sealSettings(ctx context.Context, r ref, now *config, given *settings) error {
	if given.env == nil && given.kmsKey == nil {
		return nil
	}
	next := &newEnvironment{env: now.Env, key: now.KMSKey, was: now.Env, old: now.KMSKey}
	set(&next.key, given.kmsKey)
	if next.key != "" && s.deps.KMS == nil {
		return unsupported("KMSKeyArn")
	}
	given.sealed = next
	var vars map[string]string
	switch {
	case given.env != nil:
		vars = given.env.Variables
	case now.Env == nil || next.key == next.old:
		return nil
	default:
		var err error
		if vars, err = s.openEnvironment(ctx, r, now, ""); err != nil {
			return notConfigured("Decrypt", err)
		}
	}
	var err error
	next.env, err = s.sealEnvironment(ctx, r, vars, next.key)
	return err
}

// apply puts the variables into a configuration, if it is still the one that they were sealed for.
func (n *newEnvironment) apply(c *config) error {
	same := c.KMSKey == n.old && (c.Env == nil) == (n.was == nil)
	if same && c.Env != nil {
		same = bytes.Equal(c.Env.Sealed, n.was.Sealed)
	}
	if !same {
		return api.ErrResourceConflict.New("The operation cannot be performed at this time. The function was changed by another operation.")
	}
	c.Env, c.KMSKey = n.env, n.key
	return nil
}

// kmsText is what Lambda quotes of an error of KMS. ok is false for errors that are not KMS's.
func kmsText(err error) (code, text string, ok bool) {
	var e *aws.Error
	if !errors.As(err, &e) {
		return "", "", false
	}
	return e.Type.Code, fmt.Sprintf(" KMS Exception: %s KMS Message: %s", e.Type.Code, e.Message), true
}

// notConfigured is the answer to who sets variables with a key that does not let them.
func notConfigured(op string, err error) error {
	_, text, ok := kmsText(err)
	if !ok {
		return err
	}
	return api.ErrInvalidParameterValue.New("Lambda was unable to configure access to your environment variables because the KMS key " +
		"is invalid for " + op + ". Please check your KMS key settings." + text).Because(err)
}

// hidden is what is shown instead of variables that the client may not decrypt; nil if err is not KMS's.
func hidden(err error) *api.EnvironmentError {
	code, text, ok := kmsText(err)
	if !ok {
		return nil
	}
	why := "Lambda was unable to decrypt your environment variables because the KMS access was denied. Please check your KMS permissions."
	if code != aws.ErrAccessDenied.Code {
		why = "Lambda was unable to decrypt your environment variables. Please check your KMS key settings."
	}
	return &api.EnvironmentError{ErrorCode: &code, Message: new(why + text)}
}

// undecryptable is the answer to an invocation whose variables cannot be had.
// See https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html.
func undecryptable(err error) error {
	code, text, ok := kmsText(err)
	if !ok {
		return err
	}
	const unable, check = "Lambda was unable to decrypt the environment variables because ", " Please check the function's KMS key settings."
	switch code {
	case aws.ErrAccessDenied.Code:
		return api.ErrKMSAccessDenied.New(unable + "KMS access was denied." + check + text).Because(err)
	case "DisabledException":
		return api.ErrKMSDisabled.New(unable + "the KMS key used is disabled." + check + text).Because(err)
	case "NotFoundException":
		return api.ErrKMSNotFound.New(unable + "the KMS key was not found." + check + text).Because(err)
	}
	return api.ErrKMSInvalidState.New(unable + "the state of the KMS key used is not valid for Decrypt." + check + text).Because(err)
}
