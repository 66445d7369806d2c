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
)

// Files of the data directory about sealing.
const (
	SealKeyFile   = "root.key"   // the generated root key, hex, mode 0600
	sealProbeFile = "root.check" // a sealed text: whether a root key is the one that the data was sealed with
)

const (
	maxKeyText     = 4 << 10
	keyCommandTime = 30 * time.Second
)

// sealRoot is the root key that everything at rest is sealed with: what --root-key-command prints, what --root-key-file
// holds, or a key made at first start beside the data.
func sealRoot(ctx context.Context, cfg Config) (*seal.Root, error) {
	text, err := sealKeyText(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	secret, err := parseSealKey(text)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	root, err := seal.NewRoot(secret)
	if err != nil {
		return nil, err
	}
	return root, probe(cfg.Data, root)
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
	path := filepath.Join(cfg.Data, SealKeyFile)
	text, err := keyFromFile(path)
	if !errors.Is(err, os.ErrNotExist) {
		return text, err
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, sealProbeFile)); err == nil {
		return nil, fmt.Errorf("%s is missing, and the data was sealed with it: bring it back, or name the key with --root-key-file or --root-key-command", path)
	}
	var secret [seal.RootSize]byte
	rand.Read(secret[:]) // never fails
	text = []byte(hex.EncodeToString(secret[:]) + "\n")
	return text, writeFile(path, text)
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

// probeText is what the probe file holds, sealed.
const probeText = "enfold"

func probeKey(root *seal.Root) *seal.Key { return root.Key("probe") }

// probe tells early, and clearly, that a root key is not the one that the data was sealed with. The first time it makes what
// that can be told by.
func probe(dir string, root *seal.Root) error {
	err := tryProbe(dir, root)
	if errors.Is(err, os.ErrNotExist) {
		return writeFile(filepath.Join(dir, sealProbeFile), probeKey(root).Seal([]byte(probeText), nil))
	}
	return err
}

// tryProbe answers os.ErrNotExist for data that was never sealed.
func tryProbe(dir string, root *seal.Root) error {
	b, err := os.ReadFile(filepath.Join(dir, sealProbeFile))
	if err != nil {
		return fmt.Errorf("read %s: %w", sealProbeFile, err)
	}
	if _, err := probeKey(root).Open(b, nil); err != nil {
		return fmt.Errorf("the root key is not the one that the data in %s was sealed with", dir)
	}
	return nil
}
