package kms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
)

// public is a key's public key as a client parses it.
func (f *fixture) public(id string) any {
	f.t.Helper()
	out, err := f.GetPublicKey(f.ctx, &api.GetPublicKeyInput{KeyID: &id})
	f.check(err, "")
	parsed, err := x509.ParsePKIXPublicKey(out.PublicKey)
	f.check(err, "")
	return parsed
}

// Signatures verify outside, with nothing but the public key, and inside.
func TestSignaturesVerifyOutside(t *testing.T) {
	f := newFixture(t)
	message := []byte("the message")
	d256, d384, d512 := sha256.Sum256(message), sha512.Sum384(message), sha512.Sum512(message)
	pss := func(h crypto.Hash, digest []byte) func(any, []byte) bool {
		return func(p any, s []byte) bool {
			return rsa.VerifyPSS(p.(*rsa.PublicKey), h, digest, s, &rsa.PSSOptions{SaltLength: h.Size()}) == nil
		}
	}
	pkcs := func(h crypto.Hash, digest []byte) func(any, []byte) bool {
		return func(p any, s []byte) bool { return rsa.VerifyPKCS1v15(p.(*rsa.PublicKey), h, digest, s) == nil }
	}
	ec := func(digest []byte) func(any, []byte) bool {
		return func(p any, s []byte) bool { return ecdsa.VerifyASN1(p.(*ecdsa.PublicKey), digest, s) }
	}
	rsaKey := f.key(api.KeySpecRsa2048, api.KeyUsageTypeSignVerify)
	for _, row := range []struct {
		key, algorithm string
		digest         []byte // nil: only the message itself may be signed
		verify         func(any, []byte) bool
	}{
		{rsaKey, "RSASSA_PSS_SHA_256", d256[:], pss(crypto.SHA256, d256[:])},
		{rsaKey, "RSASSA_PSS_SHA_384", d384[:], pss(crypto.SHA384, d384[:])},
		{rsaKey, "RSASSA_PSS_SHA_512", d512[:], pss(crypto.SHA512, d512[:])},
		{rsaKey, "RSASSA_PKCS1_V1_5_SHA_256", d256[:], pkcs(crypto.SHA256, d256[:])},
		{rsaKey, "RSASSA_PKCS1_V1_5_SHA_384", d384[:], pkcs(crypto.SHA384, d384[:])},
		{rsaKey, "RSASSA_PKCS1_V1_5_SHA_512", d512[:], pkcs(crypto.SHA512, d512[:])},
		{f.key("ECC_NIST_P256", "SIGN_VERIFY"), "ECDSA_SHA_256", d256[:], ec(d256[:])},
		{f.key("ECC_NIST_P384", "SIGN_VERIFY"), "ECDSA_SHA_384", d384[:], ec(d384[:])},
		{f.key("ECC_NIST_P521", "SIGN_VERIFY"), "ECDSA_SHA_512", d512[:], ec(d512[:])},
		{f.key("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"), "ED25519_SHA_512", nil, func(p any, s []byte) bool {
			return ed25519.Verify(p.(ed25519.PublicKey), message, s)
		}},
	} {
		sign := func(message []byte, messageType string) []byte {
			out, err := f.Sign(f.ctx, &api.SignInput{
				KeyID: &row.key, Message: message, MessageType: &messageType, SigningAlgorithm: &row.algorithm,
			})
			f.check(err, "")
			return out.Signature
		}
		signatures := [][]byte{sign(message, "RAW")}
		if row.digest != nil {
			signatures = append(signatures, sign(row.digest, "DIGEST"))
			_, err := f.Sign(f.ctx, &api.SignInput{
				KeyID: &row.key, Message: row.digest[1:], MessageType: new("DIGEST"), SigningAlgorithm: &row.algorithm,
			})
			f.check(err, "ValidationException: Digest is invalid length for algorithm "+row.algorithm+".")
		}
		for _, s := range signatures {
			if !row.verify(f.public(row.key), s) {
				t.Errorf("%s: the signature does not verify outside", row.algorithm)
			}
			out, err := f.Verify(f.ctx, &api.VerifyInput{KeyID: &row.key, Message: message, Signature: s, SigningAlgorithm: &row.algorithm})
			f.check(err, "")
			if !*out.SignatureValid {
				t.Errorf("%s: not valid", row.algorithm)
			}
			_, err = f.Verify(f.ctx, &api.VerifyInput{
				KeyID: &row.key, Message: []byte("another message"), Signature: s, SigningAlgorithm: &row.algorithm,
			})
			f.check(err, "KMSInvalidSignatureException")
		}
	}
}

