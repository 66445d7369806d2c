package image

import (
	"errors"
	"fmt"
	"syscall"
)

// Errors of every call, to be asked for with errors.Is. The text that goes with them says what is wrong and holds no secret. A disk
// that is full is syscall.ENOSPC, and leaves nothing behind; one that is so but for what is kept for others is a [FullError] too.
var (
	// ErrNotFound says that there is no such image.
	ErrNotFound = errors.New("image: not found")
	// ErrDenied says that the registry refuses these credentials, or wants some.
	ErrDenied = errors.New("image: access denied")
	// ErrNotAllowed says that the operator of this server does not allow this registry, this address or this directory.
	ErrNotAllowed = errors.New("image: not allowed here")
	// ErrInvalid says that this is no image, or one that is refused.
	ErrInvalid = errors.New("image: invalid")
	// ErrArchitecture says that the image is for another platform.
	ErrArchitecture = errors.New("image: wrong architecture")
	// ErrTooLarge says that the image is larger than Limits.
	ErrTooLarge = errors.New("image: too large")
	// ErrUnreachable says that the registry does not answer, or stopped in the middle. It may be there later.
	ErrUnreachable = errors.New("image: registry unreachable")
)

// FullError says that an image would take what is kept of the disk for everything else: see Limits.Reserve. It is syscall.ENOSPC.
type FullError struct {
	Free int64 // bytes
	Kept int64 // bytes, of Free or more than it
	Want int64 // bytes that the image's next file would take of Free
}

// Error implements error.
func (e *FullError) Error() string {
	return "the disk is nearly full: " + e.Room()
}

// Room says how much is free and how much of it is kept.
func (e *FullError) Room() string {
	text := fmt.Sprintf("%s are free, and %s are kept for everything else", mebibytes(e.Free), mebibytes(e.Kept))
	if e.Free > e.Kept {
		text += fmt.Sprintf(": there is no room for a file of %s", mebibytes(e.Want))
	}
	return text
}

// Is makes it syscall.ENOSPC.
func (e *FullError) Is(target error) bool { return target == syscall.ENOSPC }

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
