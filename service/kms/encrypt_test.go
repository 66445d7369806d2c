package kms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"hash"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

func TestEncryptAndDecrypt(t *testing.T) {
	f := newFixture(t)
	id := f.symmetric()
	f.alias("alias/mine", id)
	context := map[string]string{"LambdaFunctionName": "f", "a": "b"}
	for _, name := range []string{id, keyARN(id), "alias/mine", "arn:aws:kms:us-east-1:111122223333:alias/mine"} {
		blob := f.encrypt(name, "the plaintext", context)
		f.decrypts(blob, context, "the plaintext")
		out, err := f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: blob, EncryptionContext: context, KeyID: &name})
		f.check(err, "")
		if *out.KeyID != keyARN(id) || *out.EncryptionAlgorithm != "SYMMETRIC_DEFAULT" || len(*out.KeyMaterialID) != 64 {
			t.Errorf("%s: %s %s %s", name, *out.KeyID, *out.EncryptionAlgorithm, *out.KeyMaterialID)
		}
	}
	if bytes.Equal(f.encrypt(id, "x", nil), f.encrypt(id, "x", nil)) {
		t.Error("the same text is encrypted to the same bytes twice")
	}
	big := strings.Repeat("x", 4096)
	if blob := f.encrypt(id, big, nil); len(blob) > 6144 {
		t.Errorf("the ciphertext of 4,096 bytes has %d, which Decrypt does not take", len(blob))
	} else {
		f.decrypts(blob, nil, big)
	}
}

func TestEncryptionContextIsBound(t *testing.T) {
	f := newFixture(t)
	id := f.symmetric()
	blob := f.encrypt(id, "x", map[string]string{"a": "b", "c": "d"})
	for name, context := range map[string]map[string]string{
		"none": nil, "less": {"a": "b"}, "more": {"a": "b", "c": "d", "e": "f"}, "another value": {"a": "b", "c": "D"},
		"another case": {"A": "b", "c": "d"}, "shifted": {"a": "bc", "": "d"}, "swapped": {"b": "a", "d": "c"},
	} {
		_, err := f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: blob, EncryptionContext: context})
		if !errors.Is(err, api.ErrInvalidCiphertext) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.decrypts(f.encrypt(id, "x", map[string]string{}), nil, "x") // an empty context is none
	_, err := f.Encrypt(f.ctx, &api.EncryptInput{
		KeyID: &id, Plaintext: []byte("x"), EncryptionContext: map[string]string{"k": strings.Repeat("v", maxContext)},
	})
	if !errors.Is(err, aws.ErrValidation) {
		t.Errorf("a context that is too long: %v", err)
	}
}

func TestChangedCiphertextsDoNotDecrypt(t *testing.T) {
	f := newFixture(t)
	id := f.symmetric()
	blob := f.encrypt(id, "x", nil)
	for i := range blob {
		changed := bytes.Clone(blob)
		changed[i] ^= 1
		if _, err := f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: changed}); err == nil {
			t.Errorf("decrypts with byte %d changed", i)
		}
		if _, err := f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: blob[:i]}); err == nil {
			t.Errorf("decrypts when cut off at %d", i)
		}
	}
	if _, err := f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: append(bytes.Clone(blob), 0)}); err == nil {
		t.Error("decrypts with a byte more")
	}
	second := f.symmetric()
	_, err := f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: blob, KeyID: &second})
	f.check(err, "IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation.")
	_, err = f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: []byte("nonsense")})
	f.check(err, "InvalidCiphertextException")
}

// A ciphertext names its account: that of another account's key does not decrypt but by way of the authorizer.
func TestCiphertextOfAnotherAccount(t *testing.T) {
	f := newFixture(t)
	blob := f.encrypt(f.symmetric(), "x", nil)
	theirs := as(t.Context(), aws.RootOf(other, "AKIB"), other)
	_, err := f.Decrypt(theirs, &api.DecryptInput{CiphertextBlob: blob})
	if !errors.Is(err, aws.ErrAccessDenied) {
		t.Fatalf("another account decrypts: %v", err)
	}
	in := &api.DecryptInput{CiphertextBlob: blob}
	call := aws.CallFrom(theirs)
	call.Op, call.Input = api.OpDecrypt, in
	arns, err := call.Op.Resources(theirs, f.Service, in) // as the authorizer does
	if err != nil || len(arns) != 1 || !strings.Contains(arns[0], account) {
		t.Fatalf("%v %v", arns, err)
	}
	out, err := f.Decrypt(theirs, in)
	if err != nil || string(out.Plaintext) != "x" {
		t.Errorf("authorized, yet: %v", err)
	}
}

