package image

// Image is a container image for one platform.
type Image struct {
	// Digest is that of the manifest, "sha256:…". It is what a function keeps.
	Digest string `json:"digest"`
	// Ref is where it was found, by digest: [Store.Pull] of it is this image or none. It is empty in the answer of [Store.Get].
	Ref    string `json:"-"`
	Config Config `json:"config"`
	// Layers are directories, the lowest first, marked as overlayfs with userxattr has it. They stay until [Store.Keep] removes them.
	// A layer that hides everything below it is the lowest. There is at least one.
	Layers []string `json:"-"`
	// Size is what all layers together hold, in bytes, before anything is shared.
	Size int64 `json:"size"`
}

// Config is how the image wants to be run. No string holds a NUL.
type Config struct {
	Entrypoint   []string `json:"entrypoint,omitempty"`
	Cmd          []string `json:"cmd,omitempty"`
	Env          []string `json:"env,omitempty"` // NAME=value
	WorkingDir   string   `json:"working_dir,omitempty"`
	User         string   `json:"user,omitempty"`
	Architecture string   `json:"architecture"` // as GOARCH has it
}

// Request says which image.
type Request struct {
	// Ref is registry/repository:tag, registry/repository@sha256:…, oci:/path, docker-archive:/path; the last two with :tag or @sha256:…
	// where there is more than one image.
	Ref string
	// Architecture is as GOARCH has it. Empty is this host's.
	Architecture string
	// Owner is on whose behalf: an account. Layers of other owners are shared with it only after it has brought their bytes.
	Owner string
	// Auth is nil for nobody.
	Auth *Auth
}

// Auth is who asks a registry. It does not print its password.
type Auth struct{ Username, Password string }

// String implements fmt.Stringer.
func (Auth) String() string { return "image.Auth{…}" }

// GoString implements fmt.GoStringer.
func (a Auth) GoString() string { return a.String() }
