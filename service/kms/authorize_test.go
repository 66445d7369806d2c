package kms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/dispatch"
	"github.com/enfold-run/enfold/policy"
)

// policiesOf are principals' policies, by the ARN of the user or role. Everybody has been there for long.
type policiesOf map[string]string

func (p policiesOf) Grants(_ context.Context, who *aws.Principal) (*policy.Grants, error) {
	arn := who.Arn
	if who.Session != nil {
		arn = who.Session.Issuer
	}
	text, ok := p[arn]
	if !ok {
		return &policy.Grants{Born: time.Unix(1, 0)}, nil
	}
	parsed, err := policy.Parse([]byte(text), policy.KindIdentity)
	return &policy.Grants{Born: time.Unix(1, 0), Identity: []policy.Named{{Name: "inline", Policy: parsed}}}, err
}

func user(acct, name string) *aws.Principal {
	return &aws.Principal{Type: aws.User, Account: acct, Arn: "arn:aws:iam::" + acct + ":user/" + name, ID: "AIDA" + name}
}

func session(acct, role, name string) *aws.Principal {
	return &aws.Principal{
		Type: aws.AssumedRole, Account: acct, Arn: "arn:aws:sts::" + acct + ":assumed-role/" + role + "/" + name, ID: "AROA:" + name,
		Session: &aws.Session{Op: "AssumeRole", Issuer: "arn:aws:iam::" + acct + ":role/" + role, IssuerID: "AROA"},
	}
}

// allow is an identity policy of one statement.
func allow(actions, resource string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":%q,"Resource":%q}]}`, actions, resource)
}

// through is the service behind the real authorizer.
func (f *fixture) through(identities policiesOf) *api.Client {
	d := dispatch.New(dispatch.Deps{Authorizer: dispatch.NewPolicies(dispatch.PolicyDeps{Identities: identities})})
	d.Register(api.Service, f.Service)
	return api.NewClient(d)
}

func (f *fixture) policy(id, text string) {
	f.t.Helper()
	_, err := f.PutKeyPolicy(f.ctx, &api.PutKeyPolicyInput{KeyID: &id, Policy: &text, BypassPolicyLockoutSafetyCheck: new(true)})
	f.check(err, "")
}

func (f *fixture) grant(in api.CreateGrantInput) *api.CreateGrantOutput {
	f.t.Helper()
	out, err := f.CreateGrant(f.ctx, &in)
	f.check(err, "")
	return out
}

