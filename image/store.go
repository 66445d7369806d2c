package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options are what a Store may reach.
type Options struct {
	// Transport answers for registries that are part of this process: the request's context is that of the call. Nil, or a nil answer,
	// is a registry outside.
	Transport func(host string) http.RoundTripper
	// AllowHost says which registries outside may be asked, by host or host:port; Docker Hub is index.docker.io. Nil is none. No proxy is
	// used.
	AllowHost func(host string) bool
	// PlainHost says which registries outside may be spoken to without TLS. Nil is none.
	PlainHost func(host string) bool
	// Allow are addresses that are not public and may be reached nevertheless. Others never are, whatever a name stands for or a registry
	// redirects to.
	Allow []netip.Prefix
	// Own tells the addresses of this server, which are never reached. Nil is none.
	Own func(netip.AddrPort) bool
	// Dirs are absolute paths of directories in which OCI layouts and docker-archives may lie.
	Dirs   []string
	Limits Limits
	Log    *slog.Logger // nil is none
}

// Store has images on disk. All methods are safe for concurrent use. One process at a time may have a directory open.
type Store struct {
	dir    string
	opts   Options
	limits Limits
	log    *slog.Logger
	client *outside
	// places are for pulls, asking for those who only resolve.
	places, asking *places

	mu     sync.Mutex
	pinned map[string]int // diff ids that a Pull is about to need
	alone  map[string]chan struct{}
}

// The store's directory:
//
//	images/HEX.json  an image, by the digest of its manifest
//	layers/HEX/fs    a layer, by diff id; layers/HEX/layer.json says what it is
//	tmp/             what is not finished, swept by Open
const (
	imagesDir = "images"
	layersDir = "layers"
	tmpDir    = "tmp"
)

// Open opens the store in dir, which is made if it is not there.
func Open(dir string, o Options) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("image store: %w", err)
	}
	if err := empty(filepath.Join(dir, tmpDir)); err != nil {
		return nil, fmt.Errorf("sweep image store: %w", err)
	}
	for _, d := range []string{imagesDir, layersDir, tmpDir} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o711); err != nil {
			return nil, fmt.Errorf("image store: %w", err)
		}
	}
	s := &Store{
		dir: dir, opts: o, limits: o.Limits.withDefaults(), log: o.Log, pinned: map[string]int{}, alone: map[string]chan struct{}{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.client = newOutside(o.Allow, o.Own, s.limits.Stall)
	s.asking = newPlaces(4*s.limits.Pulls, 4*s.limits.PullsPerOwner)
	s.places = newPlaces(s.limits.Pulls, s.limits.PullsPerOwner)
	return s, nil
}

// empty removes what is in a directory, if there is one. The directory stays: a start with nothing to remove changes nothing on the disk.
func empty(dir string) error {
	left, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range left {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}

// Close lets idle connections to registries go. Nobody may be pulling.
func (s *Store) Close() { s.client.transport.CloseIdleConnections() }

// Resolve finds an image and reads its manifest and configuration, and none of its layers: Layers is nil and Size 0. Its answer's Ref
// can be pulled later.
func (s *Store) Resolve(ctx context.Context, r Request) (*Image, error) {
	ctx, cancel := s.limit(ctx)
	defer cancel()
	leave, err := s.asking.enter(ctx, r.Owner)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", shown(r.Ref), err)
	}
	defer leave()
	f, err := s.find(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", shown(r.Ref), err)
	}
	defer f.source.Close()
	return f.image(), nil
}

// Pull finds an image, unpacks what is not on disk yet, and answers when all of it is durable. It costs one request for the manifest
// and one for the configuration if all of it is there.
func (s *Store) Pull(ctx context.Context, r Request) (*Image, error) {
	ctx, cancel := s.limit(ctx)
	defer cancel()
	leave, err := s.places.enter(ctx, r.Owner)
	if err != nil {
		return nil, fmt.Errorf("pull %s: %w", shown(r.Ref), err)
	}
	defer leave()
	f, err := s.find(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("pull %s: %w", shown(r.Ref), err)
	}
	defer f.source.Close()
	start := time.Now()
	img, err := s.fetch(ctx, f, r.Owner)
	if errors.Is(err, syscall.ENOSPC) {
		s.log.ErrorContext(ctx, "the disk is full: an image could not be unpacked", "image", f.image().Ref, "error", err)
	}
	if err != nil {
		return nil, fmt.Errorf("pull %s: %w", shown(r.Ref), err)
	}
	s.log.InfoContext(ctx, "image pulled", "image", img.Ref, "layers", len(img.Layers), "bytes", img.Size, "took", time.Since(start))
	return img, nil
}

// limit is the context of a pull, which takes only so long.
func (s *Store) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.limits.Total, fmt.Errorf("%w: it takes longer than %v", ErrUnreachable, s.limits.Total))
}

// Get is an image that was pulled before, from disk. It is ErrNotFound if any of it is missing: then it has to be pulled again. Whoever
// has the digest is taken to be entitled to it.
func (s *Store) Get(digest string) (*Image, error) {
	hex, ok := digestHex(digest)
	if !ok {
		return nil, fmt.Errorf("%w: %q is no digest", ErrNotFound, clip(digest))
	}
	rec, err := s.readImage(hex)
	if err != nil {
		return nil, err
	}
	return s.complete(rec)
}

// imageRecord is an image as it lies on disk.
type imageRecord struct {
	Image
	DiffIDs []string  `json:"diff_ids"` // hex, the lowest first, all of them
	Pulled  time.Time `json:"pulled"`
}

func (s *Store) imagePath(hex string) string { return filepath.Join(s.dir, imagesDir, hex+".json") }

func (s *Store) layerPath(hex string) string { return filepath.Join(s.dir, layersDir, hex) }

func (s *Store) readImage(hex string) (*imageRecord, error) {
	data, err := os.ReadFile(s.imagePath(hex))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: sha256:%s is not on disk", ErrNotFound, hex)
	}
	if err != nil {
		return nil, fmt.Errorf("read image: %w", err)
	}
	rec := new(imageRecord)
	if err := json.Unmarshal(data, rec); err != nil {
		return nil, fmt.Errorf("read image sha256:%s: %w", hex, err)
	}
	return rec, nil
}

// complete adds the layers' directories to an image.
func (s *Store) complete(rec *imageRecord) (*Image, error) {
	img := rec.Image
	for _, hex := range rec.DiffIDs {
		l, err := s.readLayer(hex)
		if err != nil {
			return nil, err
		}
		if l.Opaque {
			img.Layers = nil
		}
		img.Layers = append(img.Layers, filepath.Join(s.layerPath(hex), layerRoot))
	}
	return &img, nil
}

// architecture is what a request asks for.
func (r *Request) architecture() string {
	if r.Architecture == "" {
		return runtime.GOARCH
	}
	return r.Architecture
}

// shown is a reference as it may be told: somebody may have put a password before its host.
func shown(ref string) string {
	if i := strings.LastIndexByte(ref, '@'); i >= 0 && !strings.HasPrefix(ref[i+1:], "sha256:") {
		ref = "…" + ref[i:]
	}
	return clip(ref)
}

// clip shortens what came from outside, for an error.
func clip(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
