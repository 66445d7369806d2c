package lambda

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
)

func TestTags(t *testing.T) {
	w := newWorld(t)
	w.create("f", func(in *api.CreateFunctionInput) { in.Tags = map[string]string{"a": "1"} })
	arn := new(fnArn + "f")
	is := func(step string, want map[string]string) {
		t.Helper()
		got := must(w.ListTags(w.ctx, &api.ListTagsInput{Resource: arn}))(t).Tags
		shown := must(w.GetFunction(w.ctx, &api.GetFunctionInput{FunctionName: new("f:$LATEST")}))(t).Tags
		if !maps.Equal(got, want) || !maps.Equal(shown, want) || got == nil || len(want) == 0 && shown != nil {
			t.Errorf("%s: listed %v, shown %v, want %v", step, got, shown, want)
		}
	}
	is("created", map[string]string{"a": "1"})
	must(w.TagResource(w.ctx, &api.TagResourceInput{Resource: arn, Tags: map[string]string{"b": "2", "c": "3"}}))(t)
	must(w.TagResource(w.ctx, &api.TagResourceInput{Resource: arn, Tags: map[string]string{"c": "4"}}))(t)
	is("tagged", map[string]string{"a": "1", "b": "2", "c": "4"})
	must(w.UntagResource(w.ctx, &api.UntagResourceInput{Resource: arn, TagKeys: []string{"a", "none"}}))(t)
	is("untagged", map[string]string{"b": "2", "c": "4"})
	must(w.UntagResource(w.ctx, &api.UntagResourceInput{Resource: arn, TagKeys: []string{"b", "c"}}))(t)
	is("untagged all", map[string]string{})
}

func TestEventInvokeConfig(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	w.create("g")
	w.publish("f", "one")
	must(w.CreateAlias(w.ctx, &api.CreateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("1")}))(t)
	put := func(name string, retries, age *int, d *api.DestinationConfig) *api.FunctionEventInvokeConfig {
		t.Helper()
		return must(w.PutFunctionEventInvokeConfig(w.ctx, &api.PutFunctionEventInvokeConfigInput{
			FunctionName: &name, MaximumRetryAttempts: retries, MaximumEventAgeInSeconds: age, DestinationConfig: d,
		}))(t)
	}
	const empty = `{"LastModified": false, "FunctionArn": "` + fnArn + `f:$LATEST", "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}}}`
	sameJSON(t, put("f", new(0), nil, nil), empty, `{"MaximumRetryAttempts": 0}`)
	sameJSON(t, put("f", nil, new(60), nil), empty, `{"MaximumEventAgeInSeconds": 60}`)
	sameJSON(t, must(w.UpdateFunctionEventInvokeConfig(w.ctx, &api.UpdateFunctionEventInvokeConfigInput{
		FunctionName: new("f"), MaximumRetryAttempts: new(1),
		DestinationConfig: &api.DestinationConfig{OnFailure: &api.OnFailure{Destination: new("arn:aws:sqs:eu-west-1:123456789012:q")}},
	}))(t), empty, `{"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60,
		"DestinationConfig": {"OnSuccess": {}, "OnFailure": {"Destination": "arn:aws:sqs:eu-west-1:123456789012:q"}}}`)
	sameJSON(t, must(w.UpdateFunctionEventInvokeConfig(w.ctx, &api.UpdateFunctionEventInvokeConfigInput{
		FunctionName: new("f"), DestinationConfig: &api.DestinationConfig{
			OnSuccess: &api.OnSuccess{Destination: new(fnArn + "g")}, OnFailure: &api.OnFailure{Destination: new("")},
		},
	}))(t), empty, `{"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60,
		"DestinationConfig": {"OnSuccess": {"Destination": "`+fnArn+`g"}, "OnFailure": {}}}`)
	sameJSON(t, must(w.GetFunctionEventInvokeConfig(w.ctx, &api.GetFunctionEventInvokeConfigInput{FunctionName: new("f"), Qualifier: new(latest)}))(t),
		empty, `{"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60,
		"DestinationConfig": {"OnSuccess": {"Destination": "`+fnArn+`g"}, "OnFailure": {}}}`)
	put("f:1", new(2), nil, nil)
	put("f:live", new(2), nil, nil)
	list := func() string {
		var all []string
		in := &api.ListFunctionEventInvokeConfigsInput{FunctionName: new("f"), MaxItems: new(2)}
		for {
			out := must(w.ListFunctionEventInvokeConfigs(w.ctx, in))(t)
			for _, c := range out.FunctionEventInvokeConfigs {
				all = append(all, strings.TrimPrefix(*c.FunctionArn, fnArn))
			}
			if in.Marker = out.NextMarker; in.Marker == nil {
				return strings.Join(all, " ")
			}
		}
	}
	if got := list(); got != "f:$LATEST f:1 f:live" {
		t.Errorf("listed %s", got)
	}
	must(w.DeleteAlias(w.ctx, &api.DeleteAliasInput{FunctionName: new("f"), Name: new("live")}))(t)
	must(w.DeleteFunctionEventInvokeConfig(w.ctx, &api.DeleteFunctionEventInvokeConfigInput{FunctionName: new("f")}))(t)
	if got := list(); got != "f:1" {
		t.Errorf("after deleting: %s", got)
	}
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f:1")}))(t)
	if got := list(); got != "" {
		t.Errorf("a deleted version has a configuration: %s", got)
	}
}

