package lambda

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/image"
	"github.com/enfold-run/enfold/worker"
)

// Images has container images on this host: an *image.Store. The context of a call tells it in whose name a registry is asked: the
// caller's when a function is given an image, Lambda's own when that is pulled later.
type Images interface {
	// Resolve finds what a reference means now, and reads none of its layers.
	Resolve(ctx context.Context, r image.Request) (*image.Image, error)
	// Pull fetches what is not on the disk yet.
	Pull(ctx context.Context, r image.Request) (*image.Image, error)
	// Get is what was pulled before, or image.ErrNotFound.
	Get(digest string) (*image.Image, error)
	// Keep removes what is not named.
	Keep(named func(digest string) bool) (image.Freed, error)
}

// imageCode is the container image of a function. A tag that moves or is deleted later changes nothing of it.
type imageCode struct {
	URI    string // as it was given
	Digest string // of the manifest, "sha256:…"
	Ref    string // from where exactly this image can be pulled
	Pulled bool   // it was, for this account: from then on the registry need not have it any more
	// Override is the function's ImageConfig, nil without.
	Override *imageConfig `json:",omitempty"`
}

// imageConfig is what a function has instead of what its image says.
type imageConfig struct {
	EntryPoint, Command []string
	WorkingDirectory    string
}

// maxImageConfig is how many bytes an ImageConfig may have: the kernel takes little more of one argument.
const maxImageConfig = 64 << 10

func checkImageConfig(in *api.ImageConfig) error {
	if in == nil {
		return nil
	}
	size := 0
	for _, s := range slices.Concat(in.EntryPoint, in.Command, []string{str(in.WorkingDirectory)}) {
		if strings.IndexByte(s, 0) >= 0 {
			return invalid("ImageConfig contains a NUL byte.")
		}
		size += len(s) + 1
	}
	if size > maxImageConfig {
		return invalid("ImageConfig is larger than %d bytes.", maxImageConfig)
	}
	if dir := str(in.WorkingDirectory); dir != "" && !strings.HasPrefix(dir, "/") {
		return invalid("The WorkingDirectory %s is not an absolute path.", dir)
	}
	return nil
}

// empty says that an ImageConfig sets nothing.
func emptyImageConfig(in *api.ImageConfig) bool {
	return in == nil || len(in.EntryPoint) == 0 && len(in.Command) == 0 && str(in.WorkingDirectory) == ""
}

// checkPackage checks that what is given goes with the package type, and says whether that is Image.
func checkPackage(in *api.CreateFunctionInput) (isImage bool, err error) {
	code := in.Code
	if code == nil {
		code = &api.FunctionCode{}
	}
	if str(in.PackageType) != api.PackageTypeImage {
		switch {
		case str(code.ImageURI) != "":
			return false, invalid("Please don't provide ImageUri when creating a function with packageType Zip.")
		case !emptyImageConfig(in.ImageConfig):
			return false, invalid("Please don't provide ImageConfig when the intended function PackageType is Zip.")
		case in.Runtime == nil || str(in.Handler) == "":
			return false, invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
		}
		return false, nil
	}
	switch {
	case str(in.Runtime) != "" || str(in.Handler) != "" || len(in.Layers) > 0:
		return true, errNotWithImage
	case code.ZipFile != nil || code.S3Bucket != nil || code.S3Key != nil || code.S3ObjectVersion != nil:
		return true, invalid("Please don't provide ZipFile or S3 parameters when creating a function with packageType Image.")
	case str(code.SourceKMSKeyArn) != "":
		return true, unsupported("SourceKMSKeyArn")
	case str(code.ImageURI) == "":
		return true, invalid("Please provide ImageUri when creating a function with packageType Image.")
	case in.SnapStart != nil && str(in.SnapStart.ApplyOn) == api.SnapStartApplyOnPublishedVersions:
		return true, invalid("SnapStart is not supported for functions with packageType Image.")
	}
	return true, nil
}

// errNotWithImage is AWS's answer to what only a deployment package can have.
var errNotWithImage = invalid("Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.")

