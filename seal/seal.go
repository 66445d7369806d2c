package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Sizes in bytes.
const (
	RootSize = 32 // of a root key
	Overhead = 1 + nonceSize + tagSize

	nonceSize = 12
	tagSize   = 16
	version   = 1 // first byte of everything sealed
)

// ErrSealed says that something does not open: changed, cut off, sealed with another key, or for another place.
var ErrSealed = errors.New("seal: does not open with this key")

// Root is the key from which the others are derived. It does not print itself.
type Root struct{ secret []byte }

// NewRoot takes the key's RootSize bytes.
func NewRoot(secret []byte) (*Root, error) {
	if len(secret) != RootSize {
		return nil, fmt.Errorf("seal: a root key has %d bytes, not %d", RootSize, len(secret))
	}
	return &Root{append([]byte(nil), secret...)}, nil
}

// String hides the key from fmt and slog.
func (*Root) String() string { return "seal.Root(secret)" }

// GoString hides the key from %#v.
func (r *Root) GoString() string { return r.String() }

// Key is the key of a purpose: "iam access key", "sts session". The same purpose gives the same key, for as long as the root
// is the same.
func (r *Root) Key(purpose string) *Key {
	derived, err := hkdf.Key(sha256.New, r.secret, nil, "enfold/"+purpose, 32)
	if err != nil {
		panic(fmt.Sprintf("seal: derive: %v", err)) // only for a length that HKDF cannot give
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		panic(fmt.Sprintf("seal: cipher: %v", err)) // only for another length
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(fmt.Sprintf("seal: cipher: %v", err)) // only for another block size
	}
	return &Key{aead}
}

// Key seals and opens. It is safe for concurrent use and does not print itself.
type Key struct{ aead cipher.AEAD }

// String hides the key from fmt and slog.
func (*Key) String() string { return "seal.Key(secret)" }

// GoString hides the key from %#v.
func (k *Key) GoString() string { return k.String() }

// Seal encrypts plaintext, bound to what, which must be given again to open it. The answer is Overhead bytes longer.
func (k *Key) Seal(plaintext, what []byte) []byte {
	out := make([]byte, 1+nonceSize, Overhead+len(plaintext))
	out[0] = version
	rand.Read(out[1:]) // never fails
	return k.aead.Seal(out, out[1:], plaintext, what)
}

// Open decrypts what Seal made, or answers ErrSealed.
func (k *Key) Open(sealed, what []byte) ([]byte, error) {
	if len(sealed) < Overhead || sealed[0] != version {
		return nil, ErrSealed
	}
	plaintext, err := k.aead.Open(nil, sealed[1:1+nonceSize], sealed[1+nonceSize:], what)
	if err != nil {
		return nil, ErrSealed
	}
	return plaintext, nil
}
