package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxIndex is how many manifests an index may list, and maxNesting how deep indexes may lie in each other.
const (
	maxIndex   = 1000
	maxNesting = 3
)

// document is a manifest or an index: what a registry answers for a tag or digest. One of its fields is set.
type document struct {
	image *v1.Manifest
	index *v1.IndexManifest
}

// parseDocument tells what a manifest is. mediaType is what its sender calls it, empty if it does not; what the document calls itself
// must not be something else, and it must not be both: one digest would then stand for two images.
func parseDocument(data []byte, mediaType string, l *Limits) (*document, error) {
	var shape struct {
		SchemaVersion int             `json:"schemaVersion"`
		MediaType     types.MediaType `json:"mediaType"`
		Config        json.RawMessage `json:"config"`
		Layers        json.RawMessage `json:"layers"`
		Manifests     json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(data, &shape); err != nil {
		return nil, fmt.Errorf("%w: the manifest is no JSON: %w", ErrInvalid, err)
	}
	if shape.SchemaVersion != 2 {
		return nil, fmt.Errorf("%w: a manifest of schema version %d is not supported", ErrInvalid, shape.SchemaVersion)
	}
	isImage, isIndex := len(shape.Config) > 0 || len(shape.Layers) > 0, len(shape.Manifests) > 0
	called := types.MediaType(strings.TrimSpace(strings.SplitN(mediaType, ";", 2)[0]))
	known := func(m types.MediaType) bool { return m.IsImage() || m.IsIndex() }
	switch {
	case shape.MediaType != "" && !known(shape.MediaType):
		return nil, fmt.Errorf("%w: %q is no image", ErrInvalid, clip(string(shape.MediaType)))
	case known(called) && shape.MediaType != "" && called != shape.MediaType:
		return nil, fmt.Errorf("%w: the manifest is sent as %q and calls itself %q", ErrInvalid, called, shape.MediaType)
	case isImage == isIndex, shape.MediaType.IsImage() && !isImage, shape.MediaType.IsIndex() && !isIndex,
		called.IsImage() && !isImage, called.IsIndex() && !isIndex:
		return nil, fmt.Errorf("%w: it is neither a manifest nor an index", ErrInvalid)
	}
	if err := errors.Join(countElements(shape.Layers, l.Layers, "layers"), countElements(shape.Manifests, maxIndex, "manifests")); err != nil {
		return nil, err
	}
	d := new(document)
	var err error
	if isIndex {
		d.index, err = v1.ParseIndexManifest(bytes.NewReader(data))
	} else {
		d.image, err = v1.ParseManifest(bytes.NewReader(data))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the manifest cannot be read: %w", ErrInvalid, err)
	}
	return d, nil
}

// countElements refuses a list that is too long before it is read: an empty element is some bytes here, and hundreds in memory.
func countElements(list json.RawMessage, most int, what string) error {
	if len(list) == 0 || list[0] != '[' {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(list))
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	for n := 0; d.More(); n++ {
		if n == most {
			return fmt.Errorf("%w: more than %d %s", ErrTooLarge, most, what)
		}
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return nil
}

// pick chooses the manifest of linux and arch from an index. One that names no platform is taken if none names this one.
func pick(index *v1.IndexManifest, arch string) (v1.Descriptor, error) {
	usable := func(d v1.Descriptor) bool {
		return (d.MediaType.IsImage() || d.MediaType.IsIndex()) && d.Digest.Algorithm == "sha256"
	}
	for _, d := range index.Manifests {
		if usable(d) && d.Platform != nil && d.Platform.OS == "linux" && d.Platform.Architecture == arch {
			return d, nil
		}
	}
	var has []string
	for _, d := range index.Manifests {
		if usable(d) && (d.Platform == nil || d.Platform.OS == "" && d.Platform.Architecture == "") {
			return d, nil
		}
		if d.Platform != nil && len(has) < 20 {
			has = append(has, d.Platform.OS+"/"+d.Platform.Architecture)
		}
	}
	return v1.Descriptor{}, fmt.Errorf("%w: want linux/%s, the image is for %q", ErrArchitecture, arch, clip(strings.Join(has, ", ")))
}

// Media types of what an image is made of.
var (
	configTypes = []types.MediaType{types.OCIConfigJSON, types.DockerConfigJSON}
	layerTypes  = []types.MediaType{
		types.OCILayer, types.OCILayerZStd, types.OCIUncompressedLayer, types.OCIRestrictedLayer, types.OCIUncompressedRestrictedLayer,
		types.DockerLayer, types.DockerUncompressedLayer, types.DockerForeignLayer,
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", "application/vnd.docker.image.rootfs.diff.tar.zstd",
	}
)

// checkManifest refuses a manifest of what is no image, or too large an image to be looked at.
func checkManifest(m *v1.Manifest, l *Limits) error {
	if !slices.Contains(configTypes, m.Config.MediaType) {
		return fmt.Errorf("%w: its configuration is %q, which is no image's", ErrInvalid, clip(string(m.Config.MediaType)))
	}
	if m.Config.Digest.Algorithm != "sha256" || m.Config.Size < 0 {
		return fmt.Errorf("%w: its configuration has no usable digest", ErrInvalid)
	}
	if m.Config.Size > l.Manifest {
		return fmt.Errorf("%w: a configuration of %d bytes", ErrTooLarge, m.Config.Size)
	}
	if len(m.Layers) == 0 {
		return fmt.Errorf("%w: it has no layers", ErrInvalid)
	}
	left := l.stream()
	for _, d := range m.Layers {
		if !slices.Contains(layerTypes, d.MediaType) {
			return fmt.Errorf("%w: a layer is %q, which is not supported", ErrInvalid, clip(string(d.MediaType)))
		}
		if d.Digest.Algorithm != "sha256" || d.Size < 0 {
			return fmt.Errorf("%w: a layer has no usable digest", ErrInvalid)
		}
		if d.Size > left {
			return fmt.Errorf("%w: its layers are larger than %d bytes as they are sent", ErrTooLarge, l.Size)
		}
		left -= d.Size
	}
	return nil
}

// parseConfig reads an image's configuration and the diff ids of its layers. It must be for linux and arch. What else is in it, its
// history for one, is not read.
func parseConfig(data []byte, arch string) (*Config, []v1.Hash, error) {
	var c struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
		Config       struct {
			Entrypoint, Cmd, Env []string
			WorkingDir, User     string
		} `json:"config"`
		RootFS struct {
			DiffIDs []v1.Hash `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, nil, fmt.Errorf("%w: its configuration cannot be read: %w", ErrInvalid, err)
	}
	if c.OS != "linux" || c.Architecture != arch {
		return nil, nil, fmt.Errorf("%w: want linux/%s, the image is for %q", ErrArchitecture, arch, clip(c.OS+"/"+c.Architecture))
	}
	cfg := &Config{
		Entrypoint: c.Config.Entrypoint, Cmd: c.Config.Cmd, Env: c.Config.Env, WorkingDir: c.Config.WorkingDir, User: c.Config.User, Architecture: arch,
	}
	for _, s := range slices.Concat(cfg.Entrypoint, cfg.Cmd, cfg.Env, []string{cfg.WorkingDir, cfg.User}) {
		if strings.IndexByte(s, 0) >= 0 {
			return nil, nil, fmt.Errorf("%w: its configuration has a NUL in %q", ErrInvalid, clip(s))
		}
	}
	for _, e := range cfg.Env {
		if strings.IndexByte(e, '=') < 1 {
			return nil, nil, fmt.Errorf("%w: its configuration has the environment variable %q, which is not NAME=value", ErrInvalid, clip(e))
		}
	}
	for _, h := range c.RootFS.DiffIDs {
		if _, ok := digestHex(h.String()); !ok {
			return nil, nil, fmt.Errorf("%w: its configuration has an unusable diff id", ErrInvalid)
		}
	}
	return cfg, c.RootFS.DiffIDs, nil
}

// digestHex is the hexadecimal part of "sha256:…".
func digestHex(digest string) (string, bool) {
	hex, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", false
	}
	return hex, true
}
