package lambda

import (
	"errors"
	"maps"
	"testing"

	api "github.com/enfold-run/enfold/api/lambda"
)

// A tag that wants an isolation which the host lacks is refused where it is set, and only there.
func TestIsolationTagOnAHostWithout(t *testing.T) {
	w := newWorld(t)
	w.close()
	var asked []string
	w.isolates = func(tier string) error {
		if asked = append(asked, tier); tier == "gvisor" {
			return errors.New("there is no enfold-gvisor (`enfold doctor` says what is missing)")
		}
		return nil
	}
	w.open()
	const refused = "400 InvalidParameterValueException: The tag enfold:isolation=gvisor is not available on this host: " +
		"there is no enfold-gvisor (`enfold doctor` says what is missing)"
	gvisor := map[string]string{isolationTag: "gvisor"}
	_, err := w.CreateFunction(w.ctx, w.simple("f", func(in *api.CreateFunctionInput) { in.Tags = gvisor }))
	if got := coded(err); got != refused {
		t.Errorf("CreateFunction: %s", got)
	}
	w.create("f")
	arn := new(fnArn + "f")
	if _, err := w.TagResource(w.ctx, &api.TagResourceInput{Resource: arn, Tags: gvisor}); coded(err) != refused {
		t.Errorf("TagResource: %s", coded(err))
	}
	must(w.TagResource(w.ctx, &api.TagResourceInput{Resource: arn, Tags: map[string]string{isolationTag: "namespace"}}))(t)
	must(w.TagResource(w.ctx, &api.TagResourceInput{Resource: arn, Tags: map[string]string{"a": "1"}}))(t)
	tags := must(w.ListTags(w.ctx, &api.ListTagsInput{Resource: arn}))(t).Tags
	if want := (map[string]string{isolationTag: "namespace", "a": "1"}); !maps.Equal(tags, want) {
		t.Errorf("the tags are %v, want %v", tags, want)
	}
	asked = nil
	for _, bad := range []string{"vm", "process"} {
		if _, err := w.TagResource(w.ctx, &api.TagResourceInput{Resource: arn, Tags: map[string]string{isolationTag: bad}}); err == nil {
			t.Errorf("the value %q was taken", bad)
		}
	}
	if _, err := w.TagResource(w.ctx, &api.TagResourceInput{Resource: new(fnArn + "none"), Tags: gvisor}); err == nil || asked != nil {
		t.Errorf("the host was asked for %q by what is refused anyway: %v", asked, err)
	}
}