func TestRSAEncryption(t *testing.T) {
	f := newFixture(t)
	id := f.key(api.KeySpecRsa2048, api.KeyUsageTypeEncryptDecrypt)
	pub, err := f.GetPublicKey(f.ctx, &api.GetPublicKeyInput{KeyID: &id})
	f.check(err, "")
	parsed, err := x509.ParsePKIXPublicKey(pub.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, h := range map[string]struct {
		new  func() hash.Hash
		most int
	}{"RSAES_OAEP_SHA_1": {sha1.New, 214}, "RSAES_OAEP_SHA_256": {sha256.New, 190}} {
		outside, err := rsa.EncryptOAEP(h.new(), rand.Reader, parsed.(*rsa.PublicKey), []byte("from outside"), nil)
		if err != nil {
			t.Fatal(err)
		}
		out, err := f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: outside, KeyID: &id, EncryptionAlgorithm: &algorithm})
		f.check(err, "")
		if string(out.Plaintext) != "from outside" {
			t.Errorf("%s: %q", algorithm, out.Plaintext)
		}
		in, err := f.Encrypt(f.ctx, &api.EncryptInput{KeyID: &id, Plaintext: []byte("inside"), EncryptionAlgorithm: &algorithm})
		f.check(err, "")
		out, err = f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: in.CiphertextBlob, KeyID: &id, EncryptionAlgorithm: &algorithm})
		f.check(err, "")
		if string(out.Plaintext) != "inside" {
			t.Errorf("%s: %q", algorithm, out.Plaintext)
		}
		_, err = f.Encrypt(f.ctx, &api.EncryptInput{KeyID: &id, Plaintext: make([]byte, h.most+1), EncryptionAlgorithm: &algorithm})
		if want := "cannot encrypt data larger than"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", algorithm, err)
		}
		if _, err = f.Encrypt(f.ctx, &api.EncryptInput{KeyID: &id, Plaintext: make([]byte, h.most), EncryptionAlgorithm: &algorithm}); err != nil {
			t.Errorf("%s: %d bytes: %v", algorithm, h.most, err)
		}
		_, err = f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: outside, EncryptionAlgorithm: &algorithm})
		f.check(err, "ValidationException: KeyId is required to decrypt with an asymmetric KMS key.")
	}
	_, err = f.Encrypt(f.ctx, &api.EncryptInput{KeyID: &id, Plaintext: []byte("x")})
	f.check(err, "InvalidKeyUsageException: Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.")
}

func TestReEncrypt(t *testing.T) {
	f := newFixture(t)
	a, b := f.symmetric(), f.symmetric()
	blob := f.encrypt(a, "x", map[string]string{"c": "1"})
	out, err := f.ReEncrypt(f.ctx, &api.ReEncryptInput{
		CiphertextBlob: blob, SourceEncryptionContext: map[string]string{"c": "1"}, DestinationKeyID: &b,
		DestinationEncryptionContext: map[string]string{"c": "2"},
	})
	f.check(err, "")
	if *out.SourceKeyID != keyARN(a) || *out.KeyID != keyARN(b) {
		t.Errorf("from %s to %s", *out.SourceKeyID, *out.KeyID)
	}
	f.decrypts(out.CiphertextBlob, map[string]string{"c": "2"}, "x")
	_, err = f.ReEncrypt(f.ctx, &api.ReEncryptInput{CiphertextBlob: blob, DestinationKeyID: &b})
	f.check(err, "InvalidCiphertextException")
	_, err = f.ReEncrypt(f.ctx, &api.ReEncryptInput{DestinationKeyID: &b})
	if !errors.Is(err, aws.ErrValidation) {
		t.Errorf("without a ciphertext: %v", err)
	}
}

func TestDataKeys(t *testing.T) {
	f := newFixture(t)
	id := f.symmetric()
	for name, in := range map[string]struct {
		spec  *string
		bytes *int
		size  int
	}{"AES_256": {new("AES_256"), nil, 32}, "AES_128": {new("AES_128"), nil, 16}, "1024 bytes": {nil, new(1024), 1024}} {
		out, err := f.GenerateDataKey(f.ctx, &api.GenerateDataKeyInput{KeyID: &id, KeySpec: in.spec, NumberOfBytes: in.bytes})
		f.check(err, "")
		if len(out.Plaintext) != in.size {
			t.Errorf("%s has %d bytes", name, len(out.Plaintext))
		}
		f.decrypts(out.CiphertextBlob, nil, string(out.Plaintext))
		blind, err := f.GenerateDataKeyWithoutPlaintext(f.ctx, &api.GenerateDataKeyWithoutPlaintextInput{
			KeyID: &id, KeySpec: in.spec, NumberOfBytes: in.bytes,
		})
		f.check(err, "")
		got, err := f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: blind.CiphertextBlob})
		f.check(err, "")
		if len(got.Plaintext) != in.size || bytes.Equal(got.Plaintext, make([]byte, in.size)) {
			t.Errorf("%s without plaintext: %d bytes, or only zeros", name, len(got.Plaintext))
		}
	}
	_, err := f.GenerateDataKey(f.ctx, &api.GenerateDataKeyInput{KeyID: &id})
	f.check(err, "ValidationException: Please specify either number of bytes or key spec.")
	_, err = f.GenerateDataKey(f.ctx, &api.GenerateDataKeyInput{KeyID: &id, KeySpec: new("AES_256"), DryRun: new(true)})
	f.check(err, "DryRunOperationException: The request would have succeeded, but the DryRun option is set.")
}

