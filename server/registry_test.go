package server

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	ecrapi "github.com/enfold-run/enfold/api/ecr"
	iamapi "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/service/sts"
)

// TestRegistryLogins: a login to the image registry ends with the key or the role that it was made with, and who guesses logins is
// throttled, though what is right from there still passes.
func TestRegistryLogins(t *testing.T) {
	s := start(t, config(t))
	id, key, _, err := s.iam.CreateAccount(t.Context(), "registry")
	if err != nil {
		t.Fatal(err)
	}
	as := func(p *aws.Principal) *identities {
		w := &identities{t: t, iam: s.iam}
		w.ctx = aws.WithCall(t.Context(), &aws.Call{Account: id, Region: "us-east-1", Principal: p})
		return w
	}
	root := as(aws.RootOf(id, key))
	login := func(p *aws.Principal) string {
		t.Helper()
		out, err := s.ecr.GetAuthorizationToken(as(p).ctx, &ecrapi.GetAuthorizationTokenInput{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := base64.StdEncoding.DecodeString(*out.AuthorizationData[0].AuthorizationToken)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(string(b), "AWS:")
	}
	answer := func(password string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:4566/v2/", nil)
		r.RemoteAddr = "192.0.2.1:1000"
		r.SetBasicAuth("AWS", password)
		w := httptest.NewRecorder()
		s.registry.ServeHTTP(w, r)
		return w
	}
	wants := func(what, password string, status int) {
		t.Helper()
		if w := answer(password); w.Code != status {
			t.Errorf("%s: %d %s, want %d", what, w.Code, w.Body, status)
		}
	}

	ann, err := s.iam.CreateUser(root.ctx, &iamapi.CreateUserInput{UserName: new("ann")})
	root.do(ann, err)
	made, err := s.iam.CreateAccessKey(root.ctx, &iamapi.CreateAccessKeyInput{UserName: new("ann")})
	root.do(made, err)
	_, user, err := s.iam.LookupKey(t.Context(), *made.AccessKey.AccessKeyID)
	root.do(user, err)
	hers := login(user)
	wants("a user", hers, 200)
	turn := func(status string) {
		root.do(s.iam.UpdateAccessKey(root.ctx, &iamapi.UpdateAccessKeyInput{UserName: new("ann"), AccessKeyID: made.AccessKey.AccessKeyID, Status: &status}))
	}
	turn("Inactive")
	wants("a user whose key is off", hers, 401)
	turn("Active")
	wants("a user whose key is on again", hers, 200)
	root.do(s.iam.DeleteAccessKey(root.ctx, &iamapi.DeleteAccessKeyInput{UserName: new("ann"), AccessKeyID: made.AccessKey.AccessKeyID}))
	wants("a user whose key is gone", hers, 401)

	makeRole := func() {
		root.do(s.iam.CreateRole(root.ctx, &iamapi.CreateRoleInput{RoleName: new("worker"), AssumeRolePolicyDocument: new(trustLambda)}))
	}
	makeRole()
	var tokens *sts.Service
	for _, svc := range s.services {
		if found, ok := svc.impl.(*sts.Service); ok {
			tokens = found
		}
	}
	creds, err := functionRoles{tokens}.assume(t.Context(), id, "us-east-1", "arn:aws:iam::"+id+":role/worker", "f")
	root.do(creds, err)
	_, session, err := tokens.Open(*creds.AccessKeyID, *creds.SessionToken)
	root.do(session, err)
	works := login(session)
	wants("a role's session", works, 200)
	root.do(s.iam.DeleteRole(root.ctx, &iamapi.DeleteRoleInput{RoleName: new("worker")}))
	wants("a session of a role that is gone", works, 401)
	makeRole()
	wants("a session of a role that was made anew", works, 401)

	fixed, err := ReadRootKey(s.cfg.Data)
	root.do(fixed, err)
	first := login(aws.RootOf(s.cfg.Account, fixed.AccessKeyID))
	wants("the first account's root user", first, 200)
	status := 0
	for n := 0; n < 10_000 && status != http.StatusTooManyRequests; n++ { // far faster than what is forgiven meanwhile
		status = answer("guess").Code
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("10000 guesses: %d", status)
	}
	wants("what is right from there", first, 200)
}
