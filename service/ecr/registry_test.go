package ecr

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/aws"
)

func loginOf(t testing.TB, d *api.AuthorizationData) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(*d.AuthorizationToken)
	user, password, ok := strings.Cut(string(b), ":")
	if err != nil || !ok || user != "AWS" {
		t.Fatalf("the token is %q, %v", b, err)
	}
	return password
}

// reference is an image of a served registry.
func reference(t testing.TB, server, image string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(strings.TrimPrefix(server, "http://")+"/"+image, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func login(password string) remote.Option {
	return remote.WithAuth(&authn.Basic{Username: "AWS", Password: password})
}

// codeOf is the code and the status of a registry's refusal.
func codeOf(err error) (string, int) {
	var e *transport.Error
	if !errors.As(err, &e) || len(e.Errors) == 0 {
		return "", 0
	}
	return string(e.Errors[0].Code), e.StatusCode
}

func TestPushAndPull(t *testing.T) {
	w := newWorld(t)
	w.repository("team/app")
	s := w.serve()
	root := login(w.password(aws.RootOf(account, "AKIAROOT")))
	image, err := random.Image(300_000, 3)
	if err != nil {
		t.Fatal(err)
	}
	ref := reference(t, s.URL, "team/app:v1")
	for range 2 { // the second push finds everything there
		check(t, remote.Write(ref, image, root), "")
	}
	digest, err := image.Digest()
	check(t, err, "")
	w.reopen()
	s = w.serve()
	ref = reference(t, s.URL, "team/app:v1")
	got, err := remote.Image(ref, root)
	check(t, err, "")
	check(t, validate.Image(got), "")
	pulled, err := got.Digest()
	check(t, err, "")
	equal(t, "the digest", pulled, digest)
	head, err := remote.Head(ref, root)
	check(t, err, "")
	equal(t, "the digest of HEAD", head.Digest, digest)
	check(t, remote.Tag(ref.Context().Tag("v2"), got, root), "")
	tags, err := remote.List(ref.Context(), root)
	check(t, err, "")
	equal(t, "the tags", strings.Join(tags, " "), "v1 v2")

	index, err := random.Index(1000, 2, 2)
	check(t, err, "")
	check(t, remote.WriteIndex(ref.Context().Tag("both"), index, root), "")
	gotIndex, err := remote.Index(ref.Context().Tag("both"), root)
	check(t, err, "")
	check(t, validate.Index(gotIndex), "")

	described, err := w.DescribeImages(w.ctx, &api.DescribeImagesInput{RepositoryName: new("team/app")})
	check(t, err, "")
	equal(t, "images", len(described.ImageDetails), 4)
	check(t, remote.Delete(ref.Context().Tag("v1"), root), "")
	_, err = remote.Head(ref, root)
	var e *transport.Error
	if !errors.As(err, &e) || e.StatusCode != http.StatusNotFound {
		t.Errorf("a deleted tag: %v", err)
	}
	_, err = remote.Image(ref.Context().Digest(digest.String()), root)
	check(t, err, "") // it has another tag
}

// TestMountedLayer: a layer goes to another repository without its bytes, if whoever wants that may read it.
func TestMountedLayer(t *testing.T) {
	w := newWorld(t)
	w.repository("from")
	w.repository("to")
	s := w.serve()
	root := login(w.password(aws.RootOf(account, "AKIAROOT")))
	image, err := random.Image(1000, 1)
	check(t, err, "")
	check(t, remote.Write(reference(t, s.URL, "from:1"), image, root), "")
	before := w.stored()
	layers, err := image.Layers()
	check(t, err, "")
	mounted, err := remote.Image(reference(t, s.URL, "from:1"), root)
	check(t, err, "")
	check(t, remote.Write(reference(t, s.URL, "to:1"), mounted, root), "")
	digest, err := layers[0].Digest()
	check(t, err, "")
	post := func(password, from string) int {
		req, err := http.NewRequest(http.MethodPost, s.URL+"/v2/to/blobs/uploads/?mount="+digest.String()+"&from="+from, nil)
		check(t, err, "")
		req.SetBasicAuth("AWS", password)
		resp, err := http.DefaultClient.Do(req)
		check(t, err, "")
		resp.Body.Close()
		return resp.StatusCode
	}
	w.allow(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"arn:aws:ecr:*:*:repository/to"}]}`)
	mayNot := w.password(userOf(account))
	equal(t, "a mount from what cannot be read", post(mayNot, "from"), http.StatusAccepted)
	equal(t, "a mount from what is not there", post(w.password(aws.RootOf(account, "AKIAROOT")), "nowhere"), http.StatusAccepted)
	equal(t, "a mount", post(w.password(aws.RootOf(account, "AKIAROOT")), "from"), http.StatusCreated)
	equal(t, "blobs", w.stored(), before)
	// What was mounted stays when its first repository goes.
	_, err = w.DeleteRepository(w.ctx, &api.DeleteRepositoryInput{RepositoryName: new("from"), Force: new(true)})
	check(t, err, "")
	got, err := remote.Image(reference(t, s.URL, "to:1"), root)
	check(t, err, "")
	check(t, validate.Image(got), "")
}

// TestRegistryDenies: what the policies of ECR's operations deny is denied to container tools.
func TestRegistryDenies(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	s := w.serve()
	root := login(w.password(aws.RootOf(account, "AKIAROOT")))
	image, err := random.Image(100, 1)
	check(t, err, "")
	ref := reference(t, s.URL, "app:1")
	check(t, remote.Write(ref, image, root), "")
	allow := func(actions string) {
		w.allow(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[` + actions + `],"Resource":"*"}]}`)
	}
	allow(`"ecr:GetAuthorizationToken"`)
	user := login(w.password(userOf(account)))
	pull := func() error {
		got, err := remote.Image(ref, user)
		if err == nil {
			err = validate.Image(got)
		}
		return err
	}
	push := func() error {
		fresh, err := random.Image(100, 1)
		check(t, err, "")
		return remote.Write(ref, fresh, user)
	}
	for _, c := range []struct {
		name, actions string
		do            func() error
		denied        bool
	}{
		{"nothing", `"ecr:GetAuthorizationToken"`, pull, true},
		{"manifests alone", `"ecr:BatchGetImage"`, pull, true},
		{"all that a pull needs", `"ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"`, pull, false},
		{"a push by who may pull", `"ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"`, push, true},
		{
			"a push without PutImage", `"ecr:BatchCheckLayerAvailability","ecr:InitiateLayerUpload","ecr:UploadLayerPart","ecr:CompleteLayerUpload"`,
			push, true,
		},
		{"a deletion", `"ecr:BatchGetImage"`, func() error { return remote.Delete(ref, user) }, true},
		{"tags", `"ecr:BatchGetImage"`, func() error { _, err := remote.List(ref.Context(), user); return err }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			allow(c.actions)
			err := c.do()
			denied := err != nil && (strings.Contains(err.Error(), "DENIED: User: arn:aws:iam::"+account+":user/u is not authorized") ||
				strings.Contains(err.Error(), "unexpected status code 403")) // HEAD has no body
			if denied != c.denied || err != nil && !denied {
				t.Errorf("got %v, want it denied: %t", err, c.denied)
			}
		})
	}
}

