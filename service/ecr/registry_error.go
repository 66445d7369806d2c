package ecr

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// Codes of the distribution API.
const (
	codeBlobUnknown         = "BLOB_UNKNOWN"
	codeBlobUploadInvalid   = "BLOB_UPLOAD_INVALID"
	codeBlobUploadUnknown   = "BLOB_UPLOAD_UNKNOWN"
	codeDigestInvalid       = "DIGEST_INVALID"
	codeManifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN"
	codeManifestInvalid     = "MANIFEST_INVALID"
	codeManifestUnknown     = "MANIFEST_UNKNOWN"
	codeNameUnknown         = "NAME_UNKNOWN"
	codeSizeInvalid         = "SIZE_INVALID"
	codeTagInvalid          = "TAG_INVALID"
	codeUnauthorized        = "UNAUTHORIZED"
	codeDenied              = "DENIED"
	codeUnsupported         = "UNSUPPORTED"
	codeTooManyRequests     = "TOOMANYREQUESTS"
	codeUnknown             = "UNKNOWN"
)

// registryError is an error as the distribution API tells it.
type registryError struct {
	status        int
	code, message string
}

func (e *registryError) Error() string { return e.code + ": " + e.message }

func internalError() *registryError {
	return &registryError{http.StatusInternalServerError, codeUnknown, "The registry failed; its log says why."}
}

// translations are how the errors of ECR's operations read in the distribution API.
var translations = map[*aws.ErrorType]struct {
	status int
	code   string
}{
	api.ErrRepositoryNotFound:       {http.StatusNotFound, codeNameUnknown},
	api.ErrUploadNotFound:           {http.StatusNotFound, codeBlobUploadUnknown},
	api.ErrEmptyUpload:              {http.StatusBadRequest, codeBlobUploadInvalid},
	api.ErrInvalidLayerPart:         {http.StatusRequestedRangeNotSatisfiable, codeBlobUploadInvalid},
	api.ErrInvalidLayer:             {http.StatusBadRequest, codeDigestInvalid},
	api.ErrImageDigestDoesNotMatch:  {http.StatusBadRequest, codeDigestInvalid},
	api.ErrImageTagAlreadyExists:    {http.StatusBadRequest, codeTagInvalid},
	api.ErrImageNotFound:            {http.StatusNotFound, codeManifestUnknown},
	api.ErrReferencedImagesNotFound: {http.StatusNotFound, codeManifestBlobUnknown},
	api.ErrInvalidParameter:         {http.StatusBadRequest, codeManifestInvalid},
	api.ErrLimitExceeded:            {http.StatusForbidden, codeDenied},
	aws.ErrAccessDenied:             {http.StatusForbidden, codeDenied},
	aws.ErrThrottling:               {http.StatusTooManyRequests, codeTooManyRequests},
	aws.ErrUnavailable:              {http.StatusServiceUnavailable, codeUnknown},
	api.ErrServer:                   {http.StatusInsufficientStorage, codeUnknown},
}

func translate(e *aws.Error) *registryError {
	if t, ok := translations[e.Type]; ok {
		return &registryError{t.status, t.code, e.Message}
	}
	if e.Type.Status >= 500 {
		return internalError()
	}
	return &registryError{http.StatusBadRequest, codeUnknown, e.Message}
}

// fail answers an error. What is neither the registry's own nor one of ECR's is a fault of ours, and a line in the log.
func (v *visit) fail(err error) {
	var own *registryError
	var e *aws.Error
	switch {
	case errors.As(err, &own):
	case errors.Is(err, api.ErrLayersNotFound):
		errors.As(err, &e)
		own = &registryError{http.StatusNotFound, codeBlobUnknown, e.Message}
		if strings.Contains(v.r.URL.Path, "/manifests/") {
			own.code = codeManifestBlobUnknown
		}
	case errors.As(err, &e):
		own = translate(e)
	default:
		if v.r.Context().Err() == nil {
			v.Service.deps.Log.Error("registry", "method", v.r.Method, "path", v.r.URL.Path, "error", err)
		}
		own = internalError()
	}
	if errors.Is(err, store.ErrFull) {
		v.discard()
	}
	writeError(v.w, v.r, own)
}

func writeError(w http.ResponseWriter, r *http.Request, e *registryError) {
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	body, err := json.Marshal(struct {
		Errors []entry `json:"errors"`
	}{[]entry{{e.code, e.message}}})
	if err != nil {
		body = nil // strings always marshal
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	if r.Method != http.MethodHead {
		_, err = w.Write(body)
		_ = gone(err)
	}
}
