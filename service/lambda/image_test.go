package lambda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	godiff "github.com/google/go-cmp/cmp"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/image"
	"github.com/enfold-run/enfold/worker"
)

// registry plays a host's images: what tags mean, what may be pulled, and what is on the disk.
type registry struct {
	mu     sync.Mutex
	tags   map[string]string // URI -> digest
	refuse map[string]error  // URI or digest -> why
	disk   map[string]bool   // by digest
	asked  []string          // who, for what: "Resolve user URI"
	gate   chan struct{}     // if set, Pull waits until it is closed
	config image.Config
	layer  string // of every image; one that is not there if it is empty
}

const repository = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app"

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func newRegistry() *registry {
	return &registry{
		tags: map[string]string{repository + ":v1": digest("1")}, refuse: map[string]error{}, disk: map[string]bool{},
		config: image.Config{
			Entrypoint: []string{"/lambda-entrypoint.sh"}, Cmd: []string{"app.handler"}, Env: []string{"A=1"}, WorkingDir: "/var/task",
		},
	}
}

// with changes it.
func (g *registry) with(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
}

func (g *registry) Resolve(ctx context.Context, r image.Request) (*image.Image, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, "Resolve "+aws.CallFrom(ctx).Principal.Account+" "+aws.CallFrom(ctx).Principal.Service+" "+r.Ref+" for "+r.Owner)
	if err := g.refuse[r.Ref]; err != nil {
		return nil, fmt.Errorf("resolve %s: %w", r.Ref, err)
	}
	d, ok := g.tags[r.Ref]
	if !ok {
		return nil, fmt.Errorf("resolve %s: %w", r.Ref, image.ErrNotFound)
	}
	name, _, _ := strings.Cut(r.Ref, ":")
	return &image.Image{Digest: d, Ref: name + "@" + d, Config: g.config}, nil
}

func (g *registry) Pull(ctx context.Context, r image.Request) (*image.Image, error) {
	g.mu.Lock()
	gate := g.gate
	g.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, "Pull "+aws.CallFrom(ctx).Principal.Account+" "+aws.CallFrom(ctx).Principal.Service+" "+r.Ref+" for "+r.Owner)
	_, d, _ := strings.Cut(r.Ref, "@")
	if err := g.refuse[d]; err != nil {
		return nil, fmt.Errorf("pull %s: %w", r.Ref, err)
	}
	g.disk[d] = true
	return g.have(d), nil
}

func (g *registry) Get(d string) (*image.Image, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.disk[d] {
		return nil, image.ErrNotFound
	}
	return g.have(d), nil
}

func (g *registry) have(d string) *image.Image {
	return &image.Image{Digest: d, Config: g.config, Layers: []string{cmp.Or(g.layer, "/layers/"+d[7:9])}}
}

func (g *registry) Keep(named func(string) bool) (freed image.Freed, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for d := range g.disk {
		if !named(d) {
			delete(g.disk, d)
			freed.Images++
		}
	}
	return freed, nil
}

// newImageWorld is a world whose host has images.
func newImageWorld(t testing.TB) (*world, *registry) {
	w, g := newWorld(t), newRegistry()
	w.images = g
	w.restart()
	return w, g
}

// ofImage is a valid CreateFunction of an image.
func (w *world) ofImage(name, uri string, change ...func(*api.CreateFunctionInput)) *api.CreateFunctionInput {
	in := &api.CreateFunctionInput{
		FunctionName: &name, Role: new(role), PackageType: new(api.PackageTypeImage), Code: &api.FunctionCode{ImageURI: &uri},
	}
	for _, c := range change {
		c(in)
	}
	return in
}

// ran is the function that the worker is given when name is invoked.
func (w *world) ran(name string) (*worker.Function, error) {
	var got *worker.Function
	w.pool.run = func(f *worker.Function, _ *worker.Request) (*worker.Response, error) {
		got = f
		return &worker.Response{Payload: []byte("null")}, nil
	}
	_, err := w.Invoke(w.ctx, &api.InvokeInput{FunctionName: &name})
	return got, err
}

