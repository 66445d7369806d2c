package runtimes

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPublishSDK(t *testing.T) {
	s := New(Options{DataDir: t.TempDir()})
	r, _ := lookup("python3.12")
	if s.sdkDir(r) != "" {
		t.Fatal("an SDK before it was installed")
	}
	for _, version := range []string{"1", "2"} {
		tmp := t.TempDir()
		write(t, tmp+"/files/boto3/version", version, 0o600)
		if err := os.MkdirAll(filepath.Dir(s.sdkPath(r)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := publishSDK(tmp, s.sdkPath(r), []string{"boto3==" + version}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(s.sdkDir(r) + "/boto3/version")
		if err != nil || string(got) != version {
			t.Errorf("version %q, %v, want %s", got, err, version)
		}
		info, err := os.Stat(s.sdkDir(r) + "/boto3/version")
		if err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
}

func TestInstallRefuses(t *testing.T) {
	s := New(Options{DataDir: t.TempDir()})
	for runtime, want := range map[string]string{
		"java17": "carries no SDK", "provided.al2023": "carries no SDK", "ruby3.3": "is not served",
	} {
		if err := s.Install(context.Background(), runtime, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", runtime, err)
		}
	}
}

func TestSDKVersionsArePinned(t *testing.T) {
	for _, r := range served {
		var packages []string
		switch r.family {
		case Python:
			packages = pythonSDK(r.version)
		case Node:
			packages = nodeSDK(r.version)
		default:
			continue
		}
		for _, p := range packages {
			version := p[strings.LastIndexAny(p, "@=")+1:]
			if strings.Count(version, ".") != 2 || strings.ContainsAny(version, "^~*<>") {
				t.Errorf("%s: %s is not pinned", r.name, p)
			}
		}
	}
}

// TestInstall downloads the SDKs from the registries and uses them in functions. ENFOLD_TEST_INSTALL=1 asks for it.
func TestInstall(t *testing.T) {
	if os.Getenv("ENFOLD_TEST_INSTALL") == "" {
		t.Skip("ENFOLD_TEST_INSTALL is not set: this downloads a hundred megabytes")
	}
	const esm = `import { S3Client } from '@aws-sdk/client-s3';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
export const handler = async () => [new S3Client({ region: 'x' }).config.serviceId, typeof DynamoDBDocumentClient.from, marshall({ a: 1 })];`
	const cjs = `exports.handler = async () => require('@aws-sdk/client-sqs').SQSClient.name`
	const python = `
import boto3, botocore
def handler(event, context):
    return [boto3.client("s3", region_name="eu-west-1").meta.service_model.service_id, botocore.__version__ == boto3.__version__]`
	for _, family := range []Family{Python, Node} {
		eachInterpreter(t, family, func(t *testing.T, runtime string) {
			r, _ := lookup(runtime)
			t.Cleanup(func() { os.RemoveAll(hostSet(t).sdkPath(r)) })
			if err := hostSet(t).Install(t.Context(), runtime, t.Output()); err != nil {
				t.Fatal(err)
			}
			if family == Python {
				f := start(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{"app.py": python}})
				f.ok(f.invoke(`{}`), `["S3", true]`)
				return
			}
			f := start(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{"app.mjs": esm}})
			f.ok(f.invoke(`{}`), `["S3","function",{"a":{"N":"1"}}]`)
			f = start(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{"app.js": cjs}})
			f.ok(f.invoke(`{}`), `"SQSClient"`)
		})
	}
}
