package ecr

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/store"
)

// named is a store that calls a full disk what it is: to callers, who may make room by deleting images, and in the log.
type named struct {
	store.Store
	log *slog.Logger
}

// Update is [store.Store.Update].
func (n *named) Update(ctx context.Context, fn func(store.Tx) error) error {
	return storing(n.log, n.Store.Update(ctx, fn))
}

// View is [store.Store.View]. On a full disk even reading may want space.
func (n *named) View(ctx context.Context, fn func(store.Tx) error) error {
	return storing(n.log, n.Store.View(ctx, fn))
}

// storing is the answer to an error of storing something: a full disk is said to be one.
func storing(log *slog.Logger, err error) error {
	if !errors.Is(err, store.ErrFull) {
		return err
	}
	log.Error("the disk is full: the registry could not store what it was given", "error", err)
	return api.ErrServer.New("The disk of this host is full: the registry has no space left.").Because(err)
}

const (
	// maxRest is how much of a layer is read away, in bytes, when the disk has no room for it, and maxRestTime for how long: many
	// clients read no answer before they have sent everything.
	maxRest     = 1 << 30
	maxRestTime = 30 * time.Second
)

// discard reads what is left of the body and keeps nothing of it, unless the client waits to be asked for it. A client that sends
// nothing is the server's to give up.
func (v *visit) discard() {
	if v.r.Body == nil || v.r.Header.Get("Expect") != "" && !v.begun {
		return
	}
	end := time.Now().Add(maxRestTime)
	for left := int64(maxRest); left > 0 && time.Now().Before(end); {
		n, err := io.CopyN(io.Discard, v.r.Body, min(left, 64<<10))
		if left -= n; err != nil {
			return // its end, or a client that has gone
		}
	}
}
