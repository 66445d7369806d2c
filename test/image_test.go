package test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/enfold-run/enfold/image"
	"github.com/enfold-run/enfold/image/imagetest"
	"github.com/enfold-run/enfold/sigv4"
)

// helloImage is the hello function as a container image, over a base layer that others have too.
func helloImage(t *testing.T, note string) v1.Image {
	t.Helper()
	base, err := imagetest.Tar(imagetest.File("etc/base", "the base"), imagetest.File("removed", "x"))
	if err != nil {
		t.Fatal(err)
	}
	top, err := imagetest.Tar(imagetest.File("app/hello", string(binaries.hello)), imagetest.File(".wh.removed", ""), imagetest.File("app/note", note))
	if err != nil {
		t.Fatal(err)
	}
	img, err := imagetest.New(image.Config{
		Entrypoint: []string{"hello"}, Cmd: []string{"hello.handler"}, WorkingDir: "/app", Env: []string{"PATH=/nowhere:/app"}, Architecture: runtime.GOARCH,
	}, base, top)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// ecr calls an op of ECR, which has to succeed.
func (s *server) ecr(t testing.TB, op, input string, output any) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.url+"/", strings.NewReader(input))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921."+op)
	sigv4.Sign(req, []byte(input), sigv4.Credentials{AccessKeyID: accessKey, Secret: []byte(secretKey), Region: region, Service: "ecr"}, time.Now())
	resp, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	if err == nil && output != nil {
		err = json.Unmarshal(body, output)
	}
	if err != nil {
		t.Fatalf("%s: %v", op, err)
	}
}

// push pushes an image to the embedded registry, as docker does after `aws ecr get-login-password`.
func (s *server) push(t *testing.T, repository, tag string, img v1.Image) {
	t.Helper()
	var login struct {
		AuthorizationData []struct{ AuthorizationToken string }
	}
	s.ecr(t, "GetAuthorizationToken", "{}", &login)
	token, err := base64.StdEncoding.DecodeString(login.AuthorizationData[0].AuthorizationToken)
	if err != nil {
		t.Fatal(err)
	}
	user, password, _ := strings.Cut(string(token), ":")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ref := strings.TrimPrefix(s.url, "http://") + "/" + repository + ":" + tag
	if err := imagetest.Push(ctx, ref, img, &image.Auth{Username: user, Password: password}, nil); err != nil {
		t.Fatalf("push %s: %v", ref, err)
	}
}

// createImage makes a function of an image.
func (s *server) createImage(t *testing.T, name, uri string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := s.lambda(t)
	_, err := c.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: &name, Role: aws.String(role), PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: &uri},
		Environment: &types.Environment{Variables: map[string]string{"ENFOLD_TEST_MARK": s.mark}},
	})
	if err != nil {
		return err
	}
	w := lambda.NewFunctionActiveV2Waiter(c, func(o *lambda.FunctionActiveV2WaiterOptions) { o.MinDelay = 20 * time.Millisecond })
	if err := w.Wait(ctx, &lambda.GetFunctionInput{FunctionName: &name}, time.Minute); err != nil {
		t.Fatalf("wait for %s: %v", name, err)
	}
	return nil
}

// refusedAs is the code and message of an error of AWS's.
func refusedAs(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Sprint(err)
	}
	return api.ErrorCode() + ": " + api.ErrorMessage()
}

// An image is pushed into the embedded registry, becomes functions, and stays theirs when the registry has it no more.
func TestImageFunctions(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, "--image-dir", dir)
	if s.health(t).Isolation == "process" {
		t.Skip("functions are plain processes here, which have no container images")
	}
	s.ecr(t, "CreateRepository", `{"repositoryName":"team/hello"}`, nil)
	s.push(t, "team/hello", "v1", helloImage(t, "one"))
	const aws = "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/hello"
	for name, uri := range map[string]string{"by-aws-name": aws + ":v1", "by-address": strings.TrimPrefix(s.url, "http://") + "/team/hello:v1"} {
		if err := s.createImage(t, name, uri); err != nil {
			t.Fatalf("%s: %v", uri, err)
		}
		s.hellos(t, name)
	}
	for uri, want := range map[string]string{
		aws + ":v2":                        "InvalidParameterValueException: Source image " + aws + ":v2 does not exist. Provide a valid source image.",
		aws + "2:v1":                       "InvalidParameterValueException: Source image " + aws + "2:v1 does not exist. Provide a valid source image.",
		"public.ecr.aws/lambda/python:3":   "InvalidParameterValueException: Source image public.ecr.aws/lambda/python:3 is not valid.",
		"oci:/etc":                         "InvalidParameterValueException: Source image oci:/etc is not valid.",
		"docker-archive:" + dir + "/x.tar": "InvalidParameterValueException: Source image docker-archive:" + dir + "/x.tar does not exist.",
	} {
		if err := s.createImage(t, "refused", uri); !strings.HasPrefix(refusedAs(err), want) {
			t.Errorf("%s: %s", uri, refusedAs(err))
		}
	}

	// The same layers from elsewhere are on the disk once, with one more for another note.
	if err := imagetest.WriteLayout(filepath.Join(dir, "layout"), "v2", helloImage(t, "two")); err != nil {
		t.Fatal(err)
	}
	if err := imagetest.WriteArchive(filepath.Join(dir, "saved.tar"), "hello:v1", helloImage(t, "one")); err != nil {
		t.Fatal(err)
	}
	for name, uri := range map[string]string{"layout": "oci:" + dir + "/layout:v2", "archive": "docker-archive:" + dir + "/saved.tar"} {
		if err := s.createImage(t, name, uri); err != nil {
			t.Fatalf("%s: %v", uri, err)
		}
		s.hellos(t, name)
	}
	if layers, err := os.ReadDir(filepath.Join(s.dir, "images", "layers")); err != nil || len(layers) != 3 {
		t.Errorf("four functions of two images with a layer in common have %d layers on the disk, %v", len(layers), err)
	}

	s.ecr(t, "BatchDeleteImage", `{"repositoryName":"team/hello","imageIds":[{"imageTag":"v1"}]}`, nil)
	s.kill()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	s.hellos(t, "by-aws-name")
	code, err := s.lambda(t).GetFunction(context.Background(), &lambda.GetFunctionInput{FunctionName: new("by-aws-name")})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := helloImage(t, "one").Digest()
	if err != nil {
		t.Fatal(err)
	}
	if *code.Code.ResolvedImageUri != aws+"@"+digest.String() || *code.Code.RepositoryType != "ECR" || *code.Configuration.CodeSha256 != digest.Hex {
		t.Errorf("it is shown as %s %s %s", *code.Code.RepositoryType, *code.Code.ResolvedImageUri, *code.Configuration.CodeSha256)
	}
	for _, name := range []string{"by-aws-name", "by-address", "layout", "archive"} {
		if _, err := s.lambda(t).DeleteFunction(context.Background(), &lambda.DeleteFunctionInput{FunctionName: &name}); err != nil {
			t.Error(err)
		}
	}
}

// hellos invokes the hello function.
func (s *server) hellos(t *testing.T, name string) {
	t.Helper()
	o := s.invoke(t, name, `{"name":"Ada"}`)
	if o.failed != "" || !bytes.Contains([]byte(o.payload), []byte("Ada")) {
		t.Errorf("%s answers %s %s\n%s", name, o.failed, o.payload, o.log)
	}
}
