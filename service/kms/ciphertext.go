package kms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/store"
)

// A ciphertext of a symmetric key is a head and a body. The head is
//
//	magic (4) | account (12) | length of the Region (1) | Region | length of the key id (1) | key id | material id (32) | salt (32)
//
// and the body is AES-256-GCM. Its key and nonce are derived from the material and the salt; what it authenticates beside
// the body is the head and the encryption context.
const (
	ciphertextMagic = "\x01\x02\x02E"

	accountSize    = 12
	maxRegion      = 32
	materialIDSize = 32
	saltSize       = 32
	tagSize        = 16
)

// ciphertext is one in its parts.
type ciphertext struct {
	key      ref
	material string // id
	head     []byte
	body     []byte
}

// errCiphertext is the answer to every ciphertext that does not decrypt: AWS gives no reason.
func errCiphertext() error { return api.ErrInvalidCiphertext.New("") }

// parseCiphertext splits what sealCiphertext made, or answers InvalidCiphertextException. It checks the form alone.
func parseCiphertext(b []byte) (ciphertext, error) {
	rest, ok := bytes.CutPrefix(b, []byte(ciphertextMagic))
	if !ok {
		return ciphertext{}, errCiphertext()
	}
	take := func(n int) []byte {
		if n > len(rest) {
			ok = false
			return nil
		}
		part := rest[:n]
		rest = rest[n:]
		return part
	}
	prefixed := func() []byte {
		if n := take(1); ok {
			return take(int(n[0]))
		}
		return nil
	}
	account, region, id := take(accountSize), prefixed(), prefixed()
	materialID := take(materialIDSize)
	take(saltSize)
	if !ok || len(rest) < tagSize || len(region) > maxRegion || !isRegion(string(region)) ||
		strings.Trim(string(account), "0123456789") != "" || !api.IsKeyID(string(id)) {
		return ciphertext{}, errCiphertext()
	}
	return ciphertext{
		key:      ref{store.Scope{Account: string(account), Region: string(region)}, string(id)},
		material: hex.EncodeToString(materialID),
		head:     b[:len(b)-len(rest)],
		body:     rest,
	}, nil
}

func isRegion(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// sealCiphertext encrypts with a material's secret.
func sealCiphertext(r ref, m *material, secret, plaintext []byte, context map[string]string) ([]byte, error) {
	if len(r.scope.Account) != accountSize || len(r.scope.Region) > maxRegion || !isRegion(r.scope.Region) {
		return nil, fmt.Errorf("no ciphertext can name key %s", r.arn())
	}
	materialID, err := hex.DecodeString(m.ID)
	if err != nil || len(materialID) != materialIDSize {
		return nil, fmt.Errorf("key %s has a material of a strange id", r.arn())
	}
	head := append([]byte(ciphertextMagic), r.scope.Account...)
	head = append(append(head, byte(len(r.scope.Region))), r.scope.Region...)
	head = append(append(head, byte(len(r.id))), r.id...)
	head = append(head, materialID...)
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails
	head = append(head, salt...)
	aead, nonce, err := ciphertextKey(secret, salt)
	if err != nil {
		return nil, err
	}
	return aead.Seal(head, nonce, plaintext, authenticated(head, context)), nil
}

// open decrypts with a material's secret, or answers InvalidCiphertextException.
func (c *ciphertext) open(secret []byte, context map[string]string) ([]byte, error) {
	aead, nonce, err := ciphertextKey(secret, c.head[len(c.head)-saltSize:])
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, nonce, c.body, authenticated(c.head, context))
	if err != nil {
		return nil, errCiphertext()
	}
	return plaintext, nil
}

// ciphertextKey derives the key and nonce of one ciphertext.
func ciphertextKey(secret, salt []byte) (cipher.AEAD, []byte, error) {
	derived, err := hkdf.Key(sha256.New, secret, salt, "enfold kms ciphertext 1", 32+12)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(derived[:32])
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, derived[32:], err
}

// authenticated is head and encryption context in one unambiguous form: the pairs by key, each text with its length before.
func authenticated(head []byte, context map[string]string) []byte {
	b := slices.Clip(head)
	b = binary.AppendUvarint(b, uint64(len(context)))
	for _, k := range slices.Sorted(maps.Keys(context)) {
		b = append(binary.AppendUvarint(b, uint64(len(k))), k...)
		v := context[k]
		b = append(binary.AppendUvarint(b, uint64(len(v))), v...)
	}
	return b
}
