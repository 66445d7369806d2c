package kms

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

func TestCreateKey(t *testing.T) {
	f := newFixture(t)
	for name, row := range map[string]struct {
		in   api.CreateKeyInput
		want string
	}{
		"nothing":      {api.CreateKeyInput{}, ""},
		"ECC signs":    {api.CreateKeyInput{KeySpec: new("ECC_NIST_P256"), KeyUsage: new("SIGN_VERIFY")}, ""},
		"multi-Region": {api.CreateKeyInput{MultiRegion: new(true)}, ""},
		"no usage": {
			api.CreateKeyInput{KeySpec: new("HMAC_256")},
			"ValidationException: You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
		},
		"wrong usage": {
			api.CreateKeyInput{KeySpec: new("RSA_2048"), KeyUsage: new("KEY_AGREEMENT")},
			"ValidationException: KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048",
		},
		"secp256k1": {
			api.CreateKeyInput{KeySpec: new("ECC_SECG_P256K1"), KeyUsage: new("SIGN_VERIFY")},
			"UnsupportedOperationException: KeySpec ECC_SECG_P256K1 is not supported.",
		},
		"imported": {
			api.CreateKeyInput{Origin: new("EXTERNAL")},
			"UnsupportedOperationException: Only keys of origin AWS_KMS are supported.",
		},
		"reserved tag": {
			api.CreateKeyInput{Tags: []*api.Tag{{TagKey: new("AWS:x"), TagValue: new("")}}},
			"TagException: Tags beginning with aws: are reserved",
		},
		"the same tag twice": {
			api.CreateKeyInput{Tags: []*api.Tag{{TagKey: new("x"), TagValue: new("")}, {TagKey: new("x"), TagValue: new("")}}},
			"TagException: Duplicate tag keys",
		},
		"a policy that locks out": {api.CreateKeyInput{Policy: new(allow("kms:*", "*"))}, "MalformedPolicyDocumentException"},
		"a policy for somebody else": {
			api.CreateKeyInput{Policy: new(
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":"kms:*","Resource":"*"}]}`)},
			"MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future.",
		},
		"a policy that is none": {api.CreateKeyInput{Policy: new(`{}`)}, "MalformedPolicyDocumentException"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := f.CreateKey(f.ctx, &row.in)
			if row.want == "" {
				if err != nil || !api.IsKeyID(*out.KeyMetadata.KeyID) || !*out.KeyMetadata.Enabled {
					t.Errorf("%v", err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), row.want) {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
}

func TestKeyNames(t *testing.T) {
	f := newFixture(t)
	id := f.symmetric()
	missing := "1234abcd-12ab-34cd-56ef-1234567890ab"
	for name, want := range map[string]string{
		id: "", keyARN(id): "",
		missing:                            "NotFoundException: Key '" + keyARN(missing) + "' does not exist",
		"fake-key-id":                      "NotFoundException: Invalid keyId 'fake-key-id'",
		"mrk-fake-key-id":                  "NotFoundException: Invalid keyId 'mrk-fake-key-id'",
		"134f2428cec14b25a1ae9048164dba47": "NotFoundException: Invalid keyId '134f2428cec14b25a1ae9048164dba47'",
		"alias/none":                       "NotFoundException: Alias arn:aws:kms:us-east-1:111122223333:alias/none is not found.",
		strings.Replace(keyARN(id), region, "eu-west-1", 1): "NotFoundException: Invalid arn eu-west-1",
		"arn:aws:s3:::x": "NotFoundException: Invalid arn arn:aws:s3:::x",
	} {
		_, err := f.DescribeKey(f.ctx, &api.DescribeKeyInput{KeyID: &name})
		f.check(err, want)
	}
	_, err := f.DisableKey(f.ctx, &api.DisableKeyInput{KeyID: new("alias/none")})
	f.check(err, "NotFoundException: Invalid keyId 'alias/none'")
}

func TestDeletion(t *testing.T) {
	f := newFixture(t)
	id, kept := f.symmetric(), f.symmetric()
	f.alias("alias/doomed", id)
	f.grant(api.CreateGrantInput{
		KeyID: &id, GranteePrincipal: new(rootARN(account)), RetiringPrincipal: new(rootARN(account)), Operations: []string{"Decrypt"},
	})
	blob := f.encrypt(id, "x", nil)
	for _, days := range []int{1, 6, 31, 365} {
		if _, err := f.ScheduleKeyDeletion(f.ctx, &api.ScheduleKeyDeletionInput{KeyID: &id, PendingWindowInDays: &days}); !errors.Is(err, aws.ErrValidation) {
			t.Errorf("%d days: %v", days, err)
		}
	}
	out, err := f.ScheduleKeyDeletion(f.ctx, &api.ScheduleKeyDeletionInput{KeyID: &id})
	f.check(err, "")
	if !out.DeletionDate.Equal(noon.AddDate(0, 0, 30)) || *out.KeyState != "PendingDeletion" || *out.PendingWindowInDays != 30 {
		t.Errorf("%v %s %d", out.DeletionDate, *out.KeyState, *out.PendingWindowInDays)
	}
	_, err = f.EnableKey(f.ctx, &api.EnableKeyInput{KeyID: &id})
	f.check(err, "KMSInvalidStateException: "+keyARN(id)+" is pending deletion.")
	_, err = f.CancelKeyDeletion(f.ctx, &api.CancelKeyDeletionInput{KeyID: &id})
	f.check(err, "")
	_, err = f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: blob})
	f.check(err, "DisabledException: "+keyARN(id)+" is disabled.")
	_, err = f.CancelKeyDeletion(f.ctx, &api.CancelKeyDeletionInput{KeyID: &id})
	f.check(err, "KMSInvalidStateException: "+keyARN(id)+" is not pending deletion.")
	_, err = f.EnableKey(f.ctx, &api.EnableKeyInput{KeyID: &id})
	f.check(err, "")
	f.decrypts(blob, nil, "x")

	f.schedule(id)
	f.at = noon.AddDate(0, 0, 7).Add(-time.Millisecond)
	f.check(f.sweep(t.Context()), "")
	_, err = f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: blob})
	f.check(err, "KMSInvalidStateException: "+keyARN(id)+" is pending deletion.")
	f.at = noon.AddDate(0, 0, 7) // it is gone at once, swept or not
	gone := "NotFoundException: Key '" + keyARN(id) + "' does not exist"
	_, err = f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: blob})
	f.check(err, gone)
	_, err = f.CancelKeyDeletion(f.ctx, &api.CancelKeyDeletionInput{KeyID: &id})
	f.check(err, gone)
	f.run()
	_, err = f.DescribeKey(f.ctx, &api.DescribeKeyInput{KeyID: new("alias/doomed")})
	f.check(err, "NotFoundException: Alias arn:aws:kms:us-east-1:111122223333:alias/doomed is not found.")
	f.encrypt(kept, "x", nil)
	f.nothingOf(id)
}

