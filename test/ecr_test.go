package test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// TestBoto3ECR walks through ECR with the real boto3.
func TestBoto3ECR(t *testing.T) {
	python := tool(t, "py", "bin", "python")
	startServer(t).script(t, python, "boto3_ecr.py")
}

// login is what `aws ecr get-login-password` hands to container tools, for crane.
func (c *cli) login(host string) crane.Option {
	c.t.Helper()
	password, diag, err := c.try("ecr", "get-login-password")
	if err != nil {
		c.t.Fatalf("aws ecr get-login-password: %v\n%s", err, diag)
	}
	return func(o *crane.Options) {
		crane.Insecure(o)
		crane.WithAuth(&authn.Basic{Username: "AWS", Password: strings.TrimSpace(password)})(o)
	}
}

// marked is an image of random bytes whose configuration has a text.
func marked(t *testing.T, text string) v1.Image {
	t.Helper()
	image, err := random.Image(9<<20, 1) // more than one part
	if err == nil {
		image, err = mutate.Config(image, v1.Config{Env: []string{"TEXT=" + text}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// refusal is the code of a registry's refusal, or its status where there is none.
func refusal(err error) string {
	var e *regtransport.Error
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &e):
		return err.Error()
	case len(e.Errors) == 0:
		return http.StatusText(e.StatusCode)
	}
	return string(e.Errors[0].Code)
}

// TestPushByCrane: what the registry has answered for is there after kill -9, sealed on the disk, for those who may have it.
func TestPushByCrane(t *testing.T) {
	s := startServer(t)
	root := s.cli(t)
	address := fields(root.run("ecr", "create-repository", "--repository-name", "team/app"))["repositoryUri"]
	host, _, _ := strings.Cut(address, "/")
	if want := strings.TrimPrefix(s.url, "http://") + "/team/app"; address != want {
		t.Fatalf("the repository's address is %q, want %q", address, want)
	}
	const secret = "a-secret-that-lies-in-a-blob-of-an-image"
	image := marked(t, secret)
	s.killDuringPush(t, image, address+":v1", root.login(host))
	root.env = s.awsEnv(root.dir)
	host = strings.TrimPrefix(s.url, "http://")
	address = host + "/team/app"
	if err := crane.Push(image, address+":v1", root.login(host)); err != nil {
		t.Fatal(err)
	}
	if found := holding(t, s.dir, secret); found != "" {
		t.Errorf("the layer lies in the clear in %s", found)
	}
	s.kill()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	root.env = s.awsEnv(root.dir)
	host = strings.TrimPrefix(s.url, "http://")
	address = host + "/team/app"
	pulled, err := crane.Pull(address+":v1", root.login(host))
	if err == nil {
		err = validate.Image(pulled)
	}
	if err != nil {
		t.Fatal(err)
	}

	// Another tool's view of the same image.
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	described := root.run("ecr", "describe-images", "--repository-name", "team/app", "--query", "{digest: imageDetails[0].imageDigest, tag: imageDetails[0].imageTags[0]}")
	root.want(described, "digest", digest.String(), "tag", "v1")

	// What is denied by policies is denied to crane, and what is allowed is in the trail by its name.
	alice := root.user("alice")
	root.run("iam", "put-user-policy", "--user-name", "alice", "--policy-name", "login", "--policy-document", allowing("ecr:GetAuthorizationToken", "*"))
	login := alice.login(host)
	repository := "arn:aws:ecr:" + region + ":" + account + ":repository/team/app"
	pull := func() string { _, err := crane.Manifest(address+":v1", login); return refusal(err) }
	if got := pull(); got != "DENIED" {
		t.Errorf("a pull without a permission: %q", got)
	}
	root.run("iam", "put-user-policy", "--user-name", "alice", "--policy-name", "pull", "--policy-document", allowing("ecr:BatchGetImage", repository))
	if got := pull(); got != "" {
		t.Errorf("a pull with the permission: %q", got)
	}
	root.run("iam", "attach-user-policy", "--user-name", "alice", "--policy-arn", "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly")
	if image, err := crane.Pull(address+":v1", login); err != nil {
		t.Errorf("a pull with AWS's policy: %v", err)
	} else if err := validate.Image(image); err != nil {
		t.Errorf("what was pulled with AWS's policy: %v", err)
	}
	if got := refusal(crane.Push(empty.Image, address+":alice", login)); got != "DENIED" && got != "Forbidden" { // HEAD has no body
		t.Errorf("a push without a permission: %q", got)
	}
	events, err := json.Marshal(root.run("cloudtrail", "lookup-events", "--lookup-attributes", "AttributeKey=EventName,AttributeValue=BatchGetImage"))
	if err != nil || !strings.Contains(string(events), ":user/alice") || !strings.Contains(string(events), "AccessDenied") {
		t.Errorf("the trail does not know of alice's pulls: %v %s", err, events)
	}

	// A login is as good as the key that it was made with.
	key := alice.accessKey()
	root.run("iam", "update-access-key", "--user-name", "alice", "--access-key-id", key, "--status", "Inactive")
	if got := pull(); got != "UNAUTHORIZED" {
		t.Errorf("a pull with a key that is switched off: %q", got)
	}
	root.run("iam", "update-access-key", "--user-name", "alice", "--access-key-id", key, "--status", "Active")
	if got := pull(); got != "" {
		t.Errorf("a pull with the key on again: %q", got)
	}
}

// killDuringPush begins a push and kills the server when something of it has come; then the server starts again.
func (s *server) killDuringPush(t *testing.T, image v1.Image, ref string, login crane.Option) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	pushed := make(chan error, 1)
	go func() { pushed <- crane.Push(image, ref, login, crane.WithContext(ctx)) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		blobs, err := filepath.Glob(filepath.Join(s.dir, "blobs", "*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(blobs) > 1 { // one is the folder of what is not complete
			break
		}
		if time.Now().After(deadline) {
			t.Error("nothing of the push came within a minute")
			break
		}
	}
	s.kill()
	cancel()
	if err := <-pushed; err == nil {
		t.Log("the push was over before the server was killed")
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// accessKey is the access key that the CLI signs with.
func (c *cli) accessKey() string {
	for _, v := range c.env {
		if key, ok := strings.CutPrefix(v, "AWS_ACCESS_KEY_ID="); ok && key != accessKey {
			return key
		}
	}
	c.t.Fatal("the CLI has no access key of its own")
	return ""
}

// fields are the texts of the only member of an answer.
func fields(answer map[string]any) map[string]string {
	all := map[string]string{}
	for _, inner := range answer {
		if m, ok := inner.(map[string]any); ok {
			for k, v := range m {
				if text, ok := v.(string); ok {
					all[k] = text
				}
			}
		}
	}
	return all
}

// holding is a file below a directory that has a text in it; empty for none.
func holding(t *testing.T, dir, text string) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), text) {
			found = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
