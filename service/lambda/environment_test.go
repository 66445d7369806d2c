package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/seal"
)

// roles plays IAM and STS: every role may be assumed but those refused.
type roles struct {
	mu      sync.Mutex
	refused map[string]bool
	asked   []string
}

func (r *roles) CanAssume(_ context.Context, call *aws.Call, role, function string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, call.Account+" "+role+" "+function)
	if r.refused[role] {
		return aws.ErrAccessDenied.New("Not authorized to perform sts:AssumeRole")
	}
	return nil
}

func (r *roles) CanSend(_ context.Context, _ *aws.Call, role, function, target string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused[role+" "+function+" "+target] {
		return aws.ErrAccessDenied.New("no")
	}
	return nil
}

// kms plays KMS with one key. Who may decrypt is told by ARN: a role's, or a principal's.
type kms struct {
	mu      sync.Mutex
	key     *seal.Key
	denied  map[string]bool
	state   *aws.Error // why no use of the key is possible
	uses    int
	granted bool     // to Lambda
	own     []string // uses of Lambda's own key: what for, and where
	broken  error    // of those
}

const keyArn = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

func (k *kms) check(use KMSUse) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if use.Service && use.Key == keyArn {
		if !k.granted {
			return nil, aws.ErrAccessDenied.New("nothing was granted to Lambda")
		}
		return json.Marshal(use.Context)
	}
	if use.Service {
		k.own = append(k.own, use.Context["aws:lambda:FunctionArn"]+" "+use.Key)
		if k.broken != nil {
			return nil, k.broken
		}
		return json.Marshal([]any{use.Key, use.Context})
	}
	k.uses++
	who := use.Role
	if who == "" {
		who = use.Call.Principal.Arn
	}
	switch {
	case k.state != nil:
		return nil, k.state
	case k.denied[who] || use.Key != keyArn:
		return nil, aws.ErrAccessDenied.New("User: " + who + " is not authorized")
	}
	return json.Marshal(use.Context)
}

func (k *kms) Grant(_ context.Context, use KMSUse) error {
	if use.Service || use.Role != "" {
		return fmt.Errorf("%+v is not the client", use)
	}
	_, err := k.check(use)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.granted = err == nil
	return err
}

func (k *kms) Encrypt(_ context.Context, use KMSUse, plaintext []byte) ([]byte, error) {
	bound, err := k.check(use)
	if err != nil {
		return nil, err
	}
	return k.key.Seal(plaintext, bound), nil
}

func (k *kms) Decrypt(_ context.Context, use KMSUse, ciphertext []byte) ([]byte, error) {
	bound, err := k.check(use)
	if err != nil {
		return nil, err
	}
	return k.key.Open(ciphertext, bound)
}

// used is how often the customer's key was used.
func (k *kms) used() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.uses
}

func (k *kms) deny(who string, state *aws.Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.denied, k.state = map[string]bool{who: true}, state
}

func variables(vars map[string]string) func(*api.CreateFunctionInput) {
	return func(in *api.CreateFunctionInput) { in.Environment = &api.Environment{Variables: vars} }
}

