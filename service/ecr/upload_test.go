package ecr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// TestUploadRefusals: parts that do not fit change nothing, and what came stays.
func TestUploadRefusals(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	up, err := w.InitiateLayerUpload(w.ctx, &api.InitiateLayerUploadInput{RepositoryName: new("app")})
	check(t, err, "")
	complete := func(digests ...string) error {
		_, err := w.CompleteLayerUpload(w.ctx, &api.CompleteLayerUploadInput{RepositoryName: new("app"), UploadID: up.UploadID, LayerDigests: digests})
		return err
	}
	whole := sum([]byte("hello world"))
	is(t, complete(whole), api.ErrEmptyUpload)
	check(t, w.part("app", *up.UploadID, 0, "hello"), "")
	for name, err := range map[string]error{
		"the same again": w.part("app", *up.UploadID, 0, "hello"),
		"a gap":          w.part("app", *up.UploadID, 6, "world"),
		"nothing":        w.part("app", *up.UploadID, 5, ""),
	} {
		var e *aws.Error
		if !errors.As(err, &e) || !errors.Is(err, api.ErrInvalidLayerPart) || e.Fields["lastValidByteReceived"] != int64(4) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = w.UploadLayerPart(w.ctx, &api.UploadLayerPartInput{
		RepositoryName: new("app"), UploadID: up.UploadID, PartFirstByte: new(int64(5)), PartLastByte: new(int64(7)), LayerPartBlob: []byte(" world"),
	})
	is(t, err, api.ErrInvalidLayerPart)
	is(t, w.part("app", "11111111-1111-1111-1111-111111111111", 0, "x"), api.ErrUploadNotFound)
	equal(t, "blobs", w.stored(), 1)
	w.reopen()
	check(t, w.part("app", *up.UploadID, 5, " world"), "")
	is(t, complete(sum([]byte("hello"))), api.ErrInvalidLayer)
	check(t, complete(whole), "")
	is(t, complete(whole), api.ErrUploadNotFound)
	f, err := w.Service.open(t.Context(), store.Scope{Account: account, Region: region}, "app", whole)
	check(t, err, "")
	defer f.Close()
	b, err := io.ReadAll(f)
	check(t, err, "")
	equal(t, "the layer", string(b), "hello world")
}

// TestSameUploadTwice: of parts that come at the same time one is taken, and no blob of the others stays.
func TestSameUploadTwice(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	up, err := w.InitiateLayerUpload(w.ctx, &api.InitiateLayerUploadInput{RepositoryName: new("app")})
	check(t, err, "")
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = w.part("app", *up.UploadID, 0, fmt.Sprint("part", i)) })
	}
	wg.Wait()
	taken := 0
	for _, err := range errs {
		if err == nil {
			taken++
		} else {
			is(t, err, api.ErrInvalidLayerPart)
		}
	}
	equal(t, "taken", taken, 1)
	equal(t, "blobs", w.stored(), 1)
}

// TestSharedLayer: a layer of two repositories is stored once and stays as long as one holds it.
func TestSharedLayer(t *testing.T) {
	w := newWorld(t)
	w.repository("a")
	w.repository("b")
	digest := w.layer("a", "shared")
	equal(t, "the same digest", w.layer("b", "sha", "red"), digest)
	equal(t, "blobs", w.stored(), 1)
	up, err := w.InitiateLayerUpload(w.ctx, &api.InitiateLayerUploadInput{RepositoryName: new("a")})
	check(t, err, "")
	check(t, w.part("a", *up.UploadID, 0, "shared"), "")
	_, err = w.CompleteLayerUpload(w.ctx, &api.CompleteLayerUploadInput{RepositoryName: new("a"), UploadID: up.UploadID, LayerDigests: []string{digest}})
	is(t, err, api.ErrLayerAlreadyExists)
	equal(t, "blobs after the same once more", w.stored(), 1)
	for i, name := range []string{"a", "b"} {
		_, err := w.DeleteRepository(w.ctx, &api.DeleteRepositoryInput{RepositoryName: &name})
		check(t, err, "")
		equal(t, "blobs", w.stored(), 1-i)
	}
}

