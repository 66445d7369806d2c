package server

import (
	"context"
	"errors"
	"testing"

	iamapi "github.com/enfold-run/enfold/api/iam"
	stsapi "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/service/iam"
	"github.com/enfold-run/enfold/service/sts"
	"github.com/enfold-run/enfold/sigv4"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
)

const sessionAccount = "111111111111"

// identities are IAM and STS as the server puts them together, without what decides who may call them.
type identities struct {
	t   *testing.T
	iam *iam.Service
	sts *sts.Service
	ctx context.Context // of the root user
}

func newIdentities(t *testing.T) *identities {
	t.Helper()
	db, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	root, err := seal.NewRoot(make([]byte, seal.RootSize))
	if err != nil {
		t.Fatal(err)
	}
	w := &identities{t: t, iam: iam.New(iam.Deps{Store: db, Seal: root.Key("iam access key")})}
	w.sts = sts.New(sts.Deps{Roles: roles{w.iam}, Seal: root.Key("sts session")})
	w.ctx = w.as(aws.RootOf(sessionAccount, "AKIAROOT"))
	return w
}

func (w *identities) as(p *aws.Principal) context.Context {
	return aws.WithCall(w.t.Context(), &aws.Call{Op: iamapi.OpGetUser, Account: sessionAccount, Region: "us-east-1", Principal: p})
}

func (w *identities) do(_ any, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

const workerRole = "arn:aws:iam::" + sessionAccount + ":role/worker"

func (w *identities) makeRole() {
	w.t.Helper()
	w.do(w.iam.CreateRole(w.ctx, &iamapi.CreateRoleInput{RoleName: new("worker"), AssumeRolePolicyDocument: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)}))
}

func (w *identities) dropRole() {
	w.t.Helper()
	w.do(w.iam.DeleteRole(w.ctx, &iamapi.DeleteRoleInput{RoleName: new("worker")}))
}

// lookup looks up credentials as for a request that they sign.
func (w *identities) lookup(c *stsapi.Credentials) error {
	_, err := access{iam: w.iam, sts: w.sts}.Lookup(w.t.Context(), *c.AccessKeyID, *c.SessionToken)
	return err
}

func (w *identities) wants(c *stsapi.Credentials, want error) {
	w.t.Helper()
	if err := w.lookup(c); !errors.Is(err, want) {
		w.t.Errorf("the lookup answers %v, not %v", err, want)
	}
}

// TestSessionsEndWithTheirRole: also if there is another role of that name.
func TestSessionsEndWithTheirRole(t *testing.T) {
	w := newIdentities(t)
	assume := func() *stsapi.Credentials {
		c, err := functionRoles{w.sts}.assume(t.Context(), sessionAccount, "us-east-1", workerRole, "f")
		w.do(c, err)
		return c
	}
	w.makeRole()
	old := assume()
	w.wants(old, nil)
	w.dropRole()
	w.wants(old, sigv4.ErrUnknownKey)
	w.makeRole()
	w.wants(old, sigv4.ErrUnknownKey)
	w.wants(assume(), nil)
}

// TestSessionsEndWithTheirUser, not with the key that they were made with. The root user's do not end before their time.
func TestSessionsEndWithTheirUser(t *testing.T) {
	w := newIdentities(t)
	w.do(w.iam.CreateUser(w.ctx, &iamapi.CreateUserInput{UserName: new("ann")}))
	made, err := w.iam.CreateAccessKey(w.ctx, &iamapi.CreateAccessKeyInput{UserName: new("ann")})
	w.do(made, err)
	_, ann, err := w.iam.LookupKey(t.Context(), *made.AccessKey.AccessKeyID)
	w.do(ann, err)
	var hers, roots []*stsapi.Credentials
	for p, all := range map[*aws.Principal]*[]*stsapi.Credentials{ann: &hers, aws.RootOf(sessionAccount, "AKIAROOT"): &roots} {
		own, err := w.sts.GetSessionToken(w.as(p), &stsapi.GetSessionTokenInput{})
		w.do(own, err)
		guest, err := w.sts.GetFederationToken(w.as(p), &stsapi.GetFederationTokenInput{Name: new("guest")})
		w.do(guest, err)
		*all = []*stsapi.Credentials{own.Credentials, guest.Credentials}
	}
	all := func(of []*stsapi.Credentials, want error) {
		t.Helper()
		for _, c := range of {
			w.wants(c, want)
		}
	}
	all(hers, nil)
	w.do(w.iam.DeleteAccessKey(w.ctx, &iamapi.DeleteAccessKeyInput{UserName: new("ann"), AccessKeyID: made.AccessKey.AccessKeyID}))
	all(hers, nil)
	w.do(w.iam.DeleteUser(w.ctx, &iamapi.DeleteUserInput{UserName: new("ann")}))
	all(hers, sigv4.ErrUnknownKey)
	w.do(w.iam.CreateUser(w.ctx, &iamapi.CreateUserInput{UserName: new("ann")}))
	all(hers, sigv4.ErrUnknownKey)
	all(roots, nil)
}

// TestLambdaActsForNoDeletedRole: what is kept of a role's session is not used once the role is gone.
func TestLambdaActsForNoDeletedRole(t *testing.T) {
	w := newIdentities(t)
	s := newSessions(functionRoles{w.sts}.assume, w.sts, w.iam)
	session := func() (*aws.Principal, error) {
		return s.Session(t.Context(), store.Scope{Account: sessionAccount, Region: "us-east-1"}, workerRole, "f")
	}
	w.makeRole()
	first, err := session()
	w.do(first, err)
	if again, err := session(); again != first || err != nil {
		t.Errorf("the session is not kept: %v", err)
	}
	w.dropRole()
	if p, err := session(); !errors.Is(err, iamapi.ErrNoSuchEntity) {
		t.Errorf("a deleted role acts as %+v, %v", p, err)
	}
	w.makeRole()
	next, err := session()
	w.do(next, err)
	if next.Session.IssuerID == first.Session.IssuerID {
		t.Errorf("the session is of the role that was deleted, %s", first.Session.IssuerID)
	}
}