// run lets the sweeper work once.
func (f *fixture) run() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 200*time.Millisecond)
	defer cancel()
	f.check(f.Run(ctx), "")
}

// nothingOf checks that no row names a key.
func (f *fixture) nothingOf(id string) {
	f.t.Helper()
	sc := store.Scope{Account: account, Region: region}
	err := f.db.View(f.t.Context(), func(tx store.Tx) error {
		for _, table := range []string{
			keys.Name, aliases.Name, grants.Name, grantees.Name, aliasesOfKeys.Name, retirables.Name, counts.Name, expiring.Name, rotating.Name,
		} {
			for row, err := range tx.Scan(table, sc, store.Range{}) {
				if err != nil {
					return err
				}
				if strings.Contains(row.Key, id) || bytes.Contains(row.Value, []byte(id)) {
					f.t.Errorf("%s still has %q", table, row.Key)
				}
			}
		}
		return nil
	})
	f.check(err, "")
}

func TestRotation(t *testing.T) {
	f := newFixture(t)
	id := f.symmetric()
	old := f.encrypt(id, "before", nil)
	_, err := f.EnableKeyRotation(f.ctx, &api.EnableKeyRotationInput{KeyID: &id, RotationPeriodInDays: new(90)})
	f.check(err, "")
	status, err := f.GetKeyRotationStatus(f.ctx, &api.GetKeyRotationStatusInput{KeyID: &id})
	f.check(err, "")
	if !*status.KeyRotationEnabled || !status.NextRotationDate.Equal(noon.AddDate(0, 0, 90)) || *status.RotationPeriodInDays != 90 {
		t.Errorf("%v %v", *status.KeyRotationEnabled, status.NextRotationDate)
	}
	f.check(f.sweep(t.Context()), "")
	if n := len(f.rotations(id)); n != 0 {
		t.Errorf("%d rotations before it is time", n)
	}
	f.at = noon.AddDate(0, 0, 90)
	f.run()
	_, err = f.RotateKeyOnDemand(f.ctx, &api.RotateKeyOnDemandInput{KeyID: &id})
	f.check(err, "")
	list := f.rotations(id)
	if len(list) != 2 || *list[0].RotationType != "AUTOMATIC" || *list[1].RotationType != "ON_DEMAND" {
		t.Fatalf("%d rotations", len(list))
	}
	f.reopen()
	f.decrypts(old, nil, "before")
	out, err := f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: f.encrypt(id, "after", nil)})
	f.check(err, "")
	if *out.KeyMaterialID != *list[1].KeyMaterialID {
		t.Error("new ciphertexts are not of the new material")
	}
	for range maxOnDemand - 1 {
		_, err = f.RotateKeyOnDemand(f.ctx, &api.RotateKeyOnDemandInput{KeyID: &id})
		f.check(err, "")
	}
	_, err = f.RotateKeyOnDemand(f.ctx, &api.RotateKeyOnDemandInput{KeyID: &id})
	f.check(err, "LimitExceededException: The on-demand rotations limit has been reached for the given keyId. "+
		"No more on-demand rotations can be performed for this key: "+keyARN(id))
	f.decrypts(old, nil, "before")
	page, err := f.ListKeyRotations(f.ctx, &api.ListKeyRotationsInput{KeyID: &id, Limit: new(20), IncludeKeyMaterial: new("ALL_KEY_MATERIAL")})
	f.check(err, "")
	rest, err := f.ListKeyRotations(f.ctx, &api.ListKeyRotationsInput{KeyID: &id, Marker: page.NextMarker, IncludeKeyMaterial: new("ALL_KEY_MATERIAL")})
	f.check(err, "")
	if n := len(page.Rotations) + len(rest.Rotations); n != 2+maxOnDemand || *rest.Truncated {
		t.Errorf("%d materials", n)
	}

	f.disable(id)
	_, err = f.RotateKeyOnDemand(f.ctx, &api.RotateKeyOnDemandInput{KeyID: &id})
	f.check(err, "DisabledException: "+keyARN(id)+" is disabled.")
	pair := f.key("ECC_NIST_P256", "SIGN_VERIFY")
	if _, err = f.EnableKeyRotation(f.ctx, &api.EnableKeyRotationInput{KeyID: &pair}); !errors.Is(err, api.ErrUnsupportedOperation) {
		t.Errorf("a key pair rotates: %v", err)
	}
}

