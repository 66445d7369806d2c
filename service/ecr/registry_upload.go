package ecr

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// uploads answers NAME/blobs/uploads/ and NAME/blobs/uploads/ID.
func (v *visit) uploads(id string) error {
	if id == "" {
		if v.r.Method != http.MethodPost {
			return v.notAllowed("POST")
		}
		return v.startUpload()
	}
	if !isUploadID(id) {
		return &registryError{http.StatusNotFound, codeBlobUploadUnknown, "There is no such upload."}
	}
	switch v.r.Method {
	case http.MethodPatch:
		return v.patchUpload(id)
	case http.MethodPut:
		return v.putUpload(id)
	case http.MethodGet:
		return v.uploadStatus(id)
	case http.MethodDelete:
		return v.deleteUpload(id)
	}
	return v.notAllowed("GET, PATCH, PUT, DELETE")
}

func isUploadID(id string) bool {
	return len(id) == 36 && strings.Trim(id, "0123456789abcdef-") == ""
}

// startUpload begins an upload. One whose digest is said may come whole with it, or be mounted from another repository.
func (v *visit) startUpload() error {
	q := v.r.URL.Query()
	if digest, from := q.Get("mount"), q.Get("from"); digest != "" && from != "" {
		if done, err := v.mount(digest, from); done || err != nil {
			return err
		}
	}
	digest := q.Get("digest")
	if digest != "" && !api.IsDigest(digest) {
		return errDigest
	}
	id, err := v.initiate()
	if err != nil {
		return err
	}
	if digest == "" {
		return v.accepted(id, 0, http.StatusAccepted)
	}
	if _, err := v.receive(id, 0); err != nil {
		return err
	}
	return v.complete(id, digest)
}

var errDigest = &registryError{http.StatusBadRequest, codeDigestInvalid, "The digest is not sha256 and 64 hexadecimal digits."}

func (v *visit) initiate() (string, error) {
	out, err := v.api.InitiateLayerUpload(v.ctx, &api.InitiateLayerUploadInput{RegistryID: &v.account, RepositoryName: &v.name})
	if err != nil {
		return "", err
	}
	return *out.UploadID, nil
}

// mount takes a layer over from another repository of the registry that the caller may read. If it may not, or there is none, an
// upload begins in its place, as the distribution API has it.
func (v *visit) mount(digest, from string) (done bool, err error) {
	if !api.IsDigest(digest) || !api.IsRepositoryName(from) {
		return false, nil
	}
	_, err = v.api.GetDownloadUrlForLayer(v.ctx, &api.GetDownloadUrlForLayerInput{RegistryID: &v.account, RepositoryName: &from, LayerDigest: &digest})
	if err != nil {
		return false, nil
	}
	id, err := v.initiate()
	if err != nil {
		return false, err
	}
	u := &upload{repository: &repository{scope: v.scope(), name: v.name}, id: id}
	if err := v.Service.mount(v.ctx, u, from, digest); err != nil {
		return false, errors.Join(err, v.Service.cancel(v.ctx, v.scope(), v.name, id))
	}
	return true, v.complete(id, digest)
}

// location is where an upload goes on.
func (v *visit) location(id string) string { return RegistryPath + v.name + "/blobs/uploads/" + id }

func (v *visit) accepted(id string, size int64, status int) error {
	h := v.w.Header()
	h.Set("Location", v.location(id))
	h.Set("Docker-Upload-Uuid", id)
	h.Set("Range", "0-"+strconv.FormatInt(max(0, size-1), 10))
	h.Set("Content-Length", "0")
	v.w.WriteHeader(status)
	return nil
}

// received is how much of an upload came. Who may upload may know.
func (v *visit) received(id string) (int64, error) {
	var size int64
	err := v.Service.db.View(v.ctx, func(tx store.Tx) error {
		u, err := getUpload(tx, &repository{scope: v.scope(), name: v.name}, id)
		if err == nil {
			size = u.row.Size
		}
		return err
	})
	return size, err
}

// patchUpload adds to an upload.
func (v *visit) patchUpload(id string) error {
	size, err := v.received(id)
	if err != nil {
		return err
	}
	if text := v.r.Header.Get("Content-Range"); text != "" {
		first, last, ok := parseRange(text)
		switch {
		case !ok || v.r.ContentLength >= 0 && last-first+1 != v.r.ContentLength:
			return &registryError{http.StatusBadRequest, codeSizeInvalid, "The Content-Range is not FIRST-LAST of the bytes that were sent."}
		case first != size:
			return v.outOfRange(id, size)
		}
	}
	if size, err = v.receive(id, size); err != nil {
		return err
	}
	return v.accepted(id, size, http.StatusAccepted)
}

func (v *visit) outOfRange(id string, size int64) error {
	v.w.Header().Set("Location", v.location(id))
	v.w.Header().Set("Range", "0-"+strconv.FormatInt(max(0, size-1), 10))
	return &registryError{http.StatusRequestedRangeNotSatisfiable, codeBlobUploadInvalid, fmt.Sprintf("%d bytes of the layer were received.", size)}
}