func TestImageFunction(t *testing.T) {
	w, g := newImageWorld(t)
	gate := make(chan struct{})
	g.gate = gate
	made := must(w.CreateFunction(w.ctx, w.ofImage("f", repository+":v1", func(in *api.CreateFunctionInput) {
		in.ImageConfig = &api.ImageConfig{Command: []string{"other.handler"}, WorkingDirectory: new("/app")}
	})))(t)
	if *made.State != api.StatePending || *made.StateReasonCode != api.StateReasonCodeCreating {
		t.Errorf("while the image is pulled the function is %s %s", *made.State, *made.StateReasonCode)
	}
	// An image that takes its time holds nobody else up.
	w.create("zip")
	close(gate)
	shown := w.wait("f")
	if *shown.State != api.StateActive || *shown.PackageType != "Image" || shown.Runtime != nil || shown.Handler != nil || shown.RuntimeVersionConfig != nil ||
		*shown.CodeSha256 != strings.Repeat("1", 64) || *shown.CodeSize != 0 {
		t.Errorf("it is shown as %s", toJSON(t, shown))
	}
	want := &api.ImageConfigResponse{ImageConfig: &api.ImageConfig{Command: []string{"other.handler"}, WorkingDirectory: new("/app")}}
	if diff := godiff.Diff(want, shown.ImageConfigResponse); diff != "" {
		t.Error(diff)
	}
	code := must(w.GetFunction(w.ctx, &api.GetFunctionInput{FunctionName: new("f")}))(t).Code
	where := &api.FunctionCodeLocation{
		RepositoryType: new("ECR"), ImageURI: new(repository + ":v1"), ResolvedImageURI: new(repository + "@" + digest("1")),
	}
	if diff := godiff.Diff(where, code); diff != "" {
		t.Error(diff)
	}
	run, err := w.ran("f")
	if err != nil {
		t.Fatal(err)
	}
	image := &worker.Image{
		Layers: []string{"/layers/11"}, EntryPoint: []string{"/lambda-entrypoint.sh"}, Command: []string{"other.handler"}, WorkingDirectory: "/app",
		Env: []string{"A=1"},
	}
	if diff := godiff.Diff(image, run.Image); diff != "" || run.Task != "" || run.Runtime != "" {
		t.Errorf("the worker gets %+v: %s", run, diff)
	}
	// The caller is asked when the function is made, Lambda when it pulls.
	asked := []string{
		"Resolve 123456789012  " + repository + ":v1 for 123456789012",
		"Pull  lambda.amazonaws.com " + strings.Split(repository, ":")[0] + "@" + digest("1") + " for 123456789012",
	}
	if diff := godiff.Diff(asked, slices.Compact(g.asked)); diff != "" { // a start may do once more what is under way
		t.Error(diff)
	}
}

// A function keeps its image when the tag moves, is deleted, or the registry forgets the image.
func TestImageKeepsItsDigest(t *testing.T) {
	w, g := newImageWorld(t)
	must(w.CreateFunction(w.ctx, w.ofImage("f", repository+":v1")))(t)
	w.wait("f")
	g.with(func() {
		g.tags = map[string]string{repository + ":v1": digest("2")}
		g.refuse[digest("1")] = image.ErrNotFound
	})
	w.restart()
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
		FunctionName: new("f"), ImageConfig: &api.ImageConfig{EntryPoint: []string{"/own"}},
	}))(t)
	if shown := w.wait("f"); *shown.LastUpdateStatus != api.LastUpdateStatusSuccessful {
		t.Fatalf("the update is %s: %s", *shown.LastUpdateStatus, *shown.LastUpdateStatusReason)
	}
	run, err := w.ran("f")
	if err != nil {
		t.Fatal(err)
	}
	if run.Image.Layers[0] != "/layers/11" || run.Image.EntryPoint[0] != "/own" || run.Image.Command[0] != "app.handler" {
		t.Errorf("it runs %+v", run.Image)
	}
	must(w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{FunctionName: new("f"), ImageURI: new(repository + ":v1")}))(t)
	if shown := w.wait("f"); *shown.CodeSha256 != strings.Repeat("2", 64) || shown.ImageConfigResponse.ImageConfig.EntryPoint[0] != "/own" {
		t.Errorf("after the update it is %s", toJSON(t, shown))
	}
	if run, err = w.ran("f"); err != nil || run.Image.Layers[0] != "/layers/22" || run.Image.EntryPoint[0] != "/own" {
		t.Errorf("after the update it runs %+v, %v", run, err)
	}
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
		FunctionName: new("f"), ImageConfig: &api.ImageConfig{},
	}))(t)
	if shown := w.wait("f"); shown.ImageConfigResponse != nil {
		t.Errorf("an empty ImageConfig leaves %+v", shown.ImageConfigResponse.ImageConfig)
	}
	if run, err = w.ran("f"); err != nil || run.Image.EntryPoint[0] != "/lambda-entrypoint.sh" {
		t.Errorf("with an empty ImageConfig it runs %+v, %v", run, err)
	}
}