func TestEd25519Prehashed(t *testing.T) {
	f := newFixture(t)
	id := f.key("ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
	digest := sha512.Sum512([]byte("message"))
	in := &api.SignInput{
		KeyID: &id, Message: digest[:], MessageType: new("DIGEST"), SigningAlgorithm: new("ED25519_PH_SHA_512"),
	}
	out, err := f.Sign(f.ctx, in)
	f.check(err, "")
	err = ed25519.VerifyWithOptions(f.public(id).(ed25519.PublicKey), digest[:], out.Signature, &ed25519.Options{Hash: crypto.SHA512})
	f.check(err, "")
	in.MessageType = new("RAW")
	if _, err = f.Sign(f.ctx, in); !errors.Is(err, aws.ErrValidation) {
		t.Errorf("RAW: %v", err)
	}
}

// What was signed outside is verified inside, only if it is by the right key: RSA and ECDSA of a data key pair.
func TestVerifyRefusesAnotherKeysSignature(t *testing.T) {
	f := newFixture(t)
	a, b := f.key("ECC_NIST_P256", "SIGN_VERIFY"), f.key("ECC_NIST_P256", "SIGN_VERIFY")
	out, err := f.Sign(f.ctx, &api.SignInput{KeyID: &a, Message: []byte("x"), SigningAlgorithm: new("ECDSA_SHA_256")})
	f.check(err, "")
	_, err = f.Verify(f.ctx, &api.VerifyInput{KeyID: &b, Message: []byte("x"), Signature: out.Signature, SigningAlgorithm: new("ECDSA_SHA_256")})
	f.check(err, "KMSInvalidSignatureException")
	for _, nonsense := range [][]byte{{0}, bytes.Repeat([]byte{0xff}, 6144), out.Signature[:len(out.Signature)-1]} {
		_, err = f.Verify(f.ctx, &api.VerifyInput{KeyID: &a, Message: []byte("x"), Signature: nonsense, SigningAlgorithm: new("ECDSA_SHA_256")})
		f.check(err, "KMSInvalidSignatureException")
	}
}

func TestMacs(t *testing.T) {
	f := newFixture(t)
	for spec, size := range map[string]int{"224": 28, "256": 32, "384": 48, "512": 64} {
		id, algorithm := f.key("HMAC_"+spec, "GENERATE_VERIFY_MAC"), "HMAC_SHA_"+spec
		out, err := f.GenerateMac(f.ctx, &api.GenerateMacInput{KeyID: &id, Message: []byte("x"), MacAlgorithm: &algorithm})
		f.check(err, "")
		if len(out.Mac) != size {
			t.Errorf("%s has %d bytes", algorithm, len(out.Mac))
		}
		valid, err := f.VerifyMac(f.ctx, &api.VerifyMacInput{KeyID: &id, Message: []byte("x"), MacAlgorithm: &algorithm, Mac: out.Mac})
		f.check(err, "")
		if !*valid.MacValid {
			t.Error("not valid")
		}
		_, err = f.VerifyMac(f.ctx, &api.VerifyMacInput{KeyID: &id, Message: []byte("y"), MacAlgorithm: &algorithm, Mac: out.Mac})
		f.check(err, "KMSInvalidMacException")
		_, err = f.VerifyMac(f.ctx, &api.VerifyMacInput{KeyID: &id, Message: []byte("x"), MacAlgorithm: &algorithm, Mac: out.Mac[:8]})
		f.check(err, "KMSInvalidMacException")
	}
	id := f.key("HMAC_224", "GENERATE_VERIFY_MAC")
	_, err := f.GenerateMac(f.ctx, &api.GenerateMacInput{KeyID: &id, Message: []byte("x"), MacAlgorithm: new("HMAC_SHA_256")})
	f.check(err, "InvalidKeyUsageException: Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224.")
}

// The code is the HMAC of RFC 2104 by the key's material.
func TestMacIsHMAC(t *testing.T) {
	f := newFixture(t)
	id := f.key("HMAC_256", "GENERATE_VERIFY_MAC")
	out, err := f.GenerateMac(f.ctx, &api.GenerateMacInput{KeyID: &id, Message: []byte("x"), MacAlgorithm: new("HMAC_SHA_256")})
	f.check(err, "")
	k, err := f.named(f.ctx, id)
	f.check(err, "")
	secret, err := f.Service.open(k, k.current())
	f.check(err, "")
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("x"))
	if !bytes.Equal(h.Sum(nil), out.Mac) || len(secret) != 32 {
		t.Errorf("another code, of a key of %d bytes", len(secret))
	}
}

