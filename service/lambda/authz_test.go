package lambda

import (
	"context"
	"fmt"
	"slices"
	"testing"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

const stranger = "111122223333"

// decide asks the policy engine what the resource's policy says to a principal that may do everything on its own side.
func (w *world) decide(t *testing.T, p *aws.Principal, action, arn string, keys map[string]string) bool {
	t.Helper()
	g := must(w.ResourceGrants(w.ctx, &aws.Call{Account: p.Account, Region: region, Principal: p}, arn))(t)
	all, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`), policy.KindIdentity)
	if err != nil {
		t.Fatal(err)
	}
	own := &policy.Grants{Identity: []policy.Named{{Name: "all", Policy: all}}}
	if p.Type == aws.ServiceType {
		own = &policy.Grants{}
	}
	return policy.Evaluate(&policy.Request{
		Principal: p, Action: action, Resource: arn, ResourceAccount: account, Keys: conditionKeys(keys),
	}, own, g).Allowed
}

type conditionKeys map[string]string

func (k conditionKeys) Values(key string) ([]string, bool) {
	v, ok := k[key]
	return []string{v}, ok
}

// A policy speaks for its own qualifier, and is believed as soon as it is changed.
func TestResourceGrants(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t)
	must(w.CreateAlias(w.ctx, &api.CreateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("1")}))(t)
	const invoke = "lambda:InvokeFunction"
	other := aws.RootOf(stranger, "")
	s3 := aws.ServicePrincipal("s3.amazonaws.com")
	may := func(p *aws.Principal, arn string, keys map[string]string, want bool) {
		t.Helper()
		if got := w.decide(t, p, invoke, fnArn+arn, keys); got != want {
			t.Errorf("%s on %s with %v: %v, want %v", p.Arn, arn, keys, got, want)
		}
	}
	may(other, "f", nil, false)
	may(other, "none", nil, false)
	must(w.add("f:live", "a", func(in *api.AddPermissionInput) { in.Principal = new(stranger) }))(t)
	may(other, "f", nil, false)
	may(other, "f:1", nil, false)
	may(other, "f:live", nil, true)
	must(w.add("f", "a", func(in *api.AddPermissionInput) { in.Principal = new(stranger) }))(t)
	may(other, "f", nil, true)
	may(other, "f:1", nil, false)
	if w.decide(t, other, "lambda:DeleteFunction", fnArn+"f", nil) {
		t.Error("may delete what it may invoke")
	}
	must(w.RemovePermission(w.ctx, &api.RemovePermissionInput{FunctionName: new("f"), StatementID: new("a")}))(t)
	may(other, "f", nil, false)

	must(w.add("f", "s3", func(in *api.AddPermissionInput) {
		in.SourceArn, in.SourceAccount = new("arn:aws:s3:::b*"), new(account)
	}))(t)
	from := map[string]string{"aws:sourcearn": "arn:aws:s3:::bucket", "aws:sourceaccount": account}
	may(s3, "f", from, true)
	may(s3, "f", nil, false)
	may(aws.ServicePrincipal("sns.amazonaws.com"), "f", from, false)
	from["aws:sourceaccount"] = stranger
	may(s3, "f", from, false)
}

// A warm call reads no disk to be authorized, and a function that is not there is not remembered.
func TestGrantsAreInMemory(t *testing.T) {
	w := newWorld(t)
	w.create("f", func(in *api.CreateFunctionInput) { in.Tags = map[string]string{"team": "a"} })
	must(w.add("f", "s3"))(t)
	ask := func() {
		if g, err := w.ResourceGrants(w.ctx, &aws.Call{}, fnArn+"f"); err != nil || g == nil {
			t.Fatal(g, err)
		}
		if v, ok := w.ConditionValues(w.ctx, &aws.Call{}, fnArn+"f", "aws:resourcetag/team"); !ok || v[0] != "a" {
			t.Fatal(v, ok)
		}
	}
	ask()
	db := &deafStore{Store: w.store}
	w.deps.Store = db
	ask()
	w.deps.Store = w.store
	if db.views != 0 {
		t.Errorf("read the store %d times", db.views)
	}
	for i := range 100 {
		if g, err := w.ResourceGrants(w.ctx, &aws.Call{}, fmt.Sprintf("%snone%d", fnArn, i)); g != nil || err != nil {
			t.Fatal(g, err)
		}
	}
	if n := len(w.cache.functions); n > 1 {
		t.Errorf("remembers %d functions", n)
	}
}

// deafStore counts what is asked of it.
type deafStore struct {
	store.Store
	views int
}

func (d *deafStore) View(ctx context.Context, fn func(store.Tx) error) error {
	d.views++
	return d.Store.View(ctx, fn)
}

func TestConditionValues(t *testing.T) {
	w := newWorld(t)
	w.create("f", func(in *api.CreateFunctionInput) { in.Tags = map[string]string{"Team": "a", "team": "b"} })
	must(w.add("f", "account", func(in *api.AddPermissionInput) { in.Principal = new(stranger) }))(t)
	must(w.add("f", "url", func(in *api.AddPermissionInput) {
		in.Principal, in.Action, in.FunctionURLAuthType = new("*"), new("lambda:InvokeFunctionUrl"), new("NONE")
	}))(t)
	remove := func(sid string) *aws.Call {
		return &aws.Call{Input: &api.RemovePermissionInput{FunctionName: new("f"), StatementID: &sid}}
	}
	add := &aws.Call{Input: &api.AddPermissionInput{Principal: new("s3.amazonaws.com"), FunctionURLAuthType: new("AWS_IAM")}}
	create := &aws.Call{Input: &api.CreateFunctionInput{
		Layers: []string{lyArn + "l:1"}, VpcConfig: &api.VpcConfig{SubnetIDs: []string{"subnet-1"}, SecurityGroupIDs: []string{"sg-1", "sg-2"}},
	}}
	inside := &aws.Call{Principal: &aws.Principal{Session: &aws.Session{FunctionArn: fnArn + "g"}}}
	for _, tt := range []struct {
		call *aws.Call
		key  string
		want []string // nil: absent
	}{
		{&aws.Call{}, "aws:resourcetag/Team", []string{"a"}},
		{&aws.Call{}, "aws:resourcetag/team", []string{"b"}},
		{&aws.Call{}, "aws:resourcetag/owner", nil},
		{add, "lambda:principal", []string{"s3.amazonaws.com"}},
		{add, "lambda:functionurlauthtype", []string{"AWS_IAM"}},
		{add, "lambda:layer", nil},
		{remove("account"), "lambda:principal", []string{stranger}},
		{remove("account"), "lambda:functionurlauthtype", nil},
		{remove("url"), "lambda:principal", []string{"*"}},
		{remove("url"), "lambda:functionurlauthtype", []string{"NONE"}},
		{remove("none"), "lambda:principal", nil},
		{create, "lambda:layer", []string{lyArn + "l:1"}},
		{create, "lambda:subnetids", []string{"subnet-1"}},
		{create, "lambda:securitygroupids", []string{"sg-1", "sg-2"}},
		{create, "lambda:vpcids", nil},
		{&aws.Call{Input: &api.UpdateFunctionConfigurationInput{Layers: []string{"x"}}}, "lambda:layer", []string{"x"}},
		{&aws.Call{Input: &api.UpdateFunctionConfigurationInput{}}, "lambda:layer", nil},
		{&aws.Call{Input: &api.InvokeInput{}}, "lambda:invokedviafunctionurl", []string{"false"}},
		{&aws.Call{Input: &api.InvokeInput{}}, "lambda:functionarn", nil},
		{&aws.Call{Op: &aws.Op{Action: "lambda:InvokeFunctionUrl"}}, "lambda:functionarn", []string{fnArn + "f"}},
		{inside, "lambda:sourcefunctionarn", []string{fnArn + "g"}},
		{&aws.Call{}, "lambda:sourcefunctionarn", nil},
	} {
		got, ok := w.ConditionValues(w.ctx, tt.call, fnArn+"f", tt.key)
		if !slices.Equal(got, tt.want) || ok != (tt.want != nil) {
			t.Errorf("%T %s: %v %v, want %v", tt.call.Input, tt.key, got, ok, tt.want)
		}
	}
}

// A call that was allowed on another account's function acts in that account.
func TestForeignFunction(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	foreign := aws.WithCall(context.Background(), &aws.Call{Op: api.OpInvoke, Account: stranger, Region: region, Principal: aws.RootOf(stranger, "")})
	for _, name := range []string{fnArn + "f", account + ":function:f"} {
		if _, err := w.Invoke(foreign, &api.InvokeInput{FunctionName: &name}); errText(err) != "AccessDeniedException: User: arn:aws:iam::"+stranger+
			":root is not authorized to perform: lambda:InvokeFunction on resource: "+fnArn+"f because no resource-based policy allows the "+
			"lambda:InvokeFunction action" {
			t.Errorf("not authorized: %v", err)
		}
		authorized := aws.WithCall(context.Background(), &aws.Call{Op: api.OpInvoke, Account: account, Region: region, Principal: aws.RootOf(stranger, "")})
		if out := must(w.Invoke(authorized, &api.InvokeInput{FunctionName: &name}))(t); string(out.Payload) != "null" {
			t.Errorf("payload %s", out.Payload)
		}
		got := must(w.GetFunctionConfiguration(authorized, &api.GetFunctionConfigurationInput{FunctionName: &name}))(t)
		if *got.FunctionArn != fnArn+"f" {
			t.Errorf("shows %s", *got.FunctionArn)
		}
	}
	if out := must(w.ListFunctions(foreign, &api.ListFunctionsInput{}))(t); len(out.Functions) != 0 {
		t.Errorf("the other account lists %d functions", len(out.Functions))
	}
}

// Another account uses a layer that its owner shared, and keeps it when the owner takes everything back.
func TestForeignLayer(t *testing.T) {
	w := newWorld(t)
	arn := w.layer("l", part{name: "python/x.py", body: "shared"})
	ctx := callIn(stranger, region)
	create := func(name string) error {
		_, err := w.CreateFunction(ctx, w.simple(name, func(in *api.CreateFunctionInput) { in.Layers = []string{arn} }))
		return err
	}
	const denial = "AccessDeniedException: User: arn:aws:iam::" + stranger + ":root is not authorized to perform: lambda:GetLayerVersion on resource: "
	if err := create("f"); errText(err) != denial+arn+" because no resource-based policy allows the lambda:GetLayerVersion action" {
		t.Errorf("before it was shared: %v", err)
	}
	must(w.AddLayerVersionPermission(w.ctx, &api.AddLayerVersionPermissionInput{
		LayerName: new("l"), VersionNumber: new(int64(1)), StatementID: new("s"), Action: new("lambda:GetLayerVersion"), Principal: new(stranger),
	}))(t)
	if !w.decide(t, aws.RootOf(stranger, ""), "lambda:GetLayerVersion", arn, nil) || w.decide(t, aws.RootOf("444455556666", ""), "lambda:GetLayerVersion", arn, nil) {
		t.Error("the policy does not say what was added")
	}
	if err := create("f"); err != nil {
		t.Fatal(err)
	}
	must(w.DeleteLayerVersion(w.ctx, &api.DeleteLayerVersionInput{LayerName: new("l"), VersionNumber: new(int64(1))}))(t)
	w.restart()
	if f := must(w.resolve(ctx, new("f"), nil))(t).Function; len(f.Layers) != 1 {
		t.Errorf("layers %v", f.Layers)
	}
	named := must(w.NamedBlobs(w.ctx))(t)
	if n := w.blobs(); n != 2 || len(named) != 2 {
		t.Errorf("%d blobs, %d named", n, len(named))
	}
	must(w.DeleteFunction(ctx, &api.DeleteFunctionInput{FunctionName: new("f")}))(t)
	if n := w.blobs(); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}