// After an update that failed a function shows, publishes and is changed from what it runs.
func TestImageUpdateFails(t *testing.T) {
	w, g := newImageWorld(t)
	made := func(in *api.CreateFunctionInput) { in.Description = new("first") }
	must(w.CreateFunction(w.ctx, w.ofImage("f", repository+":v1", made)))(t)
	w.wait("f")
	g.with(func() {
		g.tags[repository+":v2"] = digest("2")
		g.refuse[digest("2")] = fmt.Errorf("%w: a layer leads out", image.ErrInvalid)
	})
	begun := must(w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{FunctionName: new("f"), ImageURI: new(repository + ":v2")}))(t)
	if *begun.CodeSha256 != strings.Repeat("2", 64) || *begun.LastUpdateStatus != api.LastUpdateStatusInProgress {
		t.Errorf("the update answers %s", toJSON(t, begun))
	}
	w.wait("f")
	for _, when := range []string{"after the update", "after a restart"} {
		got := must(w.GetFunction(w.ctx, &api.GetFunctionInput{FunctionName: new("f")}))(t)
		where := &api.FunctionCodeLocation{
			RepositoryType: new("ECR"), ImageURI: new(repository + ":v1"), ResolvedImageURI: new(repository + "@" + digest("1")),
		}
		c := got.Configuration
		if diff := godiff.Diff(where, got.Code); diff != "" || *c.CodeSha256 != strings.Repeat("1", 64) || *c.State != api.StateActive {
			t.Errorf("%s: %s\n%s", when, diff, toJSON(t, c))
		}
		if *c.LastUpdateStatus != api.LastUpdateStatusFailed || str(c.LastUpdateStatusReasonCode) != api.LastUpdateStatusReasonCodeInvalidImage ||
			str(c.LastUpdateStatusReason) != "The image is not valid. Invalid: a layer leads out." {
			t.Errorf("%s the failed update is told as %s", when, toJSON(t, c))
		}
		if run, err := w.ran("f"); err != nil || run.Image.Layers[0] != "/layers/11" {
			t.Errorf("%s it runs %+v, %v", when, run, err)
		}
		w.restart()
	}
	v := must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f"), CodeSha256: new(strings.Repeat("1", 64))}))(t)
	if *v.CodeSha256 != strings.Repeat("1", 64) || *v.State != api.StateActive || *v.LastUpdateStatus != api.LastUpdateStatusSuccessful {
		t.Errorf("what is published is %s", toJSON(t, v))
	}
	if run, err := w.ran("f:1"); err != nil || run.Image.Layers[0] != "/layers/11" {
		t.Errorf("version 1 runs %+v, %v", run, err)
	}
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), MemorySize: new(256)}))(t)
	if shown := w.wait("f"); *shown.LastUpdateStatus != api.LastUpdateStatusSuccessful || *shown.MemorySize != 256 || *shown.CodeSha256 != strings.Repeat("1", 64) {
		t.Errorf("changed after that it is %s", toJSON(t, shown))
	}
	if run, err := w.ran("f"); err != nil || run.Image.Layers[0] != "/layers/11" || run.MemoryMB != 256 {
		t.Errorf("changed after that it runs %+v, %v", run, err)
	}
}