// A secret in a variable or in code is nowhere on the disk in the clear, but for unpacked code, which sandboxes read.
func TestNothingIsStoredInTheClear(t *testing.T) {
	const secret, inCode = "correct horse battery staple 4711", "codesecret-4712-codesecret-4712"
	w := newWorld(t)
	w.create("f", variables(map[string]string{"SECRET": secret}), func(in *api.CreateFunctionInput) {
		in.Code.ZipFile = stored(t, "index.py", inCode)
	})
	w.publish("f", "one")
	w.create("k", variables(map[string]string{"SECRET": secret}), func(in *api.CreateFunctionInput) { in.KMSKeyArn = new(keyArn) })
	w.layer("l")
	w.close()
	files := 0
	for _, dir := range []string{w.dir, w.data} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			files++
			b, err := os.ReadFile(path)
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds the secret", path)
			}
			if bytes.Contains(b, []byte(inCode)) && !strings.HasPrefix(path, filepath.Join(w.data, "code")) {
				t.Errorf("%s holds the code", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 3 {
		t.Fatalf("looked at %d files only", files)
	}
	w.open()
	for _, name := range []string{"f", "f:1", "k"} {
		got := must(w.GetFunctionConfiguration(w.ctx, &api.GetFunctionConfigurationInput{FunctionName: &name}))(t)
		if got.Environment.Variables["SECRET"] != secret {
			t.Errorf("%s has %v", name, got.Environment)
		}
		if f := must(w.resolve(w.ctx, &name, nil))(t).Function; f.Env["SECRET"] != secret {
			t.Errorf("%s runs with %v", name, f.Env)
		}
	}
}

// Variables without a KMSKeyArn are sealed with the key of Lambda in the function's account and Region. It is asked when they
// are set, and once when they are first needed after a start: not for every list.
func TestOwnKey(t *testing.T) {
	w := newWorld(t)
	w.create("plain")
	if len(w.kms.own) != 0 {
		t.Fatalf("no variables, and the key was used: %q", w.kms.own)
	}
	w.create("f", variables(map[string]string{"AB": "1"}))
	w.publish("f", "one")
	use := "arn:aws:lambda:" + region + ":" + account + ":function:f arn:aws:kms:" + region + ":" + account + ":alias/aws/lambda"
	check := func(when string, uses int) {
		t.Helper()
		for range 3 {
			for _, name := range []string{"f", "f:1"} {
				got := must(w.GetFunctionConfiguration(w.ctx, &api.GetFunctionConfigurationInput{FunctionName: &name}))(t)
				if got.Environment.Variables["AB"] != "1" || got.KMSKeyArn != nil {
					t.Errorf("%s: %s has %s", when, name, toJSON(t, got))
				}
				if f := must(w.resolve(w.ctx, &name, nil))(t).Function; f.Env["AB"] != "1" {
					t.Errorf("%s: %s runs with %v", when, name, f.Env)
				}
			}
		}
		if want := slices.Repeat([]string{use}, uses); !slices.Equal(w.kms.own, want) {
			t.Errorf("%s: the key was used for %q, want %q", when, w.kms.own, want)
		}
	}
	check("made", 2)
	w.close()
	w.open()
	check("started again", 3)
	if w.kms.uses != 0 {
		t.Errorf("%d uses of a customer's key", w.kms.uses)
	}

	w.kms.broken = aws.ErrAccessDenied.New("no")
	var e *aws.Error
	_, err := w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
		FunctionName: new("f"), Environment: &api.Environment{Variables: map[string]string{"AB": "2"}},
	})
	if err == nil || errors.As(err, &e) {
		t.Errorf("a fault of our own key is told to the client: %v", err)
	}
}

// What was sealed before there was a KMS opens as ever, and is sealed by KMS when it is set again.
func TestVariablesOfFormerServers(t *testing.T) {
	w := newWorld(t)
	kms := w.Service.deps.KMS
	w.Service.deps.KMS = nil
	w.create("f", variables(map[string]string{"AB": "1"}))
	w.Service.deps.KMS = kms
	read := func() string {
		return must(w.GetFunctionConfiguration(w.ctx, &api.GetFunctionConfigurationInput{FunctionName: new("f")}))(t).Environment.Variables["AB"]
	}
	if got := read(); got != "1" || len(w.kms.own) != 0 {
		t.Errorf("%q, %q", got, w.kms.own)
	}
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
		FunctionName: new("f"), Environment: &api.Environment{Variables: map[string]string{"AB": "2"}},
	}))(t)
	w.wait("f")
	if got := read(); got != "2" || len(w.kms.own) == 0 {
		t.Errorf("%q, %q", got, w.kms.own)
	}
}

func TestDataKeysAreBounded(t *testing.T) {
	var d dataKeys
	key := &seal.Key{}
	for i := range maxDataKeys + 10 {
		must(d.once(fmt.Sprint(i), func() (*seal.Key, error) { return key, nil }))(t)
	}
	if len(d.all) != maxDataKeys || d.all[fmt.Sprint(maxDataKeys+9)] == nil || len(d.unwraps) != 0 {
		t.Errorf("%d data keys, %d under way", len(d.all), len(d.unwraps))
	}
}

// TestDataKeysOnce: who wants a key that is being unwrapped waits for it, and tries himself if that fails.
func TestDataKeysOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d dataKeys
		var tries atomic.Int32
		broken := errors.New("broken")
		var all sync.WaitGroup
		var failed atomic.Int32
		for range 10 {
			all.Go(func() {
				_, err := d.once("k", func() (*seal.Key, error) {
					n := tries.Add(1)
					time.Sleep(time.Second)
					if n == 1 {
						return nil, broken
					}
					return &seal.Key{}, nil
				})
				if err != nil {
					failed.Add(1)
				}
			})
		}
		all.Wait()
		if tries.Load() != 2 || failed.Load() != 1 {
			t.Errorf("%d tries, %d failed, want 2 and 1", tries.Load(), failed.Load())
		}
	})
}

// What is sealed for one function does not open for another, and not with another key.
func TestSealedVariablesAreBound(t *testing.T) {
	w := newWorld(t)
	at := func(account, name string) ref {
		r := must(parseRef(callIn(account, region), &name, nil))(t)
		return r
	}
	env := must(w.sealEnvironment(w.ctx, at(account, "f"), map[string]string{"A": "b"}, ""))(t)
	if got, err := w.openEnvironment(w.ctx, at(account, "f"), &config{Env: env}, ""); err != nil || !maps.Equal(got, map[string]string{"A": "b"}) {
		t.Error(got, err)
	}
	for _, r := range []ref{at(account, "g"), at("111122223333", "f")} {
		if got, err := w.openEnvironment(w.ctx, r, &config{Env: env}, ""); err == nil {
			t.Errorf("opens for %s: %v", r.arn(), got)
		}
	}
}

