package sts

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/seal"
)

func TestOpenRefuses(t *testing.T) {
	w := newWorld(t)
	out, err := w.AssumeRole(as(alice()), assumeWorker())
	if err != nil {
		t.Fatal(err)
	}
	other, err := w.AssumeRole(as(alice()), assumeWorker())
	if err != nil {
		t.Fatal(err)
	}
	id, token := *out.Credentials.AccessKeyID, *out.Credentials.SessionToken
	for name, c := range map[string][2]string{
		"no token": {id, ""}, "cut off": {id, token[:len(token)-8]}, "of another session": {id, *other.Credentials.SessionToken},
		"another key": {*other.Credentials.AccessKeyID, token}, "not base64": {id, "§" + token}, "huge": {id, strings.Repeat("A", maxToken+1)},
	} {
		for range 2 { // the second time the right one is known
			if _, _, err := w.Open(c[0], c[1]); !errors.Is(err, ErrToken) {
				t.Errorf("%s: %v", name, err)
			}
			w.open(t, out.Credentials)
		}
	}
	w.now = w.now.Add(time.Hour)
	if _, _, err := w.Open(id, token); !errors.Is(err, ErrExpired) {
		t.Errorf("after an hour: %v", err)
	}
}

func TestATokenOutlivesTheProcessAndNotTheKey(t *testing.T) {
	w := newWorld(t)
	out, err := w.AssumeRole(as(alice()), assumeWorker())
	if err != nil {
		t.Fatal(err)
	}
	newWorld(t).open(t, out.Credentials) // the same root key, another process

	root, err := seal.NewRoot([]byte(strings.Repeat("x", seal.RootSize)))
	if err != nil {
		t.Fatal(err)
	}
	stranger := New(Deps{Roles: w, Seal: root.Key("sts session")})
	if _, _, err := stranger.Open(*out.Credentials.AccessKeyID, *out.Credentials.SessionToken); !errors.Is(err, ErrToken) {
		t.Errorf("a token of another server: %v", err)
	}
}

func TestKeyIDsNameTheirAccount(t *testing.T) {
	for _, account := range []string{"000000000000", "123456789012", "999999999999"} {
		seen := map[string]bool{}
		for range 100 {
			id, err := newKeyID(account)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := accountOfID(id); !ok || got != account || len(id) != 20 || seen[id] {
				t.Fatalf("%s is of %s, want %s", id, got, account)
			}
			seen[id] = true
		}
	}
	w := newWorld(t)
	id, err := newKeyID(account)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{id: account, "AKIAIOSFODNN7EXAMPLE": account, "AKIANOBODYSKEYEXAMPL": ""} {
		out, err := w.GetAccessKeyInfo(as(alice()), &api.GetAccessKeyInfoInput{AccessKeyID: &id})
		if (err == nil) != (want != "") || err == nil && *out.Account != want {
			t.Errorf("%s: %v, %v", id, out, err)
		}
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	var k known
	for i := range maxKnown + 100 {
		k.put(fmt.Sprint(i), "", &opened{})
	}
	if len(k.all) != maxKnown {
		t.Errorf("%d sessions are known", len(k.all))
	}
}

func TestUserSessions(t *testing.T) {
	w := newWorld(t)
	out, err := w.GetSessionToken(as(alice()), &api.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	p := w.open(t, out.Credentials)
	if p.Arn != alice().Arn || p.Type != aws.User || !p.Session.Expires.Equal(w.now.Add(12*time.Hour)) || len(p.Session.Policies) != 1 {
		t.Errorf("principal = %+v, session %+v", p, p.Session)
	}
	if alice().Session != nil || p.AccessKeyID == alice().AccessKeyID {
		t.Error("the user's own principal was changed")
	}
	root, err := w.GetSessionToken(as(aws.RootOf(account, "AKID")), &api.GetSessionTokenInput{DurationSeconds: new(43200)})
	if err != nil || !root.Credentials.Expiration.Equal(w.now.Add(time.Hour)) {
		t.Errorf("root's session: %v, %v", root, err)
	}
	fed, err := w.GetFederationToken(as(alice()), &api.GetFederationTokenInput{Name: new("bob"), DurationSeconds: new(900)})
	if err != nil {
		t.Fatal(err)
	}
	f := w.open(t, fed.Credentials)
	if f.Type != aws.Federated || f.Arn != "arn:aws:sts::"+account+":federated-user/bob" || f.ID != account+":bob" || f.Session.Issuer != alice().Arn ||
		len(f.Session.Policies) != 1 || !strings.Contains(f.Session.Policies[0], `"Deny","Action":["iam:*","sts:*"]`) {
		t.Errorf("federated user = %+v", f)
	}
	for name, by := range map[string]*aws.Principal{"session": p, "role": w.assume(t, alice(), assumeWorker()), "federated": f} {
		if _, err := w.GetSessionToken(as(by), &api.GetSessionTokenInput{}); !errors.Is(err, aws.ErrAccessDenied) {
			t.Errorf("GetSessionToken by %s: %v", name, err)
		}
		if _, err := w.GetFederationToken(as(by), &api.GetFederationTokenInput{Name: new("eve")}); !errors.Is(err, aws.ErrAccessDenied) {
			t.Errorf("GetFederationToken by %s: %v", name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	root, err := seal.NewRoot([]byte(strings.Repeat("k", seal.RootSize)))
	if err != nil {
		f.Fatal(err)
	}
	s := New(Deps{Seal: root.Key("sts session")})
	f.Add("ASIAIOSFODNN7EXAMPLE", "QUJD")
	f.Fuzz(func(t *testing.T, id, token string) {
		if _, _, err := s.Open(id, token); err == nil {
			t.Errorf("%q opens", token)
		}
	})
}