// Layers that are missing when the server starts are pulled again; if they cannot be, whoever invokes hears why.
func TestImageIsPulledAgain(t *testing.T) {
	w, g := newImageWorld(t)
	must(w.CreateFunction(w.ctx, w.ofImage("f", repository+":v1")))(t)
	w.wait("f")
	g.with(func() { clear(g.disk) })
	w.restart()
	if _, err := w.ran("f"); err != nil {
		t.Fatal(err)
	}
	g.with(func() {
		clear(g.disk)
		g.refuse[digest("1")] = image.ErrNotFound
	})
	w.restart()
	_, err := w.ran("f")
	if got := coded(err); got != "409 ResourceConflictException: The operation cannot be performed at this time. The function is currently in the "+
		"following state: Failed. The image "+repository+"@"+digest("1")+" was deleted." {
		t.Errorf("got %s", got)
	}
	g.with(func() { delete(g.refuse, digest("1")) })
	if _, err := w.ran("f"); err != nil {
		t.Errorf("when it is back: %v", err)
	}
}

func TestImageCannotBePulled(t *testing.T) {
	for _, tc := range []struct {
		name         string
		err          error
		code, reason string
	}{
		{"deleted", image.ErrNotFound, api.StateReasonCodeImageDeleted, "The image " + repository + "@" + digest("1") + " was deleted."},
		{
			"denied", image.ErrDenied, api.StateReasonCodeImageAccessDenied,
			"Lambda does not have permission to access the ECR image. Check the ECR permissions.",
		},
		{"invalid", fmt.Errorf("%w: a layer leads out", image.ErrInvalid), api.StateReasonCodeInvalidImage, "The image is not valid. Invalid: a layer leads out."},
		{"too large", image.ErrTooLarge, api.StateReasonCodeInvalidImage, "The image is not valid. Too large."},
		{"unreachable", image.ErrUnreachable, api.StateReasonCodeInternalError, "The registry cannot be reached. Registry unreachable."},
		{
			"a disk that is nearly full", fmt.Errorf("unpack: %w", &image.FullError{Free: 487 << 20, Kept: 512 << 20, Want: 1}), api.StateReasonCodeInternalError,
			"The disk of this host is nearly full: the image could not be unpacked. 487.0 MiB are free, and 512.0 MiB are kept for everything else.",
		},
		{
			"a full disk", fmt.Errorf("unpack: %w", syscall.ENOSPC), api.StateReasonCodeInternalError,
			"The disk of this host is full: the image could not be unpacked.",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, g := newImageWorld(t)
			g.refuse[digest("1")] = tc.err
			must(w.CreateFunction(w.ctx, w.ofImage("f", repository+":v1")))(t)
			shown := w.wait("f")
			if *shown.State != api.StateFailed || *shown.StateReasonCode != tc.code || *shown.StateReason != tc.reason {
				t.Errorf("it is %s %s: %s", *shown.State, *shown.StateReasonCode, *shown.StateReason)
			}
			// Another try may succeed.
			g.with(func() { clear(g.refuse) })
			must(w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{FunctionName: new("f"), ImageURI: new(repository + ":v1")}))(t)
			if shown := w.wait("f"); *shown.State != api.StateActive {
				t.Errorf("after another try it is %s", *shown.State)
			}
		})
	}
}

