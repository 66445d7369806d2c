package server

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/enfold-run/enfold/api/cloudtrail"
	"github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/dispatch"
)

// userCall carries an op out as the user with this policy.
func (m *matrix) userCall(op *aws.Op, policy string, in any) error {
	m.t.Helper()
	m.user.text = policy
	ctx, cancel := context.WithTimeout(m.t.Context(), 10*time.Second)
	defer cancel()
	_, err := m.calls.Do(ctx, &aws.Call{
		Op: op, Account: matrixAccount, Region: "us-east-1", RequestID: "moved", SourceIP: "127.0.0.1", UserAgent: "moved",
		Principal: &aws.Principal{Type: aws.User, Account: matrixAccount, Arn: matrixUser, ID: "AIDANOBODYNOBODYNOBOD"},
		Input:     in,
	})
	return err
}

// deniedOn is the resource that a call was refused on, empty if it was not.
func deniedOn(t *testing.T, err error) string {
	t.Helper()
	if d, ok := errors.AsType[*dispatch.Denial](err); ok {
		return d.Resource
	}
	if err != nil {
		t.Errorf("neither done nor denied: %v", err)
	}
	return ""
}

// TestMoved: another name or path of a user or group needs the permission on what it is and on what it will be.
func TestMoved(t *testing.T) {
	const (
		all   = `{"Effect":"Allow","Action":"iam:*","Resource":"*"}`
		in    = "arn:aws:iam::" + matrixAccount + ":"
		users = `{"Effect":"Allow","Action":"iam:UpdateUser","Resource":"` + in + `user/team/*"}`
		team  = `{"Effect":"Allow","Action":"iam:UpdateGroup","Resource":"` + in + `group/team/*"}`
		own   = `{"Effect":"Allow","Action":"iam:UpdateUser","Resource":"` + in + `user/team/${aws:username}"}`
	)
	deny := func(arn string) string {
		return all + `,{"Effect":"Deny","Action":"iam:*","Resource":"` + in + arn + `"}`
	}
	move := func(name, path string) *iam.UpdateUserInput {
		u := &iam.UpdateUserInput{UserName: new("nobody")}
		if name != "" {
			u.NewUserName = &name
		}
		if path != "" {
			u.NewPath = &path
		}
		return u
	}
	regroup := func(name, path string) *iam.UpdateGroupInput {
		u := move(name, path)
		return &iam.UpdateGroupInput{GroupName: new("crew"), NewGroupName: u.NewUserName, NewPath: u.NewPath}
	}
	for _, c := range []struct {
		name, policy string
		op           *aws.Op
		in           any
		denied       string // on this resource; empty for a call that is done
	}{
		{"to a name that is denied", deny("user/team/boss"), iam.OpUpdateUser, move("boss", ""), "user/team/boss"},
		{"to a path that is denied", deny("user/admin/*"), iam.OpUpdateUser, move("", "/admin/"), "user/admin/nobody"},
		{"to both", deny("user/admin/boss"), iam.OpUpdateUser, move("boss", "/admin/"), "user/admin/boss"},
		{"from what is denied", deny("user/team/nobody"), iam.OpUpdateUser, move("boss", "/admin/"), "user/team/nobody"},
		{"to a path that is not allowed", users, iam.OpUpdateUser, move("", "/"), "user/nobody"},
		{"to a name that is not one's own", own, iam.OpUpdateUser, move("boss", ""), "user/team/boss"},
		{"to what it is", own, iam.OpUpdateUser, move("nobody", "/team/"), ""},
		{"to nothing else", own, iam.OpUpdateUser, move("", ""), ""},
		{"to what is allowed", users, iam.OpUpdateUser, move("boss", "/team/lead/"), ""},
		{"a group to a name that is denied", deny("group/team/boss"), iam.OpUpdateGroup, regroup("boss", ""), "group/team/boss"},
		{"a group to a path that is not allowed", team, iam.OpUpdateGroup, regroup("", "/admin/"), "group/admin/crew"},
		{"a group to what is allowed", team, iam.OpUpdateGroup, regroup("boss", "/team/lead/"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMatrix(t, nil)
			if !m.root("iam", "CreateUser", map[string]any{"UserName": "nobody", "Path": "/team/"}).IsValid() ||
				!m.root("iam", "CreateGroup", map[string]any{"GroupName": "crew", "Path": "/team/"}).IsValid() {
				t.Fatal("nothing to move")
			}
			want := c.denied
			if want != "" {
				want = in + want
			}
			got := deniedOn(t, m.userCall(c.op, `{"Version":"2012-10-17","Statement":[`+c.policy+`]}`, c.in))
			if got != want {
				t.Errorf("denied on %q, want %q", got, want)
			}
		})
	}
}