func (f *fixture) rotations(id string) []*api.RotationsListEntry {
	f.t.Helper()
	out, err := f.ListKeyRotations(f.ctx, &api.ListKeyRotationsInput{KeyID: &id})
	f.check(err, "")
	return out.Rotations
}

func TestAliases(t *testing.T) {
	f := newFixture(t)
	a, b, mac := f.symmetric(), f.symmetric(), f.key("HMAC_256", "GENERATE_VERIFY_MAC")
	f.alias("alias/x", a)
	_, err := f.CreateAlias(f.ctx, &api.CreateAliasInput{AliasName: new("alias/x"), TargetKeyID: &b})
	f.check(err, "AlreadyExistsException: An alias with the name arn:aws:kms:us-east-1:111122223333:alias/x already exists")
	_, err = f.CreateAlias(f.ctx, &api.CreateAliasInput{AliasName: new("x"), TargetKeyID: &b})
	f.check(err, `ValidationException: Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html`)
	_, err = f.CreateAlias(f.ctx, &api.CreateAliasInput{AliasName: new("alias/aws/x"), TargetKeyID: &b})
	f.check(err, "InvalidAliasNameException: Alias name alias/aws/x is not valid.")
	if _, err = f.UpdateAlias(f.ctx, &api.UpdateAliasInput{AliasName: new("alias/x"), TargetKeyID: &mac}); !errors.Is(err, aws.ErrValidation) {
		t.Errorf("to a key of another kind: %v", err)
	}
	_, err = f.UpdateAlias(f.ctx, &api.UpdateAliasInput{AliasName: new("alias/x"), TargetKeyID: &b})
	f.check(err, "")
	f.alias("alias/y", a)
	list, err := f.ListAliases(f.ctx, &api.ListAliasesInput{KeyID: &b})
	f.check(err, "")
	if len(list.Aliases) != 1 || *list.Aliases[0].AliasName != "alias/x" || *list.Aliases[0].TargetKeyID != b {
		t.Errorf("aliases of the key: %v", list.Aliases)
	}
	first, err := f.ListAliases(f.ctx, &api.ListAliasesInput{Limit: new(1)})
	f.check(err, "")
	second, err := f.ListAliases(f.ctx, &api.ListAliasesInput{Marker: first.NextMarker})
	f.check(err, "")
	if *first.Aliases[0].AliasName != "alias/x" || *second.Aliases[0].AliasName != "alias/y" || *second.Truncated {
		t.Error("the pages are wrong")
	}
	_, err = f.DeleteAlias(f.ctx, &api.DeleteAliasInput{AliasName: new("alias/x")})
	f.check(err, "")
	_, err = f.DeleteAlias(f.ctx, &api.DeleteAliasInput{AliasName: new("alias/x")})
	f.check(err, "NotFoundException: Alias arn:aws:kms:us-east-1:111122223333:alias/x is not found.")
}