func TestDataKeyPairs(t *testing.T) {
	f := newFixture(t)
	id := f.symmetric()
	for _, spec := range []string{"RSA_2048", "ECC_NIST_P256", "ECC_NIST_P521", "ECC_NIST_EDWARDS25519"} {
		out, err := f.GenerateDataKeyPair(f.ctx, &api.GenerateDataKeyPairInput{
			KeyID: &id, KeyPairSpec: &spec, EncryptionContext: map[string]string{"a": "b"},
		})
		f.check(err, "")
		f.decrypts(out.PrivateKeyCiphertextBlob, map[string]string{"a": "b"}, string(out.PrivateKeyPlaintext))
		private, err := x509.ParsePKCS8PrivateKey(out.PrivateKeyPlaintext)
		if err != nil {
			t.Fatal(err)
		}
		public, err := x509.MarshalPKIXPublicKey(private.(crypto.Signer).Public())
		if err != nil || !bytes.Equal(public, out.PublicKey) {
			t.Errorf("%s: the public key is of another pair: %v", spec, err)
		}
		blind, err := f.GenerateDataKeyPairWithoutPlaintext(f.ctx, &api.GenerateDataKeyPairWithoutPlaintextInput{
			KeyID: &id, KeyPairSpec: &spec,
		})
		f.check(err, "")
		got, err := f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: blind.PrivateKeyCiphertextBlob})
		f.check(err, "")
		if _, err := x509.ParsePKCS8PrivateKey(got.Plaintext); err != nil {
			t.Errorf("%s without plaintext: %v", spec, err)
		}
	}
	_, err := f.GenerateDataKeyPair(f.ctx, &api.GenerateDataKeyPairInput{KeyID: &id, KeyPairSpec: new("ECC_SECG_P256K1")})
	f.check(err, "UnsupportedOperationException: KeySpec ECC_SECG_P256K1 is not supported.")
}

func TestGenerateRandom(t *testing.T) {
	f := newFixture(t)
	a, err := f.GenerateRandom(f.ctx, &api.GenerateRandomInput{NumberOfBytes: new(64)})
	f.check(err, "")
	b, err := f.GenerateRandom(f.ctx, &api.GenerateRandomInput{NumberOfBytes: new(64)})
	f.check(err, "")
	if len(a.Plaintext) != 64 || bytes.Equal(a.Plaintext, b.Plaintext) {
		t.Error("not random")
	}
	_, err = f.GenerateRandom(f.ctx, &api.GenerateRandomInput{})
	f.check(err, "ValidationException: NumberOfBytes is required.")
}

// What was encrypted lives through a restart, and is lost without the server's key.
func TestRestart(t *testing.T) {
	f := newFixture(t)
	id := f.symmetric()
	f.alias("alias/kept", id)
	blob := f.encrypt("alias/kept", "x", nil)
	f.reopen()
	f.decrypts(blob, nil, "x")
	f.encrypt("alias/kept", "y", nil)
	f.root++
	f.reopen()
	if out, err := f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: blob}); err == nil {
		t.Fatalf("decrypts to %q without the key that the material is sealed with", out.Plaintext)
	}
}

// Sealed material is bound to its key: a row that is copied to another key is of no use there.
func TestMaterialIsBoundToItsKey(t *testing.T) {
	f := newFixture(t)
	a, b := f.symmetric(), f.symmetric()
	sc := store.Scope{Account: account, Region: region}
	err := f.db.Update(t.Context(), func(tx store.Tx) error {
		from, err := keys.Get(tx, sc, a)
		if err != nil {
			return err
		}
		from.Value.ID = b
		_, err = keys.Put(tx, sc, b, from.Value)
		return err
	})
	f.check(err, "")
	if _, err := f.Encrypt(f.ctx, &api.EncryptInput{KeyID: &b, Plaintext: []byte("x")}); err == nil {
		t.Error("a key works with another key's material")
	}
	f.encrypt(a, "x", nil)
}

func FuzzParseCiphertext(f *testing.F) {
	r := ref{store.Scope{Account: account, Region: region}, "1234abcd-12ab-34cd-56ef-1234567890ab"}
	secret := make([]byte, 32)
	m := &material{ID: strings.Repeat("ab", 32)}
	blob, err := sealCiphertext(r, m, secret, []byte("plaintext"), map[string]string{"a": "b"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(blob)
	f.Add([]byte(ciphertextMagic))
	f.Add(append([]byte(ciphertextMagic+account), 255))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCiphertext(b)
		if err != nil {
			if !errors.Is(err, api.ErrInvalidCiphertext) {
				t.Fatalf("%v", err)
			}
			return
		}
		if !bytes.Equal(append(bytes.Clone(c.head), c.body...), b) || !api.IsKeyID(c.key.id) || len(c.material) != 64 {
			t.Fatalf("%x parses to %+v", b, c)
		}
		// Each process that fuzzes has a seed of its own, so that what opens need not be this one's.
		if got, err := c.open(secret, map[string]string{"a": "b"}); err == nil && string(got) != "plaintext" {
			t.Fatalf("%x decrypts to %q", b, got)
		}
	})
}