// checkImageUpdate refuses new settings that do not go with the function's package type.
func checkImageUpdate(c *config, in *api.UpdateFunctionConfigurationInput) error {
	switch {
	case c.Image == nil && !emptyImageConfig(in.ImageConfig):
		return invalid("Please don't provide ImageConfig when the intended function PackageType is Zip.")
	case c.Image == nil:
		return nil
	case str(in.Runtime) != "" || str(in.Handler) != "" || len(in.Layers) > 0:
		return errNotWithImage
	case in.SnapStart != nil && str(in.SnapStart.ApplyOn) == api.SnapStartApplyOnPublishedVersions:
		return invalid("SnapStart is not supported for functions with packageType Image.")
	}
	return nil
}

// applyImage sets a function's ImageConfig. What was given replaces all that was there.
func (s *settings) applyImage(c *config) {
	if s.image == nil || c.Image == nil {
		return
	}
	next := *c.Image
	next.Override = nil
	if !emptyImageConfig(s.image) {
		next.Override = &imageConfig{s.image.EntryPoint, s.image.Command, str(s.image.WorkingDirectory)}
	}
	c.Image = &next
}

// resolveImage finds the image that a caller names, in the caller's name.
func (s *Service) resolveImage(ctx context.Context, r ref, uri string) (*imageCode, error) {
	if s.deps.Images == nil {
		return nil, invalid("Enfold does not support functions of PackageType Image here: they want isolation by namespaces or gVisor.")
	}
	found, err := s.deps.Images.Resolve(ctx, image.Request{Ref: uri, Owner: r.scope.Account})
	if err != nil {
		return nil, imageRefused(ctx, uri, err)
	}
	return &imageCode{URI: uri, Digest: found.Digest, Ref: found.Ref}, nil
}

// imageRefused is what somebody hears who gives a function an image that cannot be used. Unlike AWS it says more than that.
func imageRefused(ctx context.Context, uri string, err error) error {
	refuse := func(what string) error {
		return api.ErrInvalidParameterValue.Withf("Source image %s %s", uri, what).Because(err)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, image.ErrNotFound):
		return refuse("does not exist. Provide a valid source image.")
	case errors.Is(err, image.ErrDenied):
		return aws.ErrAccessDenied.New("Lambda does not have permission to access the ECR image. Check the ECR permissions.").Because(err)
	case errors.Is(err, image.ErrNotAllowed):
		return refuse("is not valid. Provide a valid source image: one of this server's ECR, or of what its operator allows with " +
			"--image-registries and --image-dir.")
	case errors.Is(err, image.ErrInvalid), errors.Is(err, image.ErrArchitecture), errors.Is(err, image.ErrTooLarge):
		return refuse("is not valid. Provide a valid source image. " + whyNot(err))
	case errors.Is(err, image.ErrUnreachable):
		return api.ErrService.New("The registry of the source image " + uri + " cannot be reached now. " + whyNot(err)).Because(err)
	}
	return fmt.Errorf("resolve image: %w", err)
}

