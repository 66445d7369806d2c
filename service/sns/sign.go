package sns

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/enfold-run/enfold/store"
)

// signer signs messages. There is one in a store, made when it is first needed.
type signer struct {
	key  *rsa.PrivateKey
	cert []byte // PEM
	name string // of the certificate's file
}

// signerRow is the signer on the disk: the key sealed.
type signerRow struct {
	Key  []byte // PKCS #8
	Cert []byte // DER
}

var signers = store.Table[signerRow]{Name: "sns.signer"}

var (
	// signerScope is nobody's: every account's messages are signed by the same key, as with AWS.
	signerScope = store.Scope{Account: "sns"}
	signerPlace = []byte("sns signing key")
)

const (
	signerKey  = "1"
	signerBits = 2048
	// signerLife is how long the certificate is valid: as long as the key, which is not rotated.
	signerLife = 30 * 365 * 24 * time.Hour
)

// signing answers the signer, and makes it if there is none.
func (s *Service) getSigner(ctx context.Context) (*signer, error) {
	s.mu.Lock()
	known := s.signer
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	made, err, _ := s.signing.Do("", func() (any, error) { return s.loadSigner(context.WithoutCancel(ctx)) })
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signer = made.(*signer)
	return s.signer, nil
}

func (s *Service) loadSigner(ctx context.Context) (*signer, error) {
	var row store.Row[signerRow]
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		row, err = signers.Get(tx, signerScope, signerKey)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		row.Value, err = s.makeSigner(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("signing key of SNS: %w", err)
	}
	return s.openSigner(row.Value)
}

// makeSigner makes a key and stores it, unless somebody else just did.
func (s *Service) makeSigner(ctx context.Context) (signerRow, error) {
	key, err := rsa.GenerateKey(rand.Reader, signerBits)
	if err != nil {
		return signerRow{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return signerRow{}, err
	}
	now := s.deps.Now()
	form := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "sns.amazonaws.com", Organization: []string{"Enfold"}},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(signerLife), KeyUsage: x509.KeyUsageDigitalSignature,
		DNSNames: []string{"sns.amazonaws.com"}, BasicConstraintsValid: true,
	}
	row := signerRow{}
	if row.Cert, err = x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key); err != nil {
		return row, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return row, err
	}
	row.Key = s.deps.Seal.Seal(der, signerPlace)
	made := row
	err = s.db.Update(ctx, func(tx store.Tx) error {
		row = made
		_, err := signers.Put(tx, signerScope, signerKey, made, store.IfAbsent())
		if errors.Is(err, store.ErrExists) {
			there, err := signers.Get(tx, signerScope, signerKey)
			row = there.Value
			return err
		}
		return err
	})
	return row, err
}

func (s *Service) openSigner(row signerRow) (*signer, error) {
	der, err := s.deps.Seal.Open(row.Key, signerPlace)
	if err != nil {
		return nil, fmt.Errorf("signing key of SNS: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("signing key of SNS: it is none")
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("signing key of SNS: it is of another kind")
	}
	sum := sha256.Sum256(row.Cert)
	return &signer{
		key: private, cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: row.Cert}),
		name: "SimpleNotificationService-" + hex.EncodeToString(sum[:16]) + ".pem",
	}, nil
}

// signed is the text that a message's signature is of.
// See https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html.
func (m *message) signed(subscribeURL string) string {
	var b strings.Builder
	line := func(name, v string) { b.WriteString(name + "\n" + v + "\n") }
	line("Message", m.Text)
	line("MessageId", m.ID)
	if m.Type == typeNotification {
		if m.Subject != nil {
			line("Subject", *m.Subject)
		}
	} else {
		line("SubscribeURL", subscribeURL)
	}
	line("Timestamp", m.timestamp())
	if m.Type != typeNotification {
		line("Token", m.Token)
	}
	line("TopicArn", m.TopicArn)
	line("Type", m.Type)
	return b.String()
}

// sign signs a message as its SignatureVersion says: 1 with SHA-1, as old verifiers want it, 2 with SHA-256.
func (k *signer) sign(m *message, subscribeURL string) (string, error) {
	text := []byte(m.signed(subscribeURL))
	sum, hash := []byte(nil), crypto.SHA256
	if m.SignatureVersion == "2" {
		h := sha256.Sum256(text)
		sum = h[:]
	} else {
		h := sha1.Sum(text)
		sum, hash = h[:], crypto.SHA1
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.key, hash, sum)
	if err != nil {
		return "", fmt.Errorf("sign message: %w", err)
	}
	return base64.StdEncoding.EncodeToString(signature), nil
}

// signatureVersion is 1 unless the topic says 2.
func (t *topic) signatureVersion() string {
	if t.attribute("SignatureVersion") == "2" {
		return "2"
	}
	return "1"
}