// TestRegistryOfAnotherAccount: the login or the host says whose registry it is, and the repository's policy who may.
func TestRegistryOfAnotherAccount(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	s := w.serve()
	image, err := random.Image(100, 1)
	check(t, err, "")
	ref := reference(t, s.URL, "app:1")
	check(t, remote.Write(ref, image, login(w.password(aws.RootOf(account, "AKIAROOT")))), "")
	stranger := aws.RootOf(other, "AKIAOTHER")
	own, foreign := login(w.password(stranger)), login(w.password(stranger, account))
	pull := func(o ...remote.Option) string {
		_, err := remote.Image(ref, o...)
		code, _ := codeOf(err)
		return code
	}
	equal(t, "its own registry", pull(own), "NAME_UNKNOWN")
	equal(t, "the other one's", pull(foreign), "DENIED")
	_, err = w.SetRepositoryPolicy(w.ctx, &api.SetRepositoryPolicyInput{RepositoryName: new("app"), PolicyText: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + other + `"},"Action":["ecr:BatchGetImage"]}]}`)})
	check(t, err, "")
	equal(t, "with the policy's consent", pull(foreign), "")
	host := remote.WithTransport(toHost(account + ".dkr.ecr." + region + ".localhost:4566"))
	equal(t, "by the host", pull(own, host), "")
	equal(t, "by the host of another Region", pull(own, remote.WithTransport(toHost(account+".dkr.ecr.eu-west-1.localhost"))), "DENIED")
}