// whyNot is an image's error without what we were doing.
func whyNot(err error) string {
	_, text, ok := strings.Cut(err.Error(), "image: ")
	if !ok || text == "" {
		return err.Error()
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// code is a function's code that is an image: it has the manifest's digest for a hash and, as on AWS, no size.
func (i *imageCode) code() code {
	sum, _ := hex.DecodeString(strings.TrimPrefix(i.Digest, "sha256:")) // the digest was checked
	return code{SHA256: sum}
}

// resolvedURI is the image by its digest.
func (i *imageCode) resolvedURI() string {
	name, _, _ := strings.Cut(i.URI, "@")
	if at := strings.LastIndexByte(name, ':'); at > strings.LastIndexByte(name, '/') && !strings.HasPrefix(name, "oci:") &&
		!strings.HasPrefix(name, "docker-archive:") {
		name = name[:at]
	}
	return name + "@" + i.Digest
}

// prepareImage makes sure that a configuration's image is on the disk. See prepare.
func (s *Service) prepareImage(ctx context.Context, r ref, c *config) (failure status, err error) {
	found, err := s.ensureImage(ctx, r, c)
	if err == nil {
		err = cmpErr(enterable(found.Layers), withoutExtensions(found.Layers))
	}
	if err == nil {
		return status{}, nil
	}
	return imageFailure(ctx, c, err)
}

// imageFailure is the state of a version whose image cannot be had. An error is ours, and means that it is to be tried again.
func imageFailure(ctx context.Context, c *config, err error) (status, error) {
	var full *image.FullError
	switch {
	case ctx.Err() != nil:
		return status{}, ctx.Err()
	case errors.Is(err, image.ErrNotFound):
		return status{api.StateFailed, "The image " + c.Image.resolvedURI() + " was deleted.", api.StateReasonCodeImageDeleted}, nil
	case errors.Is(err, image.ErrDenied), errors.Is(err, image.ErrNotAllowed):
		const text = "Lambda does not have permission to access the ECR image. Check the ECR permissions."
		return status{api.StateFailed, text, api.StateReasonCodeImageAccessDenied}, nil
	case errors.Is(err, image.ErrInvalid), errors.Is(err, image.ErrArchitecture), errors.Is(err, image.ErrTooLarge):
		return status{api.StateFailed, "The image is not valid. " + whyNot(err), api.StateReasonCodeInvalidImage}, nil
	case errors.Is(err, image.ErrUnreachable):
		return status{api.StateFailed, "The registry cannot be reached. " + whyNot(err), api.StateReasonCodeInternalError}, nil
	case errors.As(err, &full):
		text := "The disk of this host is nearly full: the image could not be unpacked. " + full.Room() + "."
		return status{api.StateFailed, text, api.StateReasonCodeInternalError}, nil
	case errors.Is(err, syscall.ENOSPC):
		return status{api.StateFailed, "The disk of this host is full: the image could not be unpacked.", api.StateReasonCodeInternalError}, nil
	}
	return status{}, fmt.Errorf("prepare image: %w", err)
}

// enterable refuses an image in which a function could not even find its own directories: those that a sandbox has in every image can be
// entered by everybody. AWS runs functions as nobody in particular too.
func enterable(layers []string) error {
	for _, layer := range layers {
		for _, dir := range []string{"", "dev", "etc", "proc", "sys", "tmp"} {
			st, err := os.Lstat(filepath.Join(layer, dir))
			if err == nil && st.IsDir() && st.Mode().Perm()&0o001 == 0 {
				return fmt.Errorf("%w: its directory /%s cannot be entered by the user that runs functions (mode %04o)", image.ErrInvalid, dir, st.Mode().Perm())
			}
		}
	}
	return nil
}

// withoutExtensions refuses an image that brings external extensions, which nobody would start: its function would run with half of what it
// counts on missing.
func withoutExtensions(layers []string) error {
	removed := map[string]bool{}
	for _, layer := range slices.Backward(layers) {
		files, err := os.ReadDir(filepath.Join(layer, "opt/extensions"))
		if err != nil {
			continue // hardly any layer has that directory
		}
		for _, f := range files {
			if gone := f.Type()&os.ModeCharDevice != 0; gone || removed[f.Name()] { // a layer above says so
				removed[f.Name()] = true
			} else if !f.IsDir() {
				return fmt.Errorf("%w: it has %s, and Enfold starts no extensions", image.ErrInvalid, quote("/opt/extensions/"+f.Name()))
			}
		}
	}
	return nil
}

// ensureImage is a configuration's image, pulled if it is not on the disk. What this account has not pulled yet is asked for, though
// another one may have it here.
func (s *Service) ensureImage(ctx context.Context, r ref, c *config) (*image.Image, error) {
	if s.deps.Images == nil {
		return nil, fmt.Errorf("%w: functions of PackageType Image want isolation by namespaces or gVisor", image.ErrInvalid)
	}
	if c.Image.Pulled {
		if found, err := s.deps.Images.Get(c.Image.Digest); !errors.Is(err, image.ErrNotFound) {
			return found, err
		}
	}
	return s.deps.Images.Pull(asLambda(ctx, r.scope), image.Request{Ref: c.Image.Ref, Owner: r.scope.Account})
}

// runImage is an image as the worker runs it.
func (s *Service) runImage(ctx context.Context, r ref, c *config) (*worker.Image, error) {
	found, err := s.ensureImage(ctx, r, c)
	if err != nil {
		s.deps.Log.Error("get a function's image", "function", r.name, "image", c.Image.Digest, "error", err)
		if failure, fault := imageFailure(ctx, c, err); fault == nil {
			return nil, unusable(failure)
		}
		return nil, ours(err)
	}
	run := &worker.Image{
		Layers: found.Layers, EntryPoint: found.Config.Entrypoint, Command: found.Config.Cmd, WorkingDirectory: found.Config.WorkingDir,
		Env: found.Config.Env,
	}
	if o := c.Image.Override; o != nil {
		if len(o.EntryPoint) > 0 {
			run.EntryPoint = o.EntryPoint
		}
		if len(o.Command) > 0 {
			run.Command = o.Command
		}
		if o.WorkingDirectory != "" {
			run.WorkingDirectory = o.WorkingDirectory
		}
	}
	return run, nil
}

// imageConfigResponse is a function's ImageConfig as the API shows it; nil without.
func (c *config) imageConfigResponse() *api.ImageConfigResponse {
	if c.Image == nil || c.Image.Override == nil {
		return nil
	}
	o := c.Image.Override
	return &api.ImageConfigResponse{ImageConfig: &api.ImageConfig{
		EntryPoint: o.EntryPoint, Command: o.Command, WorkingDirectory: given(o.WorkingDirectory),
	}}
}

// showSHA256 is CodeSha256: an image's is its digest.
func (c *config) showSHA256() string {
	if c.Image != nil {
		return hex.EncodeToString(c.Code.SHA256)
	}
	return base64Of(c.Code.SHA256)
}

// packageType is Zip or Image.
func (c *config) packageType() string {
	if c.Image != nil {
		return api.PackageTypeImage
	}
	return api.PackageTypeZip
}

// manyPulls is how many functions may wait for their image at once.
const manyPulls = 1024

func newPulls() *jobs {
	q := newJobs()
	q.slots = manyPulls
	return q
}

// imageLingering is how long an image stays after the last version that names it is gone: as long as code does, and as image.Store keeps
// what was pulled just now.
const imageLingering = lingering + time.Hour

// leaving are images that a row stopped needing.
type leaving struct {
	mu sync.Mutex
	at map[string]time.Time // digest -> when it may go
}

func (l *leaving) add(now time.Time, digests ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[string]time.Time{}
	}
	for _, d := range digests {
		l.at[d] = now.Add(imageLingering)
	}
}

// due says whether the time of one has come, and forgets those.
func (l *leaving) due(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.at)
	for d, at := range l.at {
		if !at.After(now) {
			delete(l.at, d)
		}
	}
	return len(l.at) < n
}

func (l *leaving) has(digest string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.at[digest]
	return ok
}

// sweepImages removes the images that no row names and no sandbox may use any more.
func (s *Service) sweepImages(ctx context.Context) error {
	if s.deps.Images == nil {
		return nil
	}
	named, err := s.namedImages(ctx)
	if err != nil {
		return err
	}
	freed, err := s.deps.Images.Keep(func(digest string) bool { return named[digest] || s.leaving.has(digest) })
	if freed.Images > 0 {
		s.deps.Log.Info("images removed", "images", freed.Images, "layers", freed.Layers, "bytes", freed.Bytes)
	}
	if err != nil {
		return fmt.Errorf("sweep images: %w", err)
	}
	return nil
}

// images are the digests of the images that a version needs.
func (v *version) images() []string {
	var all []string
	for _, c := range []*config{&v.Config, v.Serving} {
		if c != nil && c.Image != nil {
			all = append(all, c.Image.Digest)
		}
	}
	return all
}
