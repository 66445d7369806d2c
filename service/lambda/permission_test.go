package lambda

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
)

// add adds a statement for s3.amazonaws.com to a function's policy.
func (w *world) add(name, sid string, change ...func(*api.AddPermissionInput)) (*api.AddPermissionOutput, error) {
	in := &api.AddPermissionInput{
		FunctionName: &name, StatementID: &sid, Action: new("lambda:InvokeFunction"), Principal: new("s3.amazonaws.com"),
	}
	for _, c := range change {
		c(in)
	}
	return w.AddPermission(w.ctx, in)
}

func (w *world) policy(name, qualifier string) (text, revision string, err error) {
	in := &api.GetPolicyInput{FunctionName: &name}
	if qualifier != "" {
		in.Qualifier = &qualifier
	}
	out, err := w.GetPolicy(w.ctx, in)
	if err != nil {
		return "", "", err
	}
	return *out.Policy, *out.RevisionID, nil
}

// Every field becomes what AWS was recorded to make of it.
func TestStatements(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	const head = `{"Sid":"s","Effect":"Allow",`
	const tail = `"Action":"lambda:InvokeFunction","Resource":"` + fnArn + `f"`
	for _, tt := range []struct {
		name   string
		change func(*api.AddPermissionInput)
		want   string
	}{
		{"a service", func(*api.AddPermissionInput) {}, head + `"Principal":{"Service":"s3.amazonaws.com"},` + tail + `}`},
		{
			"an account", func(in *api.AddPermissionInput) { in.Principal = new("111122223333") },
			head + `"Principal":{"AWS":"arn:aws:iam::111122223333:root"},` + tail + `}`,
		},
		{
			"a role", func(in *api.AddPermissionInput) { in.Principal = new("arn:aws:iam::111122223333:role/team/r") },
			head + `"Principal":{"AWS":"arn:aws:iam::111122223333:role/team/r"},` + tail + `}`,
		},
		{"everybody", func(in *api.AddPermissionInput) { in.Principal = new("*") }, head + `"Principal":"*",` + tail + `}`},
		{
			"a bucket", func(in *api.AddPermissionInput) { in.SourceArn = new("arn:aws:s3:::b<&>") },
			head + `"Principal":{"Service":"s3.amazonaws.com"},` + tail + `,"Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::b<&>"}}}`,
		},
		{
			"a bucket of an account", func(in *api.AddPermissionInput) { in.SourceArn, in.SourceAccount = new("arn:aws:s3:::b"), new(account) },
			head + `"Principal":{"Service":"s3.amazonaws.com"},` + tail +
				`,"Condition":{"StringEquals":{"AWS:SourceAccount":"123456789012"},"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::b"}}}`,
		},
		{
			"an organization", func(in *api.AddPermissionInput) { in.Principal, in.PrincipalOrgID = new("*"), new("o-1234567890") },
			head + `"Principal":"*",` + tail + `,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1234567890"}}}`,
		},
		{"an event source token", func(in *api.AddPermissionInput) {
			in.Principal, in.EventSourceToken = new("alexa-appkit.amazon.com"), new("amzn1.ask.skill.1")
		}, head + `"Principal":{"Service":"alexa-appkit.amazon.com"},` + tail +
			`,"Condition":{"StringEquals":{"lambda:EventSourceToken":"amzn1.ask.skill.1"}}}`},
		{
			"only by URL", func(in *api.AddPermissionInput) { in.Principal, in.InvokedViaFunctionURL = new("*"), new(true) },
			head + `"Principal":"*",` + tail + `,"Condition":{"Bool":{"lambda:InvokedViaFunctionUrl":"true"}}}`,
		},
		{"a public URL", func(in *api.AddPermissionInput) {
			in.Principal, in.Action, in.FunctionURLAuthType = new("*"), new("lambda:InvokeFunctionUrl"), new(api.FunctionUrlAuthTypeNone)
		}, head + `"Principal":"*","Action":"lambda:InvokeFunctionUrl","Resource":"` + fnArn + `f"` +
			`,"Condition":{"StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := *must(w.add("f", "s", tt.change))(t).Statement; got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			text, _, err := w.policy("f", "")
			if want := `{"Version":"2012-10-17","Id":"default","Statement":[` + tt.want + `]}`; err != nil || text != want {
				t.Errorf("policy %s (%v)\nwant %s", text, err, want)
			}
			must(w.RemovePermission(w.ctx, &api.RemovePermissionInput{FunctionName: new("f"), StatementID: new("s")}))(t)
		})
	}
}

func TestPermissionErrors(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	must(w.add("f", "s3"))(t)
	must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t)
	grant := func(name string, change func(*api.AddPermissionInput)) func() error {
		return func() error { _, err := w.add(name, "s3", change); return err }
	}
	qualified := func(q string) func(*api.AddPermissionInput) {
		return func(in *api.AddPermissionInput) { in.Qualifier = &q }
	}
	remove := func(in api.RemovePermissionInput) func() error {
		return func() error { _, err := w.RemovePermission(w.ctx, &in); return err }
	}
	show := func(name, q string) func() error {
		return func() error { _, _, err := w.policy(name, q); return err }
	}
	for _, tt := range []struct {
		name string
		do   func() error
		want string
	}{
		{"no function", grant("none", qualified("")), "ResourceNotFoundException: Function not found: " + fnArn + "none"},
		{"no version", grant("f", qualified("42")), "ResourceNotFoundException: Function not found: " + fnArn + "f:42"},
		{"no alias", grant("f", qualified("none")), "ResourceNotFoundException: Cannot find alias arn: " + fnArn + "f:none"},
		{"neither", grant("f", qualified("a$b")), "ResourceNotFoundException: Function not found: " + fnArn + "f:a$b"},
		{"$LATEST", grant("f", qualified(latest)), "InvalidParameterValueException: We currently do not support adding policies for $LATEST."},
		{"twice", grant("f", qualified("")), "ResourceConflictException: The statement id (s3) provided already exists. " +
			"Please provide a new statement id, or remove the existing statement."},
		{
			"a host", grant("f", func(in *api.AddPermissionInput) { in.Principal = new("invalid.nonaws.com") }),
			"InvalidParameterValueException: The provided principal was invalid. Please check the principal and try again.",
		},
		{
			"a partial wildcard", grant("f", func(in *api.AddPermissionInput) { in.Principal = new("arn:aws:iam::111122223333:role/*") }),
			"InvalidParameterValueException: The provided principal was invalid. Please check the principal and try again.",
		},
		{
			"a URL's type for an invocation", grant("f", func(in *api.AddPermissionInput) { in.FunctionURLAuthType = new("NONE") }),
			"InvalidParameterValueException: FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
		},
		{"add by an old revision", grant("f", func(in *api.AddPermissionInput) { in.RevisionID = new("x") }), errText(errPolicyRevision)},
		{"show no function's", show("none", ""), "ResourceNotFoundException: Function not found: " + fnArn + "none"},
		{"show none", show("f", "1"), "ResourceNotFoundException: The resource you requested does not exist."},
		{
			"remove no function's", remove(api.RemovePermissionInput{FunctionName: new("none"), StatementID: new("s3")}),
			"ResourceNotFoundException: No policy found for: " + fnArn + "none",
		},
		{
			"remove where there is none", remove(api.RemovePermissionInput{FunctionName: new("f"), StatementID: new("s3"), Qualifier: new("1")}),
			"ResourceNotFoundException: No policy is associated with the given resource.",
		},
		{
			"remove another", remove(api.RemovePermissionInput{FunctionName: new("f"), StatementID: new("none")}),
			"ResourceNotFoundException: Statement none is not found in resource policy.",
		},
		{
			"remove by an old revision", remove(api.RemovePermissionInput{FunctionName: new("f"), StatementID: new("s3"), RevisionID: new("x")}),
			errText(errRevision),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := errText(tt.do()); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A policy and what it belongs to have one RevisionId.
func TestPermissionRevisions(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	before := *w.wait("f").RevisionID
	must(w.add("f", "a", func(in *api.AddPermissionInput) { in.RevisionID = &before }))(t)
	_, rev, err := w.policy("f", "")
	if now := *w.wait("f").RevisionID; err != nil || rev != now || rev == before {
		t.Errorf("policy's %s, function's %s, before %s (%v)", rev, now, before, err)
	}
	must(w.RemovePermission(w.ctx, &api.RemovePermissionInput{FunctionName: new("f"), StatementID: new("a"), RevisionID: &rev}))(t)
	if now := *w.wait("f").RevisionID; now == rev {
		t.Error("removing did not change the revision")
	}
	must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t)
	must(w.CreateAlias(w.ctx, &api.CreateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("1")}))(t)
	must(w.add("f:live", "a"))(t)
	_, rev, err = w.policy("f", "live")
	a := must(w.GetAlias(w.ctx, &api.GetAliasInput{FunctionName: new("f"), Name: new("live")}))(t)
	if err != nil || rev != *a.RevisionID {
		t.Errorf("policy's %s, alias's %s (%v)", rev, *a.RevisionID, err)
	}
}

// Each qualifier has a policy of its own, in the order of its making, which survives a restart and goes with its owner.
func TestPoliciesOfQualifiers(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t)
	must(w.CreateAlias(w.ctx, &api.CreateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("1")}))(t)
	for _, q := range []string{"f", "f:1", "f:live"} {
		must(w.add(q, "z"))(t)
		must(w.add(q, "a"))(t)
	}
	w.restart()
	for q, arn := range map[string]string{"": "f", "1": "f:1", "live": "f:live"} {
		text, _, err := w.policy("f", q)
		var p struct{ Statement []statement }
		if err != nil || json.Unmarshal([]byte(text), &p) != nil || len(p.Statement) != 2 || p.Statement[0].Sid != "z" ||
			p.Statement[1].Resource != fnArn+arn {
			t.Errorf("%q: %s (%v)", q, text, err)
		}
	}
	must(w.DeleteAlias(w.ctx, &api.DeleteAliasInput{FunctionName: new("f"), Name: new("live")}))(t)
	must(w.CreateAlias(w.ctx, &api.CreateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("1")}))(t)
	if _, _, err := w.policy("f", "live"); errText(err) != errText(errNoneThere) {
		t.Errorf("the new alias has the old one's policy: %v", err)
	}
	must(w.DeleteAlias(w.ctx, &api.DeleteAliasInput{FunctionName: new("f"), Name: new("live")}))(t)
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f"), Qualifier: new("1")}))(t)
	if _, _, err := w.policy("f", "1"); errText(err) != errText(errNoneThere) {
		t.Errorf("a deleted version has a policy: %v", err)
	}
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f")}))(t)
	w.create("f")
	if _, _, err := w.policy("f", ""); errText(err) != errText(errNoneThere) {
		t.Errorf("the new function has the old one's policy: %v", err)
	}
}

func TestPolicyLength(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	for i := range 200 {
		_, err := w.add("f", fmt.Sprintf("s%d-%s", i, strings.Repeat("x", 90)))
		if err == nil {
			continue
		}
		text, _, showErr := w.policy("f", "")
		if !strings.HasPrefix(errText(err), "PolicyLengthExceededException: The final policy size (") || showErr != nil {
			t.Fatal(err, showErr)
		}
		if len(text) > maxPolicy || len(text) < maxPolicy-400 {
			t.Errorf("refused beyond %d bytes", len(text))
		}
		return
	}
	t.Error("a policy grows without end")
}

func TestLayerPermissions(t *testing.T) {
	w := newWorld(t)
	arn := w.layer("l")
	add := func(sid string, change ...func(*api.AddLayerVersionPermissionInput)) (*api.AddLayerVersionPermissionOutput, error) {
		in := &api.AddLayerVersionPermissionInput{
			LayerName: new("l"), VersionNumber: new(int64(1)), StatementID: &sid, Action: new("lambda:GetLayerVersion"), Principal: new("*"),
		}
		for _, c := range change {
			c(in)
		}
		return w.AddLayerVersionPermission(w.ctx, in)
	}
	show := func() (*api.GetLayerVersionPolicyOutput, error) {
		return w.GetLayerVersionPolicy(w.ctx, &api.GetLayerVersionPolicyInput{LayerName: new("l"), VersionNumber: new(int64(1))})
	}
	if _, err := show(); errText(err) != errText(errNoPolicy) {
		t.Error(err)
	}
	first := must(add("s1"))(t)
	want := `{"Sid":"s1","Effect":"Allow","Principal":"*","Action":"lambda:GetLayerVersion","Resource":"` + arn + `"}`
	if *first.Statement != want {
		t.Errorf("got  %s\nwant %s", *first.Statement, want)
	}
	if _, err := add("s1"); errText(err) != "ResourceConflictException: The statement id (s1) provided already exists. "+
		"Please provide a new statement id, or remove the existing statement." {
		t.Error(err)
	}
	if _, err := add("s2", func(in *api.AddLayerVersionPermissionInput) { in.RevisionID = new("x") }); errText(err) != errText(errLayerPolicyRevision) {
		t.Error(err)
	}
	if _, err := add("s2", func(in *api.AddLayerVersionPermissionInput) { in.VersionNumber = new(int64(2)) }); errText(err) !=
		"ResourceNotFoundException: Layer version "+lyArn+"l:2 does not exist." {
		t.Error(err)
	}
	second := must(add("s2", func(in *api.AddLayerVersionPermissionInput) {
		in.Principal, in.OrganizationID, in.RevisionID = new("111122223333"), new("o-1234567890"), first.RevisionID
	}))(t)
	want = `{"Version":"2012-10-17","Id":"default","Statement":[` + want + `,{"Sid":"s2","Effect":"Allow","Principal":{"AWS":` +
		`"arn:aws:iam::111122223333:root"},"Action":"lambda:GetLayerVersion","Resource":"` + arn +
		`","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1234567890"}}}]}`
	if got := must(show())(t); *got.Policy != want || *got.RevisionID != *second.RevisionID {
		t.Errorf("got  %s\nwant %s", *got.Policy, want)
	}
	remove := func(sid string) error {
		_, err := w.RemoveLayerVersionPermission(w.ctx, &api.RemoveLayerVersionPermissionInput{
			LayerName: new("l"), VersionNumber: new(int64(1)), StatementID: &sid,
		})
		return err
	}
	if err := remove("s3"); errText(err) != "ResourceNotFoundException: Statement s3 is not found in resource policy." {
		t.Error(err)
	}
	if err := remove("s1"); err != nil {
		t.Error(err)
	}
	must(w.DeleteLayerVersion(w.ctx, &api.DeleteLayerVersionInput{LayerName: new("l"), VersionNumber: new(int64(1))}))(t)
	if n := w.rows(layerPolicies.Name); n != 0 {
		t.Errorf("%d policies of deleted layer versions", n)
	}
}

// rows counts the rows of a table.
func (w *world) rows(table string) (n int) {
	err := w.store.View(context.Background(), func(tx store.Tx) error {
		scopes, err := tx.Scopes(table)
		for _, sc := range scopes {
			for _, e := range tx.Scan(table, sc, store.Range{}) {
				n, err = n+1, cmpErr(err, e)
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}
