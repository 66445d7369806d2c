package lambda

import (
	"errors"
	"fmt"
	"testing"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
)

// What stands between a function and its invocation does so though the function was read ahead: nothing is remembered of one whose key
// the client has set meanwhile, nor of one that could not be read.
func TestForesee(t *testing.T) {
	w := newWorld(t)
	w.create("f", variables(map[string]string{"AB": "1"}))
	r := must(parseRef(w.ctx, new("f"), nil))(t)
	known := func() bool {
		w.cache.mu.Lock()
		defer w.cache.mu.Unlock()
		return w.cache.functions[functionKey{r.scope, r.name}] != nil
	}
	w.eventually("it is known", known)

	// The function has got a key since the change that it is read because of, and nobody may use that.
	before := must(w.versions("f"))(t)[0]
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), KMSKeyArn: new(keyArn)}))(t)
	w.wait("f")
	uses := w.kms.used()
	w.expect(w.ctx, r, &before)
	if n := w.kms.used() - uses; known() || n > 0 {
		t.Errorf("known %v, and the key was used %d times", known(), n)
	}
	w.kms.deny(role, nil)
	var e *aws.Error
	if _, err := w.Invoke(w.ctx, &api.InvokeInput{FunctionName: new("f")}); !errors.As(err, &e) || e.Type != api.ErrKMSAccessDenied {
		t.Errorf("invoked: %v", err)
	}

	// It cannot be read.
	w.kms.deny("", nil)
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), KMSKeyArn: new("")}))(t)
	w.wait("f")
	w.eventually("it is known again", known)
	w.close()
	w.kms.broken = errors.New("no disk")
	w.open()
	now := must(w.versions("f"))(t)[0]
	w.expect(w.ctx, r, &now)
	if known() {
		t.Error("what could not be read is known")
	}
}

// What is known of functions that nobody invokes is bounded.
func TestForeseen(t *testing.T) {
	var f foreseen
	for i := range foreseenAtMost {
		if old, ok := f.add(functionKey{name: fmt.Sprint(i)}); ok {
			t.Fatalf("%v had to go for the %dth", old, i)
		}
	}
	if _, ok := f.add(functionKey{name: "7"}); ok {
		t.Error("one that was there took another's place")
	}
	for i := range 2 * foreseenAtMost {
		if old, ok := f.add(functionKey{name: fmt.Sprint("new", i)}); !ok || i < foreseenAtMost && old.name != fmt.Sprint(i) {
			t.Errorf("the place of %v was taken, %v", old, ok)
		}
	}
	if len(f.ring) != foreseenAtMost {
		t.Errorf("%d are kept", len(f.ring))
	}
}
