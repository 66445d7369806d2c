package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// Files of the data directory about sealing.
const (
	SealKeyFile   = "root.key"   // the generated root key, hex, mode 0600
	sealProbeFile = "root.check" // a sealed text, see checks
)

const (
	maxKeyText     = 4 << 10
	keyCommandTime = 30 * time.Second
)

// errNoSealKey says that no key is named and none is beside the data.
var errNoSealKey = errors.New("there is no root key, and nothing that was sealed with one")

// sealRoot is the root key that everything at rest is sealed with: what --root-key-command prints, what --root-key-file
// holds, or a key made at first start beside the data. Nothing is written before it is known to be the key of the data.
func sealRoot(ctx context.Context, cfg Config, db store.Store) (*seal.Root, error) {
	was, err := readChecks(ctx, cfg.Data, db)
	if err != nil {
		return nil, err
	}
	root, err := was.root(ctx, cfg)
	if errors.Is(err, errNoSealKey) {
		root, err = makeRoot(keySource(cfg))
	}
	if err != nil {
		return nil, err
	}
	return root, was.complete(ctx, cfg, root, db)
}

// givenRoot is the root key that there is, or errNoSealKey.
func givenRoot(ctx context.Context, cfg Config) (*seal.Root, error) {
	text, err := sealKeyText(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	secret, err := parseSealKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keySource(cfg), err)
	}
	defer clear(secret)
	return seal.NewRoot(secret)
}

// makeRoot makes a root key and keeps it in a file.
func makeRoot(path string) (*seal.Root, error) {
	var secret [seal.RootSize]byte
	rand.Read(secret[:]) // never fails
	defer clear(secret[:])
	text := []byte(hex.EncodeToString(secret[:]) + "\n")
	defer clear(text)
	if err := writeFile(path, text); err != nil {
		return nil, err
	}
	return seal.NewRoot(secret[:])
}

// keySource is where the root key comes from: an option, or the file beside the data.
func keySource(cfg Config) string {
	switch {
	case cfg.RootKeyCommand != "":
		return "--root-key-command"
	case cfg.RootKeyFile != "":
		return "--root-key-file " + cfg.RootKeyFile
	}
	return filepath.Join(cfg.Data, SealKeyFile)
}

func sealKeyText(ctx context.Context, cfg Config) ([]byte, error) {
	switch {
	case cfg.RootKeyCommand != "" && cfg.RootKeyFile != "":
		return nil, errors.New("give --root-key-command or --root-key-file, not both")
	case cfg.RootKeyCommand != "":
		return keyFromCommand(ctx, cfg.RootKeyCommand)
	case cfg.RootKeyFile != "":
		return keyFromFile(cfg.RootKeyFile)
	}
	text, err := keyFromFile(keySource(cfg))
	if errors.Is(err, os.ErrNotExist) {
		return nil, errNoSealKey
	}
	return text, err
}

// keyFromCommand runs the operator's command by the shell. Neither its output nor its error output is ever logged.
func keyFromCommand(ctx context.Context, command string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, keyCommandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout = &limited{&out, maxKeyText}
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("--root-key-command did not succeed within %s: %w (run it by hand to see why)", keyCommandTime, err)
	}
	return out.Bytes(), nil
}

// limited takes n bytes and refuses more.
type limited struct {
	w io.Writer
	n int
}

func (l *limited) Write(b []byte) (int, error) {
	if l.n -= len(b); l.n < 0 {
		return 0, fmt.Errorf("more than %d bytes for a key", maxKeyText)
	}
	return l.w.Write(b)
}

func keyFromFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the root key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the root key: %w", err)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("root key file %s may be read by others (%s): chmod 600 it", path, info.Mode())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyText))
	if err != nil {
		return nil, fmt.Errorf("read the root key: %w", err)
	}
	return text, nil
}

// parseSealKey takes 32 raw bytes, or 32 bytes in hex or base64 with white space around them.
func parseSealKey(text []byte) ([]byte, error) {
	if len(text) == seal.RootSize {
		return bytes.Clone(text), nil
	}
	word := string(bytes.TrimSpace(text))
	if b, err := hex.DecodeString(word); err == nil && len(b) == seal.RootSize {
		return b, nil
	}
	if b, err := base64.StdEncoding.DecodeString(word); err == nil && len(b) == seal.RootSize {
		return b, nil
	}
	return nil, fmt.Errorf("the root key must be %d bytes, raw or in hex or base64 (`openssl rand -hex %d` makes one)", seal.RootSize, seal.RootSize)
}
