package kms

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = "111122223333"
	other   = "444455556666"
	region  = "us-east-1"
)

// noon is when tests begin.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// fixture is a service on a store of its own, with a clock that the test sets.
type fixture struct {
	*Service
	t    testing.TB
	ctx  context.Context
	dir  string
	db   store.Store
	root byte // every byte of the root key
	at   time.Time
}

func newFixture(t testing.TB) *fixture {
	f := &fixture{t: t, dir: t.TempDir(), at: noon, root: 7}
	f.ctx = as(t.Context(), aws.RootOf(account, "AKIA"), account)
	f.open()
	t.Cleanup(func() { f.db.Close() })
	return f
}

func (f *fixture) open() {
	f.t.Helper()
	db, err := sqlite.Open(context.Background(), f.dir, sqlite.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	secret := make([]byte, seal.RootSize)
	for i := range secret {
		secret[i] = f.root
	}
	root, err := seal.NewRoot(secret)
	if err != nil {
		f.t.Fatal(err)
	}
	f.db = db
	f.Service = New(Deps{
		Store: db, Seal: root.Key("kms"), Now: func() time.Time { return f.at }, Log: slog.New(slog.DiscardHandler),
	})
}

// reopen is a restart of the server.
func (f *fixture) reopen() {
	f.t.Helper()
	if err := f.db.Close(); err != nil {
		f.t.Fatal(err)
	}
	f.open()
}

// as is a context of calls by a principal in an account.
func as(ctx context.Context, p *aws.Principal, acct string) context.Context {
	return aws.WithCall(ctx, &aws.Call{Account: acct, Region: region, Principal: p})
}

// check holds an error against what AWS answers, "Code: message"; empty for none.
func (f *fixture) check(err error, want string) {
	f.t.Helper()
	if got := fmt.Sprint(err); got != cmp.Or(want, "<nil>") {
		f.t.Fatalf("got  %s\nwant %s", got, cmp.Or(want, "<nil>"))
	}
}

// key makes a key and answers its id.
func (f *fixture) key(spec, usage string) string {
	f.t.Helper()
	out, err := f.CreateKey(f.ctx, &api.CreateKeyInput{KeySpec: &spec, KeyUsage: &usage})
	f.check(err, "")
	return *out.KeyMetadata.KeyID
}

func (f *fixture) symmetric() string {
	return f.key(api.KeySpecSymmetricDefault, api.KeyUsageTypeEncryptDecrypt)
}

func (f *fixture) alias(name, id string) {
	f.t.Helper()
	_, err := f.CreateAlias(f.ctx, &api.CreateAliasInput{AliasName: &name, TargetKeyID: &id})
	f.check(err, "")
}

func (f *fixture) encrypt(id, text string, context map[string]string) []byte {
	f.t.Helper()
	out, err := f.Encrypt(f.ctx, &api.EncryptInput{KeyID: &id, Plaintext: []byte(text), EncryptionContext: context})
	f.check(err, "")
	return out.CiphertextBlob
}

func (f *fixture) decrypts(blob []byte, context map[string]string, want string) {
	f.t.Helper()
	out, err := f.Decrypt(f.ctx, &api.DecryptInput{CiphertextBlob: blob, EncryptionContext: context})
	f.check(err, "")
	if string(out.Plaintext) != want {
		f.t.Fatalf("decrypts to %q, want %q", out.Plaintext, want)
	}
}

func (f *fixture) disable(id string) {
	f.t.Helper()
	_, err := f.DisableKey(f.ctx, &api.DisableKeyInput{KeyID: &id})
	f.check(err, "")
}

func (f *fixture) schedule(id string) {
	f.t.Helper()
	_, err := f.ScheduleKeyDeletion(f.ctx, &api.ScheduleKeyDeletionInput{KeyID: &id, PendingWindowInDays: new(7)})
	f.check(err, "")
}

func keyARN(id string) string { return "arn:aws:kms:" + region + ":" + account + ":key/" + id }