func TestReservedConcurrency(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	w.create("g")
	settings := func() *api.GetAccountSettingsOutput {
		return must(w.GetAccountSettings(w.ctx, &api.GetAccountSettingsInput{}))(t)
	}
	reserve := func(name string, n int) error {
		_, err := w.PutFunctionConcurrency(w.ctx, &api.PutFunctionConcurrencyInput{FunctionName: &name, ReservedConcurrentExecutions: &n})
		return err
	}
	is := func(name string, want *int, pool int) {
		t.Helper()
		got := must(w.GetFunctionConcurrency(w.ctx, &api.GetFunctionConcurrencyInput{FunctionName: &name}))(t).ReservedConcurrentExecutions
		tgt := must(w.resolve(w.ctx, &name, nil))(t)
		shown := must(w.GetFunction(w.ctx, &api.GetFunctionInput{FunctionName: &name}))(t).Concurrency
		if fmt.Sprint(val(got), got == nil) != fmt.Sprint(val(want), want == nil) || (tgt.Reserved == nil) != (want == nil) ||
			val(tgt.Reserved) != val(want) || (shown == nil) != (want == nil) {
			t.Errorf("%s: reserved %v, resolved %v, shown %v", name, got, tgt.Reserved, shown)
		}
		if left := *settings().AccountLimit.UnreservedConcurrentExecutions; left != pool || w.unreservedPool(tgt) != pool {
			t.Errorf("unreserved: %d and %d, want %d", left, w.unreservedPool(tgt), pool)
		}
	}
	is("f", nil, 1000)
	for _, step := range []struct {
		n, pool int
	}{{0, 1000}, {900, 100}, {1, 999}} {
		if err := reserve("f", step.n); err != nil {
			t.Fatal(err)
		}
		is("f", &step.n, step.pool)
	}
	if err := reserve("g", 899); err != nil {
		t.Fatal(err)
	}
	if err := reserve("f", 2); err == nil {
		t.Error("reserved more than there is")
	}
	is("f", new(1), 100)
	must(w.DeleteFunctionConcurrency(w.ctx, &api.DeleteFunctionConcurrencyInput{FunctionName: new("f")}))(t)
	is("f", nil, 101)
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("g")}))(t)
	is("f", nil, 1000)
	sameJSON(t, settings().AccountLimit, `{"TotalCodeSize": 80530636800, "CodeSizeUnzipped": 262144000, "CodeSizeZipped": 52428800,
		"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000}`)
}

func TestRuntimeManagementAndRecursion(t *testing.T) {
	w := newWorld(t)
	w.create("f", func(in *api.CreateFunctionInput) { in.Publish = new(true) })
	get := func(q *string) *api.GetRuntimeManagementConfigOutput {
		return must(w.GetRuntimeManagementConfig(w.ctx, &api.GetRuntimeManagementConfigInput{FunctionName: new("f"), Qualifier: q}))(t)
	}
	sameJSON(t, get(nil), `{"UpdateRuntimeOn": "Auto", "FunctionArn": "`+fnArn+`f"}`)
	arn := w.wait("f").RuntimeVersionConfig.RuntimeVersionArn
	put := func(on string, arn *string) error {
		_, err := w.PutRuntimeManagementConfig(w.ctx, &api.PutRuntimeManagementConfigInput{
			FunctionName: new("f"), Qualifier: new("1"), UpdateRuntimeOn: &on, RuntimeVersionArn: arn,
		})
		return err
	}
	for _, bad := range []error{put("Manual", nil), put("Auto", arn), put("Manual", new("arn:aws:lambda:eu-west-1::runtime:0"))} {
		if !strings.HasPrefix(coded(bad), "400 InvalidParameterValueException") {
			t.Errorf("got %v", bad)
		}
	}
	if err := put("Manual", arn); err != nil {
		t.Fatal(err)
	}
	sameJSON(t, get(new("1")), `{"UpdateRuntimeOn": "Manual", "FunctionArn": "`+fnArn+`f:1", "RuntimeVersionArn": "<runtime version>"}`)
	sameJSON(t, get(new(latest)), `{"UpdateRuntimeOn": "Auto", "FunctionArn": "`+fnArn+`f:$LATEST"}`)

	loop := func() string {
		return *must(w.GetFunctionRecursionConfig(w.ctx, &api.GetFunctionRecursionConfigInput{FunctionName: new("f")}))(t).RecursiveLoop
	}
	if loop() != "Terminate" {
		t.Error(loop())
	}
	must(w.PutFunctionRecursionConfig(w.ctx, &api.PutFunctionRecursionConfigInput{FunctionName: new("f"), RecursiveLoop: new("Allow")}))(t)
	if loop() != "Allow" {
		t.Error(loop())
	}
}

