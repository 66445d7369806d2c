// Package seal encrypts what lies on the disk: one root key, a key per purpose derived from it, and an authenticated
// cipher (AES-256-GCM with a random nonce).
//
// What a caller may rely on: sealed bytes open only with the key of the same purpose, of the same root, and with the same
// associated data, and only unchanged. A sealed value may be copied anywhere; binding it to its place (account, table, key)
// is what the associated data is for.
package seal