// TestSweep: uploads that nobody finished and layers that no image needs go after a day; what is needed stays.
func TestSweep(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	up, err := w.InitiateLayerUpload(w.ctx, &api.InitiateLayerUploadInput{RepositoryName: new("app")})
	check(t, err, "")
	check(t, w.part("app", *up.UploadID, 0, "never finished"), "")
	w.layer("app", "never needed")
	_, err = w.put("app", manifestOf(w.layer("app", "needed")), "v1")
	check(t, err, "")
	named := func() int {
		ids, err := w.NamedBlobs(t.Context())
		check(t, err, "")
		return len(ids)
	}
	for _, c := range []struct {
		after time.Duration
		blobs int
	}{{0, 3}, {keepTime, 3}, {keepTime + time.Second, 1}} {
		w.at = noon.Add(c.after)
		check(t, w.sweep(t.Context()), "")
		equal(t, fmt.Sprint("blobs after ", c.after), w.stored(), c.blobs)
		equal(t, "named", named(), c.blobs)
	}
	is(t, w.part("app", *up.UploadID, 14, "x"), api.ErrUploadNotFound)
	for range maxUploads { // none of what was swept counts
		_, err := w.InitiateLayerUpload(w.ctx, &api.InitiateLayerUploadInput{RepositoryName: new("app")})
		check(t, err, "")
	}
	_, err = w.InitiateLayerUpload(w.ctx, &api.InitiateLayerUploadInput{RepositoryName: new("app")})
	is(t, err, api.ErrLimitExceeded)
	_, err = w.BatchDeleteImage(w.ctx, &api.BatchDeleteImageInput{RepositoryName: new("app"), ImageIDs: []*api.ImageIdentifier{{ImageTag: new("v1")}}})
	check(t, err, "")
	check(t, w.sweep(t.Context()), "")
	equal(t, "blobs when nothing is needed", w.stored(), 0)
}

// full is a disk without space.
type full struct{ store.Blobs }

func (full) Put(context.Context, io.Reader, int64) (store.Blob, error) {
	return store.Blob{}, fmt.Errorf("put blob: %w", store.ErrFull)
}

// TestDiskFull: a full disk is said to be one, and what came before goes on when there is space.
func TestDiskFull(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	up, err := w.InitiateLayerUpload(w.ctx, &api.InitiateLayerUploadInput{RepositoryName: new("app")})
	check(t, err, "")
	check(t, w.part("app", *up.UploadID, 0, "before "), "")
	w.blobs = full{w.db.Blobs()}
	is(t, w.part("app", *up.UploadID, 7, "after"), api.ErrServer)
	r, err := http.NewRequest(http.MethodPatch, "http://registry.test/v2/app/blobs/uploads/"+*up.UploadID, strings.NewReader("after"))
	check(t, err, "")
	r.SetBasicAuth("AWS", w.password(aws.RootOf(account, "AKIAROOT")))
	status, body := answerOf(w.registry, r)
	if status != http.StatusInsufficientStorage || !strings.Contains(body, "no space left") {
		t.Errorf("the registry answers %d %s", status, body)
	}
	w.blobs = w.db.Blobs()
	check(t, w.part("app", *up.UploadID, 7, "after"), "")
	_, err = w.CompleteLayerUpload(w.ctx, &api.CompleteLayerUploadInput{RepositoryName: new("app"), UploadID: up.UploadID, LayerDigests: []string{sum([]byte("before after"))}})
	check(t, err, "")
}

// TestDownloadLink: a link is for one layer and for an hour.
func TestDownloadLink(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	digest := w.layer("app", "content")
	out, err := w.GetDownloadUrlForLayer(w.ctx, &api.GetDownloadUrlForLayerInput{RepositoryName: new("app"), LayerDigest: &digest})
	check(t, err, "")
	get := func(url string) (int, string) {
		r, err := http.NewRequest(http.MethodGet, url, nil)
		check(t, err, "")
		return answerOf(Links{w.Service}, r)
	}
	status, body := get(*out.DownloadURL)
	equal(t, "the layer", fmt.Sprint(status, body), "200content")
	bare, token, _ := strings.Cut(*out.DownloadURL, "token=")
	for _, bad := range []string{bare, bare + "token=", bare + "token=" + token[1:], bare + "token=" + w.password(aws.RootOf(account, "AKIAROOT"))} {
		status, _ := get(bad)
		equal(t, "a bad link", status, http.StatusForbidden)
	}
	w.at = noon.Add(linkTime)
	status, _ = get(*out.DownloadURL)
	equal(t, "an old link", status, http.StatusForbidden)
	w.at = noon
	_, err = w.DeleteRepository(w.ctx, &api.DeleteRepositoryInput{RepositoryName: new("app")})
	check(t, err, "")
	status, _ = get(*out.DownloadURL)
	equal(t, "a deleted layer", status, http.StatusNotFound)
}

