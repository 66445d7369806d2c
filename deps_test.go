package enfold_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/enfold-run/enfold"

// mayImport is the import rule of ARCHITECTURE.md, section 3: what each folder may import of ours. "x/*" is every package
// directly below x, "x/**" every package anywhere below.
var mayImport = []struct {
	folder  string
	imports []string
}{
	{"aws", nil},
	{"api/*", []string{"aws"}},
	{"sigv4", []string{"aws"}},
	{"policy", []string{"aws"}},
	{"seal", nil},
	{"wire", []string{"aws"}},
	{"dispatch", []string{"aws", "policy"}},
	{"gateway", []string{"aws", "sigv4", "wire", "dispatch", "gateway/http1"}},
	{"gateway/http1", nil},
	{"store", nil},
	{"store/row", nil},
	{"store/*", []string{"store"}},
	{"event", []string{"aws", "store", "store/row", "seal"}},
	{"event/*", []string{"aws", "api/*", "store", "event"}},
	{"event/filter", nil},
	{"sandbox", nil},
	{"sandbox/*", []string{"sandbox", "network"}},
	{"sandbox/namespace", []string{"sandbox", "network", "sandbox/namespace/**"}},
	{"sandbox/gvisor", []string{"sandbox", "network", "sandbox/gvisor/guest", "sandbox/namespace/cgroup", "sandbox/namespace/hostid", "sandbox/namespace/reap", "sandbox/namespace/seccomp"}},
	{"sandbox/gvisor/guest", nil},
	{"sandbox/sandboxtest", []string{"sandbox", "network", "sandbox/sandboxtest/**"}},
	{"sandbox/namespace/**", []string{"sandbox/namespace/**", "network"}},
	{"sandbox/sandboxtest/**", []string{"sandbox/sandboxtest/**"}},
	{"network", nil},
	{"image", nil},
	{"image/imagetest", []string{"image"}},
	{"runtimeapi", nil},
	{"runtimes", nil},
	{"runtimes/**", []string{"runtimes"}},
	{"worker", []string{"aws", "sandbox", "runtimeapi", "runtimes", "network", "image"}},
	{"service/*", []string{"aws", "api/*", "store", "store/row", "event", "event/filter", "event/target", "policy", "seal"}},
	{"service/lambda", []string{"aws", "api/*", "store", "event", "event/filter", "event/target", "policy", "seal", "worker", "image"}},
	{"service/sts/ststest", nil},
	{"examples", nil},
	{"examples/**", []string{"examples"}},
	{"server", []string{"**"}},
	{"cmd/**", []string{"**"}},
	{"test/**", []string{"**"}},
}

// TestImportRule reads the sources: `go list` would answer from the test cache.
func TestImportRule(t *testing.T) {
	folders := 0
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		folder := path.Dir(filepath.ToSlash(file))
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || folder == "." {
			return nil
		}
		folders++
		checkFile(t, folder, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if folders < 20 {
		t.Fatalf("only %d source files were found: the test looks in the wrong place", folders)
	}
}

func checkFile(t *testing.T, folder, file string) {
	allowed, ok := ruleFor(folder)
	if !ok {
		t.Errorf("%s: no rule in deps_test.go for folder %q: add it there and to ARCHITECTURE.md, section 1", file, folder)
		return
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	for _, spec := range f.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !strings.HasPrefix(imported, module+"/") {
			checkForeign(t, folder, file, imported)
			continue
		}
		ours := strings.TrimPrefix(imported, module+"/")
		if !slices.ContainsFunc(allowed, func(pattern string) bool { return matches(pattern, ours) }) {
			t.Errorf("%s imports %s, which folder %s may not (ARCHITECTURE.md, section 3)", file, ours, folder)
		}
	}
}

// checkForeign holds what is said about libraries: the AWS SDK judges us in tests and is never part of the product, and SQL
// stays in the store's backends.
func checkForeign(t *testing.T, folder, file, imported string) {
	inTests := folder == "test" || strings.HasPrefix(folder, "test/")
	inExamples := strings.HasPrefix(folder, "examples/")
	if (strings.HasPrefix(imported, "github.com/aws/aws-sdk-go") || strings.HasPrefix(imported, "github.com/aws/smithy-go")) && !inTests {
		t.Errorf("%s imports %s: the AWS SDK is a test judge, never a dependency of the product", file, imported)
	}
	if strings.HasPrefix(imported, "github.com/aws/aws-lambda-go") && !inTests && !inExamples {
		t.Errorf("%s imports %s: only functions do", file, imported)
	}
	if imported == "database/sql" && !strings.HasPrefix(folder, "store/") {
		t.Errorf("%s imports database/sql: no SQL outside store/<backend>", file)
	}
	if imported == "C" {
		t.Errorf("%s uses cgo: everything builds with CGO_ENABLED=0", file)
	}
}

// ruleFor is the most exact rule of a folder.
func ruleFor(folder string) ([]string, bool) {
	best := -1
	for i, r := range mayImport {
		if matches(r.folder, folder) && (best < 0 || exactness(r.folder) > exactness(mayImport[best].folder)) {
			best = i
		}
	}
	if best < 0 {
		return nil, false
	}
	return mayImport[best].imports, true
}

// exactness orders patterns: longer ones first, and of those equally long the one with fewer stars.
func exactness(pattern string) int {
	return 10*len(strings.Split(strings.TrimSuffix(pattern, "/**"), "/")) - strings.Count(pattern, "*")
}

func matches(pattern, folder string) bool {
	if pattern == "**" || pattern == folder {
		return true
	}
	if prefix, ok := strings.CutSuffix(pattern, "/**"); ok {
		return folder == prefix || strings.HasPrefix(folder, prefix+"/")
	}
	ok, err := path.Match(pattern, folder)
	return ok && err == nil
}

// TestImportRuleCatches plants what must be refused: a rule that allows everything would pass the test above.
func TestImportRuleCatches(t *testing.T) {
	for _, c := range []struct {
		name, folder, imported string
		allowed                bool
	}{
		{"a service may use the store", "service/logs", "store", true},
		{"a service may not import a service", "service/logs", "service/lambda", false},
		{"only lambda may import the worker", "service/logs", "worker", false},
		{"lambda may", "service/lambda", "worker", true},
		{"the vocabulary imports nothing", "aws", "store", false},
		{"the store knows nobody", "store/sqlite", "aws", false},
		{"the gateway does not reach services", "gateway", "service/lambda", false},
		{"the server reaches everybody", "server", "service/lambda", true},
		{"runtimes stand alone", "runtimes", "sandbox", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			allowed, ok := ruleFor(c.folder)
			if !ok {
				t.Fatalf("no rule for %s", c.folder)
			}
			if got := slices.ContainsFunc(allowed, func(p string) bool { return matches(p, c.imported) }); got != c.allowed {
				t.Errorf("%s imports %s: allowed = %v, want %v", c.folder, c.imported, got, c.allowed)
			}
		})
	}
}

// TestPackagesAreDocumented wants a package comment in every folder of sources.
func TestPackagesAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		folder := filepath.Dir(file)
		documented[folder] = documented[folder] || f.Doc != nil
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("%s: no package comment; say in doc.go what it is for", folder)
		}
	}
}