func TestTagsAndPolicies(t *testing.T) {
	f := newFixture(t)
	id := f.symmetric()
	_, err := f.TagResource(f.ctx, &api.TagResourceInput{KeyID: &id, Tags: []*api.Tag{
		{TagKey: new("b"), TagValue: new("1")}, {TagKey: new("a"), TagValue: new("2")},
	}})
	f.check(err, "")
	_, err = f.TagResource(f.ctx, &api.TagResourceInput{KeyID: &id, Tags: []*api.Tag{{TagKey: new("b"), TagValue: new("3")}}})
	f.check(err, "")
	_, err = f.UntagResource(f.ctx, &api.UntagResourceInput{KeyID: &id, TagKeys: []string{"a", "none"}})
	f.check(err, "")
	tags, err := f.ListResourceTags(f.ctx, &api.ListResourceTagsInput{KeyID: &id})
	f.check(err, "")
	if len(tags.Tags) != 1 || *tags.Tags[0].TagKey != "b" || *tags.Tags[0].TagValue != "3" {
		t.Errorf("%d tags", len(tags.Tags))
	}
	var many []*api.Tag
	for i := range maxTags {
		many = append(many, &api.Tag{TagKey: new(fmt.Sprint(i)), TagValue: new("")})
	}
	_, err = f.TagResource(f.ctx, &api.TagResourceInput{KeyID: &id, Tags: many})
	f.check(err, "TagException: Too many tags")

	policy, err := f.GetKeyPolicy(f.ctx, &api.GetKeyPolicyInput{KeyID: &id})
	f.check(err, "")
	if *policy.Policy != defaultPolicy(account) || *policy.PolicyName != "default" {
		t.Errorf("%s: %s", *policy.PolicyName, *policy.Policy)
	}
	_, err = f.PutKeyPolicy(f.ctx, &api.PutKeyPolicyInput{KeyID: &id, Policy: new("no JSON")})
	if !errors.Is(err, api.ErrMalformedPolicyDocument) {
		t.Errorf("%v", err)
	}
	text := strings.ReplaceAll(defaultPolicy(account), "\n", " ")
	_, err = f.PutKeyPolicy(f.ctx, &api.PutKeyPolicyInput{KeyID: &id, Policy: &text, PolicyName: new("default")})
	f.check(err, "")
	policy, err = f.GetKeyPolicy(f.ctx, &api.GetKeyPolicyInput{KeyID: &id})
	f.check(err, "")
	if *policy.Policy != text {
		t.Errorf("%s", *policy.Policy)
	}
}

