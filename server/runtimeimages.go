package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/image"
	"github.com/enfold-run/enfold/runtimes"
)

// runtimeImages are the images that serve managed runtimes where the operator wants that. Each is pulled once after every start, as
// AWS's own runtimes are updated; if that fails, the one of before goes on.
type runtimeImages struct {
	*image.Store
	server *Server
	file   string            // what they were last
	refs   map[string]string // by runtime

	mu    sync.Mutex // held by whoever writes file, which is whole at any time, or uses slots
	slots map[string]*runtimeImage
}

// runtimeImage is that of one runtime.
type runtimeImage struct {
	turn  chan struct{} // one token: who has it may use the rest, and pull
	found *runtimes.Image
	err   error
	at    time.Time // when err was
}

// pullAgain is how long a runtime's image that could not be pulled is not asked for again.
const pullAgain = 30 * time.Second

// pulledImage is what file has of a runtime.
type pulledImage struct{ Ref, Digest string }

func newRuntimeImages(s *Server, store *image.Store) (*runtimeImages, error) {
	for _, name := range slices.Sorted(maps.Keys(s.cfg.RuntimeImages)) {
		if !runtimes.Known(name) {
			return nil, fmt.Errorf("--runtime-images %s=…: Enfold has no such runtime", name)
		}
	}
	return &runtimeImages{
		Store: store, server: s, refs: s.cfg.RuntimeImages, file: filepath.Join(s.cfg.Data, "runtime-images.json"), slots: map[string]*runtimeImage{},
	}, nil
}

// image is that of a runtime, nil if it has none.
func (r *runtimeImages) image(ctx context.Context, runtime string) (*runtimes.Image, error) {
	ref, ok := r.refs[runtime]
	if !ok {
		return nil, nil
	}
	r.mu.Lock()
	slot := r.slots[runtime]
	if slot == nil {
		slot = &runtimeImage{turn: make(chan struct{}, 1)}
		r.slots[runtime] = slot
	}
	r.mu.Unlock()
	select {
	case slot.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-slot.turn }()
	if slot.found != nil || slot.err != nil && time.Since(slot.at) < pullAgain {
		return slot.found, slot.err
	}
	found, err := r.pull(ctx, runtime, ref)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	slot.found, slot.err, slot.at = found, err, time.Now()
	return found, err
}

// pull pulls the image of a runtime, or takes the one of before.
func (r *runtimeImages) pull(ctx context.Context, runtime, ref string) (*runtimes.Image, error) {
	account := r.server.cfg.Account
	found, err := r.Pull(aws.WithCall(ctx, &aws.Call{
		Principal: lambdaService, Account: account, Region: r.server.cfg.Region, RequestID: uuid.NewString(), SourceAccount: account,
	}), image.Request{Ref: ref, Owner: account})
	if err == nil {
		if err := r.note(runtime, pulledImage{ref, found.Digest}); err != nil {
			return nil, err
		}
		return asRuntime(found), nil
	}
	before, readErr := r.pulled()
	if last := before[runtime]; readErr == nil && last.Ref == ref && ctx.Err() == nil {
		if found, getErr := r.Get(last.Digest); getErr == nil {
			r.server.cfg.Log.Warn("a runtime's image could not be pulled: the one of before goes on", "runtime", runtime, "image", last.Digest, "error", err)
			return asRuntime(found), nil
		}
	}
	return nil, errors.Join(err, readErr)
}

func asRuntime(i *image.Image) *runtimes.Image {
	return &runtimes.Image{
		Layers: i.Layers, EntryPoint: i.Config.Entrypoint, Command: i.Config.Cmd, WorkingDirectory: i.Config.WorkingDir, Env: i.Config.Env,
	}
}

// pulled is what was pulled before, by runtime.
func (r *runtimeImages) pulled() (map[string]pulledImage, error) {
	all := map[string]pulledImage{}
	b, err := os.ReadFile(r.file)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("read the images of runtimes: %w", err)
	}
	return all, nil
}

// note writes down what a runtime's image is.
func (r *runtimeImages) note(runtime string, is pulledImage) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, err := r.pulled()
	if err != nil || all[runtime] == is {
		return err
	}
	all[runtime] = is
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return writeFile(r.file, b)
}

// Keep implements lambda.Images: the images of runtimes stay too.
func (r *runtimeImages) Keep(named func(digest string) bool) (image.Freed, error) {
	all, err := r.pulled()
	if err != nil {
		return image.Freed{}, err
	}
	mine := map[string]bool{}
	for runtime, is := range all {
		mine[is.Digest] = r.refs[runtime] == is.Ref
	}
	return r.Store.Keep(func(digest string) bool { return mine[digest] || named(digest) })
}

// run pulls all of them, so that nobody waits for it.
func (r *runtimeImages) run(ctx context.Context) error {
	for _, runtime := range slices.Sorted(maps.Keys(r.refs)) {
		if _, err := r.image(ctx, runtime); err != nil && ctx.Err() == nil {
			r.server.cfg.Log.Error("a runtime's image cannot be had: its functions cannot run", "runtime", runtime, "error", err)
		}
	}
	return nil
}
