package ecr

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Media types of manifests.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
)

const (
	maxManifest    = 4 << 20 // bytes
	maxDescriptors = 4200    // layers of an image, or images of an index: AWS's quota of layers
)

// manifest is what a manifest says.
type manifest struct {
	digest       string
	mediaType    string
	artifactType string
	subject      string   // digest of the image that it is about
	layers       []string // digests, each once; the configuration among them
	images       []string // of an index, each once
}

// descriptor is what a manifest says of a thing that it names.
type descriptor struct {
	MediaType string   `json:"mediaType"`
	Digest    string   `json:"digest"`
	Size      int64    `json:"size"`
	URLs      []string `json:"urls"`
}

// parseManifest reads a manifest of an image or an index. mediaType is what it was sent as; empty if nothing was said. The
// error is an *aws.Error.
func parseManifest(text, mediaType string) (*manifest, error) {
	var m struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		ArtifactType  string       `json:"artifactType"`
		Config        *descriptor  `json:"config"`
		Layers        []descriptor `json:"layers"`
		Manifests     []descriptor `json:"manifests"`
		Subject       *descriptor  `json:"subject"`
	}
	if len(text) > maxManifest || !utf8.ValidString(text) || json.Unmarshal([]byte(text), &m) != nil {
		return nil, invalid("ImageManifest", "Invalid JSON syntax")
	}
	if m.SchemaVersion != 2 {
		return nil, invalid("ImageManifest", "The schema version is not 2")
	}
	kind, err := kindOf(mediaType, m.MediaType, m.Manifests != nil)
	if err != nil {
		return nil, err
	}
	out := &manifest{digest: digestOf(text), mediaType: kind, artifactType: m.ArtifactType}
	if m.Subject != nil {
		if out.subject = m.Subject.Digest; !isDescriptor(*m.Subject) {
			return nil, invalid("ImageManifest", "The subject has no SHA-256 digest")
		}
	}
	switch isIndex := kind == dockerList || kind == ociIndex; {
	case isIndex && (m.Config != nil || m.Layers != nil), !isIndex && m.Manifests != nil:
		return nil, invalid("ImageManifest", "It is an image and an index in one")
	case isIndex:
		out.images, err = digests(m.Manifests)
	case m.Config == nil:
		return nil, invalid("ImageManifest", "The configuration is missing")
	default:
		if out.artifactType == "" {
			out.artifactType = m.Config.MediaType
		}
		out.layers, err = digests(append([]descriptor{*m.Config}, m.Layers...))
	}
	return out, err
}

// kindOf is the media type of a manifest, by how it was sent and what it says itself, which must be the same.
func kindOf(sent, own string, namesManifests bool) (string, error) {
	sent, _, _ = strings.Cut(sent, ";")
	sent = strings.TrimSpace(sent)
	if sent != "" && own != "" && sent != own {
		return "", invalid("ImageManifest", "The manifest's media type is not the one that it was sent as")
	}
	switch kind := sent + own; {
	case kind == "" && namesManifests:
		return ociIndex, nil
	case kind == "":
		return ociManifest, nil
	case sent != "":
		own = sent
	}
	switch own {
	case dockerManifest, dockerList, ociManifest, ociIndex:
		return own, nil
	}
	return "", invalid("imageManifestMediaType", "one of "+strings.Join([]string{dockerManifest, dockerList, ociManifest, ociIndex}, ", "))
}

// digests are those of descriptors, each once. What lies elsewhere need not be here.
func digests(all []descriptor) (out []string, err error) {
	if len(all) > maxDescriptors {
		return nil, invalid("ImageManifest", "It names more things than an image can have")
	}
	seen := map[string]bool{}
	for _, d := range all {
		if !isDescriptor(d) {
			return nil, invalid("ImageManifest", "It names something without a SHA-256 digest or a size")
		}
		if !seen[d.Digest] && !d.isForeign() {
			out = append(out, d.Digest)
		}
		seen[d.Digest] = true
	}
	return out, nil
}

// isForeign says that a layer may not be distributed and is fetched from where it belongs.
func (d *descriptor) isForeign() bool {
	return len(d.URLs) > 0 && (strings.Contains(d.MediaType, ".foreign.") || strings.Contains(d.MediaType, ".nondistributable."))
}

func isDescriptor(d descriptor) bool {
	hash, ok := strings.CutPrefix(d.Digest, "sha256:")
	return ok && len(hash) == 64 && strings.Trim(hash, "0123456789abcdef") == "" && d.Size >= 0
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}