// toHost sends every request with a Host of its own.
type toHost string

func (h toHost) RoundTrip(r *http.Request) (*http.Response, error) {
	c := r.Clone(r.Context())
	c.Host = string(h)
	return http.DefaultTransport.RoundTrip(c)
}

// TestLogins: what is no login, and what was one, opens nothing.
func TestLogins(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	good := w.password(aws.RootOf(account, "AKIAROOT"))
	session := *userOf(account)
	session.Session = &aws.Session{Expires: noon.Add(w.at.Sub(noon) + 10*60e9)}
	short := w.password(&session)
	link, err := w.seal(map[string]any{"Principal": session}, linkUse)
	check(t, err, "")
	get := func(user, password string) (int, string) {
		r, err := http.NewRequest(http.MethodGet, "http://registry.test/v2/", nil)
		check(t, err, "")
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		return answerOf(w.registry, r)
	}
	for _, c := range []struct {
		name, user, password string
		status               int
	}{
		{"a login", "AWS", good, 200},
		{"nobody", "", "", 401},
		{"another name", "root", good, 401},
		{"changed", "AWS", good[:40] + flip(good[40:41]) + good[41:], 401},
		{"cut off", "AWS", good[:len(good)-1], 401},
		{"empty", "AWS", "", 401},
		{"huge", "AWS", strings.Repeat("A", maxLogin+1), 401},
		{"a link to a layer", "AWS", link, 401},
		{"of a session", "AWS", short, 200},
	} {
		status, body := get(c.user, c.password)
		equal(t, c.name, status, c.status)
		if status == 401 && !strings.Contains(body, `"UNAUTHORIZED"`) {
			t.Errorf("%s: %s", c.name, body)
		}
	}
	w.at = noon.Add(11 * 60e9)
	status, body := get("AWS", short)
	equal(t, "a login after its session", status, 403)
	if !strings.Contains(body, "Your authorization token has expired. Reauthenticate and try again.") {
		t.Error(body)
	}
	w.at = noon.Add(loginTime)
	status, _ = get("AWS", good)
	equal(t, "a login after twelve hours", status, 403)
}

func flip(s string) string {
	if s == "A" {
		return "B"
	}
	return "A"
}

// answerOf is what a handler answers.
func answerOf(h http.Handler, r *http.Request) (int, string) {
	rec := &recorder{header: http.Header{}}
	h.ServeHTTP(rec, r)
	return rec.status, rec.body.String()
}

type recorder struct {
	header http.Header
	status int
	body   strings.Builder
}

func (r *recorder) Header() http.Header    { return r.header }
func (r *recorder) WriteHeader(status int) { r.status = status }
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = 200
	}
	return r.body.Write(b)
}

