package lambda

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/lambda"
)

func TestLayerLifecycle(t *testing.T) {
	w := newWorld(t)
	zip := archive(t, part{name: "python/m.py", body: "x = 1"})
	publish := func() *api.PublishLayerVersionOutput {
		return must(w.PublishLayerVersion(w.ctx, &api.PublishLayerVersionInput{
			LayerName: new("l"), Content: &api.LayerVersionContentInput{ZipFile: zip}, CompatibleRuntimes: []string{"python3.12"},
			LicenseInfo: new("MIT"), Description: new("d"), CompatibleArchitectures: []string{"x86_64"},
		}))(t)
	}
	one := publish()
	want := `{"LayerArn": "` + lyArn + `l", "LayerVersionArn": "` + lyArn + `l:1", "Version": 1,
		"Description": "d", "LicenseInfo": "MIT", "CreatedDate": "<date>", "CompatibleRuntimes": ["python3.12"],
		"CompatibleArchitectures": ["x86_64"]}`
	if *one.Content.CodeSize != int64(len(zip)) {
		t.Errorf("size %d", *one.Content.CodeSize)
	}
	one.Content.CodeSize = nil
	const content = `{"Content": {"Location": "<link>", "CodeSha256": "<sha256>"}}`
	sameJSON(t, one, want, content)
	got := must(w.GetLayerVersion(w.ctx, &api.GetLayerVersionInput{LayerName: new("l"), VersionNumber: new(int64(1))}))(t)
	got.Content.CodeSize = nil
	sameJSON(t, got, want, content)
	got = must(w.GetLayerVersionByArn(w.ctx, &api.GetLayerVersionByArnInput{Arn: new(lyArn + "l:1")}))(t)
	got.Content.CodeSize = nil
	sameJSON(t, got, want, content)
	publish()
	w.layer("other")

	w.create("f", func(in *api.CreateFunctionInput) { in.Layers = []string{lyArn + "l:1"} })
	list := must(w.ListLayerVersions(w.ctx, &api.ListLayerVersionsInput{LayerName: new(lyArn + "l"), MaxItems: new(1)}))(t)
	if len(list.LayerVersions) != 1 || *list.LayerVersions[0].Version != 2 || list.NextMarker == nil {
		t.Errorf("newest is not first: %s", toJSON(t, list))
	}
	list = must(w.ListLayerVersions(w.ctx, &api.ListLayerVersionsInput{LayerName: new("l"), Marker: list.NextMarker}))(t)
	sameJSON(t, list.LayerVersions[0], want, `{"LayerArn": null}`)
	if len(list.LayerVersions) != 1 || list.NextMarker != nil {
		t.Errorf("second page: %s", toJSON(t, list))
	}
	for _, tt := range []struct{ runtime, arch, want string }{
		{"", "", "l:2 other:1"}, {"python3.12", "", "l:2"}, {"", "x86_64", "l:2"}, {"nodejs20.x", "", ""}, {"python3.12", "arm64", ""},
	} {
		in := &api.ListLayersInput{CompatibleRuntime: given(tt.runtime), CompatibleArchitecture: given(tt.arch), MaxItems: new(1)}
		var all []string
		for {
			out := must(w.ListLayers(w.ctx, in))(t)
			for _, l := range out.Layers {
				all = append(all, strings.TrimPrefix(*l.LatestMatchingVersion.LayerVersionArn, lyArn))
			}
			if in.Marker = out.NextMarker; in.Marker == nil {
				break
			}
		}
		if got := strings.Join(all, " "); got != tt.want {
			t.Errorf("ListLayers %s %s: %s, want %s", tt.runtime, tt.arch, got, tt.want)
		}
	}

	for _, v := range []int64{1, 2, 2, 7} {
		must(w.DeleteLayerVersion(w.ctx, &api.DeleteLayerVersionInput{LayerName: new("l"), VersionNumber: &v}))(t)
	}
	if f := w.wait("f"); len(f.Layers) != 1 || *f.Layers[0].Arn != lyArn+"l:1" || *f.Layers[0].CodeSize != int64(len(zip)) {
		t.Errorf("a function lost its layer: %s", toJSON(t, f))
	}
	if out := must(w.ListLayerVersions(w.ctx, &api.ListLayerVersionsInput{LayerName: new("l")}))(t); len(out.LayerVersions) != 0 {
		t.Errorf("%s", toJSON(t, out))
	}
	if three := publish(); *three.Version != 3 {
		t.Errorf("version %d after 1 and 2 were deleted", *three.Version)
	}
	// Its content is still there to run, in another process too.
	if err := os.RemoveAll(filepath.Join(w.data, "code")); err != nil {
		t.Fatal(err)
	}
	w.restart()
	opt := must(w.resolve(w.ctx, new("f"), nil))(t).Function.Layers
	if b, err := os.ReadFile(filepath.Join(opt[0], "python/m.py")); string(b) != "x = 1" || len(opt) != 1 {
		t.Errorf("%v: %q %v", opt, b, err)
	}
}