// verdict is what came of a call: "" if it was let in.
func verdict(err error) string {
	if errors.Is(err, aws.ErrAccessDenied) {
		return "denied"
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestKeyPolicyDecides(t *testing.T) {
	f := newFixture(t)
	id := f.symmetric()
	alice, role := user(account, "alice"), session(account, "worker", "s")
	everything := policiesOf{alice.Arn: allow("kms:*", "*")}
	only := func(principal, action string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},"Action":%q,"Resource":"*"}]}`,
			principal, action)
	}
	for _, row := range []struct {
		name, policy string
		who          *aws.Principal
		identities   policiesOf
		want         string
	}{
		{"the default policy leaves it to IAM: allowed", "", alice, everything, ""},
		{"the default policy leaves it to IAM: not allowed", "", alice, nil, "denied"},
		{"the default policy leaves it to IAM: another key", "", alice, policiesOf{alice.Arn: allow("kms:*", keyARN(f.symmetric()))}, "denied"},
		{"a policy that names somebody else", only("arn:aws:iam::"+account+":user/bob", "kms:*"), alice, everything, "denied"},
		{"a policy that names the user", only(alice.Arn, "kms:Encrypt"), alice, nil, ""},
		{"a policy that names the role", only("arn:aws:iam::"+account+":role/worker", "kms:Encrypt"), role, nil, ""},
		{"a policy for another action", only(alice.Arn, "kms:Decrypt"), alice, nil, "denied"},
		{
			"another account, with its own consent", only("arn:aws:iam::"+other+":root", "kms:Encrypt"), user(other, "eve"),
			policiesOf{user(other, "eve").Arn: allow("kms:Encrypt", keyARN(id))},
			"",
		},
		{"another account, without its own consent", only("arn:aws:iam::"+other+":root", "kms:Encrypt"), user(other, "eve"), nil, "denied"},
		{"another account, not invited", "", user(other, "eve"), policiesOf{user(other, "eve").Arn: allow("kms:*", "*")}, "denied"},
		{"the root user of another account", "", aws.RootOf(other, "AKIB"), nil, "denied"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := &fixture{Service: f.Service, t: t, ctx: f.ctx}
			f.policy(id, defaultPolicy(account))
			if row.policy != "" {
				f.policy(id, row.policy)
			}
			c := f.through(row.identities)
			_, err := c.Encrypt(as(t.Context(), row.who, row.who.Account), &api.EncryptInput{KeyID: new(keyARN(id)), Plaintext: []byte("x")})
			if got := verdict(err); got != row.want {
				t.Errorf("%q (%v), want %q", got, err, row.want)
			}
		})
	}
}

// A key that is not there: of the own account, whoever may do it learns so; of another account nobody learns anything.
func TestKeysThatAreNotThere(t *testing.T) {
	f := newFixture(t)
	alice := user(account, "alice")
	missing := "1234abcd-12ab-34cd-56ef-1234567890ab"
	c := f.through(policiesOf{alice.Arn: allow("kms:*", "*")})
	_, err := c.DescribeKey(as(t.Context(), alice, account), &api.DescribeKeyInput{KeyID: &missing})
	f.check(err, "NotFoundException: Key '"+keyARN(missing)+"' does not exist")
	_, err = c.DescribeKey(as(t.Context(), alice, account), &api.DescribeKeyInput{
		KeyID: new(strings.Replace(keyARN(missing), account, other, 1)),
	})
	if verdict(err) != "denied" {
		t.Errorf("of another account: %v", err)
	}
	_, err = f.through(nil).DescribeKey(as(t.Context(), alice, account), &api.DescribeKeyInput{KeyID: &missing})
	if verdict(err) != "denied" {
		t.Errorf("without permission: %v", err)
	}
}

// What an alias, a ciphertext and a grant token mean is authorized as the key that they mean.
func TestResourcesAreKeys(t *testing.T) {
	f := newFixture(t)
	mine, theirs := f.symmetric(), f.symmetric()
	f.alias("alias/mine", mine)
	f.alias("alias/theirs", theirs)
	alice := user(account, "alice")
	ctx := as(t.Context(), alice, account)
	c := f.through(policiesOf{alice.Arn: allow("kms:*", keyARN(mine))})
	for name, row := range map[string]struct {
		do   func() error
		want string
	}{
		"encrypt by the alias": {func() error {
			_, err := c.Encrypt(ctx, &api.EncryptInput{KeyID: new("alias/mine"), Plaintext: []byte("x")})
			return err
		}, ""},
		"encrypt by another alias": {func() error {
			_, err := c.Encrypt(ctx, &api.EncryptInput{KeyID: new("alias/theirs"), Plaintext: []byte("x")})
			return err
		}, "denied"},
		"decrypt": {func() error {
			_, err := c.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: f.encrypt(mine, "x", nil)})
			return err
		}, ""},
		"decrypt another key's": {func() error {
			_, err := c.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: f.encrypt(theirs, "x", nil)})
			return err
		}, "denied"},
		"decrypt another key's under one's own name": {func() error {
			_, err := c.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: f.encrypt(theirs, "x", nil), KeyID: &mine})
			return err
		}, "IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation."},
		"re-encrypt from another key": {func() error {
			_, err := c.ReEncrypt(ctx, &api.ReEncryptInput{CiphertextBlob: f.encrypt(theirs, "x", nil), DestinationKeyID: &mine})
			return err
		}, "denied"},
		"re-encrypt to another key": {func() error {
			_, err := c.ReEncrypt(ctx, &api.ReEncryptInput{CiphertextBlob: f.encrypt(mine, "x", nil), DestinationKeyID: &theirs})
			return err
		}, "denied"},
		"re-encrypt to itself": {func() error {
			_, err := c.ReEncrypt(ctx, &api.ReEncryptInput{CiphertextBlob: f.encrypt(mine, "x", nil), DestinationKeyID: &mine})
			return err
		}, ""},
		"move another's alias to one's own key": {func() error {
			_, err := c.UpdateAlias(ctx, &api.UpdateAliasInput{AliasName: new("alias/theirs"), TargetKeyID: &mine})
			return err
		}, "denied"},
		"an alias needs permission on the alias too": {func() error {
			_, err := c.CreateAlias(ctx, &api.CreateAliasInput{AliasName: new("alias/new"), TargetKeyID: &mine})
			return err
		}, "denied"},
		"describe by an alias that is not there": {func() error {
			_, err := c.DescribeKey(ctx, &api.DescribeKeyInput{KeyID: new("alias/none")})
			return err
		}, "NotFoundException: Alias arn:aws:kms:us-east-1:111122223333:alias/none is not found."},
	} {
		if err := row.do(); verdict(err) != row.want {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
}

// The key that the authorizer was told of is the one that is used, though the alias moves in between.
func TestAliasMovesAfterAuthorization(t *testing.T) {
	f := newFixture(t)
	a, b := f.symmetric(), f.symmetric()
	f.alias("alias/x", a)
	in := &api.EncryptInput{KeyID: new("alias/x"), Plaintext: []byte("x")}
	ctx := as(t.Context(), aws.RootOf(account, "AKIA"), account)
	call := aws.CallFrom(ctx)
	call.Op, call.Input = api.OpEncrypt, in
	if _, err := call.Op.Resources(ctx, f.Service, in); err != nil {
		t.Fatal(err)
	}
	_, err := f.UpdateAlias(f.ctx, &api.UpdateAliasInput{AliasName: new("alias/x"), TargetKeyID: &b})
	f.check(err, "")
	out, err := f.Encrypt(ctx, in)
	f.check(err, "")
	if *out.KeyID != keyARN(a) {
		t.Errorf("used %s", *out.KeyID)
	}
}

func TestGrants(t *testing.T) {
	f := newFixture(t)
	id := f.symmetric()
	worker, eve := session(account, "worker", "s"), session(account, "eve", "s")
	role := worker.Session.Issuer
	g := f.grant(api.CreateGrantInput{
		KeyID: &id, GranteePrincipal: &role, Operations: []string{"Decrypt", "CreateGrant"},
		Constraints: &api.GrantConstraints{EncryptionContextSubset: map[string]string{"App": "a"}},
	})
	c := f.through(nil)
	decrypt := func(who *aws.Principal, context map[string]string) string {
		blob := f.encrypt(id, "x", context)
		_, err := c.Decrypt(as(t.Context(), who, account), &api.DecryptInput{CiphertextBlob: blob, EncryptionContext: context})
		return verdict(err)
	}
	for _, row := range []struct {
		name    string
		who     *aws.Principal
		context map[string]string
		want    string
	}{
		{"within the constraint", worker, map[string]string{"App": "a", "More": "b"}, ""},
		{"without the context", worker, nil, "denied"},
		{"another value", worker, map[string]string{"App": "b"}, "denied"},
		{"another case of the name", worker, map[string]string{"app": "a"}, "denied"},
		{"somebody else", eve, map[string]string{"App": "a"}, "denied"},
	} {
		if got := decrypt(row.who, row.context); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	_, err := c.Encrypt(as(t.Context(), worker, account), &api.EncryptInput{
		KeyID: &id, Plaintext: []byte("x"), EncryptionContext: map[string]string{"App": "a"},
	})
	if verdict(err) != "denied" {
		t.Errorf("an operation that the grant does not name: %v", err)
	}
	child := func(ops []string, constraints *api.GrantConstraints) string {
		_, err := c.CreateGrant(as(t.Context(), worker, account), &api.CreateGrantInput{
			KeyID: &id, GranteePrincipal: &eve.Session.Issuer, Operations: ops, Constraints: constraints,
		})
		return verdict(err)
	}
	if got := child([]string{"Decrypt"}, nil); got != "denied" {
		t.Errorf("a child grant without the constraint: %q", got)
	}
	if got := child([]string{"Encrypt"}, &api.GrantConstraints{EncryptionContextSubset: map[string]string{"App": "a"}}); got != "denied" {
		t.Errorf("a child grant of more operations: %q", got)
	}
	if got := child([]string{"Decrypt"}, &api.GrantConstraints{EncryptionContextEquals: map[string]string{"App": "a", "B": "b"}}); got != "" {
		t.Errorf("a narrower child grant: %q", got)
	}
	if got := decrypt(eve, map[string]string{"App": "a", "B": "b"}); got != "" {
		t.Errorf("by the child grant: %q", got)
	}
	if got := decrypt(eve, map[string]string{"App": "a", "B": "b", "C": "c"}); got != "denied" {
		t.Errorf("beyond the child grant: %q", got)
	}
	_, err = f.RevokeGrant(f.ctx, &api.RevokeGrantInput{KeyID: &id, GrantID: g.GrantID})
	f.check(err, "")
	if got := decrypt(worker, map[string]string{"App": "a"}); got != "denied" {
		t.Errorf("after the grant was revoked: %q", got)
	}
}

func TestRetireGrant(t *testing.T) {
	f := newFixture(t)
	id := f.symmetric()
	worker, keeper, eve := session(account, "worker", "s"), user(account, "keeper"), user(account, "eve")
	c := f.through(nil)
	for _, row := range []struct {
		name string
		who  *aws.Principal
		ops  []string
		want string
	}{
		{"the retiring principal", keeper, []string{"Decrypt"}, ""},
		{"the grantee that may", worker, []string{"Decrypt", "RetireGrant"}, ""},
		{"the grantee that may not", worker, []string{"Decrypt"}, "denied"},
		{"somebody else", eve, []string{"Decrypt", "RetireGrant"}, "denied"},
	} {
		for _, byToken := range []bool{true, false} {
			g := f.grant(api.CreateGrantInput{
				KeyID: &id, GranteePrincipal: &worker.Session.Issuer, RetiringPrincipal: &keeper.Arn, Operations: row.ops,
			})
			in := &api.RetireGrantInput{GrantToken: g.GrantToken}
			if !byToken {
				in = &api.RetireGrantInput{KeyID: new(keyARN(id)), GrantID: g.GrantID}
			}
			if _, err := c.RetireGrant(as(t.Context(), row.who, account), in); verdict(err) != row.want {
				t.Errorf("%s (by token: %v): %v, want %q", row.name, byToken, err, row.want)
			}
			list, err := f.ListGrants(f.ctx, &api.ListGrantsInput{KeyID: &id, GrantID: g.GrantID})
			f.check(err, "")
			if gone := len(list.Grants) == 0; gone != (row.want == "") {
				t.Errorf("%s (by token: %v): gone is %v", row.name, byToken, gone)
			}
		}
	}
	_, err := f.RetireGrant(f.ctx, &api.RetireGrantInput{GrantToken: new("made up")})
	f.check(err, "InvalidGrantTokenException: Grant token is invalid.")
	_, err = f.Encrypt(f.ctx, &api.EncryptInput{KeyID: &id, Plaintext: []byte("x"), GrantTokens: []string{"made up"}})
	f.check(err, "InvalidGrantTokenException: Grant token is invalid.")
}

func TestListsOfGrants(t *testing.T) {
	f := newFixture(t)
	id := f.symmetric()
	keeper := "arn:aws:iam::111122223333:user/keeper"
	var want []string
	for i := range 7 {
		g := f.grant(api.CreateGrantInput{
			KeyID: &id, GranteePrincipal: new(fmt.Sprintf("arn:aws:iam::111122223333:role/r%d", i)), RetiringPrincipal: &keeper,
			Operations: []string{"Decrypt"}, Name: new("n"),
		})
		again := f.grant(api.CreateGrantInput{
			KeyID: &id, GranteePrincipal: new(fmt.Sprintf("arn:aws:iam::111122223333:role/r%d", i)), RetiringPrincipal: &keeper,
			Operations: []string{"Decrypt"}, Name: new("n"),
		})
		if *again.GrantID != *g.GrantID {
			t.Error("the same request under the same name makes another grant")
		}
		want = append(want, *g.GrantID)
	}
	slices.Sort(want)
	for name, list := range map[string]func(marker *string) (*api.ListGrantsResponse, error){
		"ListGrants": func(m *string) (*api.ListGrantsResponse, error) {
			return f.ListGrants(f.ctx, &api.ListGrantsInput{KeyID: &id, Limit: new(3), Marker: m})
		},
		"ListRetirableGrants": func(m *string) (*api.ListGrantsResponse, error) {
			return f.ListRetirableGrants(f.ctx, &api.ListRetirableGrantsInput{RetiringPrincipal: &keeper, Limit: new(3), Marker: m})
		},
	} {
		var got []string
		var marker *string
		for {
			out, err := list(marker)
			f.check(err, "")
			for _, g := range out.Grants {
				got = append(got, *g.GrantID)
			}
			if marker = out.NextMarker; marker == nil {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	_, err := f.ListGrants(f.ctx, &api.ListGrantsInput{KeyID: &id, Marker: new("nonsense")})
	f.check(err, "InvalidMarkerException: Invalid marker 'nonsense'")
}

func TestConditions(t *testing.T) {
	f := newFixture(t)
	alice := user(account, "alice")
	id := f.symmetric()
	f.alias("alias/blue", id)
	_, err := f.TagResource(f.ctx, &api.TagResourceInput{KeyID: &id, Tags: []*api.Tag{{TagKey: new("Team"), TagValue: new("red")}}})
	f.check(err, "")
	context := map[string]string{"Dept": "IT", "x": "y"}
	for condition, want := range map[string]string{
		`"StringEquals":{"kms:EncryptionContext:Dept":"IT"}`:                                  "",
		`"StringEquals":{"kms:EncryptionContext:Dept":"HR"}`:                                  "denied",
		`"StringEquals":{"kms:EncryptionContext:Other":"IT"}`:                                 "denied",
		`"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":["Dept","x"]}`:              "",
		`"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":["dept","x"]}`:              "denied",
		`"StringEquals":{"kms:CallerAccount":"111122223333"}`:                                 "",
		`"StringEquals":{"kms:CallerAccount":"444455556666"}`:                                 "denied",
		`"StringEquals":{"kms:ViaService":"lambda.us-east-1.amazonaws.com"}`:                  "denied",
		`"StringEquals":{"kms:KeySpec":"SYMMETRIC_DEFAULT","kms:KeyUsage":"ENCRYPT_DECRYPT"}`: "",
		`"StringEquals":{"kms:KeyOrigin":"EXTERNAL"}`:                                         "denied",
		`"StringEquals":{"kms:EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}`:                      "",
		`"StringEquals":{"kms:RequestAlias":"alias/blue"}`:                                    "",
		`"StringEquals":{"kms:RequestAlias":"alias/green"}`:                                   "denied",
		`"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/blue"}`:                     "",
		`"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/green"}`:                    "denied",
		`"StringEquals":{"aws:ResourceTag/Team":"red"}`:                                       "",
		`"StringEquals":{"aws:ResourceTag/Team":"blue"}`:                                      "denied",
		`"Bool":{"kms:MultiRegion":"false"}`:                                                  "",
		`"Null":{"kms:SigningAlgorithm":"true"}`:                                              "",
	} {
		text := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{%s}}]}`,
			condition)
		c := f.through(policiesOf{alice.Arn: text})
		_, err := c.Encrypt(as(t.Context(), alice, account), &api.EncryptInput{
			KeyID: new("alias/blue"), Plaintext: []byte("x"), EncryptionContext: context,
		})
		if got := verdict(err); got != want {
			t.Errorf("%s: %q (%v), want %q", condition, got, err, want)
		}
	}
}

// A grant's constraint on one key that a ReEncrypt both reads and writes counts for each side by itself.
func TestReEncryptToItselfKeepsBothConstraints(t *testing.T) {
	f := newFixture(t)
	id := f.symmetric()
	worker := session(account, "worker", "s")
	f.grant(api.CreateGrantInput{
		KeyID: &id, GranteePrincipal: &worker.Session.Issuer, Operations: []string{"ReEncryptFrom", "ReEncryptTo"},
		Constraints: &api.GrantConstraints{EncryptionContextEquals: map[string]string{"c": "1"}},
	})
	c := f.through(nil)
	for _, row := range []struct{ from, to, want string }{{"1", "1", ""}, {"1", "2", "denied"}, {"2", "1", "denied"}} {
		from, to := map[string]string{"c": row.from}, map[string]string{"c": row.to}
		_, err := c.ReEncrypt(as(t.Context(), worker, account), &api.ReEncryptInput{
			CiphertextBlob: f.encrypt(id, "x", from), SourceEncryptionContext: from,
			DestinationKeyID: &id, DestinationEncryptionContext: to,
		})
		if got := verdict(err); got != row.want {
			t.Errorf("from %s to %s: %q, want %q", row.from, row.to, got, row.want)
		}
	}
}

// Whether a ReEncrypt stays on its key is known when either side is decided on.
func TestReEncryptOnSameKey(t *testing.T) {
	f := newFixture(t)
	a, b := f.symmetric(), f.symmetric()
	f.alias("alias/a", a)
	alice := user(account, "alice")
	c := f.through(policiesOf{alice.Arn: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:ReEncrypt*",` +
		`"Resource":"*","Condition":{"Bool":{"kms:ReEncryptOnSameKey":"true"}}}]}`})
	for _, row := range []struct {
		source *string
		to     string
		want   string
	}{{nil, a, ""}, {nil, "alias/a", ""}, {&a, "alias/a", ""}, {nil, b, "denied"}, {&a, b, "denied"}} {
		_, err := c.ReEncrypt(as(t.Context(), alice, account), &api.ReEncryptInput{
			CiphertextBlob: f.encrypt(a, "x", nil), SourceKeyID: row.source, DestinationKeyID: &row.to,
		})
		if got := verdict(err); got != row.want {
			t.Errorf("to %s: %q (%v), want %q", row.to, got, err, row.want)
		}
	}
}

