package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/sigv4"
)

// Files of the data directory that commands read.
const (
	CredentialsFile = "credentials" // root credentials, AWS credentials-file format, mode 0600
	EndpointFile    = "endpoint"    // where the server listens, while it does
)

// RootKey is the root user's access key.
type RootKey struct{ AccessKeyID, SecretAccessKey string }

// maxKeyID is the length of the longest access key id.
const maxKeyID = 128

func isKeyID(s string) bool {
	return all(s, func(r rune) bool { return r == '_' || isLower(r) || isDigit(r) || 'A' <= r && r <= 'Z' }, 1, maxKeyID)
}

// rootKey is the key of the configuration, or the data directory's, made at first start.
func rootKey(cfg Config) (RootKey, error) {
	k := RootKey{cfg.RootAccessKeyID, cfg.RootSecretAccessKey}
	if (k.AccessKeyID == "") != (k.SecretAccessKey == "") {
		return k, errors.New("ENFOLD_ROOT_ACCESS_KEY_ID and ENFOLD_ROOT_SECRET_ACCESS_KEY go together: set both or none")
	}
	if k.AccessKeyID != "" {
		if !isKeyID(k.AccessKeyID) {
			return k, errors.New("ENFOLD_ROOT_ACCESS_KEY_ID: letters, digits and _ only, at most 128")
		}
		return k, writeRootKey(cfg.Data, k) // `enfold env` reads it there
	}
	k, err := ReadRootKey(cfg.Data)
	if errors.Is(err, os.ErrNotExist) {
		k = newRootKey()
		err = writeRootKey(cfg.Data, k)
	}
	return k, err
}

func newRootKey() RootKey {
	var id [10]byte
	var secret [30]byte
	rand.Read(id[:]) // never fails
	rand.Read(secret[:])
	return RootKey{
		AccessKeyID:     "AKIA" + base32.StdEncoding.EncodeToString(id[:]),
		SecretAccessKey: base64.StdEncoding.EncodeToString(secret[:]),
	}
}

func writeRootKey(dir string, k RootKey) error {
	path := filepath.Join(dir, CredentialsFile)
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", k.AccessKeyID, k.SecretAccessKey)
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return nil
	}
	return writeFile(path, []byte(text))
}

// writeFile replaces a file of mode 0600, whole or not at all.
func writeFile(path string, b []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

// ReadRootKey reads the root credentials of a data directory.
func ReadRootKey(dir string) (RootKey, error) {
	b, err := os.ReadFile(filepath.Join(dir, CredentialsFile))
	if err != nil {
		return RootKey{}, fmt.Errorf("read root credentials: %w", err)
	}
	var k RootKey
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), "=")
		switch strings.TrimSpace(name) {
		case "aws_access_key_id":
			k.AccessKeyID = strings.TrimSpace(value)
		case "aws_secret_access_key":
			k.SecretAccessKey = strings.TrimSpace(value)
		}
	}
	if k.AccessKeyID == "" || k.SecretAccessKey == "" {
		return k, fmt.Errorf("%s holds no key: delete it and a new one is made at the next start", filepath.Join(dir, CredentialsFile))
	}
	return k, nil
}

// keys are the access keys that signatures may be made with. There is one until IAM is served.
type keys struct {
	id  string
	key sigv4.Key
}

func newKeys(account string, k RootKey) keys {
	return keys{k.AccessKeyID, sigv4.Key{Secret: []byte(k.SecretAccessKey), Principal: aws.RootOf(account, k.AccessKeyID)}}
}

// Lookup implements sigv4.Keys. A session token is only ever part of temporary credentials, and there are none yet.
func (k keys) Lookup(_ context.Context, id, sessionToken string) (sigv4.Key, error) {
	if id != k.id || sessionToken != "" {
		return sigv4.Key{}, sigv4.ErrUnknownKey
	}
	return k.key, nil
}
