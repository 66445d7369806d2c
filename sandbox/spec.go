package sandbox

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Limits of a Spec that has none, AWS's where it has them.
const (
	DefaultTmp    = 512 << 20 // bytes
	DefaultMemory = 128 << 20 // bytes
	DefaultCPU    = 72        // thousandths of a core: what 128 MB give
	DefaultPids   = 1024
	DefaultFiles  = 1024
)

// MaxMounts is how many mounts and layers a sandbox may have.
const MaxMounts = 250

// WithDefaults is the Spec with AWS's limits where it has none.
func (s Spec) WithDefaults() Spec {
	if s.Tmp <= 0 {
		s.Tmp = DefaultTmp
	}
	if s.Memory <= 0 {
		s.Memory = DefaultMemory
	}
	if s.CPU <= 0 {
		s.CPU = DefaultCPU
	}
	if s.Pids <= 0 {
		s.Pids = DefaultPids
	}
	if s.Files <= 0 {
		s.Files = DefaultFiles
	}
	return s
}

// Check refuses a Spec that nobody should have made for a driver with file systems of its own.
func (s Spec) Check() error {
	if len(s.ID) < 1 || len(s.ID) > 64 || strings.Trim(s.ID, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("id is not of [a-z0-9-]{1,64}")
	}
	if len(s.Mounts) > MaxMounts {
		return fmt.Errorf("%d mounts are more than %d", len(s.Mounts), MaxMounts)
	}
	if err := s.checkRoot(); err != nil {
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

// maxLayers is how many layers an image may have. Docker makes no more.
const maxLayers = 127

func (s Spec) checkRoot() error {
	if s.Root == nil {
		return nil
	}
	if n := len(s.Root.Layers); n < 1 || n > maxLayers || n+len(s.Mounts) > MaxMounts {
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
