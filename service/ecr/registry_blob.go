package ecr

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/store"
)

// answer writes JSON.
func (v *visit) answer(what any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/json")
	v.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	v.w.WriteHeader(http.StatusOK)
	if v.r.Method == http.MethodGet {
		_, err = v.w.Write(body)
	}
	return gone(err)
}

// blobs answers NAME/blobs/DIGEST.
func (v *visit) blobs(digest string) error {
	if !api.IsDigest(digest) {
		return &registryError{http.StatusBadRequest, codeDigestInvalid, "The digest is not sha256 and 64 hexadecimal digits."}
	}
	switch v.r.Method {
	case http.MethodHead:
		return v.headBlob(digest)
	case http.MethodGet:
		return v.getBlob(digest)
	}
	// ECR has no operation that deletes a layer: it goes when no image needs it.
	return v.notAllowed("GET, HEAD")
}

func (v *visit) headBlob(digest string) error {
	out, err := v.api.BatchCheckLayerAvailability(v.ctx, &api.BatchCheckLayerAvailabilityInput{
		RegistryID: &v.account, RepositoryName: &v.name, LayerDigests: []string{digest},
	})
	if err != nil {
		return err
	}
	if len(out.Layers) != 1 || *out.Layers[0].LayerAvailability != api.LayerAvailabilityAvailable {
		return &registryError{http.StatusNotFound, codeBlobUnknown, "The layer does not exist in the repository."}
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(*out.Layers[0].LayerSize, 10))
	h.Set("Docker-Content-Digest", digest)
	h.Set("Accept-Ranges", "bytes")
	v.w.WriteHeader(http.StatusOK)
	return nil
}

func (v *visit) getBlob(digest string) error {
	_, err := v.api.GetDownloadUrlForLayer(v.ctx, &api.GetDownloadUrlForLayerInput{RegistryID: &v.account, RepositoryName: &v.name, LayerDigest: &digest})
	if err != nil {
		return err
	}
	f, err := v.Service.open(v.ctx, v.scope(), v.name, digest)
	if err != nil {
		return err
	}
	return v.Service.serveLayer(v.w, v.r, f, digest)
}

// scope is where the registry's rows are.
func (v *visit) scope() store.Scope { return store.Scope{Account: v.account, Region: v.region} }

// serveLayer answers with a layer, or the part of it that was asked for, and closes it.
func (s *Service) serveLayer(w http.ResponseWriter, r *http.Request, f *layerFile, digest string) error {
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Docker-Content-Digest", digest)
	h.Set("Etag", `"`+digest+`"`)
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// Links serves what is below LayerPath, to whoever has a link.
type Links struct{ Service *Service }

// ServeHTTP implements http.Handler.
func (l Links) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	var to link
	err := l.Service.unseal(r.URL.Query().Get("token"), linkUse, &to)
	if err != nil || !l.Service.deps.Now().Before(to.Expires) {
		http.Error(w, "This link is not valid or has expired. Ask for a new one with GetDownloadUrlForLayer.", http.StatusForbidden)
		return
	}
	f, err := l.Service.open(r.Context(), to.Scope, to.Repository, to.Digest)
	if err != nil {
		http.Error(w, "The layer was deleted.", http.StatusNotFound)
		return
	}
	_ = l.Service.serveLayer(w, r, f, to.Digest) // it has no errors but those of a client that is gone
}
