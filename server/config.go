package server

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Config is what `enfold serve` was told. Zero fields mean the defaults that its help names.
type Config struct {
	Listen                               string
	Data                                 string
	Account                              string
	Region                               string
	Isolation                            string            // "auto", "process", "namespace" or "gvisor"
	AccountIsolation                     map[string]string // account id -> "namespace" or "gvisor", where it is to be stronger
	TLSCert, TLSKey                      string            // PEM files
	InsecurePlaintext                    bool
	MetricsToken                         string
	RuntimeMap                           map[string]string
	IdleTime                             time.Duration
	FunctionScalingRate                  int   // new sandboxes of one function in ten seconds; 1,000 if zero
	AccountConcurrency                   int   // invocations of one account at once, in a region; 1,000 if zero
	ReadyMemory                          int64 // bytes for runtimes that boot ahead, see worker.Deps
	RootAccessKeyID, RootSecretAccessKey string
	// PrivateIssuers are the hosts, with a port unless it is 443, of identity providers that may have a private address.
	PrivateIssuers []string
	// SNSAllow are addresses, or blocks of them, that are not public and to which SNS may post all the same.
	SNSAllow []string
	// ImageRegistries are the registries, besides this server's own, that functions of PackageType Image may come from: HOST, HOST:PORT,
	// with http:// before those without TLS. ImageAllow are addresses, or blocks of them, that are not public and at which one may be.
	ImageRegistries, ImageAllow []string
	// RuntimeImages are images that serve managed runtimes instead of this host's interpreters: python3.12=public.ecr.aws/lambda/python:3.12.
	RuntimeImages map[string]string
	// ImageDirs are directories in which OCI layouts and docker-archives may be, for oci:PATH and docker-archive:PATH.
	ImageDirs []string
	// SMTP is the mail server for SNS, as a URL, and MailFrom who sends; without them there is no mail.
	SMTP, MailFrom string
	// Where the key comes from that everything at rest is sealed with; with neither it is made beside the data.
	RootKeyCommand, RootKeyFile string
	Log                         *slog.Logger
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func isLower(r rune) bool { return 'a' <= r && r <= 'z' }

// all says that a text is made of what is says alone, and has a length from least to most.
func all(s string, is func(rune) bool, least, most int) bool {
	return least <= len(s) && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return !is(r) })
}

func isAccountID(s string) bool { return all(s, isDigit, 12, 12) }

// isRegion says that a text looks like the name of a region: us-east-1, us-gov-west-1.
func isRegion(s string) bool {
	parts := strings.Split(s, "-")
	last := len(parts) - 1
	if last < 2 || !all(parts[0], isLower, 2, 4) || !all(parts[last], isDigit, 1, 2) {
		return false
	}
	return !slices.ContainsFunc(parts[1:last], func(p string) bool { return !all(p, isLower, 1, len(p)) })
}

func (c *Config) check() error {
	if c.Account == "" {
		c.Account = "000000000000"
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:4566"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case !isAccountID(c.Account):
		return fmt.Errorf("--account %q: an account id has 12 digits", c.Account)
	case !isRegion(c.Region):
		return fmt.Errorf("--region %q: not a region name, as us-east-1 is", c.Region)
	case c.Data == "":
		return errors.New("--data: name a directory")
	case c.FunctionScalingRate < 0:
		return fmt.Errorf("--function-scaling-rate %d: want a number of sandboxes in ten seconds", c.FunctionScalingRate)
	case c.AccountConcurrency < 0:
		return fmt.Errorf("--account-concurrency %d: want a number of invocations", c.AccountConcurrency)
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together")
	}
	if err := cmp.Or(c.checkIssuers(), c.checkImages()); err != nil {
		return err
	}
	var err error
	if c.Data, err = filepath.Abs(c.Data); err != nil { // what is mounted in sandboxes comes from there
		return fmt.Errorf("--data: %w", err)
	}
	return c.checkListen()
}

// checkIssuers gives the private issuers their port.
func (c *Config) checkIssuers() error {
	all := make([]string, len(c.PrivateIssuers))
	for i, host := range c.PrivateIssuers {
		at, err := url.Parse("https://" + host)
		if err != nil || at.Host != host || at.Hostname() == "" {
			return fmt.Errorf("--private-issuers %q: want HOST or HOST:PORT", host)
		}
		all[i] = net.JoinHostPort(at.Hostname(), cmp.Or(at.Port(), "443"))
	}
	c.PrivateIssuers = all
	return nil
}

// checkListen refuses to speak plain text to other machines: session tokens and payloads would travel readable.
func (c *Config) checkListen() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %q: want HOST:PORT: %w", c.Listen, err)
	}
	if c.TLSCert != "" || c.InsecurePlaintext || host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--listen %s would be reachable from other machines without encryption: "+
		"give --tls-cert and --tls-key, or --insecure-plaintext if the network is trusted", c.Listen)
}

// version is set by the linker in releases.
var version string

// Version is the release, or the commit that the binary was built from.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "dev-" + s.Value[:12]
			}
		}
	}
	return "dev"
}
