package test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	stsapi "github.com/enfold-run/enfold/api/sts"
	enfold "github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/seal"
	stsservice "github.com/enfold-run/enfold/service/sts"
)

// sealedWith starts a server whose root key is these bytes.
func sealedWith(t *testing.T, key []byte) *server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.key")
	if err := os.WriteFile(file, []byte(hex.EncodeToString(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	return startServer(t, "--root-key-file", file)
}

// sessionOf is a session of the root user that a server with this root key made at some time.
func sessionOf(t *testing.T, key []byte, at time.Time) *ststypes.Credentials {
	t.Helper()
	root, err := seal.NewRoot(slices.Clone(key))
	if err != nil {
		t.Fatal(err)
	}
	s := stsservice.New(stsservice.Deps{Seal: root.Key("sts session"), Now: func() time.Time { return at }})
	call := &enfold.Call{Principal: enfold.RootOf(account, accessKey), Account: account}
	out, err := s.GetSessionToken(enfold.WithCall(t.Context(), call), &stsapi.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	return &ststypes.Credentials{AccessKeyId: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
}

// doors are a service of every protocol, each asked something harmless, as whoever has these credentials.
func (s *server) doors(c *ststypes.Credentials) map[string]error {
	var p aws.CredentialsProvider = credentials.NewStaticCredentialsProvider(
		aws.ToString(c.AccessKeyId), aws.ToString(c.SecretAccessKey), aws.ToString(c.SessionToken))
	if c.AccessKeyId == nil {
		p = aws.AnonymousCredentials{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	asked := map[string]error{}
	_, asked["sts"] = sts.New(sts.Options{BaseEndpoint: &s.url, Region: region, Credentials: p, RetryMaxAttempts: 1, HTTPClient: httpClient}).
		GetCallerIdentity(ctx, nil)
	_, asked["iam"] = iam.New(iam.Options{BaseEndpoint: &s.url, Region: region, Credentials: p, RetryMaxAttempts: 1, HTTPClient: httpClient}).
		ListUsers(ctx, nil)
	_, asked["lambda"] = lambda.New(lambda.Options{BaseEndpoint: &s.url, Region: region, Credentials: p, RetryMaxAttempts: 1, HTTPClient: httpClient}).
		ListFunctions(ctx, nil)
	_, asked["logs"] = cloudwatchlogs.New(cloudwatchlogs.Options{BaseEndpoint: &s.url, Region: region, Credentials: p, RetryMaxAttempts: 1, HTTPClient: httpClient}).
		DescribeLogGroups(ctx, nil)
	return asked
}

// TestRefusedCredentials: what nobody may sign with is refused by every protocol with AWS's code and words, and nothing is told
// of why a token is none.
func TestRefusedCredentials(t *testing.T) {
	key := bytes.Repeat([]byte{7}, seal.RootSize)
	s := sealedWith(t, key)
	good := sessionOf(t, key, time.Now())
	for door, err := range s.doors(good) {
		// A session of GetSessionToken may not call IAM.
		if (door == "iam") != (err != nil) || door == "iam" && !strings.HasPrefix(fault(err), "403 AccessDenied: ") {
			t.Errorf("a good session at %s: %v", door, err)
		}
	}
	other := sessionOf(t, key, time.Now())
	token, err := base64.StdEncoding.DecodeString(*good.SessionToken)
	if err != nil {
		t.Fatal(err)
	}
	withToken := func(b []byte) *ststypes.Credentials {
		c := *good
		c.SessionToken = aws.String(base64.StdEncoding.EncodeToString(b))
		return &c
	}
	changed := func(at int) []byte {
		b := slices.Clone(token)
		b[at] ^= 1
		return b
	}
	const invalid, expired = "The security token included in the request is invalid.", "The security token included in the request is expired"
	const mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	for _, c := range []struct {
		name         string
		creds        *ststypes.Credentials
		query, other string // code of the query protocol, and of the others
		message      string
	}{
		{"expired", sessionOf(t, key, time.Now().Add(-61*time.Minute)), "ExpiredToken", "ExpiredTokenException", expired},
		{"of another server", sessionOf(t, bytes.Repeat([]byte{8}, seal.RootSize), time.Now()), "InvalidClientTokenId", "UnrecognizedClientException", invalid},
		{"first byte changed", withToken(changed(0)), "InvalidClientTokenId", "UnrecognizedClientException", invalid},
		{"a byte in the middle changed", withToken(changed(len(token) / 2)), "InvalidClientTokenId", "UnrecognizedClientException", invalid},
		{"last byte changed", withToken(changed(len(token) - 1)), "InvalidClientTokenId", "UnrecognizedClientException", invalid},
		{"half of it", withToken(token[:len(token)/2]), "InvalidClientTokenId", "UnrecognizedClientException", invalid},
		{"one byte", withToken(token[:1]), "InvalidClientTokenId", "UnrecognizedClientException", invalid},
		{"longer", withToken(append(slices.Clone(token), token...)), "InvalidClientTokenId", "UnrecognizedClientException", invalid},
		{
			"no Base64", &ststypes.Credentials{AccessKeyId: good.AccessKeyId, SecretAccessKey: good.SecretAccessKey, SessionToken: aws.String("%%%")},
			"InvalidClientTokenId", "UnrecognizedClientException", invalid,
		},
		{
			"twelve thousand characters of it", &ststypes.Credentials{AccessKeyId: good.AccessKeyId, SecretAccessKey: good.SecretAccessKey, SessionToken: aws.String(strings.Repeat("A", 12_000))},
			"InvalidClientTokenId", "UnrecognizedClientException", invalid,
		},
		{
			"of another session", &ststypes.Credentials{AccessKeyId: good.AccessKeyId, SecretAccessKey: good.SecretAccessKey, SessionToken: other.SessionToken},
			"InvalidClientTokenId", "UnrecognizedClientException", invalid,
		},
		{
			"none", &ststypes.Credentials{AccessKeyId: good.AccessKeyId, SecretAccessKey: good.SecretAccessKey},
			"InvalidClientTokenId", "UnrecognizedClientException", invalid,
		},
		{
			"for a long-term key", &ststypes.Credentials{AccessKeyId: aws.String(accessKey), SecretAccessKey: aws.String(secretKey), SessionToken: good.SessionToken},
			"InvalidClientTokenId", "UnrecognizedClientException", invalid,
		},
		{
			"another secret", &ststypes.Credentials{AccessKeyId: good.AccessKeyId, SecretAccessKey: other.SecretAccessKey, SessionToken: good.SessionToken},
			"SignatureDoesNotMatch", "InvalidSignatureException", mismatch,
		},
		{
			"the root user's key with another secret", &ststypes.Credentials{AccessKeyId: aws.String(accessKey), SecretAccessKey: aws.String("no")},
			"SignatureDoesNotMatch", "InvalidSignatureException", mismatch,
		},
		{
			"a key that there is not", &ststypes.Credentials{AccessKeyId: aws.String("AKIAIOSFODNN7EXAMPLE"), SecretAccessKey: aws.String(secretKey)},
			"InvalidClientTokenId", "UnrecognizedClientException", invalid,
		},
		{"not signed", &ststypes.Credentials{}, "MissingAuthenticationToken", "MissingAuthenticationTokenException", "Missing Authentication Token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for door, err := range s.doors(c.creds) {
				code := c.other
				if door == "sts" || door == "iam" {
					code = c.query
				}
				if want := "403 " + code + ": " + c.message; fault(err) != want {
					t.Errorf("%s\n\tgot  %s\n\twant %s", door, fault(err), want)
				}
			}
		})
	}
	if s.lost(t, *good.SessionToken, *good.SecretAccessKey, secretKey) {
		t.Error("a secret is in the server's log")
	}
}

// lost says whether one of these is in what the server said.
func (s *server) lost(t *testing.T, secrets ...string) bool {
	t.Helper()
	said := s.output.String()
	if !strings.Contains(said, "ready at") {
		t.Errorf("the server said only %q", said)
	}
	return slices.ContainsFunc(secrets, func(secret string) bool { return strings.Contains(said, secret) })
}
