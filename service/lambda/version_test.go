package lambda

import (
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/lambda"
)

func TestVersions(t *testing.T) {
	w := newWorld(t)
	w.create("f", func(in *api.CreateFunctionInput) { in.Description = new("zero") })
	describe := func(d string) {
		t.Helper()
		must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), Description: &d}))(t)
		w.wait("f")
	}
	publish := func(in *api.PublishVersionInput, want string) *api.FunctionConfiguration {
		t.Helper()
		in.FunctionName = new("f")
		out := must(w.PublishVersion(w.ctx, in))(t)
		if got := *out.Version + " " + *out.Description; got != want || *out.State != "Active" || *out.LastUpdateStatus != "Successful" ||
			*out.FunctionArn != fnArn+"f:"+*out.Version {
			t.Errorf("got %s, want %s: %s", got, want, toJSON(t, out))
		}
		return out
	}
	describe("one")
	first := publish(&api.PublishVersionInput{Description: new("first")}, "1 first")
	publish(&api.PublishVersionInput{Description: new("again")}, "1 first")
	describe("two")
	publish(&api.PublishVersionInput{}, "2 two")
	publish(&api.PublishVersionInput{Description: new("third"), CodeSha256: first.CodeSha256}, "2 two")
	describe("two") // the same
	publish(&api.PublishVersionInput{}, "2 two")
	if got := must(w.GetFunctionConfiguration(w.ctx, &api.GetFunctionConfigurationInput{FunctionName: new("f:1")}))(t); toJSON(t, got) != toJSON(t, first) {
		t.Errorf("version 1 changed to %s", toJSON(t, got))
	}

	// A number is never used twice.
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f"), Qualifier: new("2")}))(t)
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f"), Qualifier: new("2")}))(t)
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f:1233")}))(t)
	publish(&api.PublishVersionInput{}, "3 two")

	for range 8 {
		w.publish("f", strings.Repeat("x", int(10+w.count("f"))))
	}
	var got []string
	in := &api.ListVersionsByFunctionInput{FunctionName: new("f"), MaxItems: new(3)}
	for {
		out := must(w.ListVersionsByFunction(w.ctx, in))(t)
		for _, v := range out.Versions {
			got = append(got, *v.Version)
			if *v.FunctionArn != fnArn+"f:"+*v.Version || v.State != nil {
				t.Errorf("%s", toJSON(t, v))
			}
		}
		if in.Marker = out.NextMarker; in.Marker == nil {
			break
		}
	}
	if want := "$LATEST 1 3 4 5 6 7 8 9 10 11"; strings.Join(got, " ") != want {
		t.Errorf("listed %v, want %s", got, want)
	}
}

func (w *world) count(name string) int {
	w.t.Helper()
	all, err := w.versions(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(all)
}

func TestUpdateAndPublish(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	release := w.host.hold()
	defer release()
	zip := archive(t, part{name: "index.py", body: "# new"})
	out := must(w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{FunctionName: new("f"), ZipFile: zip, Publish: new(true)}))(t)
	if *out.Version != "1" || *out.FunctionArn != fnArn+"f:1" || *out.State != "Pending" || *out.CodeSize != int64(len(zip)) {
		t.Errorf("%s", toJSON(t, out))
	}
	_, err := w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")})
	if got, want := coded(err), "409 ResourceConflictException: The operation cannot be performed at this time. An update is in progress for resource: "+fnArn+"f"; got != want {
		t.Errorf("published during the update: %s", got)
	}
	release()
	w.wait("f")
	one := must(w.GetFunctionConfiguration(w.ctx, &api.GetFunctionConfigurationInput{FunctionName: new("f:1")}))(t)
	now := w.wait("f")
	if *one.State != "Active" || *one.LastUpdateStatus != "Successful" || *one.CodeSha256 != *now.CodeSha256 || *one.RevisionID == *now.RevisionID {
		t.Errorf("%s", toJSON(t, one))
	}
	out = must(w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{FunctionName: new("f"), ZipFile: zip, Publish: new(true)}))(t)
	if *out.Version != "1" || *out.State != "Active" {
		t.Errorf("the same code was published as %s", toJSON(t, out))
	}
	w.wait("f")
}

func TestPendingRefusesChanges(t *testing.T) {
	w := newWorld(t)
	release := w.host.hold()
	defer release()
	must(w.CreateFunction(w.ctx, w.simple("f")))(t)
	const want = "409 ResourceConflictException: The operation cannot be performed at this time. The function is currently in the following state: Pending"
	_, err := w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f")})
	if got := coded(err); got != want {
		t.Errorf("configuration: %s", got)
	}
	_, err = w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{FunctionName: new("f"), ZipFile: archive(t, part{name: "a"})})
	if got := coded(err); got != want {
		t.Errorf("code: %s", got)
	}
	_, err = w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")})
	if got := coded(err); got != want {
		t.Errorf("publish: %s", got)
	}
}

