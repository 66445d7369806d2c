package iam

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"strconv"
)

// Prefixes of unique identifiers.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids.
const (
	userPrefix   = "AIDA"
	groupPrefix  = "AGPA"
	rolePrefix   = "AROA"
	policyPrefix = "ANPA"
	keyPrefix    = "AKIA"
)

// newID is a unique identifier: its prefix and 17 random letters and digits.
func newID(prefix string) string {
	var b [11]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + base32.StdEncoding.EncodeToString(b[:])[:17]
}

// newKeyID is an access key's id, which has its account's number in it as AWS's have: 40 bits from the second on.
func newKeyID(account string) string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	n, err := strconv.ParseUint(account, 10, 40)
	if err == nil {
		v := 1<<47 | n<<7 | uint64(b[5]&0x7f)
		for i := 5; i >= 0; i-- {
			b[i] = byte(v)
			v >>= 8
		}
	}
	return keyPrefix + base32.StdEncoding.EncodeToString(b[:])
}

// newSecret is a secret access key: 40 characters, 240 random bits.
func newSecret() string {
	var b [30]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}