func TestImageErrors(t *testing.T) {
	const bad = "400 InvalidParameterValueException: "
	notWith := bad + "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
	w, g := newImageWorld(t)
	for uri, err := range map[string]error{
		"private/app": image.ErrDenied, "other.example/app": image.ErrNotAllowed, "wrong/app": fmt.Errorf("%w: want linux/amd64", image.ErrArchitecture),
		"down.example/app": image.ErrUnreachable, "broken": image.ErrInvalid,
	} {
		g.refuse[uri] = err
	}
	for _, tc := range []struct {
		name   string
		change func(*api.CreateFunctionInput)
		want   string
	}{
		{"no image", func(in *api.CreateFunctionInput) { in.Code.ImageURI = nil }, bad + "Please provide ImageUri when creating a function with packageType Image."},
		{"no code", func(in *api.CreateFunctionInput) { in.Code = nil }, bad + "Please provide ImageUri when creating a function with packageType Image."},
		{"an archive too", func(in *api.CreateFunctionInput) { in.Code.ZipFile = []byte("x") }, bad + "Please don't provide ZipFile or S3 parameters when creating a function with packageType Image."},
		{"a runtime", func(in *api.CreateFunctionInput) { in.Runtime = new(api.RuntimePython312) }, notWith},
		{"a handler", func(in *api.CreateFunctionInput) { in.Handler = new("x.y") }, notWith},
		{"layers", func(in *api.CreateFunctionInput) { in.Layers = []string{lyArn + "x:1"} }, notWith},
		{"SnapStart", func(in *api.CreateFunctionInput) { in.SnapStart = &api.SnapStart{ApplyOn: new("PublishedVersions")} }, bad + "SnapStart is not supported for functions with packageType Image."},
		{"an archive's image", func(in *api.CreateFunctionInput) { in.PackageType = new("Zip") }, bad + "Please don't provide ImageUri when creating a function with packageType Zip."},
		{"no package type", func(in *api.CreateFunctionInput) { in.PackageType = nil }, bad + "Please don't provide ImageUri when creating a function with packageType Zip."},
		{"a NUL", func(in *api.CreateFunctionInput) { in.ImageConfig = &api.ImageConfig{Command: []string{"a\x00b"}} }, bad + "ImageConfig contains a NUL byte."},
		{"a lot", func(in *api.CreateFunctionInput) {
			in.ImageConfig = &api.ImageConfig{Command: []string{strings.Repeat("x", 64<<10)}}
		}, bad + "ImageConfig is larger than 65536 bytes."},
		{"a relative directory", func(in *api.CreateFunctionInput) { in.ImageConfig = &api.ImageConfig{WorkingDirectory: new("x")} }, bad + "The WorkingDirectory x is not an absolute path."},
		{"an image that is not there", func(in *api.CreateFunctionInput) { in.Code.ImageURI = new(repository + ":v9") }, bad + "Source image " + repository + ":v9 does not exist. Provide a valid source image."},
		{"an image of somebody else", func(in *api.CreateFunctionInput) { in.Code.ImageURI = new("private/app") }, "403 AccessDeniedException: Lambda does not have permission to access the ECR image. Check the ECR permissions."},
		{"a registry that is not allowed", func(in *api.CreateFunctionInput) { in.Code.ImageURI = new("other.example/app") }, bad + "Source image other.example/app is not valid. Provide a valid source image: one of this server's ECR, or of what its operator allows with --image-registries and --image-dir."},
		{"another architecture", func(in *api.CreateFunctionInput) { in.Code.ImageURI = new("wrong/app") }, bad + "Source image wrong/app is not valid. Provide a valid source image. Wrong architecture: want linux/amd64."},
		{"no image at all", func(in *api.CreateFunctionInput) { in.Code.ImageURI = new("broken") }, bad + "Source image broken is not valid. Provide a valid source image. Invalid."},
		{"a registry that is down", func(in *api.CreateFunctionInput) { in.Code.ImageURI = new("down.example/app") }, "500 ServiceException: The registry of the source image down.example/app cannot be reached now. Registry unreachable."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := w.CreateFunction(w.ctx, w.ofImage("f", repository+":v1", tc.change))
			if got := coded(err); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	w.create("zip")
	must(w.CreateFunction(w.ctx, w.ofImage("image", repository+":v1")))(t)
	w.wait("image")
	for _, tc := range []struct {
		name string
		do   func() error
		want string
	}{
		{"an image for an archive", func() error {
			_, err := w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{FunctionName: new("zip"), ImageURI: new(repository + ":v1")})
			return err
		}, bad + "Please don't provide ImageUri when updating a function with packageType Zip."},
		{"an archive for an image", func() error {
			_, err := w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{FunctionName: new("image"), ZipFile: []byte("x")})
			return err
		}, bad + "Please provide ImageUri when updating a function with packageType Image."},
		{"an image's configuration for an archive", func() error {
			_, err := w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
				FunctionName: new("zip"), ImageConfig: &api.ImageConfig{Command: []string{"x"}},
			})
			return err
		}, bad + "Please don't provide ImageConfig when the intended function PackageType is Zip."},
		{"a runtime for an image", func() error {
			_, err := w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
				FunctionName: new("image"), Runtime: new(api.RuntimePython312),
			})
			return err
		}, notWith},
		{"an update to what is not there", func() error {
			_, err := w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{FunctionName: new("image"), ImageURI: new(repository + ":v9")})
			return err
		}, bad + "Source image " + repository + ":v9 does not exist. Provide a valid source image."},
		{"the hash of another image", func() error {
			_, err := w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("image"), CodeSha256: new(strings.Repeat("a", 64))})
			return err
		}, bad + "CodeSHA256 (" + strings.Repeat("a", 64) + ") is different from current CodeSHA256 in $LATEST (" + strings.Repeat("1", 64) +
			"). Please try again with the CodeSHA256 in $LATEST."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := coded(tc.do()); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// A version that was published with its function is the one that is published again.