// TestTaggedAtCreation: what is made with tags needs the permission to tag it, and without tags does not.
func TestTaggedAtCreation(t *testing.T) {
	m := newMatrix(t, nil)
	trust := trustsOf()
	doc := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}}`
	tags := []*iam.Tag{{Key: new("team"), Value: new("red")}}
	for _, c := range []struct {
		op            *aws.Op
		tag, on       string // the permission to tag, and the resource that it is asked on
		plain, tagged any
	}{
		{
			iam.OpCreateUser, "iam:TagUser", "arn:aws:iam::" + matrixAccount + ":user/team/ann",
			&iam.CreateUserInput{UserName: new("bob"), Path: new("/team/")},
			&iam.CreateUserInput{UserName: new("ann"), Path: new("/team/"), Tags: tags},
		},
		{
			iam.OpCreateRole, "iam:TagRole", "arn:aws:iam::" + matrixAccount + ":role/team/ann",
			&iam.CreateRoleInput{RoleName: new("bob"), AssumeRolePolicyDocument: &trust},
			&iam.CreateRoleInput{RoleName: new("ann"), Path: new("/team/"), AssumeRolePolicyDocument: &trust, Tags: tags},
		},
		{
			iam.OpCreatePolicy, "iam:TagPolicy", "arn:aws:iam::" + matrixAccount + ":policy/ann",
			&iam.CreatePolicyInput{PolicyName: new("bob"), PolicyDocument: &doc},
			&iam.CreatePolicyInput{PolicyName: new("ann"), PolicyDocument: &doc, Tags: tags},
		},
		{
			logs.OpCreateLogGroup, "logs:TagResource", "arn:aws:logs:us-east-1:" + matrixAccount + ":log-group:/team/ann",
			&logs.CreateLogGroupInput{LogGroupName: new("/team/bob")},
			&logs.CreateLogGroupInput{LogGroupName: new("/team/ann"), Tags: map[string]string{"team": "red"}},
		},
		{
			cloudtrail.OpCreateTrail, "cloudtrail:AddTags", "arn:aws:cloudtrail:us-east-1:" + matrixAccount + ":trail/ann",
			&cloudtrail.CreateTrailInput{Name: new("bob"), S3BucketName: new("trails-of-bob")},
			&cloudtrail.CreateTrailInput{Name: new("ann"), S3BucketName: new("trails-of-ann"), TagsList: []*cloudtrail.Tag{{Key: new("team"), Value: new("red")}}},
		},
	} {
		t.Run(c.op.Name, func(t *testing.T) {
			create := permission{c.op.Action, []string{"*"}}
			if on := deniedOn(t, m.userCall(c.op, policyOf([]permission{create}), c.plain)); on != "" {
				t.Errorf("without tags: denied on %s", on)
			}
			err := m.userCall(c.op, policyOf([]permission{create, {c.tag, []string{c.on + "x"}}}), c.tagged)
			d, _ := errors.AsType[*dispatch.Denial](err)
			if d == nil || d.Action != c.tag || d.Resource != c.on {
				t.Errorf("with tags: %v, want a denial of %s on %s", err, c.tag, c.on)
			}
			if on := deniedOn(t, m.userCall(c.op, policyOf([]permission{create, {c.tag, []string{c.on}}}), c.tagged)); on != "" {
				t.Errorf("with tags and %s: denied on %s", c.tag, on)
			}
		})
	}
}