// A function has no code signing configuration, and removing it is no error.
func TestNoCodeSigning(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	for range 2 {
		got := must(w.GetFunctionCodeSigningConfig(w.ctx, &api.GetFunctionCodeSigningConfigInput{FunctionName: new(fnArn + "f")}))(t)
		sameJSON(t, got, `{}`)
		must(w.DeleteFunctionCodeSigningConfig(w.ctx, &api.DeleteFunctionCodeSigningConfigInput{FunctionName: new("f")}))(t)
	}
}

// Whatever was done, the books say what the rows say, and the blobs are those that the rows need.
func TestBooksAreKept(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(names ...string) *string { return &names[r.IntN(len(names))] }
	ops := []func(){
		func() {
			w.CreateFunction(w.ctx, w.simple(*pick("a", "b", "c"), func(in *api.CreateFunctionInput) { in.Publish = new(r.IntN(2) == 0) }))
		},
		func() {
			w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{
				FunctionName: pick("a", "b", "c"), ZipFile: archive(t, part{name: "x", body: fmt.Sprint(r.IntN(3))}), Publish: new(r.IntN(2) == 0),
			})
		},
		func() { w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: pick("a", "b", "c")}) },
		func() {
			w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
				FunctionName: pick("a", "b", "c"), Layers: []string{lyArn + *pick("l:1", "l:2", "l:3"), lyArn + *pick("m:1", "m:2")},
			})
		},
		func() { w.layer(*pick("l", "m")) },
		func() {
			w.DeleteLayerVersion(w.ctx, &api.DeleteLayerVersionInput{LayerName: pick("l", "m"), VersionNumber: new(int64(1 + r.IntN(4)))})
		},
		func() {
			w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: pick("a", "b", "c:1", "c:2", "a:1", "b")})
		},
		func() {
			w.PutFunctionConcurrency(w.ctx, &api.PutFunctionConcurrencyInput{FunctionName: pick("a", "b", "c"), ReservedConcurrentExecutions: new(r.IntN(500))})
		},
		func() {
			w.DeleteFunctionConcurrency(w.ctx, &api.DeleteFunctionConcurrencyInput{FunctionName: pick("a", "b", "c")})
		},
	}
	for i := range 400 {
		ops[r.IntN(len(ops))]()
		if i%20 != 0 {
			continue
		}
		for _, f := range must(w.ListFunctions(w.ctx, &api.ListFunctionsInput{}))(t).Functions {
			w.wait(*f.FunctionName)
		}
		want, blobs := w.recount()
		var got accountUse
		uses := map[string]int{}
		err := w.store.View(w.ctx, func(tx store.Tx) error {
			row, err := orNil(usages.Get(tx, store.Scope{Account: account, Region: region}, usageKey))
			if row != nil {
				got = *row
			}
			for row, err := range blobUses.Scan(tx, store.Scope{Account: account, Region: region}, store.Range{}) {
				if err != nil {
					return err
				}
				uses[row.Key] = row.Value.Uses
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got != want || !maps.Equal(uses, blobs) {
			t.Fatalf("after %d ops: books %+v, rows %+v; uses %v, rows %v", i, got, want, uses, blobs)
		}
		// A blob goes after the transaction that drops it, which may be one of the background.
		for end := time.Now().Add(10 * time.Second); w.blobs() != len(blobs); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("after %d ops: %d blobs, the rows need %d", i, w.blobs(), len(blobs))
			}
		}
	}
	if u, _ := w.recount(); u.Functions == 0 || u.CodeSize == 0 {
		t.Errorf("the ops did nothing: %+v", u)
	}
}