func TestDeriveSharedSecret(t *testing.T) {
	f := newFixture(t)
	for spec, curve := range map[string]elliptic.Curve{"ECC_NIST_P256": elliptic.P256(), "ECC_NIST_P521": elliptic.P521()} {
		id := f.key(spec, "KEY_AGREEMENT")
		peer, err := ecdsa.GenerateKey(curve, rand.Reader)
		f.check(err, "")
		der, err := x509.MarshalPKIXPublicKey(peer.Public())
		f.check(err, "")
		out, err := f.DeriveSharedSecret(f.ctx, &api.DeriveSharedSecretInput{
			KeyID: &id, KeyAgreementAlgorithm: new("ECDH"), PublicKey: der,
		})
		f.check(err, "")
		var point *ecdh.PublicKey
		point, err = f.public(id).(*ecdsa.PublicKey).ECDH()
		f.check(err, "")
		own, err := peer.ECDH()
		f.check(err, "")
		if want, err := own.ECDH(point); err != nil || !bytes.Equal(want, out.SharedSecret) {
			t.Errorf("%s: the two sides do not agree: %v", spec, err)
		}
	}
	id := f.key("ECC_NIST_P384", "KEY_AGREEMENT")
	peer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	f.check(err, "")
	der, err := x509.MarshalPKIXPublicKey(peer.Public())
	f.check(err, "")
	for name, key := range map[string][]byte{"another curve": der, "nonsense": []byte("nonsense")} {
		_, err = f.DeriveSharedSecret(f.ctx, &api.DeriveSharedSecretInput{KeyID: &id, KeyAgreementAlgorithm: new("ECDH"), PublicKey: key})
		if !errors.Is(err, aws.ErrValidation) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every operation refuses a key that is for something else, one that is disabled, and one that is about to be deleted.
func TestUseIsChecked(t *testing.T) {
	f := newFixture(t)
	ids := map[string]string{
		api.KeyUsageTypeEncryptDecrypt:    f.symmetric(),
		api.KeyUsageTypeSignVerify:        f.key("ECC_NIST_P256", api.KeyUsageTypeSignVerify),
		api.KeyUsageTypeGenerateVerifyMac: f.key("HMAC_256", api.KeyUsageTypeGenerateVerifyMac),
		api.KeyUsageTypeKeyAgreement:      f.key("ECC_NIST_P256", api.KeyUsageTypeKeyAgreement),
	}
	ops := []struct {
		name, usage string
		do          func(id string) error
	}{
		{"Encrypt", "ENCRYPT_DECRYPT", func(id string) error {
			_, err := f.Encrypt(f.ctx, &api.EncryptInput{KeyID: &id, Plaintext: []byte("x")})
			return err
		}},
		{"GenerateDataKey", "ENCRYPT_DECRYPT", func(id string) error {
			_, err := f.GenerateDataKey(f.ctx, &api.GenerateDataKeyInput{KeyID: &id, NumberOfBytes: new(1)})
			return err
		}},
		{"GenerateDataKeyWithoutPlaintext", "ENCRYPT_DECRYPT", func(id string) error {
			_, err := f.GenerateDataKeyWithoutPlaintext(f.ctx, &api.GenerateDataKeyWithoutPlaintextInput{KeyID: &id, NumberOfBytes: new(1)})
			return err
		}},
		{"GenerateDataKeyPair", "ENCRYPT_DECRYPT", func(id string) error {
			_, err := f.GenerateDataKeyPair(f.ctx, &api.GenerateDataKeyPairInput{KeyID: &id, KeyPairSpec: new("ECC_NIST_P256")})
			return err
		}},
		{"Sign", "SIGN_VERIFY", func(id string) error {
			_, err := f.Sign(f.ctx, &api.SignInput{KeyID: &id, Message: []byte("x"), SigningAlgorithm: new("ECDSA_SHA_256")})
			return err
		}},
		{"Verify", "SIGN_VERIFY", func(id string) error {
			_, err := f.Verify(f.ctx, &api.VerifyInput{
				KeyID: &id, Message: []byte("x"), SigningAlgorithm: new("ECDSA_SHA_256"), Signature: []byte("x"), DryRun: new(true),
			})
			if errors.Is(err, api.ErrDryRunOperation) {
				return nil
			}
			return err
		}},
		{"GenerateMac", "GENERATE_VERIFY_MAC", func(id string) error {
			_, err := f.GenerateMac(f.ctx, &api.GenerateMacInput{KeyID: &id, Message: []byte("x"), MacAlgorithm: new("HMAC_SHA_256")})
			return err
		}},
		{"DeriveSharedSecret", "KEY_AGREEMENT", func(id string) error {
			der := slices.Clone(f.publicDER(ids[api.KeyUsageTypeSignVerify]))
			_, err := f.DeriveSharedSecret(f.ctx, &api.DeriveSharedSecretInput{
				KeyID: &id, KeyAgreementAlgorithm: new("ECDH"), PublicKey: der,
			})
			return err
		}},
	}
	for _, op := range ops {
		for usage, id := range ids {
			want := ""
			if usage != op.usage {
				want = "InvalidKeyUsageException: " + keyARN(id) + " key usage is " + usage + " which is not valid for " + op.name + "."
			}
			f.check(op.do(id), want)
		}
	}
	blob := f.encrypt(ids[api.KeyUsageTypeEncryptDecrypt], "x", nil)
	for _, state := range []struct {
		into func(string)
		want string
	}{
		{f.disable, "DisabledException: %s is disabled."},
		{f.schedule, "KMSInvalidStateException: %s is pending deletion."},
	} {
		for _, id := range ids {
			state.into(id)
		}
		for _, op := range ops {
			if op.name == "DeriveSharedSecret" {
				continue // its helper asks for a public key, which is refused first
			}
			f.check(op.do(ids[op.usage]), sprintf(state.want, keyARN(ids[op.usage])))
		}
		_, err := f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: blob})
		f.check(err, sprintf(state.want, keyARN(ids[api.KeyUsageTypeEncryptDecrypt])))
		id := ids[api.KeyUsageTypeKeyAgreement]
		_, err = f.GetPublicKey(f.ctx, &api.GetPublicKeyInput{KeyID: &id})
		f.check(err, sprintf(state.want, keyARN(id)))
		_, err = f.DeriveSharedSecret(f.ctx, &api.DeriveSharedSecretInput{KeyID: &id, KeyAgreementAlgorithm: new("ECDH"), PublicKey: []byte("x")})
		f.check(err, sprintf(state.want, keyARN(id)))
	}
}

func (f *fixture) publicDER(id string) []byte {
	f.t.Helper()
	out, err := f.GetPublicKey(f.ctx, &api.GetPublicKeyInput{KeyID: &id})
	f.check(err, "")
	return out.PublicKey
}
