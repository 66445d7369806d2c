package lambda

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCodeDirIsNone: what is in the place of a directory of the cache is told by its name, not as a bad entry of an archive.
func TestCodeDirIsNone(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"a link to nothing":               func(path string) error { return os.Symlink("nowhere", path) },
		"a link out of the data":          func(path string) error { return os.Symlink("/", path) },
		"a file":                          func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a link to nothing that is above": func(path string) error { return os.Symlink("../nowhere", path) },
	} {
		for _, d := range []string{"code", "layers"} {
			dir := t.TempDir()
			path := filepath.Join(dir, d)
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			c, err := openCodeCache(dir, nil)
			if err == nil {
				c.root.Close()
			}
			if err == nil || !strings.Contains(err.Error(), path+" is not a directory") || !strings.Contains(err.Error(), "move it away") {
				t.Errorf("%s for %s: %v", name, d, err)
			}
		}
	}
}
