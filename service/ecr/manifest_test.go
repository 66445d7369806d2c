package ecr

import (
	"strings"
	"testing"

	"github.com/enfold-run/enfold/store"

	api "github.com/enfold-run/enfold/api/ecr"
)

func TestManifests(t *testing.T) {
	a, b := sum([]byte("a")), sum([]byte("b"))
	thing := func(digest string) string { return `{"digest":"` + digest + `","size":1}` }
	foreign := `{"digest":"` + b + `","size":1,"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","urls":["https://example.com"]}`
	bad := func(what string) string {
		return "InvalidParameterException: Invalid parameter at 'ImageManifest' failed to satisfy constraint: '" + what + "'"
	}
	for _, c := range []struct {
		name, text, sent string
		kind, names      string // "kind: digests", or the error
	}{
		{"an image", `{"schemaVersion":2,"config":` + thing(a) + `,"layers":[` + thing(b) + `]}`, "", ociManifest, a + " " + b},
		{"as docker sends it", `{"schemaVersion":2,"mediaType":"` + dockerManifest + `","config":` + thing(a) + `}`, dockerManifest, dockerManifest, a},
		{"with a charset", `{"schemaVersion":2,"config":` + thing(a) + `}`, dockerManifest + "; charset=utf-8", dockerManifest, a},
		{"a layer twice", `{"schemaVersion":2,"config":` + thing(a) + `,"layers":[` + thing(b) + `,` + thing(b) + `]}`, "", ociManifest, a + " " + b},
		{"a layer that is elsewhere", `{"schemaVersion":2,"config":` + thing(a) + `,"layers":[` + foreign + `]}`, "", ociManifest, a},
		{"a layer that only says so", `{"schemaVersion":2,"config":` + thing(a) + `,"layers":[` + strings.Replace(foreign, ".foreign", "", 1) + `]}`, "", ociManifest, a + " " + b},
		{"an index", `{"schemaVersion":2,"manifests":[` + thing(a) + `]}`, "", ociIndex, a},
		{"an empty index", `{"schemaVersion":2,"manifests":[]}`, "", ociIndex, ""},
		{"docker's", `{"schemaVersion":2,"manifests":[` + thing(a) + `]}`, dockerList, dockerList, a},
		{"an image and an index", `{"schemaVersion":2,"manifests":[],"config":` + thing(a) + `}`, "", "", bad("It is an image and an index in one")},
		{"the same, as an image", `{"schemaVersion":2,"manifests":[],"config":` + thing(a) + `}`, ociManifest, "", bad("It is an image and an index in one")},
		{"an index with layers", `{"schemaVersion":2,"manifests":[],"layers":[]}`, dockerList, "", bad("It is an image and an index in one")},
		{"another kind than it says", `{"schemaVersion":2,"mediaType":"` + ociIndex + `","manifests":[]}`, ociManifest, "", bad("The manifest's media type is not the one that it was sent as")},
		{"an unknown kind", `{"schemaVersion":2,"config":` + thing(a) + `}`, "text/html", "", "InvalidParameterException: Invalid parameter at 'imageManifestMediaType' failed to satisfy constraint: 'one of " +
			strings.Join([]string{dockerManifest, dockerList, ociManifest, ociIndex}, ", ") + "'"},
		{"schema 1", `{"schemaVersion":1,"fsLayers":[]}`, "", "", bad("The schema version is not 2")},
		{"no configuration", `{"schemaVersion":2,"layers":[]}`, "", "", bad("The configuration is missing")},
		{"another hash", `{"schemaVersion":2,"config":` + thing("sha512:"+strings.Repeat("a", 128)) + `}`, "", "", bad("It names something without a SHA-256 digest or a size")},
		{"a path for a digest", `{"schemaVersion":2,"config":` + thing("sha256:../../"+strings.Repeat("a", 58)) + `}`, "", "", bad("It names something without a SHA-256 digest or a size")},
		{"a negative size", `{"schemaVersion":2,"config":{"digest":"` + a + `","size":-1}}`, "", "", bad("It names something without a SHA-256 digest or a size")},
		{"too many layers", `{"schemaVersion":2,"config":` + thing(a) + `,"layers":[` + strings.Repeat(thing(b)+",", maxDescriptors) + thing(b) + `]}`, "", "", bad("It names more things than an image can have")},
		{"not UTF-8", `{"schemaVersion":2,"x":"` + "\xff" + `","config":` + thing(a) + `}`, "", "", bad("Invalid JSON syntax")},
		{"deep", strings.Repeat("[", 100_000), "", "", bad("Invalid JSON syntax")},
		{"too large", `{"schemaVersion":2,"config":` + thing(a) + `,"x":"` + strings.Repeat("x", maxManifest) + `"}`, "", "", bad("Invalid JSON syntax")},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := parseManifest(c.text, c.sent)
			if c.kind == "" {
				check(t, err, c.names)
				return
			}
			check(t, err, "")
			equal(t, "its kind", m.mediaType, c.kind)
			equal(t, "what it names", strings.Join(append(m.layers, m.images...), " "), c.names)
			equal(t, "its digest", m.digest, sum([]byte(c.text)))
		})
	}
}

// TestLayersOfOthers: who may read a repository reads its own layers, not those that another one of the registry holds.
func TestLayersOfOthers(t *testing.T) {
	w := newWorld(t)
	w.repository("secret")
	w.repository("app")
	digest := w.layer("secret", "secret")
	sc := store.Scope{Account: account, Region: region}
	_, err := w.Service.open(t.Context(), sc, "app", digest)
	is(t, err, api.ErrLayersNotFound)
	_, err = w.GetDownloadUrlForLayer(w.ctx, &api.GetDownloadUrlForLayerInput{RepositoryName: new("app"), LayerDigest: &digest})
	is(t, err, api.ErrLayersNotFound)
	out, err := w.BatchCheckLayerAvailability(w.ctx, &api.BatchCheckLayerAvailabilityInput{RepositoryName: new("app"), LayerDigests: []string{digest}})
	check(t, err, "")
	equal(t, "it is", *out.Layers[0].LayerAvailability, api.LayerAvailabilityUnavailable)
	f, err := w.Service.open(t.Context(), sc, "secret", digest)
	check(t, err, "")
	check(t, f.Close(), "")
}
