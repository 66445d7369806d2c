package lambda

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
)

// fresh is a fresh function's configuration, as recorded from AWS.
func fresh(arch string) string {
	return strings.ReplaceAll(`{
	"FunctionName": "f", "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:f", "Runtime": "python3.12",
	"Role": "arn:aws:iam::123456789012:role/lambda", "Handler": "index.handler", "CodeSize": SIZE, "Description": "", "Timeout": 3,
	"MemorySize": 128, "LastModified": "<date>", "CodeSha256": "<sha256>", "Version": "$LATEST", "TracingConfig": {"Mode": "PassThrough"},
	"RevisionId": "<revision>", "State": "Active", "LastUpdateStatus": "Successful", "PackageType": "Zip", "Architectures": ["ARCH"],
	"EphemeralStorage": {"Size": 512}, "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
	"RuntimeVersionConfig": {"RuntimeVersionArn": "<runtime version>"},
	"LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"}}`, "ARCH", arch)
}

func TestFunctionLifecycle(t *testing.T) {
	w := newWorld(t)
	release := w.host.hold()
	defer release()
	in := w.simple("f")
	want := strings.ReplaceAll(fresh(hostArchitecture()), "SIZE", strconv.Itoa(len(in.Code.ZipFile)))

	sameJSON(t, must(w.CreateFunction(w.ctx, in))(t), want, `{"State": "Pending", "StateReason": "The function is being created.",
		"StateReasonCode": "Creating", "LastUpdateStatus": null}`)
	release()
	sameJSON(t, w.wait("f"), want)

	got := must(w.GetFunction(w.ctx, &api.GetFunctionInput{FunctionName: new("f")}))(t)
	sameJSON(t, got.Configuration, want)
	sameJSON(t, got.Code, `{"Location": "<link>", "RepositoryType": "S3"}`)
	if got.Tags != nil || got.Concurrency != nil {
		t.Errorf("tags %v, concurrency %v", got.Tags, got.Concurrency)
	}
	f := must(w.Service.blobs.Open(strings.TrimPrefix(*got.Code.Location, "http://host/code/")))(t)
	stored, err := io.ReadAll(f)
	f.Close()
	if err != nil || !bytes.Equal(stored, in.Code.ZipFile) {
		t.Errorf("the code that the link leads to differs: %v", err)
	}

	release = w.host.hold()
	defer release()
	sameJSON(t, must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
		FunctionName: new("f"), Runtime: new(api.RuntimePython311), Description: new("Changed-Description"), MemorySize: new(512),
		Timeout: new(10), Environment: &api.Environment{Variables: map[string]string{"ENV_A": "a"}},
	}))(t), want, `{"Runtime": "python3.11", "Description": "Changed-Description", "MemorySize": 512, "Timeout": 10,
		"Environment": {"Variables": {"ENV_A": "a"}}, "LastUpdateStatus": "InProgress",
		"LastUpdateStatusReason": "The function is being created.", "LastUpdateStatusReasonCode": "Creating"}`)
	release()
	sameJSON(t, w.wait("f"), want, `{"Runtime": "python3.11", "Description": "Changed-Description", "MemorySize": 512, "Timeout": 10,
		"Environment": {"Variables": {"ENV_A": "a"}}}`)

	out := must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f")}))(t)
	if *out.StatusCode != 204 {
		t.Errorf("status %d", *out.StatusCode)
	}
	if n := w.blobs(); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}

