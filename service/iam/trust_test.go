package iam

import (
	"errors"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/policy"
)

func TestEditPrincipals(t *testing.T) {
	double := func(v string) (string, error) { return v + v, nil }
	for _, c := range []struct{ name, document, want string }{
		{"a text", `{"Statement":{"Principal":{"AWS":"a"}}}`, `{"Statement":{"Principal":{"AWS":"aa"}}}`},
		{"a list", `{"Statement":[{"Principal" : {"AWS": ["a", "b"]}}]}`, `{"Statement":[{"Principal" : {"AWS": ["aa", "bb"]}}]}`},
		{"NotPrincipal", `{"Statement":[{"NotPrincipal":{"AWS":"a"}}]}`, `{"Statement":[{"NotPrincipal":{"AWS":"aa"}}]}`},
		{"escapes", `{"Statement":[{"Principal":{"AWS":"\u0061\""}}]}`, `{"Statement":[{"Principal":{"AWS":"a\"a\""}}]}`},
		{"all over", "{\n\t\"Id\": \"a\", \"Statement\": [\n{\"Principal\": \"*\"}, {\"Principal\": {\"Service\": \"a\"}, \"Condition\": {\"AWS\": {\"AWS\": \"a\"}}}\n]}", ""},
		{"other members", `{"Version":"a","Statement":[{"Sid":"a","Action":["a"],"Condition":{"Principal":{"AWS":"a"}}}],"AWS":"a"}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == "" {
				c.want = c.document
			}
			got, err := editPrincipals(c.document, double)
			if err != nil || got != c.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, c.want)
			}
		})
	}
	wrong := errors.New("wrong")
	if _, err := editPrincipals(`{"Statement":{"Principal":{"AWS":"a"}}}`, func(string) (string, error) { return "", wrong }); !errors.Is(err, wrong) {
		t.Errorf("the error is %v", err)
	}
}

// FuzzEditPrincipals: of whatever is a trust policy nothing but principals changes, and it stays one.
func FuzzEditPrincipals(f *testing.F) {
	f.Add(`{"Statement":{"Effect":"Allow","Principal":{"AWS":["*","111122223333"]},"Action":"sts:AssumeRole"}}`)
	f.Add(`{"Statement":[{"Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"Action":"*","Sid":"\u0061"}]}`)
	f.Fuzz(func(t *testing.T, document string) {
		if _, err := policy.Parse([]byte(document), policy.KindTrust); err != nil {
			return
		}
		same, err := editPrincipals(document, func(v string) (string, error) { return v, nil })
		if err != nil || same != document {
			t.Fatalf("%q becomes %q, %v", document, same, err)
		}
		other, err := editPrincipals(document, func(string) (string, error) { return "AIDAAAAAAAAAAAAAAAAAA", nil })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := policy.Parse([]byte(other), policy.KindTrust); err != nil {
			t.Fatalf("%q becomes %q, which is no policy: %v", document, other, err)
		}
	})
}

// Who was trusted is told by the unique id, whatever happens to the name.
func TestTrustedByID(t *testing.T) {
	f := newFixture(t)
	ann := f.user("ann")
	trusting := func(arn string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + arn + `"},"Action":"sts:AssumeRole"}]}`
	}
	r, err := f.CreateRole(f.ctx, &api.CreateRoleInput{RoleName: new("r"), AssumeRolePolicyDocument: new(trusting(*ann.Arn))})
	f.check(err, "")
	equal(t, "the answer", *r.Role.AssumeRolePolicyDocument, *encoded(trusting(*ann.Arn)))
	shown := func(want string) {
		t.Helper()
		got, err := f.GetRole(f.ctx, &api.GetRoleInput{RoleName: new("r")})
		f.check(err, "")
		equal(t, "GetRole", *got.Role.AssumeRolePolicyDocument, *encoded(trusting(want)))
		all, err := f.ListRoles(f.ctx, &api.ListRolesInput{})
		f.check(err, "")
		equal(t, "ListRoles", *all.Roles[0].AssumeRolePolicyDocument, *encoded(trusting(want)))
		details, err := f.GetAccountAuthorizationDetails(f.ctx, &api.GetAccountAuthorizationDetailsInput{})
		f.check(err, "")
		equal(t, "details", *details.RoleDetailList[0].AssumeRolePolicyDocument, *encoded(trusting(want)))
		described, err := f.UpdateRoleDescription(f.ctx, &api.UpdateRoleDescriptionInput{RoleName: new("r"), Description: new("d")})
		f.check(err, "")
		equal(t, "UpdateRoleDescription", *described.Role.AssumeRolePolicyDocument, *encoded(trusting(want)))
		info, err := f.Role(f.ctx, *r.Role.Arn)
		f.check(err, "")
		equal(t, "who is trusted", info.Trust.Statements()[0].Principals[0].Value, *ann.UserID)
	}
	shown(*ann.Arn)
	_, err = f.UpdateUser(f.ctx, &api.UpdateUserInput{UserName: new("ann"), NewUserName: new("anna"), NewPath: new("/x/")})
	f.check(err, "")
	shown(strings.Replace(*ann.Arn, "user/ann", "user/x/anna", 1))
	_, err = f.DeleteUser(f.ctx, &api.DeleteUserInput{UserName: new("anna")})
	f.check(err, "")
	shown(*ann.UserID)
	if again := f.user("ann"); *again.Arn != *ann.Arn || *again.UserID == *ann.UserID {
		t.Errorf("the second ann is %s %s", *again.Arn, *again.UserID)
	}
	shown(*ann.UserID)

	for _, c := range []struct{ arn, want string }{
		{"arn:aws:iam::" + account(f.ctx) + ":user/nobody", `MalformedPolicyDocument: Invalid principal in policy: "AWS":"arn:aws:iam::111111111111:user/nobody"`},
		{"arn:aws:iam::" + account(f.ctx) + ":role/nobody", `MalformedPolicyDocument: Invalid principal in policy: "AWS":"arn:aws:iam::111111111111:role/nobody"`},
		{"arn:aws:iam::999999999999:role/of-a-stranger", ""},
		{"arn:aws:iam::" + account(f.ctx) + ":root", ""},
	} {
		_, err := f.UpdateAssumeRolePolicy(f.ctx, &api.UpdateAssumeRolePolicyInput{RoleName: new("r"), PolicyDocument: new(trusting(c.arn))})
		f.check(err, c.want)
	}
}
