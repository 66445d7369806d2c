package iam

import (
	"bytes"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
)

func TestAccessKey(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	_, _, err := f.LookupKey(f.ctx, "AKIANOTHING")
	if !errors.Is(err, ErrUnknownKey) {
		t.Fatalf("an unknown key: %v", err)
	}
	k := f.key("ann")
	equal(t, "id's length", len(*k.AccessKeyID), 20)
	equal(t, "secret's length", len(*k.SecretAccessKey), 40)
	p := f.principal(k)
	equal(t, "arn", p.Arn, "arn:aws:iam::111111111111:user/ann")
	equal(t, "type", p.Type, aws.User)

	set := func(status string) {
		t.Helper()
		_, err := f.UpdateAccessKey(f.ctx, &api.UpdateAccessKeyInput{UserName: new("ann"), AccessKeyID: k.AccessKeyID, Status: &status})
		f.check(err, "")
	}
	set("Inactive")
	if _, _, err := f.LookupKey(f.ctx, *k.AccessKeyID); !errors.Is(err, ErrUnknownKey) {
		t.Fatalf("an inactive key: %v", err)
	}
	f.reopen()
	if _, _, err := f.LookupKey(f.ctx, *k.AccessKeyID); !errors.Is(err, ErrUnknownKey) {
		t.Fatalf("an inactive key after a restart: %v", err)
	}
	set("Active")
	f.principal(k)
	_, err = f.TagUser(f.ctx, &api.TagUserInput{UserName: new("ann"), Tags: []*api.Tag{{Key: new("team"), Value: new("blue")}}})
	f.check(err, "")
	equal(t, "tag", f.principal(k).Tags["team"], "blue")

	f.key("ann")
	_, err = f.CreateAccessKey(f.ctx, &api.CreateAccessKeyInput{UserName: new("ann")})
	f.check(err, "LimitExceeded: Cannot exceed quota for AccessKeysPerUser: 2")
	list, err := f.ListAccessKeys(f.ctx, &api.ListAccessKeysInput{UserName: new("ann")})
	f.check(err, "")
	equal(t, "keys", len(list.AccessKeyMetadata), 2)
	_, err = f.DeleteAccessKey(f.ctx, &api.DeleteAccessKeyInput{UserName: new("ann"), AccessKeyID: k.AccessKeyID})
	f.check(err, "")
	if _, _, err := f.LookupKey(f.ctx, *k.AccessKeyID); !errors.Is(err, ErrUnknownKey) {
		t.Fatalf("a deleted key: %v", err)
	}
	_, err = f.DeleteAccessKey(f.ctx, &api.DeleteAccessKeyInput{UserName: new("ann"), AccessKeyID: k.AccessKeyID})
	f.check(err, "NoSuchEntity: The Access Key with id "+*k.AccessKeyID+" cannot be found.")
}

// TestKeyOfAnother: nobody changes a user's key by the name of another user.
func TestKeyOfAnother(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	f.user("eve")
	k := f.key("ann")
	_, err := f.UpdateAccessKey(f.ctx, &api.UpdateAccessKeyInput{UserName: new("eve"), AccessKeyID: k.AccessKeyID, Status: new("Inactive")})
	f.check(err, "NoSuchEntity: The Access Key with id "+*k.AccessKeyID+" cannot be found.")
	f.principal(k)
}

// TestKeyIDHoldsTheAccount as AWS's ids do, which sts:GetAccessKeyInfo reads.
func TestKeyIDHoldsTheAccount(t *testing.T) {
	for _, id := range []string{"000000000000", accountA, "999999999999"} {
		b, err := base32.StdEncoding.DecodeString(newKeyID(id)[4:])
		if err != nil {
			t.Fatal(err)
		}
		var n uint64
		for _, c := range b[:6] {
			n = n<<8 | uint64(c)
		}
		equal(t, "account", fmt.Sprintf("%012d", n&0x7fffffffff80>>7), id)
	}
}

// TestSecretsAreSealed looks for the secret in every file.
func TestSecretsAreSealed(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	k := f.key("ann")
	_, _, root, err := f.CreateAccount(f.ctx, "second")
	f.check(err, "")
	f.reopen()
	seen := 0
	err = filepath.Walk(f.dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(*k.SecretAccessKey)) || bytes.Contains(b, []byte(root)) {
			t.Errorf("%s has a secret in it", path)
		}
		if bytes.Contains(b, []byte(*k.AccessKeyID)) {
			seen++
		}
		return err
	})
	f.check(err, "")
	if seen == 0 {
		t.Error("no file has the key's id in it: the search finds nothing")
	}
}

