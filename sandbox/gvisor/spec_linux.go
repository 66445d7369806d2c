//go:build amd64 || arm64

package gvisor

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/enfold-run/enfold/sandbox"
)

func withDefaults(s sandbox.Spec) sandbox.Spec {
	if s.Tmp <= 0 {
		s.Tmp = defaultTmp
	}
	if s.Memory <= 0 {
		s.Memory = defaultMemory
	}
	if s.CPU <= 0 {
		s.CPU = defaultCPU
	}
	if s.Pids <= 0 {
		s.Pids = defaultPids
	}
	if s.Files <= 0 {
		s.Files = defaultFiles
	}
	return s
}

// check refuses a Spec that nobody should have made.
func check(s sandbox.Spec) error {
	if len(s.ID) < 1 || len(s.ID) > 64 || strings.Trim(s.ID, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("id is not of [a-z0-9-]{1,64}")
	}
	if len(s.Mounts) > maxMounts {
		return fmt.Errorf("%d mounts are more than %d", len(s.Mounts), maxMounts)
	}
	if err := checkRoot(s); err != nil {
		return err
	}
	for _, m := range s.Mounts {
		if !filepath.IsAbs(m.Source) {
			return fmt.Errorf("mount source %q is not absolute", m.Source)
		}
		if !filepath.IsAbs(m.Target) || filepath.Clean(m.Target) != m.Target || reserved(m.Target) {
			return fmt.Errorf("mount target %q is not a clean absolute path outside of /proc, /dev, /sys and /tmp", m.Target)
		}
	}
	return nil
}

// maxMounts is how many mounts a sandbox may have.
const maxMounts = 250

// maxLayers is how many layers an image may have. Docker makes no more.
const maxLayers = 127

func checkRoot(s sandbox.Spec) error {
	if s.Root == nil {
		return nil
	}
	if n := len(s.Root.Layers); n < 1 || n > maxLayers || n+len(s.Mounts) > maxMounts {
		return fmt.Errorf("a root of %d layers: from 1 to %d are possible", n, maxLayers)
	}
	for _, l := range s.Root.Layers {
		if !filepath.IsAbs(l) {
			return fmt.Errorf("layer %q is not absolute", l)
		}
	}
	return nil
}

// reserved says that a path is the driver's own.
func reserved(target string) bool {
	for _, dir := range []string{"/proc", "/dev", "/sys", "/tmp"} {
		if target == dir || strings.HasPrefix(target, dir+"/") {
			return true
		}
	}
	return target == "/"
}
