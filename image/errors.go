package image

import "errors"

// Errors of every call, to be asked for with errors.Is. The text that goes with them says what is wrong and holds no secret. A disk
// that is full is syscall.ENOSPC, and leaves nothing behind.
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