func TestConfigurationIsShownAsGiven(t *testing.T) {
	tests := []struct {
		name   string
		change func(*api.CreateFunctionInput)
		want   string
	}{
		{"an empty environment", func(in *api.CreateFunctionInput) { in.Environment = &api.Environment{} }, `{"Environment": {"Variables": {}}}`},
		{"JSON logs", func(in *api.CreateFunctionInput) {
			in.LoggingConfig = &api.LoggingConfig{LogFormat: new("JSON"), LogGroup: new("mine")}
		}, `{"LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogGroup": "mine"}}`},
		{
			"an empty VPC", func(in *api.CreateFunctionInput) { in.VpcConfig = &api.VpcConfig{SubnetIDs: []string{}} },
			`{"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": false}}`,
		},
		{
			"tracing", func(in *api.CreateFunctionInput) { in.TracingConfig = &api.TracingConfig{Mode: new("Active")} },
			`{"TracingConfig": {"Mode": "Active"}}`,
		},
		{"a dead letter queue", func(in *api.CreateFunctionInput) {
			in.DeadLetterConfig = &api.DeadLetterConfig{TargetArn: new("arn:aws:sqs:eu-west-1:123456789012:q")}
		}, `{"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:eu-west-1:123456789012:q"}}`},
		{"limits", func(in *api.CreateFunctionInput) {
			in.Timeout, in.MemorySize, in.EphemeralStorage = new(900), new(10240), &api.EphemeralStorage{Size: new(10240)}
		}, `{"Timeout": 900, "MemorySize": 10240, "EphemeralStorage": {"Size": 10240}}`},
		{"a full ARN", func(in *api.CreateFunctionInput) { in.FunctionName = new(fnArn + "f") }, `{}`},
		{"a partial ARN", func(in *api.CreateFunctionInput) { in.FunctionName = new(account + ":function:f") }, `{}`},
		{
			"published at once", func(in *api.CreateFunctionInput) { in.Publish = new(true) },
			`{"Version": "1", "FunctionArn": "` + fnArn + `f:1"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			in := w.simple("f", tt.change)
			want := strings.ReplaceAll(fresh(hostArchitecture()), "SIZE", strconv.Itoa(len(in.Code.ZipFile)))
			const created = `{"State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating",
				"LastUpdateStatus": null}`
			sameJSON(t, must(w.CreateFunction(w.ctx, in))(t), want, created, tt.want)
			if tt.name != "published at once" {
				sameJSON(t, w.wait("f"), want, tt.want)
			}
		})
	}
}

func TestListFunctions(t *testing.T) {
	w := newWorld(t)
	w.create("b")
	w.create("a", func(in *api.CreateFunctionInput) { in.Publish = new(true) })
	w.create("c")
	arns := func(in *api.ListFunctionsInput) (all []string, pages int) {
		for {
			out := must(w.ListFunctions(w.ctx, in))(t)
			pages++
			for _, f := range out.Functions {
				all = append(all, strings.TrimPrefix(*f.FunctionArn, fnArn))
				if f.State != nil || f.LastUpdateStatus != nil || f.RuntimeVersionConfig != nil {
					t.Errorf("%s has a state", *f.FunctionArn)
				}
			}
			if out.NextMarker == nil {
				return all, pages
			}
			in.Marker = out.NextMarker
		}
	}
	for _, tt := range []struct {
		in    *api.ListFunctionsInput
		want  string
		pages int
	}{
		{&api.ListFunctionsInput{}, "a b c", 1},
		{&api.ListFunctionsInput{MaxItems: new(1)}, "a b c", 3},
		{&api.ListFunctionsInput{MaxItems: new(2)}, "a b c", 2},
		{&api.ListFunctionsInput{FunctionVersion: new("ALL"), MaxItems: new(1)}, "a:$LATEST a:1 b:$LATEST c:$LATEST", 4},
		{&api.ListFunctionsInput{FunctionVersion: new("ALL"), MasterRegion: new("us-east-1")}, "", 1},
	} {
		if got, pages := arns(tt.in); strings.Join(got, " ") != tt.want || pages != tt.pages {
			t.Errorf("got %v on %d pages, want %s on %d", got, pages, tt.want, tt.pages)
		}
	}
	if out := must(w.ListFunctions(callIn(account, "us-east-1"), &api.ListFunctionsInput{}))(t); len(out.Functions) != 0 {
		t.Errorf("another region lists %d functions", len(out.Functions))
	}
	if out := must(w.ListFunctions(callIn("999999999999", region), &api.ListFunctionsInput{}))(t); len(out.Functions) != 0 {
		t.Errorf("another account lists %d functions", len(out.Functions))
	}
}

// Every visible change brings a new RevisionId, the ones that nobody asked for included.
func TestRevisions(t *testing.T) {
	w := newWorld(t)
	seen := map[string]string{}
	is := func(step, revision string) string {
		t.Helper()
		if other, ok := seen[revision]; ok {
			t.Errorf("%s has the revision of %s", step, other)
		}
		seen[revision] = step
		return revision
	}
	is("created", *must(w.CreateFunction(w.ctx, w.simple("f")))(t).RevisionID)
	rev2 := is("active", *w.wait("f").RevisionID)
	code := w.simple("f").Code.ZipFile
	is("code update begun", *must(w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{
		FunctionName: new("f"), ZipFile: code, RevisionID: &rev2,
	}))(t).RevisionID)
	rev4 := is("code updated", *w.wait("f").RevisionID)
	is("configuration update begun", *must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
		FunctionName: new("f"), RevisionID: &rev4,
	}))(t).RevisionID)
	rev6 := is("redundant update done", *w.wait("f").RevisionID)

	v1 := is("published", *must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f"), RevisionID: &rev6}))(t).RevisionID)
	rev7 := is("after publishing", *w.wait("f").RevisionID)
	again := must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f"), Description: new("other")}))(t)
	if *again.RevisionID != v1 || *again.Version != "1" {
		t.Errorf("published again: version %s, revision of %s", *again.Version, seen[*again.RevisionID])
	}
	a1 := is("alias", *must(w.CreateAlias(w.ctx, &api.CreateAliasInput{
		FunctionName: new("f"), Name: new("a"), FunctionVersion: new("1"),
	}))(t).RevisionID)
	is("alias updated", *must(w.UpdateAlias(w.ctx, &api.UpdateAliasInput{
		FunctionName: new("f"), Name: new("a"), Description: new("d"), RevisionID: &a1,
	}))(t).RevisionID)
	if got := *w.wait("f").RevisionID; got != rev7 {
		t.Errorf("an alias changed $LATEST's revision to that of %s", seen[got])
	}
}

// One of many updates at once goes through, all others answer 409, and the function is as the one said.
func TestParallelUpdates(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	release := w.host.hold()
	defer release()
	const n = 16
	var mu sync.Mutex
	var won []int
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			_, err := w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), MemorySize: new(200 + i)})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, 200+i)
			} else if got, want := errText(err), "ResourceConflictException: The operation cannot be performed at this time. "+
				"An update is in progress for resource: "+fnArn+"f"; got != want {
				t.Errorf("got %s", got)
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Fatalf("%d updates went through", len(won))
	}
	release()
	if got := *w.wait("f").MemorySize; got != won[0] {
		t.Errorf("memory is %d, want %d", got, won[0])
	}
}

// What an earlier process left Pending or InProgress is finished, and what failed for want of a runtime is tried again.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	w.create("done", func(in *api.CreateFunctionInput) {
		in.Publish, in.Tags = new(true), map[string]string{"k": "v"}
		in.Environment = &api.Environment{Variables: map[string]string{"A1": "b"}}
	})
	must(w.CreateAlias(w.ctx, &api.CreateAliasInput{FunctionName: new("done"), Name: new("live"), FunctionVersion: new("1")}))(t)
	must(w.PutFunctionConcurrency(w.ctx, &api.PutFunctionConcurrencyInput{FunctionName: new("done"), ReservedConcurrentExecutions: new(7)}))(t)
	w.layer("l")
	w.create("updating")
	w.host.lose(api.RuntimeJava21, "No Java 21 was found. Install it.")
	w.create("failed", func(in *api.CreateFunctionInput) { in.Runtime = new(api.RuntimeJava21) })
	before := must(w.GetFunction(w.ctx, &api.GetFunctionInput{FunctionName: new("done"), Qualifier: new("live")}))(t)
	if f := w.wait("failed"); *f.State != "Failed" || *f.StateReason != "No Java 21 was found. Install it." || *f.StateReasonCode != "InvalidRuntime" {
		t.Errorf("%s %s %s", *f.State, *f.StateReason, *f.StateReasonCode)
	}

	release := w.host.hold()
	must(w.CreateFunction(w.ctx, w.simple("creating")))(t)
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("updating"), Timeout: new(77)}))(t)
	w.close()
	release()
	w.host.install(api.RuntimeJava21)
	// The cache may be lost: the store has everything.
	if err := os.RemoveAll(filepath.Join(w.data, "code")); err != nil {
		t.Fatal(err)
	}
	w.open()

	if f := w.wait("creating"); *f.State != "Active" || *f.LastUpdateStatus != "Successful" {
		t.Errorf("creating: %s %s", *f.State, *f.LastUpdateStatus)
	}
	if f := w.wait("updating"); *f.LastUpdateStatus != "Successful" || *f.Timeout != 77 {
		t.Errorf("updating: %s %d", *f.LastUpdateStatus, *f.Timeout)
	}
	for deadline := time.Now().Add(10 * time.Second); *w.wait("failed").State != "Active"; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a function whose runtime was installed stays Failed")
		}
	}
	after := must(w.GetFunction(w.ctx, &api.GetFunctionInput{FunctionName: new("done"), Qualifier: new("live")}))(t)
	if got, want := toJSON(t, after), toJSON(t, before); got != want || *after.Configuration.RevisionID != *before.Configuration.RevisionID {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	tgt := must(w.resolve(w.ctx, new("done:live"), nil))(t)
	if b, err := os.ReadFile(filepath.Join(tgt.Function.Task, "index.py")); string(b) != "# done" {
		t.Errorf("code after the restart: %q %v", b, err)
	}
}

// An update that fails leaves what there was in service.
func TestFailedUpdate(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	before := must(w.resolve(w.ctx, new("f"), nil))(t)
	w.host.lose(api.RuntimeNodejs22X, "No Node.js 22 was found. Install it.")
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), Runtime: new(api.RuntimeNodejs22X)}))(t)
	f := w.wait("f")
	if *f.State != "Active" || *f.LastUpdateStatus != "Failed" || *f.LastUpdateStatusReasonCode != "InvalidRuntime" ||
		*f.LastUpdateStatusReason != "No Node.js 22 was found. Install it." || *f.Runtime != "nodejs22.x" {
		t.Errorf("%s", toJSON(t, f))
	}
	if now := must(w.resolve(w.ctx, new("f"), nil))(t); now.Function.Key != before.Function.Key || now.Function.Runtime != "python3.12" {
		t.Errorf("serves %s", now.Function.Runtime)
	}
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), Runtime: new(api.RuntimePython313)}))(t)
	if f := w.wait("f"); *f.LastUpdateStatus != "Successful" || f.LastUpdateStatusReason != nil {
		t.Errorf("%s", toJSON(t, f))
	}
	if now := must(w.resolve(w.ctx, new("f"), nil))(t); now.Function.Runtime != "python3.13" {
		t.Errorf("serves %s", now.Function.Runtime)
	}
	for end := time.Now().Add(10 * time.Second); !w.pool.gone(before.Function.Key); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the old sandboxes were not retired")
		}
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	before, blobs := toJSON(t, w.wait("f")), w.blobs()
	zip := archive(t, part{name: "other", body: "code"})
	out := must(w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{FunctionName: new("f"), ZipFile: zip, DryRun: new(true)}))(t)
	if *out.CodeSize != int64(len(zip)) || *out.CodeSha256 == *w.wait("f").CodeSha256 {
		t.Errorf("%s", toJSON(t, out))
	}
	if after := toJSON(t, w.wait("f")); after != before || w.blobs() != blobs {
		t.Errorf("changed to %s", after)
	}
}

// What is refused leaves nothing behind, and what is deleted takes its blobs and, in time, its directories along.
func TestNothingIsLeftOver(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	shared := w.layer("l")
	blobs := w.blobs()
	for _, change := range []func(*api.CreateFunctionInput){
		func(in *api.CreateFunctionInput) { in.FunctionName = new("f") },
		func(in *api.CreateFunctionInput) { in.Layers = []string{lyArn + "none:1"} },
		func(in *api.CreateFunctionInput) { in.Code.ZipFile = []byte("no zip") },
	} {
		if _, err := w.CreateFunction(w.ctx, w.simple("g", change)); err == nil {
			t.Error("accepted")
		}
	}
	if n := w.blobs(); n != blobs {
		t.Errorf("%d blobs, want %d", n, blobs)
	}

	w.create("g", func(in *api.CreateFunctionInput) { in.Layers, in.Publish = []string{shared}, new(true) })
	must(w.DeleteLayerVersion(w.ctx, &api.DeleteLayerVersionInput{LayerName: new("l"), VersionNumber: new(int64(1))}))(t)
	tgt := must(w.resolve(w.ctx, new("g:1"), nil))(t)
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f")}))(t)
	if n := w.blobs(); n != 2 {
		t.Errorf("%d blobs, want the code and the layer of g", n)
	}
	sweep := func(after time.Duration) {
		t.Helper()
		if err := w.sweep(w.ctx, time.Now().Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	dirs := func() int { return len(must(os.ReadDir(filepath.Join(w.data, "code")))(t)) }
	if n := dirs(); n != 3 {
		t.Fatalf("%d directories", n)
	}
	sweep(lingering - time.Minute)
	if n := dirs(); n != 3 {
		t.Errorf("%d directories are left before their time", n)
	}
	sweep(lingering + time.Minute)
	if _, err := os.Stat(tgt.Function.Layers[0]); err != nil || dirs() != 2 {
		t.Errorf("%d directories, want those of g: %v", dirs(), err)
	}
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("g")}))(t)
	if !w.pool.gone(tgt.Function.Key) {
		t.Error("sandboxes of a deleted function were not retired")
	}
	if _, err := os.Stat(tgt.Function.Task); err != nil {
		t.Error("the code of a function that may still run is gone")
	}
	sweep(lingering + time.Minute)
	if n := dirs() + w.blobs(); n != 0 {
		t.Errorf("%d directories and blobs are left", n)
	}
	ids := must(w.NamedBlobs(w.ctx))(t)
	if len(ids) != 0 {
		t.Errorf("blobs are still named: %v", ids)
	}
}

func TestSweepAll(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	for _, d := range []string{"code/" + strings.Repeat("0", 64), "layers/" + strings.Repeat("0", 64)} {
		if err := os.MkdirAll(filepath.Join(w.data, d, "files"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.SweepAll(w.ctx); err != nil {
		t.Fatal(err)
	}
	code, merged := must(os.ReadDir(filepath.Join(w.data, "code")))(t), must(os.ReadDir(filepath.Join(w.data, "layers")))(t)
	if len(code) != 1 || len(merged) != 0 {
		t.Errorf("%v and %v are left", code, merged)
	}
	named := must(w.namedDirs(w.ctx))(t)
	if !named["code/"+code[0].Name()] {
		t.Errorf("%v is left", code)
	}
}

// recount is what an account uses, told from the rows alone.
func (w *world) recount() (u accountUse, blobs map[string]int) {
	blobs = map[string]int{}
	sc := store.Scope{Account: account, Region: region}
	err := w.store.View(w.ctx, func(tx store.Tx) error {
		u = accountUse{}
		clear(blobs)
		fs, err := collect(functions.Scan(tx, sc, store.Range{}))
		if err != nil {
			return err
		}
		for _, f := range fs {
			u.Functions++
			u.Reserved += val(f.Reserved)
		}
		vs, err := collect(versions.Scan(tx, sc, store.Range{}))
		if err != nil {
			return err
		}
		for _, v := range vs {
			u.CodeSize += v.Config.Code.Size
			for _, b := range v.blobs(sc) {
				blobs[b.id]++
			}
		}
		ls, err := collect(layerVersions.Scan(tx, sc, store.Range{}))
		for _, l := range ls {
			u.CodeSize += l.Code.Size
			blobs[l.Code.Blob]++
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return u, blobs
}
