package runtimes

import (
	"cmp"
	"context"
	"strings"
)

// Image is a container image as a function uses it. It needs nothing of a Set: what runs is in the image.
type Image struct {
	// Layers are directories of the host, the lowest first: sandbox.Root's.
	Layers []string
	// EntryPoint, Command and WorkingDirectory are the function's ImageConfig where it has one, each by itself, else the image's.
	EntryPoint, Command []string
	WorkingDirectory    string
	// Env is the image's, "NAME=value".
	Env []string
}

// imagePath is PATH in an image that does not set one. It is Docker's.
const imagePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Handler is _HANDLER: the first word of the command.
func (i *Image) Handler() string {
	if len(i.Command) == 0 {
		return ""
	}
	return i.Command[0]
}

// Launch is how to start the image's own runtime interface client. An *EntrypointError says that the image names no program.
func (i *Image) Launch() (Launch, error) {
	args := append(append([]string(nil), i.EntryPoint...), i.Command...)
	if len(args) == 0 || args[0] == "" {
		return Launch{}, &EntrypointError{Message: "The container image has neither an entry point nor a command"}
	}
	if tooLong(args, i.Env) {
		return Launch{}, &EntrypointError{Message: "fork/exec " + args[0] + ": argument list too long"}
	}
	l := Launch{Args: args, Env: map[string]string{"PATH": imagePath}, Dir: cmp.Or(i.WorkingDirectory, "/"), Root: i.Layers}
	if !strings.HasPrefix(l.Dir, "/") {
		l.Dir = "/" + l.Dir
	}
	for _, entry := range i.Env {
		if name, value, ok := strings.Cut(entry, "="); ok && name != "" {
			l.Env[name] = value
		}
	}
	return l, nil
}

// maxArgs is how many bytes arguments and environment may have together, with a pointer for each: half of what Linux takes, so that
// there is room for the function's own variables.
const maxArgs = 1 << 20

func tooLong(lists ...[]string) bool {
	n := 0
	for _, list := range lists {
		for _, s := range list {
			n += len(s) + 9
		}
	}
	return n > maxArgs
}

// baseImage is the image that serves a runtime, nil if none does. An error is a *MissingError, or of a context that has ended.
func (s *Set) baseImage(ctx context.Context, r runtime) (*Image, error) {
	if s.base == nil {
		return nil, nil
	}
	img, err := s.base(ctx, r.name)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, &MissingError{
			Runtime: r.name, Reason: "The image that --runtime-images gives for " + r.name + " cannot be had: " + err.Error() + ".",
			Fix: "Correct the mapping, or see that its registry can be reached.",
		}
	}
	return img, nil
}

// imageBootstrap is the runtime interface client of AWS's base images. It finds the wrapper of a function by itself.
const imageBootstrap = "/var/runtime/bootstrap"

// launchInImage starts a function of an archive in a base image, whose own bootstrap is in charge; the one of a custom runtime is still
// the function's.
func launchInImage(r runtime, q Request, img *Image, err error) (Launch, error) {
	if err != nil {
		return Launch{}, err
	}
	base := Image{Layers: img.Layers, EntryPoint: []string{imageBootstrap}, WorkingDirectory: "/var/task", Env: img.Env}
	l, err := base.Launch()
	if err != nil {
		return Launch{}, err
	}
	if r.family == Provided {
		own, err := launchProvided(r, q)
		if err != nil {
			return Launch{}, err
		}
		l.Args = own.Args
		return l, nil
	}
	l.Env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + r.name
	return l, nil
}
