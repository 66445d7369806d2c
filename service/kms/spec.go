package kms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"

	api "github.com/enfold-run/enfold/api/kms"
)

// spec is what a key spec means: a size and kind of key, what it may be used for, and by which algorithms.
// See https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html.
type spec struct {
	name      string
	usages    []string
	encrypt   []string
	sign      []string
	mac       []string
	bytes     int            // of a symmetric or HMAC key
	rsaBits   int            // of an RSA modulus
	curve     elliptic.Curve // of an ECDSA or ECDH key
	edwards   bool           // Ed25519
	agreement []string
}

var specs = newSpecs()

func newSpecs() map[string]*spec {
	all := map[string]*spec{}
	add := func(s spec) { all[s.name] = &s }
	add(spec{
		name: api.KeySpecSymmetricDefault, bytes: 32, usages: []string{api.KeyUsageTypeEncryptDecrypt},
		encrypt: []string{api.EncryptionAlgorithmSpecSymmetricDefault},
	})
	for name, bits := range map[string]int{api.KeySpecRsa2048: 2048, api.KeySpecRsa3072: 3072, api.KeySpecRsa4096: 4096} {
		add(spec{
			name: name, rsaBits: bits, usages: []string{api.KeyUsageTypeEncryptDecrypt, api.KeyUsageTypeSignVerify},
			encrypt: []string{api.EncryptionAlgorithmSpecRsaesOaepSha1, api.EncryptionAlgorithmSpecRsaesOaepSha256},
			sign: []string{
				api.SigningAlgorithmSpecRsassaPkcs1V15Sha256, api.SigningAlgorithmSpecRsassaPkcs1V15Sha384,
				api.SigningAlgorithmSpecRsassaPkcs1V15Sha512, api.SigningAlgorithmSpecRsassaPssSha256,
				api.SigningAlgorithmSpecRsassaPssSha384, api.SigningAlgorithmSpecRsassaPssSha512,
			},
		})
	}
	curve := func(name string, c elliptic.Curve, algorithm string) {
		add(spec{
			name: name, curve: c, usages: []string{api.KeyUsageTypeSignVerify, api.KeyUsageTypeKeyAgreement},
			sign: []string{algorithm}, agreement: []string{api.KeyAgreementAlgorithmSpecEcdh},
		})
	}
	curve(api.KeySpecEccNistP256, elliptic.P256(), api.SigningAlgorithmSpecEcdsaSha256)
	curve(api.KeySpecEccNistP384, elliptic.P384(), api.SigningAlgorithmSpecEcdsaSha384)
	curve(api.KeySpecEccNistP521, elliptic.P521(), api.SigningAlgorithmSpecEcdsaSha512)
	add(spec{
		name: api.KeySpecEccNistEdwards25519, edwards: true, usages: []string{api.KeyUsageTypeSignVerify},
		sign: []string{api.SigningAlgorithmSpecEd25519Sha512, api.SigningAlgorithmSpecEd25519PhSha512},
	})
	mac := func(name string, bytes int, algorithm string) {
		add(spec{name: name, bytes: bytes, usages: []string{api.KeyUsageTypeGenerateVerifyMac}, mac: []string{algorithm}})
	}
	mac(api.KeySpecHmac224, 28, api.MacAlgorithmSpecHmacSha224)
	mac(api.KeySpecHmac256, 32, api.MacAlgorithmSpecHmacSha256)
	mac(api.KeySpecHmac384, 48, api.MacAlgorithmSpecHmacSha384)
	mac(api.KeySpecHmac512, 64, api.MacAlgorithmSpecHmacSha512)
	return all
}

// algorithms are those that a key of this spec and usage has.
func (s *spec) algorithms(usage string) []string {
	switch usage {
	case api.KeyUsageTypeEncryptDecrypt:
		return s.encrypt
	case api.KeyUsageTypeSignVerify:
		return s.sign
	case api.KeyUsageTypeGenerateVerifyMac:
		return s.mac
	case api.KeyUsageTypeKeyAgreement:
		return s.agreement
	}
	return nil
}

// asymmetric tells a key pair.
func (s *spec) asymmetric() bool { return s.bytes == 0 }

// generate makes a key: its secret bytes, or a private key in PKCS #8 with its public key in SubjectPublicKeyInfo.
func (s *spec) generate() (secret, public []byte, err error) {
	var private crypto.Signer
	switch {
	case s.bytes > 0:
		secret = make([]byte, s.bytes)
		rand.Read(secret) // never fails
		return secret, nil, nil
	case s.rsaBits > 0:
		private, err = rsa.GenerateKey(rand.Reader, s.rsaBits)
	case s.curve != nil:
		private, err = ecdsa.GenerateKey(s.curve, rand.Reader)
	case s.edwards:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("no such key spec")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("generate %s: %w", s.name, err)
	}
	if secret, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		return nil, nil, fmt.Errorf("encode %s: %w", s.name, err)
	}
	public, err = x509.MarshalPKIXPublicKey(private.Public())
	return secret, public, err
}

// agree derives what the owner of the other key derives too.
func agree(private any, peer []byte) ([]byte, error) {
	own, ok := private.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%T agrees on nothing", private)
	}
	parsed, err := x509.ParsePKIXPublicKey(peer)
	if err != nil {
		return nil, errPeer()
	}
	other, ok := parsed.(*ecdsa.PublicKey)
	if !ok || other.Curve != own.Curve {
		return nil, errPeer()
	}
	secret, err := own.ECDH()
	if err != nil {
		return nil, err
	}
	var point *ecdh.PublicKey
	if point, err = other.ECDH(); err != nil {
		return nil, errPeer()
	}
	return secret.ECDH(point)
}

func errPeer() error {
	return invalid("The provided public key is not valid: it must be a DER-encoded SubjectPublicKeyInfo of the same curve.")
}

// pick is the algorithm that a request names, or fallback, if the key has it.
func (k *key) pick(wanted *string, fallback string) (string, error) {
	a := fallback
	if wanted != nil {
		a = *wanted
	}
	if !slices.Contains(specs[k.Spec].algorithms(k.Usage), a) {
		return "", api.ErrInvalidKeyUsage.Withf("Algorithm %s is incompatible with key spec %s.", a, k.Spec)
	}
	return a, nil
}