// TestPuller: Lambda pulls what is of the function's account, and of another only what the repository's policy gives it.
func TestPuller(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	image, err := random.Image(200_000, 2)
	check(t, err, "")
	s := w.serve()
	check(t, remote.Write(reference(t, s.URL, "app:1"), image, login(w.password(aws.RootOf(account, "AKIAROOT")))), "")
	p := Puller{Registry: w.registry, Service: aws.ServicePrincipal("lambda.amazonaws.com")}
	pullAs := func(who *aws.Principal, by string) (v1.Image, error) {
		ref, err := name.ParseReference(account + ".dkr.ecr." + region + ".amazonaws.com/app:1")
		check(t, err, "")
		ctx := aws.WithCall(t.Context(), &aws.Call{
			Account: by, Region: region, Principal: who, SourceArn: "arn:aws:lambda:" + region + ":" + by + ":function:f",
		})
		return remote.Image(ref, remote.WithTransport(p), remote.WithContext(ctx))
	}
	pull := func(by string) (v1.Image, error) { return pullAs(p.Service, by) }
	got, err := pull(account)
	check(t, err, "")
	check(t, validate.Image(got), "")
	_, err = pull(other)
	code, _ := codeOf(err)
	equal(t, "of another account", code, "DENIED")
	for _, nobody := range []*aws.Principal{nil, p.Service} {
		if _, err = pullAs(nobody, ""); err == nil || !strings.Contains(err.Error(), "in nobody's name") {
			t.Errorf("for nobody: %v", err)
		}
	}
	_, err = pullAs(userOf(account), account)
	code, _ = codeOf(err)
	equal(t, "for a client that may not", code, "DENIED")
	w.allow(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"Resource":"*",` +
		`"Condition":{"ForAnyValue:StringEquals":{"aws:CalledVia":"lambda.amazonaws.com"}}}]}`)
	_, err = pullAs(userOf(account), account)
	check(t, err, "")
	_, err = pullAs(userOf(other), account)
	code, _ = codeOf(err)
	equal(t, "for a client of another account", code, "DENIED")
	set := func(text string) {
		_, err := w.SetRepositoryPolicy(w.ctx, &api.SetRepositoryPolicyInput{RepositoryName: new("app"), PolicyText: &text})
		check(t, err, "")
	}
	statement := `"Principal":{"Service":"lambda.amazonaws.com"},"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"]`
	set(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` + statement +
		`,"Condition":{"StringLike":{"aws:SourceArn":"arn:aws:lambda:` + region + `:` + other + `:function:*"}}}]}`)
	got, err = pull(other)
	check(t, err, "")
	check(t, validate.Image(got), "")
	set(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny",` + statement + `}]}`)
	_, err = pull(account)
	code, _ = codeOf(err)
	equal(t, "denied by the policy", code, "DENIED")
	r, err := http.NewRequestWithContext(as(t.Context(), aws.RootOf(account, "")), http.MethodDelete, "http://"+account+".dkr.ecr."+region+".amazonaws.com/v2/app/manifests/1", nil)
	check(t, err, "")
	if resp, err := p.RoundTrip(r); err == nil {
		resp.Body.Close()
		t.Error("Lambda deletes an image")
	}
}

// TestPullBreaksOff: who stops reading, or never begins, leaves nothing running.
func TestPullBreaksOff(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	digest := w.layer("app", strings.Repeat("x", 1<<20), strings.Repeat("y", 1<<20))
	p := Puller{Registry: w.registry, Service: aws.ServicePrincipal("lambda.amazonaws.com")}
	get := func(from string) *http.Response {
		r, err := http.NewRequestWithContext(as(t.Context(), aws.RootOf(account, "")), http.MethodGet, "http://"+account+".dkr.ecr."+region+".amazonaws.com/v2/app/blobs/"+digest, nil)
		check(t, err, "")
		if from != "" {
			r.Header.Set("Range", "bytes="+from)
		}
		resp, err := p.RoundTrip(r)
		check(t, err, "")
		return resp
	}
	resp := get("")
	if _, err := io.ReadFull(resp.Body, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	resp = get("1048575-1048576") // where the parts meet
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	check(t, err, "")
	equal(t, "a range", string(b), "xy")
	equal(t, "its status", resp.StatusCode, http.StatusPartialContent)
}