// TestRegistryErrors: what container tools hear of requests that cannot be carried out.
func TestRegistryErrors(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	password := w.password(aws.RootOf(account, "AKIAROOT"))
	present := w.layer("app", "config")
	manifest := manifestOf(present)
	_, err := w.put("app", manifest, "v1")
	check(t, err, "")
	image := sum([]byte(manifest))
	_, err = w.put("app", indexOf(image), "index")
	check(t, err, "")
	absent := sum([]byte("absent"))
	upload := func() string {
		up, err := w.InitiateLayerUpload(w.ctx, &api.InitiateLayerUploadInput{RepositoryName: new("app")})
		check(t, err, "")
		check(t, w.part("app", *up.UploadID, 0, "12345"), "")
		return "/v2/app/blobs/uploads/" + *up.UploadID
	}
	for _, c := range []struct {
		name, method, path, body, header string
		status                           int
		code                             string
	}{
		{"the registry", "GET", "/v2/", "", "", 200, ""},
		{"the registry, changed", "POST", "/v2/", "", "", 405, codeUnsupported},
		{"nothing", "GET", "/v2/app", "", "", 404, codeUnsupported},
		{"the catalog", "GET", "/v2/_catalog", "", "", 404, codeUnsupported},
		{"a name that cannot be", "GET", "/v2/App/manifests/v1", "", "", 404, codeUnsupported},
		{"a path out", "GET", "/v2/../../etc/manifests/v1", "", "", 404, codeUnsupported},
		{"another repository", "GET", "/v2/none/manifests/v1", "", "", 404, codeNameUnknown},
		{"its tags", "GET", "/v2/none/tags/list", "", "", 404, codeNameUnknown},
		{"an upload to it", "POST", "/v2/none/blobs/uploads/", "", "", 404, codeNameUnknown},
		{"a manifest that is not there", "GET", "/v2/app/manifests/v9", "", "", 404, codeManifestUnknown},
		{"by digest", "GET", "/v2/app/manifests/" + absent, "", "", 404, codeManifestUnknown},
		{"a reference that cannot be", "GET", "/v2/app/manifests/sha256:12", "", "", 400, codeManifestInvalid},
		{"no manifest", "PUT", "/v2/app/manifests/v2", "hello", "", 400, codeManifestInvalid},
		{"an empty manifest", "PUT", "/v2/app/manifests/v2", "", "", 413, codeManifestInvalid},
		{"a huge manifest", "PUT", "/v2/app/manifests/v2", strings.Repeat(" ", maxManifest+1), "", 413, codeManifestInvalid},
		{"a manifest as another kind", "PUT", "/v2/app/manifests/v2", manifest, "Content-Type: " + dockerManifest, 400, codeManifestInvalid},
		{"a manifest by another digest", "PUT", "/v2/app/manifests/" + absent, manifest, "", 400, codeDigestInvalid},
		{"a manifest of missing layers", "PUT", "/v2/app/manifests/v2", manifestOf(absent), "", 404, codeManifestBlobUnknown},
		{"an index of missing images", "PUT", "/v2/app/manifests/v2", indexOf(absent), "", 404, codeManifestBlobUnknown},
		{"a manifest once more", "PUT", "/v2/app/manifests/v1", manifest, "", 201, ""},
		{"what an index names, deleted", "DELETE", "/v2/app/manifests/" + image, "", "", 403, codeDenied},
		{"what is not there, deleted", "DELETE", "/v2/app/manifests/v9", "", "", 404, codeManifestUnknown},
		{"a manifest, patched", "PATCH", "/v2/app/manifests/v1", "", "", 405, codeUnsupported},
		{"a layer that is not there", "GET", "/v2/app/blobs/" + absent, "", "", 404, codeBlobUnknown},
		{"a layer by a digest that cannot be", "GET", "/v2/app/blobs/sha512:12", "", "", 400, codeDigestInvalid},
		{"a layer, deleted", "DELETE", "/v2/app/blobs/" + present, "", "", 405, codeUnsupported},
		{"a range of a layer", "GET", "/v2/app/blobs/" + present, "", "Range: bytes=1-2", 206, ""},
		{"a range behind its end", "GET", "/v2/app/blobs/" + present, "", "Range: bytes=100-", 416, ""},
		{"an upload that is not there", "PATCH", "/v2/app/blobs/uploads/11111111-1111-1111-1111-111111111111", "x", "", 404, codeBlobUploadUnknown},
		{"an upload that cannot be", "PATCH", "/v2/app/blobs/uploads/x", "x", "", 404, codeBlobUploadUnknown},
		{"uploads, listed", "GET", "/v2/app/blobs/uploads/", "", "", 405, codeUnsupported},
		{"an upload's status", "GET", upload(), "", "", 204, ""},
		{"an upload, ended", "DELETE", upload(), "", "", 204, ""},
		{"a part", "PATCH", upload(), "67", "Content-Range: 5-6", 202, ""},
		{"a part out of order", "PATCH", upload(), "67", "Content-Range: 7-8", 416, codeBlobUploadInvalid},
		{"a part of another size", "PATCH", upload(), "67", "Content-Range: 5-7", 400, codeSizeInvalid},
		{"a range that is none", "PATCH", upload(), "67", "Content-Range: five", 400, codeSizeInvalid},
		{"a range that overflows", "PATCH", upload(), "67", "Content-Range: 5-99999999999999999999", 400, codeSizeInvalid},
		{"the end without a digest", "PUT", upload(), "", "", 400, codeDigestInvalid},
		{"the end with another digest", "PUT", upload() + "?digest=" + absent, "", "", 400, codeDigestInvalid},
		{"the end", "PUT", upload() + "?digest=" + sum([]byte("1234567")), "67", "", 201, ""},
		{"nothing at all", "POST", "/v2/app/blobs/uploads/?digest=" + absent, "", "", 400, codeBlobUploadInvalid},
		{"all at once", "POST", "/v2/app/blobs/uploads/?digest=" + sum([]byte("x")), "x", "", 201, ""},
		{"all at once, with a digest that cannot be", "POST", "/v2/app/blobs/uploads/?digest=x", "x", "", 400, codeDigestInvalid},
		{"tags", "GET", "/v2/app/tags/list?n=1", "", "", 200, ""},
		{"as many tags as words", "GET", "/v2/app/tags/list?n=x", "", "", 400, codeUnsupported},
		{"referrers", "GET", "/v2/app/referrers/" + image, "", "", 404, codeUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.NewRequest(c.method, "http://registry.test/v2/", strings.NewReader(c.body))
			check(t, err, "")
			r.URL.Path, r.URL.RawQuery, _ = strings.Cut(c.path, "?")
			if name, text, ok := strings.Cut(c.header, ": "); ok {
				r.Header.Set(name, text)
			}
			r.SetBasicAuth("AWS", password)
			status, body := answerOf(w.registry, r)
			if status != c.status || c.code != "" && !strings.Contains(body, `{"errors":[{"code":"`+c.code+`","message":"`) {
				t.Errorf("got %d %.300s, want %d %s", status, body, c.status, c.code)
			}
		})
	}
}

