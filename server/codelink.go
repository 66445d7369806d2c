package server

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/sigv4"
	"github.com/enfold-run/enfold/store"
)

// codePath is where deployment packages are downloaded from, by links that GetFunction and GetLayerVersion hand out.
const codePath = "/_enfold/code/"

// codeLinkTime is how long a link is good, as on AWS.
const codeLinkTime = 10 * time.Minute

// codeLinks makes and serves presigned links to blobs. They are signed with a key that lives as long as the process and
// opens nothing else.
type codeLinks struct {
	blobs    store.Blobs
	creds    sigv4.Credentials
	verifier *sigv4.Verifier
}

// linkKeyID names the key in a link. It is no access key: only codeLinks knows it.
const linkKeyID = "ASIAENFOLDCODELINK00"

func newCodeLinks(blobs store.Blobs, region string) *codeLinks {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	l := &codeLinks{blobs: blobs, creds: sigv4.Credentials{
		AccessKeyID: linkKeyID, Secret: secret, Region: region, Service: "s3",
	}}
	l.verifier = sigv4.New(linkKeys{secret})
	return l
}

type linkKeys struct{ secret []byte }

func (k linkKeys) Lookup(_ context.Context, id, _ string) (sigv4.Key, error) {
	if id != linkKeyID {
		return sigv4.Key{}, sigv4.ErrUnknownKey
	}
	return sigv4.Key{Secret: k.secret, Principal: &aws.Principal{Type: aws.Anonymous}}, nil
}

// link is a download of a blob for ten minutes, at the address that the caller reached us by.
func (l *codeLinks) link(ctx context.Context, blob string) string {
	u, err := url.Parse(aws.CallFrom(ctx).BaseURL + codePath + url.PathEscape(blob))
	if err != nil {
		return ""
	}
	return sigv4.Presign(u, l.creds, time.Now(), codeLinkTime)
}

func (l *codeLinks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, err := l.verifier.Verify(r, nil)
	if err != nil || !id.Presigned || r.Method != http.MethodGet {
		http.Error(w, "This link is not valid or has expired. Ask for a new one with GetFunction or GetLayerVersion.", http.StatusForbidden)
		return
	}
	blob, err := l.blobs.Open(strings.TrimPrefix(r.URL.Path, codePath))
	if err != nil {
		http.Error(w, "The code was deleted.", http.StatusNotFound)
		return
	}
	defer blob.Close()
	w.Header().Set("Content-Type", "application/zip")
	http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(blob, 0, blob.Size()))
}
