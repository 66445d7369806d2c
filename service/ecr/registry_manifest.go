package ecr

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	api "github.com/enfold-run/enfold/api/ecr"
)

// manifests answers NAME/manifests/REFERENCE.
func (v *visit) manifests(reference string) error {
	id := &api.ImageIdentifier{}
	switch {
	case api.IsDigest(reference):
		id.ImageDigest = &reference
	case api.IsImageTag(reference):
		id.ImageTag = &reference
	default:
		return &registryError{http.StatusBadRequest, codeManifestInvalid, "The reference is neither a tag nor a SHA-256 digest."}
	}
	switch v.r.Method {
	case http.MethodGet, http.MethodHead:
		return v.getManifest(id)
	case http.MethodPut:
		return v.putManifest(id)
	case http.MethodDelete:
		return v.deleteManifest(id)
	}
	return v.notAllowed("GET, HEAD, PUT, DELETE")
}

func (v *visit) getManifest(id *api.ImageIdentifier) error {
	out, err := v.api.BatchGetImage(v.ctx, &api.BatchGetImageInput{RegistryID: &v.account, RepositoryName: &v.name, ImageIDs: []*api.ImageIdentifier{id}})
	if err != nil {
		return err
	}
	if len(out.Images) != 1 {
		return unknownManifest(out.Failures)
	}
	image := out.Images[0]
	h := v.w.Header()
	h.Set("Content-Type", *image.ImageManifestMediaType)
	h.Set("Content-Length", strconv.Itoa(len(*image.ImageManifest)))
	h.Set("Docker-Content-Digest", *image.ImageID.ImageDigest)
	h.Set("Etag", `"`+*image.ImageID.ImageDigest+`"`)
	v.w.WriteHeader(http.StatusOK)
	if v.r.Method == http.MethodGet {
		_, err = io.WriteString(v.w, *image.ImageManifest)
	}
	return gone(err)
}

func unknownManifest(failures []*api.ImageFailure) error {
	e := &registryError{http.StatusNotFound, codeManifestUnknown, "Requested image not found"}
	for _, f := range failures {
		e.message = *f.FailureReason
		if *f.FailureCode == api.ImageFailureCodeImageReferencedByManifestList {
			e.status, e.code = http.StatusForbidden, codeDenied
		}
	}
	return e
}

func (v *visit) putManifest(id *api.ImageIdentifier) error {
	body, err := io.ReadAll(io.LimitReader(v.r.Body, maxManifest+1))
	if err != nil {
		return &registryError{http.StatusBadRequest, codeManifestInvalid, "The manifest broke off."}
	}
	if len(body) > maxManifest || len(body) == 0 {
		return &registryError{http.StatusRequestEntityTooLarge, codeManifestInvalid, fmt.Sprintf("A manifest has 1 to %d bytes.", maxManifest)}
	}
	in := &api.PutImageInput{
		RegistryID: &v.account, RepositoryName: &v.name, ImageManifest: new(string(body)), ImageTag: id.ImageTag, ImageDigest: id.ImageDigest,
	}
	if kind := v.r.Header.Get("Content-Type"); kind != "" {
		in.ImageManifestMediaType = &kind
	}
	_, err = v.api.PutImage(v.ctx, in)
	if err != nil && !errors.Is(err, api.ErrImageAlreadyExists) { // a push of what is there succeeds
		return err
	}
	digest := digestOf(string(body))
	v.w.Header().Set("Docker-Content-Digest", digest)
	v.w.Header().Set("Location", RegistryPath+v.name+"/manifests/"+digest)
	v.w.WriteHeader(http.StatusCreated)
	return nil
}

func (v *visit) deleteManifest(id *api.ImageIdentifier) error {
	out, err := v.api.BatchDeleteImage(v.ctx, &api.BatchDeleteImageInput{RegistryID: &v.account, RepositoryName: &v.name, ImageIDs: []*api.ImageIdentifier{id}})
	if err != nil {
		return err
	}
	if len(out.Failures) > 0 {
		return unknownManifest(out.Failures)
	}
	v.w.WriteHeader(http.StatusAccepted)
	return nil
}

// maxListed is how many tags one page of tags has at most.
const maxListed = 1000

// tags answers NAME/tags/list, in the order of the tags.
func (v *visit) tags() error {
	if !v.isRead() {
		return v.notAllowed("GET, HEAD")
	}
	q := v.r.URL.Query()
	n := maxListed
	if text := q.Get("n"); text != "" {
		wanted, err := strconv.Atoi(text)
		if err != nil || wanted < 0 {
			return &registryError{http.StatusBadRequest, codeUnsupported, "n is not a number."}
		}
		n = min(n, wanted)
	}
	all, err := v.allTags()
	if err != nil {
		return err
	}
	at, found := slices.BinarySearch(all, q.Get("last"))
	if found {
		at++
	}
	rest := all[at:]
	if len(rest) > n {
		if rest = rest[:n]; n > 0 {
			next := url.Values{"n": {strconv.Itoa(n)}, "last": {rest[n-1]}}
			v.w.Header().Set("Link", "<"+RegistryPath+v.name+"/tags/list?"+next.Encode()+`>; rel="next"`)
		}
	}
	return v.answer(struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{v.name, rest})
}

// allTags are those of the repository, sorted.
func (v *visit) allTags() ([]string, error) {
	all := []string{}
	in := &api.ListImagesInput{
		RegistryID: &v.account, RepositoryName: &v.name, MaxResults: new(maxListed), Filter: &api.ListImagesFilter{TagStatus: new(api.TagStatusTagged)},
	}
	for {
		out, err := v.api.ListImages(v.ctx, in)
		if err != nil {
			return nil, err
		}
		for _, id := range out.ImageIDs {
			all = append(all, *id.ImageTag)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	slices.Sort(all)
	return all, nil
}