// Layers lie over each other in order, whatever is in the way.
// TestLayerExtension: a function whose layer brings an external extension would run with half of what it counts on missing.
func TestLayerExtension(t *testing.T) {
	w := newWorld(t)
	for range 2 { // the second is unpacked already
		w.layer("with", part{name: "lib/a.so", body: "x"}, part{name: "extensions/agent", body: "#!/bin/sh", mode: 0o755})
	}
	w.layer("without", part{name: "extensions/docs/readme", body: "x"}, part{name: "python/extensions/x.py", body: ""})
	w.create("f", func(in *api.CreateFunctionInput) { in.Layers = []string{lyArn + "without:1"} })
	const want = "InvalidParameterValueException: Enfold does not support extensions, and layer version " + lyArn + "with:%s has \"/opt/extensions/agent\"."
	for _, version := range []string{"1", "2"} {
		in := w.simple("g", func(in *api.CreateFunctionInput) {
			in.Layers = []string{lyArn + "without:1", lyArn + "with:" + version}
		})
		for what, err := range map[string]error{
			"create": failure(w.CreateFunction(w.ctx, in)),
			"update": failure(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), Layers: in.Layers})),
		} {
			if got := fmt.Sprint(err); got != fmt.Sprintf(want, version) {
				t.Errorf("%s: %s", what, got)
			}
		}
	}
}

func TestLayersMerge(t *testing.T) {
	w := newWorld(t)
	layers := []string{
		w.layer("a",
			part{name: "both", body: "a"}, part{name: "only/a", body: "a", mode: 0o755}, part{name: "file-then-dir", body: "a"},
			part{name: "dir-then-file/x", body: "a"}, part{name: "link-then-dir", body: "only", mode: link}, part{name: "dir-then-link/x", body: "a"}),
		w.layer("b",
			part{name: "both", body: "b"}, part{name: "only/b", body: "b"}, part{name: "file-then-dir/x", body: "b"},
			part{name: "dir-then-file", body: "b"}, part{name: "link-then-dir/x", body: "b"}, part{name: "dir-then-link", body: "only", mode: link}),
	}
	w.create("f", func(in *api.CreateFunctionInput) { in.Layers = layers })
	w.create("g", func(in *api.CreateFunctionInput) { in.Layers = []string{layers[1], layers[0]} })
	f, g := must(w.resolve(w.ctx, new("f"), nil))(t).Function, must(w.resolve(w.ctx, new("g"), nil))(t).Function
	if got, want := tree(t, f.Layers[0]), "both=b dir-then-file=b dir-then-link->only file-then-dir/x=b link-then-dir/x=b only/a=a* only/b=b"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := tree(t, g.Layers[0]), "both=a dir-then-file/x=a dir-then-link/x=a file-then-dir=a link-then-dir->only only/a=a* only/b=b"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// What a layer holds by itself is as it was.
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("g"), Layers: layers[:1]}))(t)
	w.wait("g")
	alone := must(w.resolve(w.ctx, new("g"), nil))(t).Function
	if got, want := tree(t, alone.Layers[0]), "both=a dir-then-file/x=a dir-then-link/x=a file-then-dir=a link-then-dir->only only/a=a*"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("g"), Layers: []string{}}))(t)
	if got := w.wait("g"); got.Layers != nil {
		t.Errorf("%s", toJSON(t, got))
	}
	if none := must(w.resolve(w.ctx, new("g"), nil))(t).Function; len(none.Layers) != 0 {
		t.Errorf("layers %v", none.Layers)
	}
}

// tree is a directory as one line: files with their content and a star if they can be run, links with their target.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := strings.TrimPrefix(p, dir+"/")
		if d.Type() == fs.ModeSymlink {
			to, err := os.Readlink(p)
			all = append(all, name+"->"+to)
			return err
		}
		b, err := os.ReadFile(p)
		fi, err2 := d.Info()
		if err2 == nil && fi.Mode()&0o111 != 0 {
			b = append(b, '*')
		}
		all = append(all, name+"="+string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}