func TestCreateAccount(t *testing.T) {
	f := newFixture(t)
	f.check(f.EnsureAccount(f.ctx, accountA), "")
	id, key, secret, err := f.CreateAccount(f.ctx, "second")
	f.check(err, "")
	f.reopen()
	got, p, err := f.LookupKey(f.ctx, key)
	f.check(err, "")
	equal(t, "secret", string(got), secret)
	equal(t, "type", p.Type, aws.Root)
	equal(t, "account", p.Account, id)
	all, err := f.Accounts(f.ctx)
	f.check(err, "")
	equal(t, "accounts", len(all), 2)
	list, err := f.ListAccessKeys(as(f.ctx, p), &api.ListAccessKeysInput{})
	f.check(err, "")
	equal(t, "root's key", *list.AccessKeyMetadata[0].AccessKeyID, key)
	if err := f.EnsureAccount(f.ctx, "12"); err == nil {
		t.Error("12 became an account id")
	}
}

func TestAccountAlias(t *testing.T) {
	f := newFixture(t)
	_, err := f.CreateAccountAlias(f.ctx, &api.CreateAccountAliasInput{AccountAlias: new("acme")})
	f.check(err, "")
	other := as(f.ctx, aws.RootOf(accountB, ""))
	_, err = f.CreateAccountAlias(other, &api.CreateAccountAliasInput{AccountAlias: new("acme")})
	f.check(err, "EntityAlreadyExists: The account alias acme already exists.")
	_, err = f.DeleteAccountAlias(other, &api.DeleteAccountAliasInput{AccountAlias: new("acme")})
	f.check(err, "NoSuchEntity: The account alias acme cannot be found.")
	_, err = f.CreateAccountAlias(f.ctx, &api.CreateAccountAliasInput{AccountAlias: new("emca")})
	f.check(err, "")
	_, err = f.CreateAccountAlias(other, &api.CreateAccountAliasInput{AccountAlias: new("acme")})
	f.check(err, "")
	out, err := f.ListAccountAliases(f.ctx, &api.ListAccountAliasesInput{})
	f.check(err, "")
	equal(t, "aliases", strings.Join(out.AccountAliases, " "), "emca")
}

// TestUnknownKeysAreBounded: strangers who try many keys neither fill the memory nor push out the keys that there are.
func TestUnknownKeysAreBounded(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	id := *f.key("ann").AccessKeyID
	_, _, err := f.LookupKey(f.ctx, id)
	f.check(err, "")
	for i := range maxCachedNoKeys + 100 {
		if _, _, err := f.LookupKey(f.ctx, fmt.Sprintf("AKIA%016d", i)); !errors.Is(err, ErrUnknownKey) {
			t.Fatal(err)
		}
	}
	equal(t, "unknown keys", len(f.cache.noKeys.entries), maxCachedNoKeys)
	_, kept := f.cache.keys.get(id)
	equal(t, "the key that there is is kept", kept, true)
	_, err = f.UpdateAccessKey(f.ctx, &api.UpdateAccessKeyInput{UserName: new("ann"), AccessKeyID: &id, Status: new(api.StatusTypeInactive)})
	f.check(err, "")
	if _, _, err := f.LookupKey(f.ctx, id); !errors.Is(err, ErrUnknownKey) {
		t.Fatal(err)
	}
	_, kept = f.cache.keys.get(id)
	equal(t, "the secret of an inactive key is kept", kept, false)
}

func TestCacheIsBoundedByWeight(t *testing.T) {
	c := newCache[int, int](100)
	for i := range 50 {
		c.put(i, i, 10)
	}
	equal(t, "entries", len(c.entries), 10)
	c.put(1, 1, 60)
	equal(t, "weight", c.weight, 100)
	equal(t, "entries beside a heavy one", len(c.entries), 5)
	c.put(1, 2, 5)
	c.put(2, 2, 101)
	v, ok := c.get(1)
	equal(t, "replaced", v, 2)
	_, ok2 := c.get(2)
	equal(t, "kept, and not what is too heavy", ok && !ok2, true)
	total := 0
	for k, e := range c.entries {
		total += e.weight
		c.drop(k)
	}
	equal(t, "counted", total <= 100 && c.weight == 0, true)
}

func TestLastUsed(t *testing.T) {
	f := newFixture(t)
	f.user("ann")
	k := f.key("ann")
	r := f.role("r")
	used := func() *api.AccessKeyLastUsed {
		t.Helper()
		out, err := f.GetAccessKeyLastUsed(f.ctx, &api.GetAccessKeyLastUsedInput{AccessKeyID: k.AccessKeyID})
		f.check(err, "")
		equal(t, "user", *out.UserName, "ann")
		return out.AccessKeyLastUsed
	}
	p := f.principal(k)
	equal(t, "service before", *used().ServiceName, "N/A") // a lookup is no use: the signature may be wrong
	f.allowed(p, "s3:GetObject", "*")
	f.allowed(session(r), "s3:GetObject", "*")
	equal(t, "service", *used().ServiceName, "iam")
	f.check(f.Flush(f.ctx), "")
	f.reopen()
	equal(t, "date after a restart", *used().LastUsedDate, noon)
	got, err := f.GetRole(f.ctx, &api.GetRoleInput{RoleName: new("r")})
	f.check(err, "")
	equal(t, "role's region", *got.Role.RoleLastUsed.Region, "us-east-1")
}