func TestAliases(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	w.publish("f", "one")
	w.publish("f", "two")
	weights := func(m map[string]float64) *api.AliasRoutingConfiguration {
		return &api.AliasRoutingConfiguration{AdditionalVersionWeights: m}
	}
	a := must(w.CreateAlias(w.ctx, &api.CreateAliasInput{
		FunctionName: new("f"), Name: new("a"), FunctionVersion: new("1"), Description: new("d"), RoutingConfig: weights(map[string]float64{"2": 0.2}),
	}))(t)
	sameJSON(t, a, `{"AliasArn": "`+fnArn+`f:a", "Name": "a", "FunctionVersion": "1", "Description": "d", "RevisionId": "<revision>",
		"RoutingConfig": {"AdditionalVersionWeights": {"2": 0.2}}}`)
	sameJSON(t, must(w.CreateAlias(w.ctx, &api.CreateAliasInput{
		FunctionName: new("f"), Name: new("2024-01-02"), FunctionVersion: new("1"), RoutingConfig: weights(nil),
	}))(t), `{"AliasArn": "`+fnArn+`f:2024-01-02", "Name": "2024-01-02", "FunctionVersion": "1", "Description": "", "RevisionId": "<revision>"}`)
	must(w.CreateAlias(w.ctx, &api.CreateAliasInput{FunctionName: new("f"), Name: new("c"), FunctionVersion: new("$LATEST")}))(t)

	byAlias := must(w.GetFunction(w.ctx, &api.GetFunctionInput{FunctionName: a.AliasArn}))(t).Configuration
	if *byAlias.FunctionArn != fnArn+"f:a" || *byAlias.Version != "1" || *byAlias.Description != "one" {
		t.Errorf("%s", toJSON(t, byAlias))
	}
	names := func(version *string) string {
		var all []string
		in := &api.ListAliasesInput{FunctionName: new("f"), FunctionVersion: version, MaxItems: new(1)}
		for {
			out := must(w.ListAliases(w.ctx, in))(t)
			for _, a := range out.Aliases {
				all = append(all, *a.Name)
			}
			if in.Marker = out.NextMarker; in.Marker == nil {
				return strings.Join(all, " ")
			}
		}
	}
	if got := names(nil) + "|" + names(new("1")) + "|" + names(new("2")) + "|" + names(new("$LATEST")); got != "2024-01-02 a c|2024-01-02 a|a|c" {
		t.Errorf("listed %s", got)
	}

	sameJSON(t, must(w.UpdateAlias(w.ctx, &api.UpdateAliasInput{FunctionName: new("f"), Name: new("a"), RoutingConfig: weights(map[string]float64{})}))(t),
		`{"AliasArn": "`+fnArn+`f:a", "Name": "a", "FunctionVersion": "1", "Description": "d", "RevisionId": "<revision>"}`)
	must(w.UpdateAlias(w.ctx, &api.UpdateAliasInput{FunctionName: new("f"), Name: new("a"), FunctionVersion: new("2")}))(t)
	got := must(w.GetAlias(w.ctx, &api.GetAliasInput{FunctionName: new("f"), Name: new("a")}))(t)
	if *got.FunctionVersion != "2" || *got.Description != "d" {
		t.Errorf("%s", toJSON(t, got))
	}
	for range 2 {
		must(w.DeleteAlias(w.ctx, &api.DeleteAliasInput{FunctionName: new("f"), Name: new("a")}))(t)
	}
	if got := names(nil); got != "2024-01-02 c" {
		t.Errorf("after deleting: %s", got)
	}
}

// TestVersionsHaveOneName: policies name a version by its number as it is written, so another way to write it must mean nothing.
func TestVersionsHaveOneName(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	w.publish("f", "1")
	w.publish("f", "2")
	w.layer("l", part{name: "python/m.py", body: "x = 1"})
	withLayer := w.simple("g", func(in *api.CreateFunctionInput) { in.Layers = []string{lyArn + "l:01"} })
	for what, err := range map[string]error{
		"get":         failure(w.GetFunction(w.ctx, &api.GetFunctionInput{FunctionName: new("f"), Qualifier: new("01")})),
		"invoke":      failure(w.Invoke(w.ctx, &api.InvokeInput{FunctionName: new("f:001")})),
		"alias":       w.alias("f", "a", "01", "", 0),
		"alias, both": w.alias("f", "a", "1", "01", 0.5),
		"alias, two":  w.alias("f", "a", "1", "02", 0.5),
		"permission":  failure(w.add("f", "s", func(in *api.AddPermissionInput) { in.Qualifier = new("01") })),
		"provision":   w.provision("f", "01", 1),
		"event config": failure(w.PutFunctionEventInvokeConfig(w.ctx, &api.PutFunctionEventInvokeConfigInput{
			FunctionName: new("f"), Qualifier: new("01"), MaximumRetryAttempts: new(1),
		})),
		"layer":           failure(w.GetLayerVersionByArn(w.ctx, &api.GetLayerVersionByArnInput{Arn: new(lyArn + "l:01")})),
		"layer, zero":     failure(w.GetLayerVersionByArn(w.ctx, &api.GetLayerVersionByArnInput{Arn: new(lyArn + "l:0")})),
		"create on layer": failure(w.CreateFunction(w.ctx, withLayer)),
	} {
		if err == nil {
			t.Errorf("%s: 01 is taken for version 1", what)
		}
	}
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f"), Qualifier: new("02")}))(t)
	if n := w.count("f"); n != 3 {
		t.Errorf("%d versions are left after 02 was deleted, want 3", n)
	}
}

func failure[T any](_ T, err error) error { return err }