// TestBrokenUpload: what came of an upload before it broke off stays, and its client goes on behind it.
func TestBrokenUpload(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	up, err := w.InitiateLayerUpload(w.ctx, &api.InitiateLayerUploadInput{RepositoryName: new("app")})
	check(t, err, "")
	path := "http://registry.test/v2/app/blobs/uploads/" + *up.UploadID
	password := w.password(aws.RootOf(account, "AKIAROOT"))
	first := strings.Repeat("x", frontPart+1000)
	r, err := http.NewRequest(http.MethodPatch, path, io.MultiReader(strings.NewReader(first), broken{}))
	check(t, err, "")
	r.ContentLength = -1 // not said
	r.SetBasicAuth("AWS", password)
	status, body := answerOf(w.registry, r)
	if status != 400 || !strings.Contains(body, codeBlobUploadInvalid) {
		t.Errorf("%d %s", status, body)
	}
	r, err = http.NewRequest(http.MethodGet, path, nil)
	check(t, err, "")
	r.SetBasicAuth("AWS", password)
	rec := &recorder{header: http.Header{}}
	w.registry.ServeHTTP(rec, r)
	equal(t, "what came", rec.header.Get("Range"), fmt.Sprintf("0-%d", len(first)-1))
	r, err = http.NewRequest(http.MethodPut, path+"?digest="+sum([]byte(first+"end")), strings.NewReader("end"))
	check(t, err, "")
	r.SetBasicAuth("AWS", password)
	status, body = answerOf(w.registry, r)
	equal(t, body, status, 201)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestSlowUploads: who holds all of an account's room keeps nobody else from uploading, and its own wait no longer than they may.
func TestSlowUploads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Registry{}
		for range partsInMemory {
			_, err := g.enter(t.Context(), account)
			check(t, err, "")
		}
		leave, err := g.enter(t.Context(), other)
		check(t, err, "")
		leave()
		start := time.Now()
		_, err = g.enter(t.Context(), account)
		check(t, err, "TOOMANYREQUESTS: Too many layers are being uploaded at once.")
		equal(t, "waited", time.Since(start), roomWait)
	})
}
