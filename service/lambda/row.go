package lambda

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/enfold-run/enfold/store"
)

// pkg is a deployment package: a function's code or a layer's content.
type pkg struct {
	code
	Blob string // id of the archive as it was uploaded
}

// function is what all versions of a function share.
type function struct {
	Name      string
	Versions  int64  // how many were published so far: numbers are never used again
	Published []byte // fingerprint of $LATEST when the last version was published, sealed
	Reserved  *int   // reserved concurrency
	// Provisioned is the provisioned concurrency of all its versions and aliases together.
	Provisioned int               `json:",omitempty"`
	Tags        map[string]string `json:",omitempty"`
	Recursion   string            // RecursiveLoop
}

// setAside is the concurrency that only this function may use.
func (f *function) setAside() int {
	if f.Reserved != nil {
		return *f.Reserved // provisioned concurrency is part of it
	}
	return f.Provisioned
}

// version is one version of a function: $LATEST, or a published one, which does not change any more.
type version struct {
	Function   string
	Version    string // "$LATEST" or a number
	Revision   string // RevisionId: changes with everything that a client can see
	Modified   time.Time
	Config     config
	State      status
	LastUpdate status
	// Serving is what invocations use while an update is under way or after one failed. Nil if that is Config, which
	// it is again after a failed update of a function whose code is an image.
	Serving *config `json:",omitempty"`
	Runtime runtimeUpdate
}

// serving is the configuration that invocations use.
func (v *version) serving() *config {
	if v.Serving != nil {
		return v.Serving
	}
	return &v.Config
}

// blobKey is a blob and whose it is: the account that uploaded it keeps count of its uses, by whomever.
type blobKey struct {
	scope store.Scope
	id    string
}

// blobs lists the blobs that a version of sc needs, one entry per use.
func (v *version) blobs(sc store.Scope) []blobKey {
	ids := v.Config.blobs(sc)
	if v.Serving != nil {
		ids = append(ids, v.Serving.blobs(sc)...)
	}
	return ids
}

// status is a State or LastUpdateStatus with its reason.
type status struct{ Is, Reason, Code string }

// runtimeUpdate is the version's runtime management.
type runtimeUpdate struct{ On, Arn string }

// config is the code and configuration of one version.
type config struct {
	ID          string     // unique per change: sandboxes are pooled by it
	Code        pkg        // of an image only the hash
	Image       *imageCode `json:",omitempty"` // nil for a deployment package
	Runtime     string
	Handler     string
	Role        string
	Description string
	Timeout     int // seconds
	Memory      int // MB
	Tmp         int // MB
	Arch        string
	Env         *environment `json:",omitempty"` // nil if it was never given
	KMSKey      string       `json:",omitempty"` // ARN; empty for Lambda's own
	Layers      []layerRef   `json:",omitempty"`
	Logging     logging
	DeadLetter  string // ARN of the queue or topic
	Tracing     string
	VPC         bool // a VpcConfig without subnets was given
	SnapStart   bool `json:",omitempty"` // on published versions
}

// logging is a LoggingConfig with its defaults filled in.
type logging struct{ Format, App, System, Group string }

// layerRef is a layer version as a function uses it. It outlives the layer version's deletion.
type layerRef struct {
	Arn  string
	Code pkg
}

func (c *config) blobs(sc store.Scope) []blobKey {
	var ids []blobKey
	if c.Image == nil {
		ids = append(ids, blobKey{sc, c.Code.Blob})
	}
	for _, l := range c.Layers {
		id, _ := parseLayerArn(l.Arn)
		ids = append(ids, blobKey{id.scope, l.Code.Blob})
	}
	return ids
}

// dirs lists the directories of the code cache that the configuration needs.
func (c *config) dirs() []string {
	var dirs []string
	if c.Image == nil {
		dirs = append(dirs, codeDir(c.Code.SHA256))
	}
	for _, l := range c.Layers {
		dirs = append(dirs, codeDir(l.Code.SHA256))
	}
	if len(c.Layers) > 1 {
		dirs = append(dirs, mergedDir(c.Layers))
	}
	return dirs
}

// fingerprint is equal for equal code and configuration, wherever the archive is kept. Variables are those given, or have the
// digest given. Where only KMS could tell, both are nil: then they are equal if they are the ones that were set by the same op.
func (c config) fingerprint(vars map[string]string, digest []byte) ([]byte, error) {
	c.ID, c.Code.Blob = "", ""
	if c.Image != nil {
		same := *c.Image
		same.Pulled = false
		c.Image = &same
	}
	if vars != nil || digest != nil {
		c.Env = &environment{Digest: digest}
	}
	b, err := json.Marshal(struct {
		Config    config
		Variables map[string]string
	}{c, vars})
	if err != nil {
		return nil, fmt.Errorf("fingerprint configuration: %w", err)
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}

// alias is a name for one version, or for two with a weight.
type alias struct {
	Function    string
	Name        string
	Version     string
	Description string
	Other       string  // a second version; empty if there is none
	Weight      float64 // probability of Other
	Revision    string
}

// invokeConfig is the asynchronous invocation configuration of a version or alias.
type invokeConfig struct {
	Function  string
	Qualifier string
	Modified  time.Time
	Retries   *int
	MaxAge    *int // seconds
	OnSuccess string
	OnFailure string
}

// provisionedConfig is the provisioned concurrency of a version or alias.
type provisionedConfig struct {
	Function  string
	Qualifier string
	Requested int
	Modified  time.Time
}

// layer is what all versions of a layer share. It stays when they are deleted: numbers are never used again.
type layer struct{ Versions int64 }

// layerVersion is one version of a layer.
type layerVersion struct {
	Layer         string
	Version       int64
	Code          pkg
	Created       time.Time
	Description   string
	License       string
	Runtimes      []string // nil if not given
	Architectures []string
	Extension     string `json:",omitempty"` // the first of its external extensions, which Enfold does not start; usually there is none
}

// accountUse is what an account uses in a region.
type accountUse struct {
	Functions int64
	CodeSize  int64 // bytes of every version's code and every layer version
	Reserved  int   // concurrency that functions have for themselves, all together
}

// blobUse counts the rows that need a blob.
type blobUse struct{ Uses int }