// parseRange reads "FIRST-LAST", or "bytes FIRST-LAST/SIZE", as some clients write it.
func parseRange(text string) (first, last int64, ok bool) {
	text, _, _ = strings.Cut(strings.TrimPrefix(text, "bytes "), "/")
	a, b, found := strings.Cut(text, "-")
	if !found || !isNumber(a) || !isNumber(b) {
		return 0, 0, false
	}
	first, e1 := strconv.ParseInt(a, 10, 64)
	last, e2 := strconv.ParseInt(b, 10, 64)
	return first, last, e1 == nil && e2 == nil && first <= last && last < maxLayer
}

func isNumber(s string) bool { return s != "" && len(s) <= 18 && strings.Trim(s, "0123456789") == "" }

// putUpload ends an upload, with what is left of it in the body.
func (v *visit) putUpload(id string) error {
	digest := v.r.URL.Query().Get("digest")
	if !api.IsDigest(digest) {
		return errDigest
	}
	size, err := v.received(id)
	if err != nil {
		return err
	}
	if text := v.r.Header.Get("Content-Range"); text != "" {
		if first, _, ok := parseRange(text); !ok || first != size {
			return v.outOfRange(id, size)
		}
	}
	if _, err := v.receive(id, size); err != nil {
		return err
	}
	return v.complete(id, digest)
}

// complete makes a layer of an upload. One that the repository has already is as good.
func (v *visit) complete(id, digest string) error {
	_, err := v.api.CompleteLayerUpload(v.ctx, &api.CompleteLayerUploadInput{
		RegistryID: &v.account, RepositoryName: &v.name, UploadID: &id, LayerDigests: []string{digest},
	})
	if err != nil && !errors.Is(err, api.ErrLayerAlreadyExists) {
		return err
	}
	h := v.w.Header()
	h.Set("Location", RegistryPath+v.name+"/blobs/"+url.PathEscape(digest))
	h.Set("Docker-Content-Digest", digest)
	h.Set("Content-Length", "0")
	v.w.WriteHeader(http.StatusCreated)
	return nil
}

// uploadStatus tells how much of an upload came.
func (v *visit) uploadStatus(id string) error {
	size, err := v.mayUpload(id)
	if err != nil {
		return err
	}
	return v.accepted(id, size, http.StatusNoContent)
}

// deleteUpload ends an upload that nobody wants to finish.
func (v *visit) deleteUpload(id string) error {
	if _, err := v.mayUpload(id); err != nil {
		return err
	}
	if err := v.Service.cancel(v.ctx, v.scope(), v.name, id); err != nil {
		return err
	}
	v.w.WriteHeader(http.StatusNoContent)
	return nil
}

// mayUpload is received for those who could go on with the upload: ECR has no operation for it, so one that changes nothing and
// fails is tried with the same permission.
func (v *visit) mayUpload(id string) (int64, error) {
	_, err := v.api.UploadLayerPart(v.ctx, &api.UploadLayerPartInput{
		RegistryID: &v.account, RepositoryName: &v.name, UploadID: &id, PartFirstByte: new(int64(0)), PartLastByte: new(int64(0)), LayerPartBlob: []byte{},
	})
	switch {
	case errors.Is(err, api.ErrInvalidLayerPart): // which an empty part is, if nothing else is wrong
		return v.received(id)
	case err == nil:
		err = errors.New("an empty part of a layer was taken")
	}
	return 0, err
}

// frontPart is how large the parts are that the registry makes of what comes, in bytes: an upload is a call for each of them.
const frontPart = 8 << 20

// receive adds the body to an upload of which size bytes came, part by part, and answers how many there are then. What came
// stays if the client breaks off.
func (v *visit) receive(id string, size int64) (int64, error) {
	if v.r.Body == nil || v.r.ContentLength == 0 {
		return size, nil
	}
	if v.r.ContentLength > maxLayer-size {
		return size, &registryError{http.StatusRequestEntityTooLarge, codeSizeInvalid, fmt.Sprintf("A layer has %d bytes at most.", int64(maxLayer))}
	}
	for {
		n, err := v.receivePart(id, size)
		size += n
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return size, err
		}
	}
}

// receivePart reads a part and stores it; io.EOF says that it was the last one.
func (v *visit) receivePart(id string, first int64) (n int64, err error) {
	leave, err := v.enter(v.ctx, aws.CallFrom(v.ctx).Account)
	if err != nil {
		return 0, err
	}
	defer leave()
	v.begun = true
	part, readErr := readPart(v.r.Body)
	if len(part) > 0 {
		_, err = v.api.UploadLayerPart(v.ctx, &api.UploadLayerPartInput{
			RegistryID: &v.account, RepositoryName: &v.name, UploadID: &id, PartFirstByte: &first, PartLastByte: new(first + int64(len(part)) - 1),
			LayerPartBlob: part,
		})
	}
	switch {
	case err != nil:
		return 0, err
	case readErr != nil && !errors.Is(readErr, io.EOF):
		return int64(len(part)), &registryError{http.StatusBadRequest, codeBlobUploadInvalid, "The layer broke off."}
	}
	return int64(len(part)), readErr
}

// readPart reads up to frontPart bytes into memory that grows with what comes.
func readPart(r io.Reader) ([]byte, error) {
	part := make([]byte, 0, 64<<10)
	for len(part) < frontPart {
		if len(part) == cap(part) {
			grown := make([]byte, len(part), min(4*cap(part), frontPart))
			copy(grown, part)
			part = grown
		}
		n, err := r.Read(part[len(part):cap(part)])
		part = part[:len(part)+n]
		if err != nil {
			return part, err
		}
	}
	return part, nil
}
