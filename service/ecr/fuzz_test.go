package ecr

import (
	"regexp"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/ecr"
)

func FuzzManifest(f *testing.F) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for _, seed := range []string{
		manifestOf(digest, digest), indexOf(digest), "{}", `{"schemaVersion":2,"config":null,"layers":[{}]}`, `{"schemaVersion":2,"manifests":[],"layers":[]}`,
		`{"schemaVersion":1,"fsLayers":[]}`, `[[[[`, `{"schemaVersion":2,"mediaType":"x"}`, "\xff",
	} {
		for _, kind := range []string{"", ociManifest, dockerList, "text/plain; x"} {
			f.Add(seed, kind)
		}
	}
	f.Fuzz(func(t *testing.T, text, kind string) {
		m, err := parseManifest(text, kind)
		if err != nil {
			is(t, err, api.ErrInvalidParameter)
			return
		}
		if len(m.layers) > 0 == (len(m.images) > 0) && len(m.layers) > 0 {
			t.Errorf("an image and an index in one: %v", m)
		}
		if len(m.layers)+len(m.images) > maxDescriptors+1 || m.digest != sum([]byte(text)) {
			t.Errorf("%d layers, %d images, digest %s", len(m.layers), len(m.images), m.digest)
		}
		for _, d := range append(append([]string{}, m.layers...), m.images...) {
			if !api.IsDigest(d) {
				t.Errorf("%q is no digest", d)
			}
		}
		switch m.mediaType {
		case dockerManifest, dockerList, ociManifest, ociIndex:
		default:
			t.Errorf("media type %q", m.mediaType)
		}
	})
}

func FuzzTarget(f *testing.F) {
	for _, seed := range []string{
		"app/manifests/latest", "a/b/c/blobs/sha256:12", "app/blobs/uploads/", "app/blobs/uploads", "app/blobs/uploads/1", "app/tags/list", "manifests/manifests/manifests",
		"blobs/uploads/blobs/uploads/x", "/app//manifests/x", "../x/manifests/y", "tags/list",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, ok := parseTarget(path)
		if !ok {
			return
		}
		if !api.IsRepositoryName(got.name) || strings.Contains(got.what, "/") || !strings.HasPrefix(path, got.name+"/") {
			t.Errorf("%q is %+v", path, got)
		}
	})
}

// namePattern is that of ECR's model.
var namePattern = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

func FuzzName(f *testing.F) {
	for _, seed := range []string{"app", "a/b", "a--b", "a._b", "a__b/c", "a/", "A", "a\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		want := len(name) >= 2 && len(name) <= 256 && namePattern.MatchString(name) && !strings.HasSuffix(name, "\n")
		if got := api.IsRepositoryName(name); got != want {
			t.Errorf("%q is a name: %t", name, got)
		}
	})
}

func FuzzRange(f *testing.F) {
	for _, seed := range []string{"0-1", "bytes 0-1/2", "-", "5-4", "0-", "-1-2", "0-99999999999999999999", "+1-2", "0x1-2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, last, ok := parseRange(text)
		if ok && (first < 0 || last < first || last >= maxLayer) {
			t.Errorf("%q is %d to %d", text, first, last)
		}
	})
}

func FuzzPageToken(f *testing.F) {
	p := &page{List: "x", After: "y"}
	f.Add(*p.next())
	f.Add("")
	f.Add("!!")
	f.Fuzz(func(t *testing.T, token string) {
		got, err := newPage("x", &token, nil)
		if err == nil && (got.List != "x" || got.limit != usualPage || len(got.After) > maxPageToken) {
			t.Errorf("%q is %+v", token, got)
		}
	})
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"app", true},
		{"a1", true},
		{"team/app", true},
		{"a.b_c__d-e---f/g", true},
		{"a", false},
		{"App", false},
		{"a..b", false},
		{"a___b", false},
		{"-a", false},
		{"a-", false},
		{"a//b", false},
		{"/ab", false},
		{"ab/", false},
		{"a._b", false},
		{"a b", false},
		{"", false},
		{strings.Repeat("a", 257), false},
	} {
		equal(t, c.name, api.IsRepositoryName(c.name), c.ok)
	}
	for _, c := range []struct{ host, account, region string }{
		{"111122223333.dkr.ecr.us-east-1.amazonaws.com", "111122223333", "us-east-1"},
		{"111122223333.dkr.ecr.eu-west-1.localhost:4566", "111122223333", "eu-west-1"},
		{"111122223333.dkr.ecr.us-gov-west-1.amazonaws.com", "111122223333", "us-gov-west-1"},
		{"11112222333.dkr.ecr.us-east-1.amazonaws.com", "", ""},
		{"111122223333.dkr.ecr.us-east-1", "", ""},
		{"111122223333.dkr.ecr...", "", ""},
		{"127.0.0.1:4566", "", ""},
		{"x.111122223333.dkr.ecr.us-east-1.amazonaws.com", "", ""},
	} {
		account, region, _ := api.ParseHost(c.host)
		equal(t, c.host, account+" "+region, c.account+" "+c.region)
	}
}