// The keys of AWS services serve everybody in the account through the service, and the service itself.
func TestManagedKeys(t *testing.T) {
	f := newFixture(t)
	alice := user(account, "alice")
	c := f.through(nil)
	in := &api.EncryptInput{KeyID: new("alias/aws/lambda"), Plaintext: []byte("x")}
	_, err := c.Encrypt(as(t.Context(), alice, account), in)
	if verdict(err) != "denied" {
		t.Errorf("directly: %v", err)
	}
	if list, err := f.ListKeys(f.ctx, &api.ListKeysInput{}); err != nil || len(list.Keys) != 0 {
		t.Errorf("a call that was denied made a key: %v %v", list, err)
	}
	through := func(service string) error {
		ctx := aws.WithCall(t.Context(), &aws.Call{Account: account, Region: region, Principal: alice, Via: []string{service}})
		_, err := c.Encrypt(ctx, in)
		return err
	}
	if err := through("lambda.amazonaws.com"); err != nil {
		t.Errorf("through Lambda: %v", err)
	}
	if err := through("sqs.amazonaws.com"); verdict(err) != "denied" {
		t.Errorf("through another service: %v", err)
	}
	for service, want := range map[string]string{"lambda.amazonaws.com": "", "sqs.amazonaws.com": "denied"} {
		if _, err := c.Encrypt(as(t.Context(), aws.ServicePrincipal(service), account), in); verdict(err) != want {
			t.Errorf("%s itself: %v, want %q", service, err, want)
		}
	}
	out, err := f.DescribeKey(f.ctx, &api.DescribeKeyInput{KeyID: new("alias/aws/lambda")})
	f.check(err, "")
	if m := out.KeyMetadata; *m.KeyManager != "AWS" || *m.AWSAccountID != account {
		t.Errorf("%s of %s", *m.KeyManager, *m.AWSAccountID)
	}
	id := out.KeyMetadata.KeyID
	if _, err = f.DisableKey(f.ctx, &api.DisableKeyInput{KeyID: id}); verdict(err) != "denied" {
		t.Errorf("disable: %v", err)
	}
	if _, err = f.ScheduleKeyDeletion(f.ctx, &api.ScheduleKeyDeletionInput{KeyID: id}); verdict(err) != "denied" {
		t.Errorf("delete: %v", err)
	}
	if _, err = f.CreateAlias(f.ctx, &api.CreateAliasInput{AliasName: new("alias/x"), TargetKeyID: id}); !errors.Is(err, aws.ErrValidation) {
		t.Errorf("alias: %v", err)
	}
	if r := managedRef(scopeOf(aws.CallFrom(f.ctx)), "sqs"); r.id == *id || !api.IsKeyID(r.id) {
		t.Errorf("the keys of two services: %s, %s", r.id, *id)
	}
}