func TestImageIsPublishedOnce(t *testing.T) {
	w, _ := newImageWorld(t)
	must(w.CreateFunction(w.ctx, w.ofImage("f", repository+":v1", func(in *api.CreateFunctionInput) { in.Publish = new(true) })))(t)
	w.wait("f")
	if v := *must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t).Version; v != "1" {
		t.Errorf("the same image is version %s", v)
	}
	if _, err := w.ran("f:1"); err != nil {
		t.Error(err)
	}
}

func TestImageDryRun(t *testing.T) {
	w, g := newImageWorld(t)
	must(w.CreateFunction(w.ctx, w.ofImage("f", repository+":v1")))(t)
	w.wait("f")
	g.with(func() { g.tags[repository+":v2"] = digest("2") })
	out := must(w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{
		FunctionName: new("f"), ImageURI: new(repository + ":v2"), DryRun: new(true),
	}))(t)
	if *out.CodeSha256 != strings.Repeat("2", 64) {
		t.Errorf("a dry run answers %s", *out.CodeSha256)
	}
	if shown := w.wait("f"); *shown.CodeSha256 != strings.Repeat("1", 64) {
		t.Errorf("after a dry run it has %s", *shown.CodeSha256)
	}
}

// Images go when nobody names them any more, after a while, and not before.
func TestImagesAreSwept(t *testing.T) {
	w, g := newImageWorld(t)
	g.tags[repository+":v2"] = digest("2")
	for name, tag := range map[string]string{"a": ":v1", "b": ":v1", "c": ":v2"} {
		must(w.CreateFunction(w.ctx, w.ofImage(name, repository+tag)))(t)
		w.wait(name)
	}
	onDisk := func() (all []string) {
		g.with(func() {
			for d := range g.disk {
				all = append(all, d)
			}
		})
		slices.Sort(all)
		return all
	}
	for _, name := range []string{"a", "c"} {
		must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: &name}))(t)
	}
	if err := w.sweep(w.ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := onDisk(); len(got) != 2 {
		t.Errorf("a sandbox may still use one, but only these are left: %v", got)
	}
	if err := w.sweep(w.ctx, time.Now().Add(imageLingering+time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := onDisk(); !slices.Equal(got, []string{digest("1")}) {
		t.Errorf("left are %v", got)
	}
	g.with(func() { g.disk[digest("3")] = true }) // of a process that has died
	if err := w.SweepAll(w.ctx); err != nil {
		t.Fatal(err)
	}
	if got := onDisk(); !slices.Equal(got, []string{digest("1")}) {
		t.Errorf("after a start these are left: %v", got)
	}
}

func TestResolvedURI(t *testing.T) {
	for uri, want := range map[string]string{
		"r.example/a/b":                   "r.example/a/b@",
		"r.example/a/b:v1":                "r.example/a/b@",
		"r.example:5000/a":                "r.example:5000/a@",
		"r.example:5000/a:v1":             "r.example:5000/a@",
		"r.example/a@sha256:x":            "r.example/a@",
		"r.example/a:v1@sha256:x":         "r.example/a@",
		"oci:/dir/layout":                 "oci:/dir/layout@",
		"docker-archive:/dir/saved.tar:x": "docker-archive:/dir/saved.tar:x@",
	} {
		i := &imageCode{URI: uri, Digest: digest("d")}
		if got := i.resolvedURI(); got != want+digest("d") {
			t.Errorf("%s is %s", uri, got)
		}
	}
	if err := errors.New("something else"); whyNot(err) != "something else" {
		t.Errorf("an error that is no image's reads %q", whyNot(err))
	}
}

// A sandbox can have no root whose directories only root may enter.
func TestImageThatCannotBeEntered(t *testing.T) {
	for dir, mode := range map[string]os.FileMode{"": 0o700, "etc": 0o750, "tmp": 0o700} {
		layer := t.TempDir()
		for _, d := range []string{"etc", "tmp", "private"} {
			if err := os.Mkdir(filepath.Join(layer, d), 0o711); err != nil {
				t.Fatal(err)
			}
		}
		for d, m := range map[string]os.FileMode{"": 0o755, "private": 0o700} {
			if err := os.Chmod(filepath.Join(layer, d), m); err != nil {
				t.Fatal(err)
			}
		}
		w, g := newImageWorld(t)
		g.with(func() { g.layer = layer })
		must(w.CreateFunction(w.ctx, w.ofImage("good", repository+":v1")))(t)
		if shown := w.wait("good"); *shown.State != api.StateActive {
			t.Errorf("it is %s: %s", *shown.State, *shown.StateReason)
		}
		if err := os.Chmod(filepath.Join(layer, dir), mode); err != nil {
			t.Fatal(err)
		}
		must(w.CreateFunction(w.ctx, w.ofImage("bad", repository+":v1")))(t)
		want := fmt.Sprintf("The image is not valid. Invalid: its directory /%s cannot be entered by the user that runs functions (mode %04o).", dir, mode)
		if shown := w.wait("bad"); *shown.State != api.StateFailed || *shown.StateReasonCode != api.StateReasonCodeInvalidImage || *shown.StateReason != want {
			t.Errorf("it is %s: %s", *shown.State, *shown.StateReason)
		}
	}
}

// An image whose extensions nobody would start is refused, unless a layer above has removed them.
func TestImageWithExtensions(t *testing.T) {
	lower, upper := t.TempDir(), t.TempDir()
	for _, dir := range []string{lower, upper} {
		if err := os.MkdirAll(filepath.Join(dir, "opt/extensions/docs"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := withoutExtensions([]string{lower, upper}); err != nil {
		t.Errorf("a directory alone: %v", err)
	}
	if err := os.WriteFile(filepath.Join(lower, "opt/extensions/agent"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := withoutExtensions([]string{lower, upper}); !errors.Is(err, image.ErrInvalid) ||
		!strings.Contains(err.Error(), `it has "/opt/extensions/agent", and Enfold starts no extensions`) {
		t.Errorf("an extension in the lower layer: %v", err)
	}
	w, g := newImageWorld(t)
	g.with(func() { g.layer = lower })
	must(w.CreateFunction(w.ctx, w.ofImage("f", repository+":v1")))(t)
	if shown := w.wait("f"); *shown.State != api.StateFailed || *shown.StateReasonCode != api.StateReasonCodeInvalidImage {
		t.Errorf("it is %s: %s", *shown.State, toJSON(t, shown))
	}

	if err := syscall.Mknod(filepath.Join(upper, "opt/extensions/agent"), syscall.S_IFCHR, 0); err != nil {
		t.Skipf("no whiteout can be made here: %v", err)
	}
	if err := withoutExtensions([]string{lower, upper}); err != nil {
		t.Errorf("one that was removed: %v", err)
	}
}
