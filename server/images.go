package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/enfold-run/enfold/image"
	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/service/lambda"
)

// openImages opens the container images of functions, and of runtimes, in the data directory. There are none where functions are plain
// processes, which have the host's files alone.
func (s *Server) openImages() error {
	if s.tiers.first.Name() == "process" {
		if len(s.cfg.RuntimeImages) > 0 {
			return errors.New("--runtime-images wants isolation by namespaces or gVisor: see enfold doctor")
		}
		return nil
	}
	allow, err := prefixes("--image-allow", s.cfg.ImageAllow)
	if err != nil {
		return err
	}
	outside, err := parseRegistries(s.cfg.ImageRegistries)
	if err != nil {
		return err
	}
	images, err := image.Open(filepath.Join(s.cfg.Data, "images"), image.Options{
		Transport: s.imageTransport, AllowHost: outside.allow, PlainHost: outside.isPlain, Allow: allow, Own: s.isOwn,
		Dirs: s.cfg.ImageDirs, Log: s.cfg.Log,
	})
	if err != nil {
		return err
	}
	s.images, err = newRuntimeImages(s, images)
	return err
}

// functionImages are the images for the Lambda service, nil if there are none.
func (s *Server) functionImages() lambda.Images {
	if s.images == nil {
		return nil
	}
	return s.images
}

// runtimeImage is the image of a runtime, nil if it has none.
func (s *Server) runtimeImage(ctx context.Context, runtime string) (*runtimes.Image, error) {
	if s.images == nil {
		return nil, nil
	}
	return s.images.image(ctx, runtime)
}

// registries are those outside that may be pulled from.
type registries struct{ hosts, plain []string }

// dockerHub is how references to Docker Hub name their registry, whatever they were written like.
const dockerHub = "index.docker.io"

// parseRegistries reads HOST[:PORT], with http:// before those that speak without TLS.
func parseRegistries(list []string) (r registries, err error) {
	for _, text := range list {
		host, plain := strings.CutPrefix(text, "http://")
		if !plain {
			host = strings.TrimPrefix(host, "https://")
		}
		if host == "" || strings.ContainsAny(host, "/@ ") {
			return r, fmt.Errorf("--image-registries %q: want HOST, HOST:PORT or http://HOST:PORT", text)
		}
		if host == "docker.io" {
			host = dockerHub
		}
		r.hosts = append(r.hosts, host)
		if plain {
			r.plain = append(r.plain, host)
		}
	}
	return r, nil
}

func (r registries) allow(host string) bool   { return slices.Contains(r.hosts, host) }
func (r registries) isPlain(host string) bool { return slices.Contains(r.plain, host) }

// prefixes reads addresses and blocks of them, which a flag names.
func prefixes(flag string, list []string) ([]netip.Prefix, error) {
	all := make([]netip.Prefix, 0, len(list))
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if a, e := netip.ParseAddr(text); e == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s %q: want an address or ADDRESS/BITS: %w", flag, text, err)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// checkImages makes the directories of images absolute: functions name them so. They have to be there: a name that is mistyped would
// only be noticed when an image is not found.
func (c *Config) checkImages() error {
	for i, dir := range c.ImageDirs {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return fmt.Errorf("--image-dir %q: %w", dir, err)
		}
		if st, err := os.Stat(abs); err != nil || !st.IsDir() {
			return fmt.Errorf("--image-dir %q: %w", dir, cmp.Or(err, error(syscall.ENOTDIR)))
		}
		c.ImageDirs[i] = abs
	}
	if _, err := prefixes("--image-allow", c.ImageAllow); err != nil {
		return err
	}
	_, err := parseRegistries(c.ImageRegistries)
	return err
}