func TestListsArePerAccount(t *testing.T) {
	f := newFixture(t)
	want := []string{f.symmetric(), f.symmetric(), f.symmetric()}
	var marker *string
	seen := 0
	for {
		out, err := f.ListKeys(f.ctx, &api.ListKeysInput{Limit: new(2), Marker: marker})
		f.check(err, "")
		seen += len(out.Keys)
		if marker = out.NextMarker; marker == nil {
			break
		}
	}
	if seen != len(want) {
		t.Errorf("%d keys listed", seen)
	}
	theirs := as(t.Context(), aws.RootOf(other, "AKIB"), other)
	list, err := f.ListKeys(theirs, &api.ListKeysInput{})
	if err != nil || len(list.Keys) != 0 {
		t.Errorf("another account sees %d keys: %v", len(list.Keys), err)
	}
	_, err = f.DescribeKey(theirs, &api.DescribeKeyInput{KeyID: &want[0]})
	f.check(err, "NotFoundException: Key 'arn:aws:kms:us-east-1:"+other+":key/"+want[0]+"' does not exist")
	if _, err = f.DescribeKey(theirs, &api.DescribeKeyInput{KeyID: new(keyARN(want[0]))}); verdict(err) != "denied" {
		t.Errorf("by the ARN: %v", err)
	}
}

// No secret is in the files of the store in any form that the service has it in: raw, base64 as JSON writes bytes, or hex.
func TestSecretsAreNotInTheStore(t *testing.T) {
	f := newFixture(t)
	ids := []string{f.symmetric(), f.key("HMAC_512", "GENERATE_VERIFY_MAC"), f.key("ECC_NIST_P256", "SIGN_VERIFY"), f.key("ECC_NIST_EDWARDS25519", "SIGN_VERIFY")}
	var secrets [][]byte
	for _, id := range ids {
		k, err := f.named(f.ctx, id)
		f.check(err, "")
		secret, err := f.Service.open(k, k.current())
		f.check(err, "")
		secrets = append(secrets, secret)
	}
	plain := []byte("a plaintext that nobody may find")
	f.encrypt(ids[0], string(plain), nil)
	f.check(f.db.Close(), "")
	files, found := 0, 0
	err := filepath.WalkDir(f.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files++
		if bytes.Contains(b, []byte(ids[0])) {
			found++
		}
		for i, s := range append(secrets, plain) {
			for _, form := range forms(s) {
				if bytes.Contains(b, form) {
					t.Errorf("%s holds secret %d", filepath.Base(path), i)
				}
			}
		}
		return err
	})
	f.check(err, "")
	if found == 0 {
		t.Errorf("the keys themselves are in none of %d files: the search proves nothing", files)
	}
	f.open()
}

// forms are the ways in which a secret could be written down.
func forms(s []byte) [][]byte {
	all := [][]byte{s, fmt.Appendf(nil, "%x", s)}
	for shift := range 3 { // base64 of the secret somewhere within other bytes
		text := base64.StdEncoding.EncodeToString(append(make([]byte, shift), s...))
		all = append(all, []byte(text[4:len(text)-8]))
	}
	return all
}
