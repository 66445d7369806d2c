package kms

import (
	"context"
	"fmt"
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// KeyName is a KeyId parameter in its parts. Either Key or Alias is set.
// See https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id.
type KeyName struct {
	Account string // empty unless the parameter is an ARN
	Region  string // empty unless the parameter is an ARN
	Key     string // "1234abcd-12ab-34cd-56ef-1234567890ab", or "mrk-" and 32 digits
	Alias   string // "alias/name"
}

// ParseKeyName splits a KeyId parameter: a key id, a key's ARN, an alias's name or an alias's ARN. It answers
// NotFoundException for what is none of them, as AWS does.
func ParseKeyName(s string) (KeyName, error) {
	var n KeyName
	name := s
	if strings.HasPrefix(s, "arn:") {
		arn, err := aws.ParseARN(s)
		if err != nil || arn.Service != "kms" || arn.Account == "" || arn.Region == "" {
			return n, ErrNotFound.Withf("Invalid arn %s", s)
		}
		n.Account, n.Region, name = arn.Account, arn.Region, arn.Resource
		if id, ok := strings.CutPrefix(name, "key/"); ok {
			name = id
		} else if !strings.HasPrefix(name, "alias/") {
			return n, ErrNotFound.Withf("Invalid arn %s", s)
		}
	}
	switch {
	case strings.HasPrefix(name, "alias/") && len(name) > len("alias/"):
		n.Alias = name
	case IsKeyID(name):
		n.Key = name
	default:
		return n, ErrNotFound.Withf("Invalid keyId '%s'", name)
	}
	return n, nil
}

// IsKeyID tells the id of a key: a UUID, or of a multi-Region key "mrk-" and 32 hexadecimal digits.
func IsKeyID(s string) bool {
	digits, multiRegion := strings.CutPrefix(s, "mrk-")
	if multiRegion {
		return len(digits) == 32 && isHex(digits)
	}
	if len(s) != 36 {
		return false
	}
	for _, i := range []int{8, 13, 18, 23} {
		if s[i] != '-' {
			return false
		}
	}
	return isHex(s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:])
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// Finder tells which key a request means. The service implements it beside API: only it knows what aliases, ciphertexts and
// grant tokens stand for. The answers are ARNs of keys; the keys need not exist.
type Finder interface {
	// FindKey takes a KeyId parameter. An alias is allowed only if aliases says so.
	FindKey(ctx context.Context, keyID string, aliases bool) (string, error)
	// FindCiphertext takes a CiphertextBlob that names its key.
	FindCiphertext(ctx context.Context, blob []byte) (string, error)
	// FindAlias takes an alias of the caller's account and Region, which exists.
	FindAlias(ctx context.Context, name string) (string, error)
	// FindGrant takes a grant token.
	FindGrant(ctx context.Context, token string) (string, error)
}

func finder(impl any) (Finder, error) {
	f, ok := impl.(Finder)
	if !ok {
		return nil, fmt.Errorf("kms: %T cannot tell which key is meant", impl)
	}
	return f, nil
}

// anyKey is the key of a parameter that may be an alias.
func anyKey(ctx context.Context, impl any, keyID *string) ([]string, error) {
	return findKey(ctx, impl, keyID, true)
}

// theKey is the key of a parameter that must be a key id or a key's ARN.
func theKey(ctx context.Context, impl any, keyID *string) ([]string, error) {
	return findKey(ctx, impl, keyID, false)
}

func findKey(ctx context.Context, impl any, keyID *string, aliases bool) ([]string, error) {
	f, err := finder(impl)
	if err != nil {
		return nil, err
	}
	if keyID == nil {
		return nil, aws.ErrValidation.New("KeyId is required.")
	}
	return one(f.FindKey(ctx, *keyID, aliases))
}

// ciphertextKey is the key that is to decrypt: the named one, else the one that the ciphertext names.
func ciphertextKey(ctx context.Context, impl any, blob []byte, keyID *string) ([]string, error) {
	if keyID != nil {
		return anyKey(ctx, impl, keyID)
	}
	f, err := finder(impl)
	if err != nil {
		return nil, err
	}
	return one(f.FindCiphertext(ctx, blob))
}

// newAlias is an alias with the key that it will stand for.
func newAlias(ctx context.Context, impl any, alias, keyID *string) ([]string, error) {
	keys, err := theKey(ctx, impl, keyID)
	if err != nil {
		return nil, err
	}
	return append(keys, aliasARN(ctx, *alias)), nil
}

// movedAlias is an alias with the key that it stands for and the one that it will stand for.
func movedAlias(ctx context.Context, impl any, alias, keyID *string) ([]string, error) {
	keys, err := theKey(ctx, impl, keyID)
	if err != nil {
		return nil, err
	}
	old, err := oldAlias(ctx, impl, alias)
	return append(keys, old...), err
}

// oldAlias is an alias with the key that it stands for.
func oldAlias(ctx context.Context, impl any, alias *string) ([]string, error) {
	f, err := finder(impl)
	if err != nil {
		return nil, err
	}
	keys, err := one(f.FindAlias(ctx, *alias))
	if err != nil {
		return nil, err
	}
	return append(keys, aliasARN(ctx, *alias)), nil
}

// grantKey is the key of a grant that is named by its token, or by key and id.
func grantKey(ctx context.Context, impl any, keyID, token *string) ([]string, error) {
	if token == nil {
		return theKey(ctx, impl, keyID)
	}
	f, err := finder(impl)
	if err != nil {
		return nil, err
	}
	return one(f.FindGrant(ctx, *token))
}

func aliasARN(ctx context.Context, name string) string {
	call := aws.CallFrom(ctx)
	return aws.NewARN("kms", call.Region, call.Account, name).String()
}

func one(arn string, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	return []string{arn}, nil
}