// Publishing tells equal variables from changed ones, though they are sealed anew each time.
func TestPublishComparesVariables(t *testing.T) {
	w := newWorld(t)
	w.create("f", variables(map[string]string{"AB": "1"}))
	set := func(v string) string {
		must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
			FunctionName: new("f"), Environment: &api.Environment{Variables: map[string]string{"AB": v}},
		}))(t)
		w.wait("f")
		return *must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t).Version
	}
	if got := fmt.Sprint(set("1"), set("1"), set("2"), set("2"), set("1")); got != "11223" {
		t.Errorf("versions %s", got)
	}
}

func TestKMSKey(t *testing.T) {
	w := newWorld(t)
	w.create("f", variables(map[string]string{"AB": "1"}), func(in *api.CreateFunctionInput) { in.KMSKeyArn = new(keyArn) })
	show := func() *api.FunctionConfiguration {
		return must(w.GetFunctionConfiguration(w.ctx, &api.GetFunctionConfigurationInput{FunctionName: new("f")}))(t)
	}
	if got := show(); *got.KMSKeyArn != keyArn || got.Environment.Error != nil || got.Environment.Variables["AB"] != "1" {
		t.Errorf("%s", toJSON(t, got))
	}
	w.kms.deny("arn:aws:iam::"+account+":root", nil)
	got := show().Environment
	if got.Error == nil || got.Variables != nil || *got.Error.ErrorCode != "AccessDeniedException" ||
		!strings.HasPrefix(*got.Error.Message, "Lambda was unable to decrypt your environment variables because the KMS access was denied.") {
		t.Errorf("%s", toJSON(t, got))
	}
	// The role may, so the function runs.
	if _, err := w.Invoke(w.ctx, &api.InvokeInput{FunctionName: new("f")}); err != nil {
		t.Error(err)
	}
	// What shows nothing changes nothing either: the description of a function whose variables are hidden can be set.
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), Description: new("d")}))(t)
	w.wait("f")
	for _, tt := range []struct {
		name string
		who  string
		why  *aws.Error
		want string
	}{
		{"the role may not", role, nil, "KMSAccessDeniedException"},
		{"disabled", "", (&aws.ErrorType{Code: "DisabledException", Status: 400}).New("x is disabled."), "KMSDisabledException"},
		{"gone", "", (&aws.ErrorType{Code: "NotFoundException", Status: 400}).New("no x"), "KMSNotFoundException"},
		{"to be deleted", "", (&aws.ErrorType{Code: "KMSInvalidStateException", Status: 400}).New("x"), "KMSInvalidStateException"},
	} {
		w.kms.deny(tt.who, tt.why)
		_, err := w.Invoke(w.ctx, &api.InvokeInput{FunctionName: new("f")})
		if !strings.HasPrefix(errText(err), tt.want+": Lambda was unable to decrypt the environment variables because ") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := w.CreateFunction(w.ctx, w.simple("g", variables(nil), func(in *api.CreateFunctionInput) { in.KMSKeyArn = new(keyArn) })); !strings.HasPrefix(
		errText(err), "InvalidParameterValueException: Lambda was unable to configure access to your environment variables because the KMS key is invalid for CreateGrant.") {
		t.Error(err)
	}
	// Back to Enfold's own key: nobody needs KMS then.
	w.kms.deny("", nil)
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), KMSKeyArn: new("")}))(t)
	w.wait("f")
	before := w.kms.uses
	if got := show(); got.KMSKeyArn != nil || got.Environment.Variables["AB"] != "1" || w.kms.uses != before {
		t.Errorf("%s", toJSON(t, got))
	}
}

// A function's role must let Lambda in.
func TestRoleMustBeAssumable(t *testing.T) {
	const bad = "arn:aws:iam::123456789012:role/bad"
	w := newWorld(t)
	w.create("f")
	w.roles.refused = map[string]bool{bad: true}
	const want = "InvalidParameterValueException: The role defined for the function cannot be assumed by Lambda."
	blobs := w.blobs()
	_, err := w.CreateFunction(w.ctx, w.simple("g", func(in *api.CreateFunctionInput) { in.Role = new(bad) }))
	if errText(err) != want || w.blobs() != blobs {
		t.Error(err)
	}
	if last := w.roles.asked[len(w.roles.asked)-1]; last != account+" "+bad+" g" {
		t.Errorf("asked for %q", last)
	}
	before := toJSON(t, w.wait("f"))
	_, err = w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), Role: new(bad)})
	if errText(err) != want || toJSON(t, w.wait("f")) != before {
		t.Error(err)
	}
	asked := len(w.roles.asked)
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), Timeout: new(9)}))(t)
	if len(w.roles.asked) != asked {
		t.Error("asked without a role")
	}
}
